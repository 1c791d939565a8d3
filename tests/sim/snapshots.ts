// One simulation of snapshots: sites live on machines that crash, park themselves in one place that fails, are snapshotted,
// pruned and restored in any order, and old copies of their disks come back. Every change of the place is looked at
// (auditor.ts). Guarantees: all of it follows from the seed.

import { LinkLost } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import { sealDocument, validateDocument } from '../../storage/document.ts';
import type { Reader, Snapshot } from '../../storage/engine.ts';
import { getRow } from '../../storage/rows.ts';
import { type Created, createSnapshot, Forked } from '../../storage/snapshot/create.ts';
import { readLineage, readManifest } from '../../storage/snapshot/manifest.ts';
import { parkForever } from '../../storage/snapshot/parking.ts';
import { type Place, PlaceError } from '../../storage/snapshot/place.ts';
import { prune } from '../../storage/snapshot/prune.ts';
import { openSnapshot } from '../../storage/snapshot/read.ts';
import { restoreSnapshot } from '../../storage/snapshot/restore.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import { Auditor, sound } from './auditor.ts';
import { Branch } from './branch.ts';
import { Depot } from './depot.ts';
import { SimDisk, type SimReader } from './disk.ts';
import { Broken } from './ledger.ts';
import { Machine, SITE } from './machine.ts';
import { documentOf } from './mail.ts';
import { Mailer, patient } from './mailer.ts';
import { Network } from './network.ts';
import { type Life, Scheduler } from './scheduler.ts';
import { Found, type Options } from './simulate.ts';
import { Stage } from './stage.ts';
import { simWorld } from './world.ts';

export interface SnapshotReport {
  readonly seed: number;
  readonly steps: number;
  readonly snapshots: number;
  readonly restores: number;
  readonly refused: number;
  readonly crashes: number;
  /** Equal for two runs of one seed. */
  readonly trace: number;
}

export type Live = Reader & { snapshot(): Snapshot };

/** Bugs to plant. Each wraps a part; nothing in the parts knows of it. */
export interface SnapshotPlants {
  readonly place?: (place: Place) => Place;
  readonly view?: (view: SimReader) => Live;
  readonly create?: typeof createSnapshot;
  readonly prune?: typeof prune;
  readonly restore?: typeof restoreSnapshot;
}
export interface SnapshotOptions extends Pick<Options, 'watch'> {
  readonly plants?: SnapshotPlants;
}

const STEPS = 200_000;
const hour = 3_600_000;
const killed = Symbol('killed');

/** Throws Found when a rule is broken. */
export function simulateSnapshots(seed: number, options: SnapshotOptions = {}): SnapshotReport {
  const simulation = new Simulation(seed, options);
  try {
    return simulation.run();
  } catch (error) {
    throw new Found(seed, simulation.scheduler.steps, error, '--snapshots ');
  }
}

interface Site {
  readonly disk: SimDisk;
  readonly machine: Machine;
  readonly branch: Branch;
  gone: boolean;
}
/** A process outside of any machine. */
interface Visitor {
  readonly life: Life;
  readonly world: World;
  readonly place: Place;
}

class Simulation {
  readonly scheduler: Scheduler;
  private readonly seed: number;
  private readonly plants: SnapshotPlants;
  private readonly stage: Stage;
  private readonly world: World;
  private readonly depot: Depot;
  private readonly auditor: Auditor;
  private readonly byLife = new WeakMap<Life, Branch>();
  private sites: Site[] = [];
  private readonly copies: { readonly disk: SimDisk; readonly branch: Branch }[] = [];
  private mailer!: Mailer;
  private over = false;
  private crashChance = 0;
  private crashes = 0;
  private restores = 0;
  private refused = 0;

  constructor(seed: number, options: SnapshotOptions) {
    this.seed = seed;
    this.plants = options.plants ?? {};
    this.scheduler = new Scheduler(seed);
    this.scheduler.watch = options.watch ?? null;
    this.stage = new Stage(this.scheduler, STEPS, () => this.auditor.audit());
    this.world = simWorld(this.scheduler, new Network(this.scheduler), this.stage.outside, SITE, () => {});
    this.depot = new Depot(this.scheduler);
    this.auditor = new Auditor(this.depot, this.world, (life) => this.byLife.get(life) as Branch);
  }

