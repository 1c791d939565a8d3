// The simulated machine: a store, edges and a control process over one disk, linked as the real ones are. Guarantees:
// any of them, or all at once, can die between two steps; each starts again from what is durable and from nothing else.

import { type Address, type Running, logCrash, run } from '../../actors/actor.ts';
import type { Connection, World } from '../../actors/world.ts';
import { controlRole } from '../../protocols/control.ts';
import { resolver } from '../../protocols/dns/resolver.ts';
import { changeFeed } from '../../protocols/feed.ts';
import { imapSession } from '../../protocols/imap/session.ts';
import type { ListenerKind, Session, Site, WorkProtocol } from '../../protocols/site.ts';
import { keyring } from '../../protocols/dkim/keyring.ts';
import { runOutbound } from '../../protocols/smtp/outbound.ts';
import { refusalGatherer } from '../../protocols/smtp/refusals.ts';
import { smtpSession } from '../../protocols/smtp/session.ts';
import { storage } from '../../storage/actor.ts';
import type { Engine } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { resolvers } from '../../storage/views.ts';
import { accounts, hashOf, passwordOf } from './mail.ts';
import { SimLink } from './link.ts';
import type { SimDisk, SimReader } from './disk.ts';
import { dkimKeys } from './dkimkeys.ts';
import type { Network } from './network.ts';
import type { Life, Scheduler } from './scheduler.ts';
import { type Logged, simWorld } from './world.ts';

export const SITE = '127.0.0.1';
type Role = 'store' | 'edge0' | 'edge1' | 'control' | `verb${number}`;
const roles: readonly Role[] = ['store', 'edge0', 'edge1', 'control'];

/** Bugs to plant, for the tests of the simulator itself. Each wraps a part; nothing in the parts knows of it. */
export interface Plants {
  readonly engine?: (engine: Engine) => Engine;
  readonly store?: (store: Address<StoreProtocol>, role: string) => Address<StoreProtocol>;
}

export interface MachineOptions {
  /** What is started by itself: everything, if not said. */
  readonly roles?: readonly Role[];
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly disk: SimDisk;
  readonly logged: Logged;
  readonly plants: Plants;
  /** Sees what is left on the disk when its store is gone. */
  readonly storeEnded: () => void;
  /** Takes care of what a process rejects with. */
  readonly failed: (error: unknown) => void;
}

interface Process {
  readonly life: Life;
  readonly world: World;
}
interface StoreProcess {
  readonly life: Life;
  readonly target: Running<StoreProtocol>;
}
/** A process that talks to the store. */
interface Client extends Process {
  readonly link: SimLink<StoreProtocol['calls'], StoreProtocol['events']>;
  readonly site: Site & { readonly view: SimReader };
  readonly resume: () => void;
}
interface Listener {
  readonly port: number;
  readonly kind: ListenerKind;
  readonly session: Session;
}
const listeners: readonly Listener[] = [
  { port: 25, kind: { name: 'smtp', tls: false }, session: smtpSession },
  { port: 587, kind: { name: 'submission', tls: false }, session: smtpSession },
  { port: 143, kind: { name: 'imap', tls: false }, session: imapSession },
];

/** When mail that nobody takes is given up here. Days would cost nothing but steps. */
export const EXPIRY_MS = 5 * 3_600_000;

const broken = (error: unknown): boolean => String(error).includes('EIO: simulated');

const impatient = (store: Address<StoreProtocol>): Address<StoreProtocol> => ({
  on: store.on,
  ask: (kind, message) => store.ask(kind, 'expiryMs' in message ? { ...message, expiryMs: EXPIRY_MS } : message),
});

export class Machine {
  /** Only the outbound queue runs in control: the long wait at the end needs no housekeeping. */
  queueOnly = false;
  private readonly o: MachineOptions;
  private readonly supervisor: Life = { name: 'supervisor', alive: true };
  private store: StoreProcess | null = null;
  /** A store that is recovering and does not serve yet. */
  private starting: Life | null = null;
  private readonly clients = new Map<Role, Client>();
  private incarnation = 0;
  private verbs = 0;

  constructor(options: MachineOptions) {
    this.o = options;
    for (const listener of listeners) {
      options.network.listen({ address: SITE, port: listener.port }, () => {
        const alive = (['edge0', 'edge1'] as const).filter((role) => this.clients.has(role));
        if (alive.length === 0) return null;
        const role = options.scheduler.random.pick(alive);
        const edge = this.clients.get(role) as Client;
        return { life: edge.life, accepted: (connection) => this.session(edge, listener, connection) };
      });
    }
  }

  /** Starts what is not running. */
  start(): void {
    for (const role of this.o.roles ?? roles) this.startRole(role);
  }

  /** Ends everything for good. */
  destroy(): void {
    this.o.scheduler.note('destroy');
    this.supervisor.alive = false;
    this.endStore();
    for (const role of [...this.clients.keys()]) this.endClient(role, 0);
  }

  up(role: Role): boolean {
    return role === 'store' ? this.store !== null || this.starting !== null : this.clients.has(role);
  }

  /** Ends one process as kill -9 does. Its supervisor starts it again. */
  crash(role: Role, again = true): void {
    if (!this.up(role)) return;
    this.o.scheduler.note(`crash ${role}`);
    this.o.scheduler.watch?.(`--- crash ${role}`);
    if (role === 'store') this.endStore();
    else this.endClient(role, 0);
    if (again) this.restart(role);
  }

