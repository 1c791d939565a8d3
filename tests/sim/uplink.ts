// One simulation of the uplink: a portal and a machine, later machines that are copies of it or take its place, between
// them a network that is cut, doubles and reorders; either side crashes at any step, and an older copy of the portal comes
// back. The agent, the sessions, the records and the stores are the real ones. Guarantees: all of it follows from the seed.

import { LinkLost } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { Document } from '../../storage/document.ts';
import { sealDocument, validateDocument } from '../../storage/document.ts';
import { getRow, scanRows } from '../../storage/rows.ts';
import { record } from '../../storage/views.ts';
import { check } from '../../storage/check.ts';
import { canonical } from '../../uplink/canonical.ts';
import { createAgent } from '../../uplink/agent/agent.ts';
import { answerMac, askMac, enrolAnswer, enrolAsk, macHolds } from '../../uplink/enrol.ts';
import { parseSigned, seedFrom, type Signer, signerOf } from '../../uplink/keys.ts';
import { command } from '../../uplink/portal/command.ts';
import { respondActivate, respondGrant } from '../../uplink/portal/grants.ts';
import { ensureIdentity } from '../../uplink/portal/identity.ts';
import { kinds, type RecordOf } from '../../uplink/portal/kinds.ts';
import { query, QueryFailed } from '../../uplink/portal/query.ts';
import { Busy, openRecords, type Records } from '../../uplink/portal/records.ts';
import { enrol } from '../../uplink/portal/uplink/enrol.ts';
import { openSession } from '../../uplink/portal/uplink/session.ts';
import { want } from '../../uplink/portal/want.ts';
import type { Plan } from '../../uplink/states/site.ts';
import { SimDisk } from './disk.ts';
import { activate, giveClaim, replyOf, secretOf } from './enrolment.ts';
import { Ether } from './ether.ts';
import { Broken } from './ledger.ts';
import { Machine, type Plants, SITE } from './machine.ts';
import { documentOf } from './mail.ts';
import { Network } from './network.ts';
import { type Life, Scheduler } from './scheduler.ts';
import { Found, type Options } from './simulate.ts';
import { Stage } from './stage.ts';
import { eventsAt, PortalRules, SiteRules, type Wanted } from './uplinkrules.ts';
import { simWorld } from './world.ts';

export interface UplinkReport {
  readonly seed: number;
  readonly steps: number;
  readonly sessions: number;
  readonly applied: number;
  readonly commands: number;
  readonly crashes: number;
  readonly clones: number;
  readonly restores: number;
  /** Equal for two runs of one seed. */
  readonly trace: number;
}

/** Bugs to plant. Each wraps a part; nothing in the parts knows of it. */
export interface UplinkPlants {
  readonly site?: Plants;
  readonly portal?: Plants;
  readonly records?: (records: Records) => Records;
}
export interface UplinkOptions extends Pick<Options, 'watch'> {
  readonly plants?: UplinkPlants;
}

const STEPS = 400_000;
const ORGANISATION = 'o';
const ID = 's';
const URL_OF_PORTAL = 'http://portal.test';

/** Throws Found when a rule is broken. */
export function simulateUplink(seed: number, options: UplinkOptions = {}): UplinkReport {
  const simulation = new Simulation(seed, options);
  try {
    return simulation.run();
  } catch (error) {
    throw new Found(seed, simulation.scheduler.steps, error, '--uplink ');
  }
}

/** A machine of the site: its disk, and the key in the file beside it. */
interface Box {
  readonly number: number;
  readonly disk: SimDisk;
  readonly machine: Machine;
  readonly rules: SiteRules;
  signer: Signer;
  agent: { readonly life: Life; end(): void } | null;
  /** The marks of events that were recorded here, on this history. */
  readonly told: Set<string>;
  gone: boolean;
}
/** The portal: its disk, and its process while it runs. */
interface Portal {
  readonly disk: SimDisk;
  readonly machine: Machine;
  readonly rules: PortalRules;
  process: { readonly life: Life; readonly world: World; readonly records: Records; end(): void } | null;
  gone: boolean;
}