  run(): SnapshotReport {
    const { scheduler, stage, auditor, seed } = this;
    const { random } = scheduler;
    stage.drive(this.setUp());
    this.crashChance = random.pick([0, 0.2, 0.5]);
    this.depot.failChance = random.pick([0, 0, 0.01, 0.1]);
    const deeds = this.deeds();
    for (let n = random.between(5, 16); n > 0; n--) {
      const deed = random.pick(deeds)();
      if (random.chance(0.7)) stage.drive(deed);
      else stage.begin(deed);
      stage.drive(this.world.sleep(random.below(3_000)));
    }
    this.over = true;
    stage.rest();
    stage.drive(this.mend());
    const { snapshots } = auditor;
    const { restores, refused, crashes } = this;
    return { seed, steps: scheduler.steps, snapshots, restores, refused, crashes, trace: scheduler.trace };
  }

  private deeds(): (() => Promise<unknown>)[] {
    const { random } = this.scheduler;
    const some =
      <T>(of: readonly T[], run: (one: T) => Promise<unknown>) =>
      () =>
        of.length === 0 ? Promise.resolve() : run(random.pick(of));
    const create = () => some(this.sites, (site) => this.create(site, random.chance(0.2)))();
    const losing = random.chance(0.15) ? [() => this.lose()] : [];
    return [
      ...[create, create, create, create],
      () => this.prune(),
      () => this.prune(),
      () => this.jump(random.pick([2, 25, 25, 40 * 24]) * hour),
      () => this.restore(),
      () => this.restore(),
      () => some(this.sites, (site) => this.keepCopy(site))(),
      () => some(this.copies, (copy) => this.bringBack(copy))(),
      () => some(this.copies, (copy) => this.bringBack(copy))(),
      () => some(this.sites, async ({ machine }) => this.crash(() => machine.crash('store')))(),
      ...losing,
    ];
  }

  private async setUp(): Promise<void> {
    const { random } = this.scheduler;
    const parking = { to: '/parked', everySeconds: random.pick([1, 3, 20]), s3: null };
    const valid = validateDocument(JSON.stringify({ ...documentOf(0), snapshots: parking }));
    if (!valid.ok) throw new Error(`the document is wrong: ${JSON.stringify(valid.errors)}`);
    const document = JSON.stringify(await sealDocument(valid.document, () => Promise.reject(new Error('the document has hashes only'))));
    this.mailer = new Mailer(random, document, random.chance(0.1) ? 0.2 : 0);
    const disk = new SimDisk(this.scheduler);
    const { machine } = this.open(disk, new Branch(disk.reader(this.stage.outside), null));
    const { site, end } = machine.verb();
    await site.store.ask('applyConfig', { now: site.world.now(), document });
    end();
    if (random.chance(0.3)) await this.keepCopy(this.sites[0] as Site);
  }

  /** A machine with that disk, and people who use it. */
  private open(disk: SimDisk, branch: Branch): Site {
    const { scheduler, stage } = this;
    const { random } = scheduler;
    disk.forget(stage.outside);
    disk.watcher = (changes) => branch.add(changes);
    const network = new Network(scheduler);
    const machine = new Machine({
      scheduler,
      network,
      disk,
      roles: ['store'],
      plants: {},
      failed: stage.fail,
      storeEnded: () => {},
      logged: (life, event, fields) => {
        const error = String(fields['error'] ?? '');
        if (event === 'snapshot.failed' && error.includes('older copy')) this.judge(this.byLife.get(life) as Branch);
      },
    });
    const site: Site = { disk, machine, branch, gone: false };
    this.sites.push(site);
    machine.start();
    stage.begin(this.useIt(site));
    if (random.chance(0.6)) stage.begin(this.park(site));
    return site;
  }

  private close(site: Site): void {
    site.gone = true;
    site.machine.destroy();
    this.sites = this.sites.filter((other) => other !== site);
  }

  private crash(run: () => void): void {
    this.crashes++;
    run();
  }

  /** A process that may be killed at any of its steps. */
  private async mortal<T>(life: Life, end: () => void, work: () => Promise<T>): Promise<T | typeof killed> {
    const { scheduler } = this;
    const { random } = scheduler;
    const dies = new Promise<typeof killed>((resolve) => {
      if (!random.chance(this.crashChance)) return;
      const afterUs = random.below(random.pick([20_000, 200_000, 2_000_000]));
      scheduler.at(afterUs, `kill ${life.name}`, this.stage.outside, () => {
        if (!life.alive) return;
        this.crash(end);
        resolve(killed);
      });
    });
    const done = await Promise.race([work(), dies]);
    if (life.alive) end();
    return done;
  }

