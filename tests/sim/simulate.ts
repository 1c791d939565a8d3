// One simulation: a site is set up, people use it while things break, then everything is put right, everybody looks
// again, and what is there is compared with what was promised. Guarantees: all of it follows from the seed.

import { drainMicrotasks } from 'bun:jsc';
import { type Address, LinkLost } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import { contentOf } from '../../protocols/mime/intake.ts';
import { check } from '../../storage/check.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { prefixRange } from '../../storage/rows.ts';
import { sealDocument, validateDocument } from '../../storage/document.ts';
import { SimDisk } from './disk.ts';
import { Hangup } from './dialog.ts';
import { History } from './history.ts';
import { Broken, Ledger } from './ledger.ts';
import { EXPIRY_MS, Machine, type Plants, SITE } from './machine.ts';
import { accounts, compose, documentOf } from './mail.ts';
import { Network } from './network.ts';
import { type Life, Scheduler } from './scheduler.ts';
import { Operator } from './operator.ts';
import { Warden } from './warden.ts';
import { openSinks, type SinkOptions } from './sink.ts';
import { submit } from './submitter.ts';
import { Observer, User } from './user.ts';
import { agree, granted, look, pushed, type VerifyOptions, verifyMailboxes, verifyOutgoing } from './verify.ts';
import { simWorld } from './world.ts';

export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly commits: number;
  readonly crashes: number;
  readonly acknowledged: number;
  /** Equal for two runs of one seed. */
  readonly trace: number;
}
export interface Options {
  readonly plants?: Plants;
  /** Another disk, to plant a bug in it. */
  readonly disk?: (scheduler: Scheduler) => SimDisk;
  /** Sees every step and every log line. */
  readonly watch?: (line: string) => void;
}

/** A seed that found something. */
export class Found extends Error {
  readonly seed: number;
  readonly rule: string;
  constructor(seed: number, step: number, cause: unknown, of = '') {
    const what = cause instanceof Error ? cause.message : String(cause);
    super(`seed ${seed}, step ${step}: ${what}\n  replay: bun tests/sim/run.ts ${of}--seed ${seed}`, { cause });
    this.name = 'Found';
    this.seed = seed;
    this.rule = cause instanceof Broken ? cause.rule : 'crash';
  }
}

const STEPS = 100_000;

/** Throws Found when a rule is broken. */
export function simulate(seed: number, options: Options = {}): Report {
  const simulation = new Simulation(seed, options);
  try {
    return simulation.run();
  } catch (error) {
    throw new Found(seed, simulation.scheduler.steps, error);
  }
}

class Simulation {
  readonly scheduler: Scheduler;
  private readonly seed: number;
  private readonly ledger = new Ledger();
  private readonly network: Network;
  private readonly disk: SimDisk;
  private readonly machine: Machine;
  private readonly outside: Life = { name: 'outside', alive: true };
  private readonly sinks: SinkOptions;
  private readonly users: User[] = [];
  private readonly observers: Observer[] = [];
  private operator: Operator | null = null;
  private readonly warden = new Warden();
  private error: { readonly cause: unknown } | null = null;
  private crashes = 0;
  private readonly quotaBytes: number;