class Simulation {
  readonly scheduler: Scheduler;
  private readonly seed: number;
  private readonly plants: UplinkPlants;
  private readonly stage: Stage;
  private readonly world: World;
  private readonly ether: Ether;
  private readonly documents: Wanted = { texts: new Set(), byHash: new Map() };
  private readonly offered = new Map<number, number>();
  private readonly boxes: Box[] = [];
  private portal!: Portal;
  private primary!: Box;
  private copy: SimDisk | null = null;
  private boxNumber = 0;
  private marks = 0;
  private crashes = 0;
  private siteCrashes = 0;
  private clones = 0;
  private restores = 0;
  private wanted = 0;
  private commanded = 0;
  /** Commands that were begun outside of the store: machine and mark. */
  private readonly outside = new Set<string>();

  constructor(seed: number, options: UplinkOptions) {
    this.seed = seed;
    this.plants = options.plants ?? {};
    this.scheduler = new Scheduler(seed);
    this.scheduler.watch = options.watch ?? null;
    this.stage = new Stage(this.scheduler, STEPS, () => {});
    this.world = simWorld(this.scheduler, new Network(this.scheduler), this.stage.outside, SITE, () => {});
    this.ether = new Ether(this.scheduler);
    this.ether.seen = (life, text) => this.saw(life, text);
  }

  run(): UplinkReport {
    const { scheduler, stage, ether } = this;
    const { random } = scheduler;
    this.portal = this.openPortal(new SimDisk(scheduler), false);
    stage.drive(this.world.sleep(50));
    stage.drive(this.claim('new'));
    this.primary = this.openBox(new SimDisk(scheduler), signerOf(seedFrom(this.world.random)));
    if (random.chance(0.3)) stage.drive(this.byHand(this.primary, true));
    ether.doubleChance = random.pick([0, 0, 0.1, 0.3]);
    ether.swapChance = random.pick([0, 0, 0, 0.02, 0.1]);
    const joining = this.join(this.primary, 'c1');
    this.trouble();
    stage.begin(joining);
    stage.drive(this.world.sleep(random.below(3_000)));
    const deeds = this.deeds();
    for (let n = random.between(6, 20); n > 0; n--) {
      const deed = random.pick(deeds)();
      if (random.chance(0.5)) this.trouble();
      if (random.chance(0.6)) stage.drive(deed);
      else stage.begin(deed);
      stage.drive(this.world.sleep(random.chance(0.15) ? random.below(400_000) : random.below(4_000)));
    }
    stage.drive(this.mend());
    stage.rest();
    const { seed, crashes, clones, restores } = this;
    return {
      seed,
      steps: scheduler.steps,
      sessions: this.offered.size,
      applied: this.wanted,
      commands: this.commanded,
      crashes,
      clones,
      restores,
      trace: scheduler.trace,
    };
  }

  private deeds(): (() => Promise<unknown>)[] {
    const { random } = this.scheduler;
    const copies = random.chance(0.25) ? [() => this.clone()] : [];
    const olds = random.chance(0.25) ? [() => this.keepPortal(), () => this.restorePortal()] : [];
    const moves = random.chance(0.3) ? [() => this.move()] : [];
    return [
      ...[() => this.want(), () => this.want(), () => this.want()],
      ...[() => this.command(), () => this.command()],
      ...[() => this.tell(), () => this.tell()],
      () => this.ask(),
      () => this.cutFor(random.pick([500, 10_000, 70_000, 400_000])),
      async () => this.ether.breakAll(),
      () => this.byHand(this.primary, false),
      ...copies,
      ...olds,
      ...moves,
    ];
  }

