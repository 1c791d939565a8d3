// The site's agent: it keeps one session with the portal, whenever it can, and does what the session says
// (states/site.ts). Guarantees: whatever becomes of the uplink, mail goes on; what a session learns is durable before it is
// answered; nothing of it is needed after a crash but what is in the store.

import { type Address, LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { Reader } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { getRow, RowDamaged, scanRows } from '../../storage/rows.ts';
import { frameText } from '../frames.ts';
import { type Signer, seedFrom } from '../keys.ts';
import {
  type EventRow,
  type Facts,
  type Plan,
  siteBegins,
  type SiteEffect,
  type SiteInput,
  siteNext,
  type SiteSeen,
  type SiteSession,
  type UplinkRow,
} from '../states/site.ts';
import type { Transport, Wire } from './transport.ts';

export interface AgentSite {
  readonly world: World;
  readonly store: Address<StoreProtocol>;
  readonly view: Reader;
  readonly transport: Transport;
  readonly version: string;
  /** The identity of this machine as it is now; null: it has none. */
  readonly signer: () => Signer | null;
  readonly plan: (name: string, args: Readonly<Record<string, unknown>>, command: string) => Plan;
  /** Does what is not the store's: resolves with what came of it, or throws with why not. */
  readonly outside: (name: string, args: Readonly<Record<string, unknown>>) => Promise<string>;
  readonly query: (name: string, args: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly facts: () => Promise<Facts>;
}

export interface Agent {
  /** Something was recorded: it goes out now, not at the next tick. */
  wake(): void;
  /** Runs until it crashes. */
  run(): Promise<never>;
}

export function createAgent(site: AgentSite): Agent {
  const { world } = site;
  let poke = (): void => {};
  let session: Running | null = null;
  let owner = '';
  const hands = handsOf(site, () => {
    session?.tell({ is: 'done' });
    void session?.look(); // what was done may have changed them
  });
  site.store.on('configured', () => {
    if (ownerOf(site) !== owner) poke();
  });
  return {
    wake: () => session?.tell({ is: 'tick' }),
    async run() {
      await beginOffline(site);
      const confirming = keepConfirming(site);
      const talking = async (): Promise<never> => {
        for (let failures = 0; ; ) {
          const poked = new Promise<void>((done) => {
            poke = done;
          });
          const row = joinedRow(site);
          owner = ownerOf(site);
          let waitMs: number = limits.uplinkRetryMaxMs;
          if (row !== null) {
            const { lived, retryAfterMs } = await oneSession(site, row, hands, (running) => {
              session = running;
            });
            session = null;
            failures = lived ? 0 : failures + 1;
            waitMs = pause(world, failures, retryAfterMs);
          }
          if (ownerOf(site) !== owner) continue;
          const timer = world.after(waitMs, () => poke());
          await poked;
          timer.cancel();
        }
      };
      return (await Promise.all([confirming, talking()]))[1];
    },
  };
}

/** Full jitter, so that a thousand sites do not come back at once; what the portal asks for is kept. */
function pause(world: World, failures: number, retryAfterMs: number): number {
  const most = Math.min(limits.uplinkAwayMs, limits.uplinkRetryMs * 2 ** Math.min(failures, 20));
  const [a = 0, b = 0] = world.random(2);
  const part = (a * 256 + b) / 65_536;
  return retryAfterMs > 1 ? Math.min(retryAfterMs, limits.uplinkRetryMaxMs) * (0.75 + part / 2) : most * part;
}

/** Nothing is connected before the first session; and a copy of a site says at each start that it is one. */
async function beginOffline({ world, store, view }: AgentSite): Promise<void> {
  view.refresh();
  const row = getRow(view, 'uplink', {});
  if (row?.state === 'active') await store.ask('uplinkDown', { now: world.now(), state: 'offline' }).catch(ignoreLost);
  if (row?.state === 'restored')
    world.log('uplink.restored', { portal: row.portal, site: row.site, why: 'its portal does not know this machine: the one before must be off' });
}

/** Who we are to which portal, when there is anything to be said to it. */
function joinedRow({ view, signer }: AgentSite): UplinkRow | null {
  view.refresh();
  const row = getRow(view, 'uplink', {});
  if (row === undefined || ['superseded', 'decommissioned', 'standby', 'restored'].includes(row.state)) return null;
  return signer()?.publicKey === row.signPublic ? row : null; // another's: a snapshot was restored on this machine
}
const ownerOf = (site: AgentSite): string => {
  const row = joinedRow(site);
  return row === null ? '' : nameOf(row);
};
/** A machine that took another claim is the site anew: what it was told before is over, and it comes at once. */
const nameOf = (row: UplinkRow): string => `${row.portal} ${row.site} ${row.machine} ${row.epoch}`;

interface Unconfirmed {
  readonly rev: number;
  /** On the monotonic clock. */
  readonly untilMs: number;
}

/** A rev that waits for the uplink to come back goes when it does not. The time is counted by this process. */
async function keepConfirming({ world, store, view }: AgentSite): Promise<never> {
  let wake = (): void => {};
  store.on('configured', () => wake());
  for (let waiting: Unconfirmed | null = null; ; ) {
    const configured = new Promise<void>((done) => {
      wake = done;
    });
    view.refresh();
    const row = getRow(view, 'uplink', {});
    if (row === undefined || row.confirmBy === 0) {
      waiting = null;
      await configured;
      continue;
    }
    const known: Unconfirmed | null = waiting;
    const forMs = Math.max(0, Math.min(limits.confirmMs, row.confirmBy - world.now()));
    const now: Unconfirmed = known?.rev === row.runningRev ? known : { rev: row.runningRev, untilMs: world.monotonicMs() + forMs };
    waiting = now;
    const leftMs = now.untilMs - world.monotonicMs();
    if (leftMs <= 0) {
      world.log('uplink.rolledback', { rev: now.rev });
      await store.ask('settleDesired', { now: world.now(), rev: now.rev, keep: false }).catch(ignoreLost);
    }
    const timer = world.after(Math.max(leftMs, limits.uplinkRetryMs), () => wake());
    await configured;
    timer.cancel();
  }
}

function ignoreLost(error: unknown): void {
  if (!(error instanceof LinkLost)) throw error;
}

interface Running {
  tell(input: SiteInput): void;
  /** The facts as they are now. */
  look(): Promise<void>;
}
/** What is done outside of the store outlives the session that asked for it. */
interface Hands {
  readonly busy: ReadonlySet<string>;
  take(command: string, name: string, args: Readonly<Record<string, unknown>>): Promise<void>;
}

/** `settled`: a result is in the store. */
function handsOf({ world, store, outside }: AgentSite, settled: () => void): Hands {
  const busy = new Set<string>();
  const kept = async (command: string, done: { readonly state: 'done' | 'failed'; readonly value: string }): Promise<boolean> => {
    try {
      return !isRefusal(await store.ask('settleCommand', { now: world.now(), command, ...done }));
    } catch (error) {
      ignoreLost(error);
      return false;
    }
  };
  return {
    busy,
    async take(command, name, args) {
      busy.add(command);
      const done = await outside(name, args).then(
        (value) => ({ state: 'done', value }) as const,
        (error: unknown) => ({ state: 'failed', value: (error as Error).message }) as const,
      );
      // the session may live on while the store is away or full: nobody would ask again before the next one
      while (!(await kept(command, done))) await world.sleep(limits.uplinkRetryMs);
      busy.delete(command);
      settled();
    },
  };
}

interface Ended {
  /** It got as far as a session. */
  readonly lived: boolean;
  readonly retryAfterMs: number;
}

async function oneSession(site: AgentSite, row: UplinkRow, hands: Hands, began: (running: Running) => void): Promise<Ended> {
  const { world, store } = site;
  if (row.state === 'active') await store.ask('uplinkDown', { now: world.now(), state: 'offline' }).catch(ignoreLost);
  let wire: Wire;
  try {
    wire = await site.transport.open(row.portal);
  } catch (error) {
    world.log('uplink.lost', { portal: row.portal, error: (error as Error).message });
    return { lived: false, retryAfterMs: 0 };
  }
  const conversation = new Conversation(site, wire, hands, ownerOf(site));
  began(conversation);
  const ended = await conversation.run();
  wire.close();
  world.log('uplink.lost', { portal: row.portal, error: ended.why });
  await store.ask('uplinkDown', { now: world.now(), state: 'offline' }).catch(ignoreLost);
  return ended;
}

const endOfWire = Symbol('end');

/** One session: inputs are taken one at a time, and the effects of one are done before the next. */
class Conversation implements Running {
  private readonly site: AgentSite;
  private readonly wire: Wire;
  private readonly hands: Hands;
  /** A session is of one machine with one portal. */
  private readonly owner: string;
  private readonly nonce: string;
  private readonly inbox: (SiteInput | typeof endOfWire)[] = [];
  private arrived: () => void = () => {};
  private session: SiteSession;
  private lived = false;
  private sent = 0;
  private over: { readonly why: string; readonly retryAfterMs: number } | null = null;

  constructor(site: AgentSite, wire: Wire, hands: Hands, owner: string) {
    this.owner = owner;
    this.site = site;
    this.wire = wire;
    this.hands = hands;
    this.nonce = seedFrom(site.world.random);
    this.session = siteBegins(site.world.monotonicMs());
  }

  tell(input: SiteInput | typeof endOfWire): void {
    if (this.over !== null) return;
    this.inbox.push(input);
    this.arrived();
  }

  async run(): Promise<Ended & { readonly why: string }> {
    const { world } = this.site;
    void this.listen();
    void this.report();
    const tick = (): void => {
      if (this.over !== null) return;
      this.tell({ is: 'tick' });
      world.after(limits.uplinkLookMs, tick);
    };
    world.after(limits.uplinkLookMs, tick);
    try {
      while (this.over === null) {
        const input = this.inbox.shift();
        if (input === endOfWire) this.over = { why: 'the connection ended', retryAfterMs: 0 };
        else if (input !== undefined) await this.step(input);
        else
          await new Promise<void>((done) => {
            this.arrived = done;
          });
      }
    } catch (error) {
      if (!(error instanceof LinkLost || error instanceof RowDamaged)) throw error;
      this.over = { why: error.message, retryAfterMs: 0 };
    }
    return { ...this.over, lived: this.lived };
  }

  /** At most so many frames wait for us: then the wire is not read. */
  private async listen(): Promise<void> {
    for (let text = await this.wire.read(); this.over === null; text = await this.wire.read()) {
      this.tell(text === null ? endOfWire : { is: 'heard', text });
      if (text === null) return;
      while (this.inbox.length > limits.uplinkWaiting && this.over === null) await this.site.world.sleep(10);
    }
  }

  private async report(): Promise<void> {
    for (; this.over === null; await this.site.world.sleep(limits.uplinkReportMs)) await this.look();
  }

  async look(): Promise<void> {
    try {
      this.tell({ is: 'facts', facts: await this.site.facts() });
    } catch (error) {
      if (!(error instanceof LinkLost || error instanceof RowDamaged)) throw error;
    }
  }

  private seen(): SiteSeen | null {
    const { world, view, version, signer, plan } = this.site;
    view.refresh();
    const row = getRow(view, 'uplink', {});
    const key = signer();
    const site = getRow(view, 'site', {});
    if (row === undefined || key === null || site === undefined || nameOf(row) !== this.owner || key.publicKey !== row.signPublic) return null;
    return {
      now: world.now(),
      monotonicMs: world.monotonicMs(),
      row,
      signer: key,
      nonce: this.nonce,
      version,
      lineage: site.lineage,
      commit: site.commit,
      document: getRow(view, 'config', {})?.document ?? null,
      busy: this.hands.busy,
      plan,
    };
  }

  private async step(input: SiteInput): Promise<void> {
    const seen = this.seen();
    if (seen === null) {
      this.over = { why: 'this machine is another one now', retryAfterMs: 0 };
      return;
    }
    const before = this.session.phase;
    const { session, effects } = siteNext(this.session, input, seen);
    this.session = session;
    if (session.phase === 'live' && before !== 'live') {
      this.lived = true;
      this.site.world.log('uplink.up', { portal: seen.row.portal, session: seen.row.counter });
    }
    for (const effect of effects) await this.perform(effect);
  }

  private async perform(effect: SiteEffect): Promise<void> {
    const { world, store } = this.site;
    const now = world.now();
    switch (effect.do) {
      case 'say':
        return this.wire.send(frameText(effect.frame, ++this.sent));
      case 'store':
        return this.step({ is: 'stored', next: effect.next, answer: await store.ask(effect.kind, effect.ask as never) });
      case 'apply': {
        const { judged } = effect;
        const { rev, hash } = judged;
        const answer =
          judged.is === 'good'
            ? await store.ask('applyDesired', { now, rev, hash, ...judged.signed, document: judged.document, confirmBy: effect.confirmBy })
            : await store.ask('rejectDesired', { now, rev, hash, errors: JSON.stringify(judged.errors).slice(0, 20_000) });
        return this.step({ is: 'applied', judged, answer });
      }
      case 'perform': {
        const { command, kind, ask, state, value } = effect;
        const answer = await store.ask('perform', { now, command: command.command, name: command.name, kind, ask, state, value });
        return this.step({ is: 'performed', command, answer });
      }
      case 'settle':
        await store.ask('settleCommand', { now, command: effect.command, state: effect.state, value: effect.value });
        return;
      case 'outside':
        return void this.hands.take(effect.command, effect.name, effect.args);
      case 'read':
        return this.read(effect.what, effect.above);
      case 'query':
        return void this.query(effect.query, effect.name, effect.args, effect.timeoutMs);
      case 'warn':
        return world.log('uplink.warning', { why: effect.why });
      case 'end':
        this.over ??= { why: effect.why, retryAfterMs: effect.retryAfterMs };
    }
  }

  private async query(query: string, name: string, args: Readonly<Record<string, unknown>>, timeoutMs: number): Promise<void> {
    const late = this.site.world.sleep(Math.min(timeoutMs, 10 * limits.queryMs)).then(() => Promise.reject(new Error('it took too long')));
    const answer = await Promise.race([this.site.query(name, args), late]).then(
      (value) => ({ ok: true, value }),
      (error: unknown) => ({ ok: false, value: (error as Error).message }),
    );
    const fits = JSON.stringify(answer.value ?? null).length * 3 < limits.uplinkFrame;
    this.tell({ is: 'answered', query, ...(fits ? answer : { ok: false, value: 'the answer is too long' }) });
  }

  private read(what: 'events' | 'results' | 'kept', above: number): Promise<void> {
    const { view } = this.site;
    view.refresh();
    if (what === 'events') return this.step({ is: 'events', rows: eventsAbove(view, above) });
    if (what === 'results') {
      const rows = [...scanRows(view, 'commandResult', [])].filter(({ row }) => !row.told && row.state !== 'running');
      return this.step({ is: 'results', rows: rows.slice(0, 1_000).map(({ key, row }) => ({ command: key.command, state: row.state, value: row.value })) });
    }
    const rows = [...scanRows(view, 'desired', [], { from: { rev: Math.max(0, above + 1) } })];
    return this.step({ is: 'kept', rows: rows.map(({ key, row }) => ({ rev: key.rev, signed: row.signed, signature: row.signature })) });
  }
}

/** The next events for the portal: as many as fit a frame. */
function eventsAbove(view: Reader, above: number): EventRow[] {
  const out: EventRow[] = [];
  let octets = 0;
  for (const { key, row } of scanRows(view, 'event', [], { from: { seq: above + 1 }, limit: limits.uplinkEventsAtOnce })) {
    octets += row.name.length + Buffer.byteLength(row.body);
    if (out.length > 0 && octets > limits.uplinkEventsOctets) break;
    out.push({ seq: key.seq, ...row });
  }
  return out;
}