  constructor(seed: number, options: Options) {
    this.seed = seed;
    this.scheduler = new Scheduler(seed);
    this.scheduler.watch = options.watch ?? null;
    this.quotaBytes = this.scheduler.random.chance(0.2) ? this.scheduler.random.between(1_000, 100_000) : 0;
    if (this.quotaBytes > 0) this.ledger.limited.add('carol@example.test');
    this.network = new Network(this.scheduler);
    this.disk = options.disk?.(this.scheduler) ?? new SimDisk(this.scheduler);
    const history = new History();
    this.disk.watcher = (changes) => history.commit(changes);
    const failed = (error: unknown): void => this.fail(error);
    this.machine = new Machine({
      scheduler: this.scheduler,
      network: this.network,
      disk: this.disk,
      plants: options.plants ?? {},
      failed,
      storeEnded: () => {
        this.ledger.crashesUs.push(this.scheduler.nowUs);
        this.guarded(() => this.checkDisk());
      },
      logged: (_life, event, fields) => {
        if (event === 'actor.crash' && !/LinkLost|EIO: simulated/.test(String(fields['error'])))
          this.fail(new Error(`${String(fields['actor'])}: ${String(fields['error'])} ${String(fields['stack'])}`));
      },
    });
    this.sinks = {
      world: simWorld(this.scheduler, this.network, this.outside, '192.0.2.1', () => {}),
      life: this.outside,
      network: this.network,
      ledger: this.ledger,
      random: this.scheduler.random,
      guard: (work) => void work.catch(failed),
      faults: 0,
    };
  }

  /** A session that lost the store may end; nothing else may. */
  private fail(cause: unknown): void {
    if (!(cause instanceof LinkLost)) this.error ??= { cause };
  }