  /** Ends everything at once; the disk keeps what was flushed. */
  powerLoss(): void {
    this.o.scheduler.note('power loss');
    this.o.scheduler.watch?.('--- power loss');
    this.endStore();
    for (const role of [...this.clients.keys()]) this.endClient(role, 5_000);
    for (const role of this.o.roles ?? roles) this.restart(role);
  }

  /** A command line: a process that talks to the store and is not started again. */
  verb(): { readonly site: Site & { readonly view: SimReader }; readonly life: Life; end(): void } {
    const role: Role = `verb${++this.verbs}`;
    const { site, life } = this.serve(role);
    return { site, life, end: () => this.endClient(role, 0) };
  }

  private restart(role: Role): void {
    const { scheduler } = this.o;
    scheduler.at(scheduler.random.between(5_000, 300_000), `start ${role}`, this.supervisor, () => this.startRole(role));
  }

  private endStore(): void {
    const life = this.store?.life ?? this.starting;
    if (!life) return;
    const served = this.store !== null;
    life.alive = false;
    this.o.disk.lose();
    this.o.disk.forget(life);
    this.store = null;
    this.starting = null;
    if (served) for (const client of this.clients.values()) client.link.lost();
    this.o.storeEnded();
  }

  private endClient(role: Role, resetMs: number): void {
    const client = this.clients.get(role);
    if (!client) return;
    client.life.alive = false;
    this.clients.delete(role);
    this.o.disk.forget(client.life);
    this.o.network.kill(client.life, resetMs);
    client.link.gone();
  }

  private begin(name: string): Process {
    const life: Life = { name: `${name}#${++this.incarnation}`, alive: true };
    return { life, world: simWorld(this.o.scheduler, this.o.network, life, SITE, this.o.logged) };
  }

  private startRole(role: Role): void {
    if (this.up(role)) return;
    if (role === 'store') void this.startStore().catch(this.o.failed);
    else if (role === 'control') this.startControl();
    else this.serve(role);
  }

  private async startStore(): Promise<void> {
    const { disk, plants } = this.o;
    const { life, world } = this.begin('store');
    const engine = disk.engine(life);
    this.starting = life;
    let target: Running<StoreProtocol>;
    try {
      target = await run(world, storage, plants.engine?.(engine) ?? engine);
    } catch (error) {
      if (!broken(error)) throw error;
      this.crash('store');
      return;
    }
    this.starting = null;
    this.store = { life, target };
    for (const client of this.clients.values()) this.attach(client);
    void target.crashed.then((error) => this.storeCrashed(life, error));
  }

  /** A store that cannot trust its disk must die (facts/faults.md). Any other crash of its own is a bug. */
  private storeCrashed(life: Life, error: unknown): void {
    if (!life.alive) return;
    if (broken(error)) this.crash('store');
    else this.o.failed(error);
  }

  /** Starts a process that talks to the store. */
  private serve(role: Role): Client {
    const { scheduler, disk, plants } = this.o;
    const { life, world } = this.begin(role);
    const link: Client['link'] = new SimLink(scheduler, life, 'store');
    const address = impatient(link.address);
    const store = plants.store?.(address, role) ?? address;
    const changes = changeFeed(world, store);
    const site = { world, store, work: this.work(life), view: disk.reader(life), changes, refused: refusalGatherer(world, store), plaintextOnLoopback: true };
    // lost again: the next link resumes
    const client: Client = { life, world, link, site, resume: () => void changes.resume().catch(() => {}) };
    this.clients.set(role, client);
    this.attach(client);
    return client;
  }

  private attach({ link, resume }: Client): void {
    if (this.store) link.attach(this.store.target, this.store.life, resume);
  }

  /** The work process: passwords are compared, not hashed, after a while. */
  private work(life: Life): Address<WorkProtocol> {
    const { scheduler } = this.o;
    const ask = (kind: string, message: Readonly<Record<string, string>>): Promise<object> =>
      new Promise((resolve) => {
        scheduler.at(scheduler.delay(5_000), `work ${kind}`, life, () => {
          const of = accounts.find((a) => hashOf(a) === message['hash']);
          if (kind === 'verifyPassword') resolve({ ok: of !== undefined && message['password'] === passwordOf(of), better: '' });
          else if (kind === 'selfSign') resolve({ certificatePem: 'simulated', keyPem: 'simulated' });
          else if (kind === 'makeDkimKeys') resolve(dkimKeys);
          else resolve({ hash: hashOf(accounts[0]) });
        });
      });
    return { ask, on: () => () => {} } as unknown as Address<WorkProtocol>;
  }

  private session(edge: Client, { kind, session }: Listener, connection: Connection): void {
    session(edge.site, connection, kind)
      .catch((error: unknown) => {
        logCrash(edge.world, kind.name, error);
        this.o.failed(error);
      })
      .finally(() => connection.end());
  }

  private startControl(): void {
    const { site } = this.serve('control');
    const servers = () => {
      site.view.refresh();
      return resolvers(site.view);
    };
    const life = this.queueOnly ? runOutbound(site, resolver(site.world, servers), keyring(site)) : controlRole(site, () => []);
    life.catch(this.o.failed);
  }
}