  private async useIt(site: Site): Promise<void> {
    const { random } = this.scheduler;
    const pause = random.pick([30, 300, 3_000]);
    for (let n = random.between(3, 25); n > 0 && !site.gone && !this.over; n--) {
      const verb = site.machine.verb();
      try {
        await patient(this.mailer.change(verb.site, site.branch), this.world.sleep);
      } catch (error) {
        if (!(error instanceof LinkLost)) throw error;
      }
      verb.end();
      await this.world.sleep(random.below(pause));
    }
  }

  private async park(site: Site): Promise<void> {
    const { random } = this.scheduler;
    while (!site.gone && !this.over) {
      const { site: s, life, end } = site.machine.verb();
      const { store, view, world } = s;
      this.byLife.set(life, site.branch);
      const open = async (): Promise<Place> => this.placeOf(life);
      const work = patient(this.keys(s), this.world.sleep).then(() => parkForever({ world, store, view, open }));
      await Promise.race([work.catch(this.stage.fail), this.world.sleep(random.between(10, 20_000))]);
      end();
      await this.world.sleep(random.below(2_000));
    }
  }

  /** The keys of the lineage; the kit of a simulation wraps them in nothing. */
  private async keys({ store, view, world }: ReturnType<Machine['verb']>['site']): Promise<void> {
    view.refresh();
    const lineage = getRow(view, 'site', {})?.lineage ?? '';
    if (getRow(view, 'lineage', { lineage })) return;
    const dataKey = world.random(32);
    const { identity, recipient } = getRow(view, 'recovery', {}) ?? { identity: 'identity', recipient: 'recipient' };
    const made = await store.ask('makeKeys', { now: world.now(), dataKey, wrapped: Buffer.from(dataKey).toString('hex'), identity, recipient });
    if (isRefusal(made)) throw new Error(`makeKeys: ${made.refused}`);
    view.refresh();
  }

  private placeOf(life: Life): Place {
    const place = this.depot.open(life);
    return this.plants.place?.(place) ?? place;
  }

  /** `mailsite snapshot create`. */
  private async create(site: Site, full: boolean): Promise<Created | typeof killed | null> {
    const { site: s, life, end } = site.machine.verb();
    const { plants } = this;
    this.byLife.set(life, site.branch);
    const work = async (): Promise<Created | null> => {
      try {
        await this.keys(s);
        const { lineage } = site.branch.site;
        const newest = this.auditor.manifests(lineage).at(-1);
        const diverged = newest !== undefined && !this.auditor.agrees(site.branch, newest);
        const view = plants.view?.(s.view) ?? s.view;
        const created = await (plants.create ?? createSnapshot)(view, this.placeOf(life), { now: s.world.now(), full, lookBack: true });
        if (diverged) throw new Broken('P4', `${newest} is not of this copy's history, and it was not refused`);
        return created;
      } catch (error) {
        if (error instanceof Forked) this.judge(site.branch);
        else if (!(error instanceof PlaceError || error instanceof Damaged || error instanceof LinkLost)) throw error;
        return null;
      }
    };
    return this.mortal(life, end, () => patient(work(), this.world.sleep).catch(lostStore));
  }

  /** P4: somebody was refused. */
  private judge(branch: Branch): void {
    this.refused++;
    const { lineage } = branch.site;
    if (this.auditor.manifests(lineage).every((name) => this.auditor.agrees(branch, name)))
      throw new Broken('P4', `a site at commit ${branch.commit} was refused, and every snapshot there is of its history`);
  }

  private visitor(name: string): Visitor {
    const life: Life = { name, alive: true };
    return { life, world: simWorld(this.scheduler, new Network(this.scheduler), life, SITE, () => {}), place: this.placeOf(life) };
  }

  private async prune(): Promise<void> {
    const { life, world, place } = this.visitor('prune');
    const work = () => (this.plants.prune ?? prune)(place, world.now(), false).catch(givenUp);
    await this.mortal(life, () => (life.alive = false), work);
  }

  private async jump(ms: number): Promise<void> {
    this.scheduler.jumpedMs += ms;
  }

  /** The place loses an object. */
  private async lose(): Promise<void> {
    const objects = this.depot.names('objects/');
    if (objects.length === 0) return;
    const name = this.scheduler.random.pick(objects);
    this.scheduler.note(`lost ${name}`);
    this.auditor.lost.add(name);
    this.depot.objects.delete(name);
  }