  /** For what is called in the middle of something else: the next step throws it. */
  private guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fail(error);
    }
  }

  run(): Report {
    openSinks(this.sinks);
    this.setUp();
    this.use();
    this.mend();
    const report = this.verify();
    return report;
  }

  private step(): void {
    if (!this.scheduler.step()) throw new Broken('LIVE', 'nothing is left to happen');
    if (this.error) throw this.error.cause;
    if (this.scheduler.steps > STEPS) throw new Broken('LIVE', `no end after ${STEPS} steps`);
  }

  /** Runs the world until the work is done. */
  private drive<T>(work: Promise<T>): T {
    let done: { readonly value: T } | null = null;
    work.then(
      (value) => {
        done = { value };
      },
      (error) => this.fail(error),
    );
    drainMicrotasks();
    if (this.error) throw (this.error as { cause: unknown }).cause;
    while (done === null) this.step();
    return (done as { value: T }).value;
  }

  private runFor(ms: number): void {
    const untilUs = this.scheduler.nowUs + ms * 1000;
    let over = false;
    this.scheduler.at(ms * 1000, 'time is up', this.outside, () => {
      over = true;
    });
    while (!over && this.scheduler.nowUs <= untilUs) this.step();
  }

  private setUp(): void {
    this.machine.start();
    const { site, end } = this.machine.verb();
    const { store, world } = site;
    const setUp = async (): Promise<void> => {
      const valid = validateDocument(JSON.stringify(documentOf(this.quotaBytes)));
      if (!valid.ok) throw new Error(`the document is wrong: ${JSON.stringify(valid.errors)}`);
      const sealed = await sealDocument(valid.document, () => Promise.reject(new Error('the document has hashes only')));
      const text = JSON.stringify(sealed);
      granted(await store.ask('applyConfig', { now: world.now(), document: text }), 'applyConfig');
      this.operator = new Operator(text);
      await this.fill(store, world.now());
      for (let account = 1; account <= accounts.length; account++) {
        for (const name of ['Work', 'Archive']) {
          const made = await store.ask('createMailbox', { now: world.now(), account, name, specialUse: '' });
          if (isRefusal(made) && made.refused !== 'mailboxExists') granted(made, `createMailbox ${name}`);
        }
      }
    };
    this.drive(setUp());
    end();
  }

  /** Some begin with a mailbox of several pages. */
  private async fill(store: Address<StoreProtocol>, now: number): Promise<void> {
    const { random } = this.scheduler;
    const count = random.chance(0.25) ? random.between(20, 80) : 0;
    const asks = Array.from({ length: count }, async (_, n) => {
      const message = compose(`old-${n}`, accounts[0], [accounts[0]], random, false);
      this.ledger.messages.set(message.id, message);
      Ledger.count(this.ledger.created, `${accounts[0]} ${message.id}`).sure++;
      const content = contentOf(message.content);
      granted(await store.ask('append', { now, account: 1, mailbox: 'INBOX', flags: 0, keywords: [], internalDate: now, content }), 'append');
    });
    await Promise.all(asks);
  }

  /** People use the site, and things break. */
  private use(): void {
    const { random } = this.scheduler;
    this.network.breakChance = random.pick([0, 0, 0.001, 0.004, 0.015]);
    this.network.lossChance = random.pick([0, 0, 0.05, 0.3]);
    this.sinks.faults = random.pick([0, 0.02, 0.1, 0.3]);
    const kinds = this.faults();
    const rate = kinds.length === 0 ? 0 : random.pick([0.001, 0.004, 0.012]);
    let left = random.between(1, 10);
    let working = 0;
    const begin = (work: Promise<void>): void => {
      working++;
      work.then(
        () => void working--,
        (error) => this.fail(error),
      );
    };
    this.people(begin);
    const sleep = simWorld(this.scheduler, this.network, this.outside, SITE, () => {}).sleep;
    if (this.operator && random.chance(0.5)) begin(this.operator.run(random, sleep, () => this.machine.verb()));
    if (random.chance(0.4)) begin(this.warden.run(random, sleep, () => this.machine.verb()));
    while (working > 0) {
      this.step();
      if (left > 0 && random.chance(rate)) {
        left--;
        random.pick(kinds)();
      }
    }
  }

  /** What may go wrong in this seed. Not everything in every seed: rare things must not hide behind common ones. */
  private faults(): (() => void)[] {
    const { scheduler, disk, machine, outside, ledger } = this;
    const crash = (run: () => void) => (): void => {
      this.crashes++;
      ledger.crashesUs.push(scheduler.nowUs);
      run();
    };
    const kinds: (() => void)[] = [
      crash(() => machine.crash('store')),
      crash(() => machine.crash(scheduler.random.chance(0.5) ? 'edge0' : 'edge1')),
      crash(() => machine.crash('control')),
      crash(() => machine.powerLoss()),
      () => {
        disk.room = scheduler.random.pick([0, 1_000, 3_000]);
        scheduler.at(scheduler.random.between(10_000, 3_000_000), 'room again', outside, () => {
          disk.room = Number.POSITIVE_INFINITY;
        });
      },
      crash(() => {
        disk.failNextSync = true;
      }),
    ];
    return scheduler.random.some(kinds, 0.5);
  }

  private people(begin: (work: Promise<void>) => void): void {
    const { scheduler, ledger, network, outside } = this;
    const { random } = scheduler;
    const nowUs = (): number => scheduler.nowUs;
    const bigChance = random.chance(0.08) ? 0.15 : 0;
    const mtas = random.between(1, 3);
    for (let i = 0; i < mtas; i++) {
      const world = simWorld(scheduler, network, outside, `198.51.100.${i + 1}`, () => {});
      begin(submit({ world, ledger, random, name: `out${i}`, messages: random.between(1, 5), account: null, bigChance, site: SITE }));
    }
    for (const account of random.some(accounts, 0.4)) {
      const world = simWorld(scheduler, network, outside, '127.0.0.2', () => {});
      const observer = new Observer({ world, ledger, account, site: SITE, nowUs });
      this.observers.push(observer);
      void observer.run().catch((error: unknown) => this.fail(error));
    }
    const home = simWorld(scheduler, network, outside, '127.0.0.1', () => {});
    for (const account of random.some(accounts, 0.5)) {
      begin(submit({ world: home, ledger, random, name: `by-${account.split('@')[0]}`, messages: random.between(1, 5), account, bigChance, site: SITE }));
    }
    const crowd = random.chance(0.5) ? { folders: ['INBOX'], restMs: 30 } : { folders: ['INBOX', 'INBOX', 'Work', 'Archive'], restMs: 1_000 };
    for (const account of random.some(accounts, 0.7)) {
      const clients = random.between(1, 3);
      for (let index = 0; index < clients; index++) {
        const name = `${account.split('@')[0]}${index}`;
        const user = new User({
          world: home,
          ledger,
          random,
          name,
          account,
          index,
          clients,
          commands: random.between(3, 25),
          bigChance,
          site: SITE,
          nowUs,
          ...crowd,
        });
        this.users.push(user);
        begin(user.run());
      }
    }
  }

  /** S1–S5 and M2 of what is durable at this moment. */
  private checkDisk(deep = false): void {
    const reader = this.disk.reader(this.outside);
    const problems = [...check(reader, { deep }).problems];
    this.disk.forget(this.outside);
    const first = problems[0];
    if (first) throw new Broken(first.rule, `check: ${first.what}${problems.length > 1 ? ` and ${problems.length - 1} more` : ''}`);
  }

  /** Nothing breaks any more; what is down comes back. */
  private mend(): void {
    this.network.breakChance = 0;
    this.network.lossChance = 0;
    this.disk.room = Number.POSITIVE_INFINITY;
    this.disk.failNextSync = false;
    this.runFor(20_000);
  }

  private verify(): Report {
    const { scheduler, ledger, machine, disk, seed } = this;
    const { random } = scheduler;
    const world = simWorld(scheduler, this.network, this.outside, '127.0.0.1', () => {});
    const o: VerifyOptions = { world, ledger, site: SITE, nowUs: () => scheduler.nowUs };
    machine.crash('control', false);
    this.runFor(1_000);
    this.checkViews(o);
    if (this.warden.asked > 0) this.drive(this.warden.releaseAll(() => machine.verb()));
    machine.queueOnly = true;
    machine.start();
    this.sinks.faults = random.pick([0, 0.1]);
    const toTheEnd = random.chance(0.1);
    this.runFor(toTheEnd ? EXPIRY_MS + 1_800_000 : 1_200_000);
    this.sinks.faults = 0;
    machine.crash('control', false);
    this.runFor(1_000);
    const found = this.drive(look(o, true));
    this.drive(this.collect());
    this.checkDisk(true);
    this.operator?.verify(disk.reader(this.outside));
    verifyMailboxes(ledger, found);
    verifyOutgoing(ledger, found, disk.reader(this.outside), toTheEnd, this.warden);
    return { seed, steps: scheduler.steps, commits: disk.commits, crashes: this.crashes, acknowledged: ledger.acknowledged, trace: scheduler.trace };
  }

  /** M2: what nobody claims is collected, to the last chunk. */
  private async collect(): Promise<void> {
    const { site, end } = this.machine.verb();
    for (let more = true; more; ) {
      const answer = granted(await site.store.ask('collect', { now: site.world.now(), transferAgeMs: 0 }), 'collect');
      more = 'more' in answer && answer.more;
    }
    for (let more = true; more; ) ({ more } = granted(await site.store.ask('indexTrace', {}), 'indexTrace') as { more: boolean });
    site.view.refresh();
    for (const table of ['transfer', 'garbage'] as const) {
      const { from, to } = prefixRange(table);
      for (const _ of site.view.keys(from, to)) throw new Broken('M2', `something is left in ${table}`);
    }
    end();
  }

  /** Everybody who is still connected looks again, and sees what a newcomer sees. */
  private checkViews(o: VerifyOptions): void {
    const again = this.users.map(async ({ client }) => {
      if (!client?.box || client.dialog.connection.closed) return null;
      try {
        if (this.scheduler.random.chance(0.5)) await client.idle(500);
        else await client.command('NOOP');
        await client.learn();
        return client;
      } catch (error) {
        if (error instanceof Hangup) return null;
        throw error;
      }
    });
    const clients = this.drive(Promise.all(again));
    const found = this.drive(look(o, false));
    for (const { client } of this.observers) if (client) pushed(client, found);
    for (const client of clients) if (client) agree(client, found);
    for (const client of clients) client?.dialog.close();
  }
}