  /** Something dies within the next steps, wherever they are. */
  private trouble(): void {
    const { scheduler, stage } = this;
    const { random, pace } = scheduler;
    if (random.chance(0.3)) return;
    const what = random.pick(['agent', 'agent', 'site store', 'portal', 'portal', 'portal store', 'power', 'net'] as const);
    const box = this.primary;
    scheduler.at(random.below(40 * (pace.netUs + pace.flushUs)), `trouble: ${what}`, stage.outside, () => {
      this.crashes++;
      if (what === 'agent' || what === 'site store' || what === 'power') this.siteCrashes++;
      if (what === 'agent') this.crashAgent(box);
      else if (what === 'site store') box.machine.crash('store');
      else if (what === 'portal') this.crashPortal();
      else if (what === 'portal store') this.portal.machine.crash('store');
      else if (what === 'net') this.ether.breakAll();
      else {
        this.crashAgent(box);
        box.machine.powerLoss();
      }
    });
  }

  // what runs

  private openBox(disk: SimDisk, signer: Signer, before?: Box): Box {
    const { scheduler, stage, plants } = this;
    disk.forget(stage.outside);
    const rules = new SiteRules(disk.reader(stage.outside), this.documents.byHash, before?.rules);
    disk.watcher = (changes) => rules.look(changes);
    const machine = new Machine({
      scheduler,
      network: new Network(scheduler),
      disk,
      roles: ['store'],
      plants: plants.site ?? {},
      failed: stage.fail,
      storeEnded: () => {},
      logged: () => {},
    });
    const box: Box = { number: ++this.boxNumber, disk, machine, rules, signer, agent: null, told: new Set(before?.told), gone: false };
    this.boxes.push(box);
    machine.start();
    this.startAgent(box);
    return box;
  }

  private startAgent(box: Box): void {
    if (box.gone || box.agent !== null) return;
    const { site, life, end } = box.machine.verb();
    box.agent = { life, end };
    const plan = (name: string, _args: unknown, id: string): Plan => {
      if (name === 'outside') return { kind: '', ask: {}, value: '' };
      if (name === 'refused') return { kind: 'nothing of ours', ask: {}, value: '' };
      if (name !== 'effect') return { failed: 'not known' };
      return { kind: 'recordEvents', ask: { now: site.world.now(), events: [{ name: 'effect', body: JSON.stringify({ mark: id }) }] }, value: 'done it' };
    };
    const agent = createAgent({
      world: site.world,
      store: site.store,
      view: site.view,
      transport: this.ether.transport(life),
      version: '0.1.0',
      signer: () => box.signer,
      plan,
      outside: (_name, args) => {
        const mark = String(args['mark']);
        if (this.outside.has(`${box.number} ${mark}`)) throw new Broken('U2', `command ${mark} is begun again`);
        this.outside.add(`${box.number} ${mark}`);
        return site.world.sleep(this.scheduler.random.below(3_000)).then(() => 'seen to');
      },
      query: async (name) => ({ name }),
      facts: async () => {
        site.view.refresh();
        const row = getRow(site.view, 'uplink', {});
        return { machine: row?.machine ?? '', rev: getRow(site.view, 'config', {})?.rev ?? 0, ...(this.scheduler.random.chance(0.3) ? { sometimes: 1 } : {}) };
      },
    });
    agent.run().catch((error: unknown) => {
      if (life.alive) stage(error);
    });
    const stage = this.stage.fail;
  }

  private crashAgent(box: Box): void {
    const { agent } = box;
    if (agent === null) return;
    box.agent = null;
    agent.life.alive = false;
    this.ether.lost(agent.life);
    agent.end();
    this.scheduler.at(this.scheduler.random.between(5_000, 300_000), 'start agent', this.stage.outside, () => this.startAgent(box));
  }

  private openPortal(disk: SimDisk, forgets: boolean): Portal {
    const { scheduler, stage, plants } = this;
    disk.forget(stage.outside);
    const rules = new PortalRules(disk.reader(stage.outside), (counter) => this.offered.get(counter), forgets, this.documents);
    disk.watcher = (changes) => rules.look(changes);
    const machine = new Machine({
      scheduler,
      network: new Network(scheduler),
      disk,
      roles: ['store'],
      plants: plants.portal ?? {},
      failed: stage.fail,
      storeEnded: () => {},
      logged: () => {},
    });
    const portal: Portal = { disk, machine, rules, process: null, gone: false };
    machine.start();
    stage.begin(this.startPortal(portal));
    return portal;
  }