  /** Any snapshot, to a new machine; the site it is of may live on. */
  private async restore(name = this.anySnapshot()): Promise<void> {
    if (name === null) return;
    const { random } = this.scheduler;
    const disk = new SimDisk(this.scheduler);
    const visitor = this.visitor('restore');
    const { life } = visitor;
    const lineage = Buffer.from(visitor.world.random(16)).toString('hex');
    const work = (): Promise<boolean> =>
      this.load(name, disk, visitor, lineage).catch((error: unknown) => {
        if (error instanceof Damaged && (!this.depot.objects.has(name) || this.auditor.lost.size > 0)) return false;
        if (error instanceof Damaged) throw new Broken('P2', `${name} cannot be restored: ${error.message}`);
        givenUp(error);
        return false;
      });
    const done = await this.mortal(life, () => (life.alive = false), work);
    disk.lose();
    if (done !== true) return;
    this.restores++;
    const reader = disk.reader(this.stage.outside);
    this.auditor.restored(name, reader, lineage);
    const { branch, site } = this.auditor.stateOf(name);
    if (this.sites.length > 2 || random.chance(0.4)) for (const old of random.some(this.sites, 0.6)) this.close(old);
    if (!this.over && this.sites.length < 3) this.open(disk, new Branch(reader, { branch, commit: site.commit }));
  }

  private anySnapshot(): string | null {
    const names = this.auditor.manifests();
    return names.length === 0 ? null : this.scheduler.random.pick(names);
  }

  private async load(name: string, disk: SimDisk, { life, world, place }: Visitor, lineage: string): Promise<boolean> {
    const manifest = await readManifest(place, name);
    const record = await readLineage(place, manifest.lineage);
    if (record === null) throw new Damaged('the lineage is gone');
    const snapshot = await openSnapshot(place, manifest, new Uint8Array(Buffer.from(record.wrapped[0] as string, 'hex')));
    const { problems } = await (this.plants.restore ?? restoreSnapshot)(disk.engine(life), snapshot, { world, lineage, deep: true });
    const [problem] = problems;
    if (problem) throw new Broken('P2', `${name}: ${problem.rule}: ${problem.what}`);
    return true;
  }

  private async keepCopy({ disk, branch }: Site): Promise<void> {
    const copy = disk.copy();
    this.copies.push({ disk: copy, branch: new Branch(copy.reader(this.stage.outside), { branch, commit: branch.commit }) });
  }

  /** The site's own machine is lost, and comes back with an older disk: a fork that no restore made. */
  private async bringBack(copy: { readonly disk: SimDisk; readonly branch: Branch }): Promise<void> {
    this.copies.splice(this.copies.indexOf(copy), 1);
    const { lineage } = copy.branch.site;
    for (const site of this.sites) if (site.branch.site.lineage === lineage) this.close(site);
    await this.world.sleep(60_000); // what was under way arrives before
    if (this.over || this.sites.some((site) => site.branch.site.lineage === lineage)) return;
    this.open(copy.disk, copy.branch);
  }

  /** Nothing breaks any more: the next snapshot succeeds, pruning leaves what it must, and the newest ones are restored. */
  private async mend(): Promise<void> {
    const { auditor, depot, world } = this;
    depot.failChance = 0;
    this.crashChance = 0;
    await world.sleep(30_000);
    for (const site of this.sites) {
      const before = auditor.manifests(site.branch.site.lineage);
      const created = await this.create(site, false);
      if (created === null && before.every((name) => auditor.agrees(site.branch, name))) throw new Broken('P7', 'the last snapshot failed');
      const reader = site.disk.reader(this.stage.outside);
      sound(reader);
      site.disk.forget(this.stage.outside);
    }
    for (const ms of [25 * hour, 500 * 24 * hour]) {
      await this.jump(ms);
      await this.prune();
    }
    this.tidy();
    const lineages = new Set(auditor.manifests().map((name) => name.split('/')[1] as string));
    for (const lineage of lineages) {
      const name = auditor.manifests(lineage).at(-1) as string;
      if (auditor.missing(name).length === 0) await this.restore(name);
    }
  }

  /** P5: nothing is left that nobody names. */
  private tidy(): void {
    const { auditor, depot } = this;
    const named = new Set(auditor.manifests().flatMap((name) => [...auditor.objectsOf(name)]));
    if (auditor.lost.size > 0) return; // then prune spares what it cannot tell
    for (const name of depot.names('objects/')) if (!named.has(name)) throw new Broken('P5', `${name} is left, and nobody names it`);
  }
}

/** Its site is gone for good. */
function lostStore(error: unknown): null {
  if (error instanceof LinkLost) return null;
  throw error;
}

/** A verb that the place failed ends, and says so. */
function givenUp(error: unknown): void {
  if (!(error instanceof PlaceError || error instanceof Damaged)) throw error;
}