  private async startPortal(portal: Portal): Promise<void> {
    if (portal.gone || portal.process !== null) return;
    const { site, life, end } = portal.machine.verb();
    const world: World = {
      ...site.world,
      log: (event, fields) => {
        site.world.log(event, fields);
        if (event === 'portal.refused' && life.alive) this.stage.fail(new Error(JSON.stringify(fields)));
      },
    };
    const plain = openRecords(site.store, site.view);
    const records = this.plants.records?.(plain) ?? plain;
    portal.process = { life, world, records, end };
    const here = { world, records };
    for (;;) {
      try {
        await ensureIdentity(here, () => {});
        break;
      } catch (error) {
        if (!(error instanceof LinkLost)) throw error;
        if (!life.alive) return;
      }
    }
    this.ether.station = {
      life,
      accept: (peer) => openSession(here, peer),
      post: async (path, body) => {
        const whole = { ...here, url: URL_OF_PORTAL, objects: '' };
        if (path === '/v1/grant') return replyOf(await respondGrant(whole, JSON.parse(body)));
        if (path === '/v1/activate') return replyOf(await respondActivate(whole, JSON.parse(body)));
        const done = await enrol(here, enrolAsk.parse(JSON.parse(body)));
        return done.ok ? { status: 200, body: JSON.stringify(done.answer) } : { status: done.status, body: '{}' };
      },
    };
  }

  private crashPortal(): void {
    const { portal } = this;
    const { process } = portal;
    if (process === null) return;
    portal.process = null;
    process.life.alive = false;
    this.ether.lost(process.life);
    if (this.ether.station?.life === process.life) this.ether.station = null;
    process.end();
    this.scheduler.at(this.scheduler.random.between(5_000, 500_000), 'start portal', this.stage.outside, () => this.stage.begin(this.startPortal(portal)));
  }

  /** A session was offered: to which box? */
  private saw(life: Life, text: string): void {
    const { t, body } = JSON.parse(text) as { t: string; body: { signed: string } };
    if (t !== 'welcome') return;
    const counter = Number(parseSigned(body.signed)?.['counter']);
    const box = this.boxes.find((b) => b.agent?.life === life);
    if (box !== undefined) this.offered.set(counter, box.number);
  }

  // what people do

  /** A command line on a machine, which dies with it. */
  private async verb<T>(box: Box, run: (verb: ReturnType<Machine['verb']>) => Promise<T>): Promise<T> {
    const verb = box.machine.verb();
    const done = run(verb);
    done.catch(() => {});
    let over = false;
    const gone = (async () => {
      while (verb.life.alive && !over) await this.world.sleep(200);
      throw new LinkLost('the machine');
    })();
    gone.catch(() => {});
    try {
      return await Promise.race([done, gone]);
    } finally {
      over = true;
      if (verb.life.alive) verb.end();
    }
  }

  /** Does something with the portal, through whichever process of it there is, until it is done. */
  private async at<T>(run: (here: { readonly world: World; readonly records: Records }) => Promise<T>): Promise<T> {
    for (;;) {
      const { process } = this.portal;
      if (process !== null) {
        const life = process.life;
        let over = false;
        const gone = (async () => {
          while (life.alive && !over) await this.world.sleep(200);
          throw new LinkLost('the portal');
        })();
        try {
          const done = run(process);
          done.catch(() => {});
          gone.catch(() => {});
          return await Promise.race([done, gone]);
        } catch (error) {
          if (!(error instanceof LinkLost || error instanceof Busy || String(error).includes('has no identity'))) throw error;
        } finally {
          over = true;
        }
      }
      await this.world.sleep(100);
    }
  }

  private claims = 0;

  private async claim(purpose: 'new' | 'launch'): Promise<string> {
    const claim = `c${++this.claims}`;
    const about = { organisation: ORGANISATION, site: ID, claim, purpose };
    await this.at(({ world, records }) => records.transact((tx) => giveClaim(tx, { ...about, at: world.now() })));
    return claim;
  }

  /** `mailsite join`, again and again until it is done. */
  private async join(box: Box, claim: string): Promise<void> {
    const secret = secretOf(claim);
    while (!box.gone) {
      const ask = { claim, signPublic: box.signer.publicKey, wrapPublic: 'age1', nonce: seedFrom(this.world.random), version: '0.1.0' };
      try {
        const joined = await this.verb(box, async (verb) => {
          const reply = await this.ether.transport(verb.life).post(`${URL_OF_PORTAL}/v1/enroll`, JSON.stringify({ ...ask, mac: askMac(secret, ask) }), 30_000);
          if (reply.status !== 200) return true; // an older copy of the portal does not know the claim
          const answer = enrolAnswer.parse(JSON.parse(reply.body));
          if (!macHolds(answer.mac, answerMac(secret, ask, answer))) throw new Broken('U3', 'the answer to an enrolment is not of the portal');
          const { portal, rootPublic, site, machine, purpose } = answer;
          const epoch =
            purpose === 'launch' ? await activate(this.ether.transport(verb.life), URL_OF_PORTAL, box.signer, { portal, site, machine }) : answer.epoch;
          if (epoch === null) return true; // so does one that came back meanwhile
          const who = { portal: URL_OF_PORTAL, portalId: portal, rootPublic, site, machine, signPublic: ask.signPublic, epoch, identity: '' };
          const kept = await verb.site.store.ask('joined', { now: verb.site.world.now(), ...who });
          if (isRefusal(kept)) throw new Broken('U3', `the site did not join: ${kept.detail}`);
          return true;
        });
        if (joined) return;
      } catch (error) {
        if (!(error instanceof LinkLost) && (error as Error).message !== 'no answer') throw error;
      }
      await this.world.sleep(500);
    }
  }

  private async document(bad: boolean): Promise<Document> {
    const { random } = this.scheduler;
    const base = documentOf(++this.wanted) as Record<string, unknown>;
    const network = random.chance(0.2) ? { resolvers: [`127.0.0.${random.between(1, 200)}:53`] } : base['network'];
    const valid = validateDocument(JSON.stringify({ ...base, ...(network === undefined ? {} : { network }) }));
    if (!valid.ok) throw new Error(`the document is wrong: ${JSON.stringify(valid.errors)}`);
    const document = await sealDocument(valid.document, () => Promise.reject(new Error('the document has hashes only')));
    return bad ? { ...document, host: 'no host' } : document;
  }

  private async want(): Promise<void> {
    const document = await this.document(this.scheduler.random.chance(0.1));
    const stale = this.scheduler.random.chance(0.2);
    await this.at(async ({ world, records }) => {
      const site = await records.get('site', ORGANISATION, ID);
      const ifRev = stale ? (site?.wantedRev ?? 0) : undefined;
      return records.transact(async (tx) => {
        this.documents.texts.add(canonical(document));
        await want(tx, { world }, { organisation: ORGANISATION, site: ID, document, by: 'me', summary: '', ifRev });
      });
    });
  }

  private async command(): Promise<void> {
    const { random } = this.scheduler;
    const name = random.pick(['effect', 'effect', 'effect', 'outside', 'refused', 'unknown']);
    const soon = random.chance(0.2);
    await this.at(async ({ world, records }) => {
      // whoever asks again after a crash of the portal may have given two commands
      const mark = `m${++this.commanded}`;
      await records.transact((tx) =>
        command(tx, { world }, { organisation: ORGANISATION, site: ID, name, args: { mark }, by: 'me', ...(soon ? { notAfter: world.now() + 3_000 } : {}) }),
      );
    });
  }

  /** Something happens on the site. */
  private async tell(): Promise<void> {
    const box = this.primary;
    const mark = `e${++this.marks}`;
    await this.verb(box, async ({ site }) => {
      site.view.refresh();
      const joined = getRow(site.view, 'uplink', {}) !== undefined; // else there is nobody to tell
      const kept = await site.store.ask('recordEvents', { now: site.world.now(), events: [{ name: 'happened', body: JSON.stringify({ mark }) }] });
      if (!isRefusal(kept) && joined) box.told.add(mark);
    }).catch(lost);
  }

  private async ask(): Promise<void> {
    await this.at(async (here) => {
      const answer = await query(here, ID, 'overview', {}, 5_000).catch((error: unknown) => {
        if (error instanceof QueryFailed || error instanceof LinkLost) return null;
        throw error;
      });
      if (answer !== null && (answer as { name?: unknown }).name !== 'overview') throw new Broken('Q', 'the answer to another question');
    });
  }

  private async cutFor(ms: number): Promise<void> {
    this.ether.cut = true;
    if (this.scheduler.random.chance(0.5)) this.ether.breakAll();
    await this.world.sleep(ms);
    this.ether.cut = false;
  }

  /** U1: by hand a site that has joined takes nothing; one that has not takes anything. */
  private async byHand(box: Box, first: boolean): Promise<void> {
    const document = JSON.stringify(await this.document(false));
    await this.verb(box, async ({ site }) => {
      site.view.refresh();
      const locked = getRow(site.view, 'uplink', {}) !== undefined; // before: it may join while the answer is on its way
      const done = await site.store.ask('applyConfig', { now: site.world.now(), document });
      if (!isRefusal(done)) this.documents.texts.add(canonical(JSON.parse(document)));
      if (!first && locked && !isRefusal(done)) throw new Broken('U1', 'a site with a portal took a document by hand');
    }).catch(lost);
  }

  /** The whole machine is copied, its key with it, and the copy runs too. */
  private async clone(): Promise<void> {
    if (this.clones > 1) return;
    this.clones++;
    const { primary } = this;
    const disk = primary.disk.copy();
    this.openBox(disk, primary.signer, primary);
  }

  private async keepPortal(): Promise<void> {
    // a portal that does not know its site any more needs a new claim: that is another story
    const { reader } = this.portal.rules;
    reader.refresh();
    const row = record(reader, kinds.site.number, `${ORGANISATION}/${ID}`);
    const site = row && (JSON.parse(row.body) as RecordOf<'site'>);
    if (site && site.machine !== '' && site.machine === machineOf(this.primary) && this.moves === this.claims - 1) this.copy = this.portal.disk.copy();
  }

  private async restorePortal(): Promise<void> {
    const { copy, portal } = this;
    if (copy === null) return;
    this.copy = null;
    this.restores++;
    portal.gone = true;
    if (portal.process !== null) {
      portal.process.life.alive = false;
      this.ether.lost(portal.process.life);
      portal.process.end();
    }
    this.ether.station = null;
    portal.machine.destroy();
    this.portal = this.openPortal(copy, true);
  }

  private moves = 0;

  /** Another machine takes the place, from a copy of the disk; the one before may go on for all it knows. */
  private async move(): Promise<void> {
    if (this.moves > 1 || this.restores > 0) return;
    this.copy = null;
    this.moves++;
    const claim = await this.claim('new');
    const before = this.primary;
    const box = this.openBox(before.disk.copy(), signerOf(seedFrom(this.world.random)), before);
    this.primary = box;
    if (this.scheduler.random.chance(0.5)) this.close(before);
    await this.join(box, claim);
  }

  private close(box: Box): void {
    box.gone = true;
    if (box.agent !== null) {
      box.agent.life.alive = false;
      this.ether.lost(box.agent.life);
      box.agent.end();
      box.agent = null;
    }
    box.machine.destroy();
  }

  // the end

  /** Nothing breaks any more: what was wanted is in force, what was told is known, and nothing was done twice. */
  private async mend(): Promise<void> {
    const { ether, world } = this;
    ether.cut = false;
    ether.doubleChance = 0;
    ether.swapChance = 0;
    await world.sleep(420_000);
    const site = await this.at(({ records }) => records.get('site', ORGANISATION, ID));
    if (site === undefined) throw new Broken('LIVE', 'the site is gone');
    this.primary = this.boxes.find((box) => !box.gone && machineOf(box) === site.machine) ?? this.primary;
    if (site.state === 'quarantined' && this.clones === 0) throw new Broken('U3', 'a machine was taken for a copy, and there is none');
    if (site.state === 'quarantined') await this.pick();
    await this.settle();
    this.compare();
  }

  /** An administrator picks a machine: it joins again, with a key of its own. */
  private async pick(): Promise<void> {
    const box = this.primary;
    const claim = await this.claim('new');
    box.signer = signerOf(seedFrom(this.world.random));
    this.moves++;
    await this.join(box, claim);
  }

  private async settle(): Promise<void> {
    let why = '';
    for (let n = 0; n < 40; n++) {
      await this.world.sleep(30_000);
      why = await this.unsettled();
      if (why === '') return;
      if (why === 'quarantined') await this.pick();
    }
    throw new Broken('LIVE', why);
  }

  /** What is still to happen; empty: nothing. */
  private async unsettled(): Promise<string> {
    const site = (await this.at(({ records }) => records.get('site', ORGANISATION, ID))) as RecordOf<'site'>;
    const open = await this.at(({ records }) => records.list('commandOpen', [ID]));
    if (site.state === 'quarantined') return 'quarantined';
    const { reader } = this.primary.rules;
    reader.refresh();
    const row = getRow(reader, 'uplink', {});
    if (row === undefined || row.machine !== site.machine) return `machine ${site.machine} is the primary, and ${row?.machine ?? 'none'} is here`;
    if (!site.online) return `it is offline: ${row.state}`;
    if (row.seenRev < site.wantedRev) return `rev ${site.wantedRev} is wanted, ${row.seenRev} was dealt with`;
    if (site.appliedRev !== row.runningRev || site.appliedHash !== row.runningHash)
      return `rev ${row.runningRev} is in force, the portal knows of ${site.appliedRev}`;
    if (row.confirmBy > 0) return `rev ${row.runningRev} is not confirmed`;
    if (open.length > 0) return `${open.length} commands are open`;
    if ([...scanRows(reader, 'event', [])].length > 0) return 'events are untold';
    return '';
  }

  private compare(): void {
    const { primary, portal } = this;
    const { marks, gone } = eventsAt(portal.rules.reader, ID);
    const lost = [...primary.told].filter((mark) => !marks.has(mark));
    if (lost.length > gone) throw new Broken('E1', `events ${lost.join(' ')} are lost, and markers tell of ${gone}`);
    for (const { row, key } of scanRows(portal.rules.reader, 'record', [28, `${ID}/`])) {
      const record = JSON.parse(row.body) as RecordOf<'command'>;
      const id = key.id.slice(ID.length + 1);
      const times = Math.max(0, ...this.boxes.map((box) => box.rules.effects.get(id) ?? 0));
      if (record.name === 'effect' && record.state === 'done' && times === 0) throw new Broken('U2', `command ${id} is said to be done, and is not`);
      const { mark } = JSON.parse(record.args) as { mark: string };
      const begun = this.boxes.some((box) => this.outside.has(`${box.number} ${mark}`));
      if (record.name === 'outside' && record.state === 'done' && !begun) throw new Broken('U2', `command ${id} is said to be done, and was not begun`);
      if (record.name === 'outside' && record.state === 'failed' && this.siteCrashes + this.clones + this.restores + this.moves === 0)
        throw new Broken('U2', `command ${id} is said to have failed, and nothing had crashed`);
      if (record.state === 'expired' && times > 0 && this.restores === 0 && this.clones === 0)
        throw new Broken('U2', `command ${id} is said to have expired, and was done`);
      if (record.name !== 'effect' && times > 0) throw new Broken('U2', `command ${id} did what it must not`);
    }
    for (const box of this.boxes.filter((b) => !b.gone)) {
      box.rules.reader.refresh();
      const [problem] = check(box.rules.reader, { deep: true }).problems;
      if (problem) throw new Broken(problem.rule, problem.what);
    }
  }
}

function machineOf({ rules: { reader } }: Box): string {
  reader.refresh();
  return getRow(reader, 'uplink', {})?.machine ?? '';
}

/** Done or not: nobody can tell. */
function lost(error: unknown): void {
  if (!(error instanceof LinkLost)) throw error;
}
