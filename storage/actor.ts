// The storage actor: the only writer of a site. Guarantees (M1): an answer is given after the durable commit that holds
// all of what it says; a refused command changed nothing; commands take effect in the order they came. While one commit
// is syncing the next batch gathers (group commit).
//
// States of a batch: gathered → run on one overlay → sealed (numbered, journalled) → committing → answered → told to
// subscribers. The commit point is `engine.commit` resolving. A handler that throws, or an engine that fails other than
// for room, crashes the actor before anything is answered; its process starts again from what is durable.

import { actor, LinkLost, type Peer } from '../actors/actor.ts';
import { assert } from '../actors/assert.ts';
import { limits } from '../actors/limits.ts';
import { type Answer, type Ask, isRefusal, type Refusal, refuse } from '../actors/wire.ts';
import type { World } from '../actors/world.ts';
import { site } from './commands/site.ts';
import { type CommandAnswer, type CommandName, isFrugal, runCommand } from './commands/table.ts';
import { recover } from './commands/transfer.ts';
import { compactInto } from './compact.ts';
import { type Compacted, DiskFull, type Engine } from './engine.ts';
import { sealBatch } from './journal.ts';
import { Store, type StoreProtocol } from './messages.ts';
import { knownSchema, schemaVersion } from './migrate.ts';
import { above, maxRanges, type Ranges, sizeOf } from './ranges.ts';
import { begun, isDigest, mark, type Recount, step, unmark } from './recount.ts';
import { getRow, prefixRange, RowDamaged } from './rows.ts';
import { type Batch, createBatch, type Notices, type Tx } from './tx.ts';

type P = StoreProtocol;
interface Waiting {
  readonly frugal: boolean;
  readonly run: (tx: Tx) => object;
  readonly octets: number;
  readonly resolve: (answer: object) => void;
  readonly reject: (error: unknown) => void;
}
/** `owner`: the link it comes by. `grewMs`: when it last grew, on the monotonic clock. */
interface Transfer {
  readonly owner: number;
  grewMs: number;
}
interface State {
  readonly world: World;
  readonly engine: Engine;
  readonly subscribers: Map<number, Peer<P>>;
  /** Live transfers: others are dead. */
  readonly transfers: Map<number, Transfer>;
  readonly linked: Set<number>;
  /** What each edge says of its sessions, by its link. */
  readonly sessions: Map<number, Ask<P, 'tellSessions'>['open']>;
  readonly waiting: Waiting[];
  running: boolean;
  dead: boolean;
  commit: number;
  batches: number;
  commands: number;
  /** Since when there has been no room (monotonic ms), or null. */
  fullSince: number | null;
  /** What runs before the next batch, between two commits. */
  readonly between: (() => Promise<void>)[];
  compacting: { done: number; total: number } | null;
  /** How far the digest is counted anew; null: it is not. */
  recount: Recount | null;
}

export const storage = actor({
  name: 'storage',
  protocol: Store,

  async start(world: World, engine: Engine): Promise<State> {
    const began = world.monotonicMs();
    const lineage = Buffer.from(world.random(16)).toString('hex');
    const state: State = {
      world,
      engine,
      subscribers: new Map(),
      transfers: new Map(),
      linked: new Set(),
      sessions: new Map(),
      waiting: [],
      running: false,
      dead: false,
      commit: 0,
      batches: 0,
      commands: 0,
      fullSince: null,
      between: [],
      compacting: null,
      recount: null,
    };
    assert((knownSchema(engine) ?? schemaVersion) === schemaVersion, 'a store is migrated before it is served');
    const batch = createBatch(engine);
    batch.command(
      (tx) => recover(tx, lineage),
      () => true,
    );
    state.commit = site(batch).commit;
    if (!batch.empty) await recovered(state, batch);
    world.log('store.open', { engine: engine.name, commit: state.commit, ms: Math.round(world.monotonicMs() - began) });
    return state;
  },

  handle: {
    subscribe(state, _ask, peer) {
      state.subscribers.set(peer.id, peer);
      tie(state, peer);
      // what was told while nobody of this link listened
      state.engine.refresh();
      peer.emit('configured', { rev: getRow(state.engine, 'config', {})?.rev ?? 0 });
      peer.emit('queued', { due: 0 });
      return { commit: state.commit };
    },
    readersGone(state) {
      state.engine.readersGone();
      return {};
    },
    stats(state) {
      return { commit: state.commit, queued: countQueue(state.engine), batches: state.batches, commands: state.commands, full: state.fullSince !== null };
    },
    async beginTransfer(state, ask, peer) {
      const answer = await submit(state, 'beginTransfer', ask);
      if (isRefusal(answer)) return answer;
      state.transfers.set(answer.transfer, { owner: peer.id, grewMs: state.world.monotonicMs() });
      tie(state, peer);
      return answer;
    },
    appendTransfer(state, ask, peer) {
      const transfer = state.transfers.get(ask.transfer);
      if (transfer?.owner !== peer.id) return refuse('noSuchTransfer');
      transfer.grewMs = state.world.monotonicMs();
      return submit(state, 'appendTransfer', ask);
    },
    dropTransfer(state, ask, peer) {
      if (state.transfers.get(ask.transfer)?.owner !== peer.id) return {};
      state.transfers.delete(ask.transfer);
      return submit(state, 'dropTransfer', ask);
    },
    deliver: (state, ask) => claiming(state, ask, submit(state, 'deliver', ask)),
    append: (state, ask) => claiming(state, ask, submit(state, 'append', ask)),
    store: (state, ask) => submit(state, 'store', ask),
    copy: (state, ask) => (ask.move ? moveInSteps(state, ask) : submit(state, 'copy', ask)),
    expunge: (state, ask) => expungeInSteps(state, ask),
    claimRecent: (state, ask) => submit(state, 'claimRecent', ask),
    createMailbox: (state, ask) => submit(state, 'createMailbox', ask),
    deleteMailbox: (state, ask) => submit(state, 'deleteMailbox', ask),
    renameMailbox: (state, ask) => submit(state, 'renameMailbox', ask),
    subscribeMailbox: (state, ask) => submit(state, 'subscribeMailbox', ask),
    claimQueue: (state, ask) => submit(state, 'claimQueue', ask),
    reportQueue: (state, ask) => claiming(state, ask, submit(state, 'reportQueue', ask)),
    applyConfig: (state, ask) => submit(state, 'applyConfig', ask),
    putCertificate: (state, ask) => submit(state, 'putCertificate', ask),
    putDkim: (state, ask) => submit(state, 'putDkim', ask),
    makeKeys: (state, ask) => submit(state, 'makeKeys', ask),
    rehash: (state, ask) => submit(state, 'rehash', ask),
    authFailed: (state, ask) => submit(state, 'authFailed', ask),
    authSucceeded: (state, ask) => submit(state, 'authSucceeded', ask),
    changeRecords: (state, ask) => submit(state, 'changeRecords', ask),
    publish(state, ask) {
      for (const peer of state.subscribers.values()) peer.emit('published', ask);
      return {};
    },
    indexTrace: (state, ask) => submit(state, 'indexTrace', ask),
    joined: (state, ask) => submit(state, 'joined', ask),
    uplinkUp: (state, ask) => submit(state, 'uplinkUp', ask),
    uplinkDown: (state, ask) => submit(state, 'uplinkDown', ask),
    applyDesired: (state, ask) => submit(state, 'applyDesired', ask),
    rejectDesired: (state, ask) => submit(state, 'rejectDesired', ask),
    settleDesired: (state, ask) => submit(state, 'settleDesired', ask),
    perform: (state, ask) => submit(state, 'perform', ask),
    settleCommand: (state, ask) => submit(state, 'settleCommand', ask),
    toldCommands: (state, ask) => submit(state, 'toldCommands', ask),
    recordEvents: (state, ask) => submit(state, 'recordEvents', ask),
    proved: (state, ask) => submit(state, 'proved', ask),
    ackEvents: (state, ask) => submit(state, 'ackEvents', ask),
    alignEvents: (state, ask) => submit(state, 'alignEvents', ask),
    overrideConfig: (state, ask) => submit(state, 'overrideConfig', ask),
    collect: (state, ask) => collectSparing(state, ask),
    recordRefused: (state, ask) => submit(state, 'recordRefused', ask),
    holdQueue: (state, ask) => submit(state, 'holdQueue', ask),
    releaseQueue: (state, ask) => submit(state, 'releaseQueue', ask),
    retryQueue: (state, ask) => submit(state, 'retryQueue', ask),
    deleteQueue: (state, ask) => claiming(state, ask, submit(state, 'deleteQueue', ask)),
    scrubbed: (state, ask) => submit(state, 'scrubbed', ask),
    damaged: (state, ask) => submit(state, 'damaged', ask),
    mend: (state, ask) => (isDigest(ask.key) ? recountDigest(state) : submit(state, 'mend', ask)),
    mendBody: (state, ask) => submit(state, 'mendBody', ask),
    compact: (state, ask) => compact(state, ask.now),
    compacting: ({ compacting }) => compacting ?? { done: 0, total: 0 },
    tellSessions(state, { open }, peer) {
      state.sessions.set(peer.id, open);
      tie(state, peer);
      return {};
    },
    pulse: (state) => ({
      commit: state.commit,
      batches: state.batches,
      commands: state.commands,
      full: state.fullSince !== null,
      open: sessionsOf(state),
    }),
  },
});

/** A full disk does not keep a site from being read: what start wanted to write is done by the collector later. */
async function recovered(state: State, batch: Batch): Promise<void> {
  const isNew = state.commit === 0;
  const commit = sealBatch(batch);
  try {
    await state.engine.commit(batch.writes());
    state.commit = commit;
  } catch (error) {
    if (isNew || !(error instanceof DiskFull)) throw error;
    noRoom(state, error);
  }
}

/** Remembers a link, so that its end is the end of its subscription and of its transfers. */
function tie(state: State, peer: Peer<P>): void {
  if (state.linked.has(peer.id)) return;
  state.linked.add(peer.id);
  peer.onGone(() => {
    state.linked.delete(peer.id);
    state.subscribers.delete(peer.id);
    state.sessions.delete(peer.id);
    for (const [transfer, { owner }] of state.transfers) {
      if (owner !== peer.id) continue;
      state.transfers.delete(transfer);
      // A crash of the actor is told by those who wait for it.
      submit(state, 'dropTransfer', { transfer }).catch(() => {});
    }
  });
}

function sessionsOf({ sessions }: State): Ask<P, 'tellSessions'>['open'] {
  const sum = new Map<string, number>();
  for (const open of sessions.values()) for (const row of open) sum.set(row.protocol, (sum.get(row.protocol) ?? 0) + row.sessions);
  return [...sum].slice(0, 20).map(([protocol, count]) => ({ protocol, sessions: count }));
}

/** A transfer that its owner goes on with stays, however long it takes; one that stands still is nobody's from now on. */
function collectSparing(state: State, ask: Ask<P, 'collect'>): Promise<AnswerOf<'collect'> | Refusal> {
  const now = state.world.monotonicMs();
  for (const [transfer, { grewMs }] of state.transfers) if (grewMs + ask.transferAgeMs <= now) state.transfers.delete(transfer);
  const sparing = { ...ask, alive: new Set(state.transfers.keys()) };
  return submit(state, 'collect', sparing);
}

/** A transfer that has not grown for so long is nobody's. */
export const transferAgeMs = 60 * 60_000;
/** Between two steps of compacting: the more mail comes in, the longer. */
const pauseMs = { idle: 2, busy: 15 };

/** Collects, and then moves the rows into a file that has no free pages. Mail is served meanwhile. */
async function compact(state: State, now: number): Promise<Answer<P, 'compact'> | Refusal> {
  const { engine, world } = state;
  if (state.compacting !== null) return refuse('busy', 'it is being compacted already');
  if (!engine.compact && !engine.fresh) return refuse('unneeded', `${engine.name} gives room back by itself, as it goes`);
  state.compacting = { done: 0, total: 1 };
  const began = world.monotonicMs();
  try {
    for (let more = true; more; await world.sleep(pauseMs.idle)) {
      const answer = await collectSparing(state, { now, transferAgeMs });
      more = !isRefusal(answer) && answer.more;
    }
    const { heldMs, ...octets } = engine.compact ? { ...(await engine.compact()), heldMs: 0 } : await compactBeside(state);
    world.log('store.compacted', { ...octets, rows: state.compacting.done, ms: Math.round(world.monotonicMs() - began), heldMs });
    return octets;
  } catch (error) {
    if (!(error instanceof DiskFull || error instanceof RowDamaged)) throw error;
    world.log('store.compactRefused', { error: error.message });
    return refuse(error instanceof DiskFull ? 'full' : 'damaged', error.message);
  } finally {
    state.compacting = null;
  }
}

async function compactBeside(state: State): Promise<Compacted & { heldMs: number }> {
  const { engine, world } = state;
  assert(engine.fresh !== undefined, 'an engine is compacted in one of two ways');
  let { batches } = state;
  let heldMs = 0;
  const octets = await compactInto(engine, await engine.fresh(), {
    async pause() {
      await world.sleep(state.batches === batches ? pauseMs.idle : pauseMs.busy);
      ({ batches } = state);
    },
    alone: (run) =>
      between(state, async () => {
        const from = world.monotonicMs();
        await run();
        for (const peer of state.subscribers.values()) peer.emit('reopened', { commit: state.commit });
        heldMs = Math.round(world.monotonicMs() - from);
      }),
    progress: (done, total) => void (state.compacting = { done, total }),
  });
  return { ...octets, heldMs };
}

/** Counts the digest anew, beside the mail (recount.ts). */
async function recountDigest(state: State): Promise<Answer<P, 'mend'> | Refusal> {
  const { engine, world } = state;
  if (state.recount !== null) return refuse('busy', 'it is being counted already');
  state.recount = begun;
  try {
    while (!(state.recount as Recount).done) {
      const { batches } = state;
      await between(state, async () => {
        engine.refresh();
        state.recount = step(engine, state.recount as Recount);
        if (state.recount.done) await counted(state, state.recount);
      });
      await world.sleep(state.batches === batches ? pauseMs.idle : pauseMs.busy);
    }
    return { how: 'derived' };
  } catch (error) {
    if (!(error instanceof DiskFull)) throw error;
    return refuse('full', error.message);
  } finally {
    state.recount = null;
  }
}

async function counted(state: State, { digest }: Recount): Promise<void> {
  const batch = createBatch(state.engine);
  unmark(batch);
  batch.counted(digest);
  const commit = sealBatch(batch);
  await state.engine.commit(batch.writes());
  state.commit = commit;
  state.batches++;
}

/** EXPUNGE of a large folder is several commits, so that it neither holds up the others nor grows with the folder. What
 *  was removed before a refusal stays removed, and is told. */
async function expungeInSteps(state: State, ask: Ask<P, 'expunge'>): Promise<AnswerOf<'expunge'> | Refusal> {
  let done = await submit(state, 'expunge', ask);
  for (let step = done; !isRefusal(done) && !isRefusal(step) && wholeStep(step.expunged) && done.expunged.length < mostRanges; ) {
    step = await submit(state, 'expunge', { ...ask, uids: above(ask.uids, step.expunged.at(-1) as number) });
    if (!isRefusal(step)) done = { expunged: [...done.expunged, ...step.expunged], modseq: Math.max(done.modseq, step.modseq) };
  }
  return done;
}

/** MOVE likewise (RFC 6851 §3.3). */
async function moveInSteps(state: State, ask: Ask<P, 'copy'>): Promise<AnswerOf<'copy'> | Refusal> {
  let done = await submit(state, 'copy', ask);
  for (let step = done; !isRefusal(done) && !isRefusal(step) && wholeStep(step.from) && done.from.length < mostRanges; ) {
    step = await submit(state, 'copy', { ...ask, uids: above(ask.uids, step.from.at(-1) as number) });
    if (!isRefusal(step)) done = { ...step, from: [...done.from, ...step.from], to: [...done.to, ...step.to], modseq: Math.max(done.modseq, step.modseq) };
  }
  return done;
}

/** Was it a step after which there may be more? */
const wholeStep = (uids: Ranges): boolean => sizeOf(uids) >= limits.messagesPerCommit;
/** An answer takes the ranges of one more step above this. */
const mostRanges = maxRanges - 4 * limits.messagesPerCommit;

interface Carries {
  readonly chunks?: readonly Uint8Array[];
  readonly content?: Carries;
  readonly mails?: readonly { readonly content: Carries }[];
  readonly transfer?: number;
}

/** A transfer that a command claimed is no transfer any more. */
async function claiming<T extends object>(state: State, ask: Carries, answer: Promise<T>): Promise<T> {
  const done = await answer;
  if (isRefusal(done)) return done;
  for (const { transfer } of [ask.content, ...(ask.mails ?? []).map((m) => m.content)].filter((c) => c !== undefined)) state.transfers.delete(transfer ?? 0);
  return done;
}

type AnswerOf<K extends CommandName> = Exclude<CommandAnswer<K>, Refusal>;

function submit<K extends CommandName>(state: State, kind: K, ask: Ask<P, K>): Promise<AnswerOf<K> | Refusal> {
  return new Promise((resolve, reject) => {
    if (state.dead) return reject(new LinkLost('storage'));
    const run = (tx: Tx): object => runCommand(kind, tx, ask);
    state.waiting.push({ frugal: isFrugal(kind, ask), run, octets: octetsOf(ask as Carries), resolve: resolve as (answer: object) => void, reject });
    if (state.running) return;
    state.running = true;
    // After this turn: what came with this message is in the batch as well.
    queueMicrotask(() => void pump(state));
  });
}

/** Body octets that a command carries. */
function octetsOf({ chunks, content, mails }: Carries): number {
  let octets = 0;
  for (const chunk of chunks ?? []) octets += chunk.length;
  if (content) octets += octetsOf(content);
  for (const mail of mails ?? []) octets += octetsOf(mail.content);
  return octets;
}

/** Runs between two commits: commands wait meanwhile. When there is no room for it they go on; any other failure is the end. */
function between(state: State, run: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    if (state.dead) return reject(new LinkLost('storage'));
    state.between.push(async () => {
      await run().then(resolve, (error: unknown) => {
        reject(error);
        if (!(error instanceof DiskFull)) throw error;
      });
    });
    if (state.running) return;
    state.running = true;
    void pump(state);
  });
}

async function pump(state: State): Promise<void> {
  let batch: Waiting[] = [];
  try {
    while (state.waiting.length > 0 || state.between.length > 0) {
      await state.between.shift()?.();
      if (state.waiting.length === 0) continue;
      batch = gather(state);
      await runBatch(state, batch);
    }
    state.running = false;
  } catch (error) {
    // Nothing is written any more. All who wait learn of the same end, and the actor crashes once.
    state.dead = true;
    for (const { reject } of [...batch, ...state.waiting.splice(0)]) reject(error);
  }
}

function gather(state: State): Waiting[] {
  let octets = 0;
  let count = 0;
  for (const { octets: more } of state.waiting) {
    if (count > 0 && (count >= limits.batchCommands || octets + more > limits.batchOctets)) break;
    octets += more;
    count++;
  }
  return state.waiting.splice(0, count);
}

async function runBatch(state: State, waiting: readonly Waiting[]): Promise<void> {
  const failed = await tryBatch(state, waiting);
  if (failed === null) return;
  noRoom(state, failed);
  const no = refuse('full', failed.message);
  const again = waiting.filter(({ frugal }) => frugal);
  for (const { frugal, resolve } of waiting) if (!frugal) resolve(no);
  if (again.length > 0 && (await tryBatch(state, again, true)) !== null) for (const { resolve } of again) resolve(no);
}

/** Runs, commits and answers. When there is no room nobody is answered, and why is returned. */
async function tryBatch(state: State, waiting: readonly Waiting[], reserve = false): Promise<DiskFull | null> {
  const { engine } = state;
  engine.refresh();
  const batch = createBatch(engine);
  const answers = waiting.map(({ run }) => batch.command(guarded(run), (answer) => !isRefusal(answer)));
  const notices = batch.notices();
  if (!batch.empty) {
    const unknown = batch.deferRecount();
    if (unknown) mark(batch, state.world.now());
    const commit = sealBatch(batch);
    assert(commit > state.commit, 'commits are numbered upwards');
    // a row that was mended may have been counted before it was damaged: nobody knows as what
    const recount = state.recount && (unknown ? begun : { ...state.recount, digest: batch.digestedUntil(state.recount.digest, state.recount.next) });
    try {
      await engine.commit(batch.writes(), { reserve });
    } catch (error) {
      if (error instanceof DiskFull) return error;
      throw error;
    }
    state.commit = commit;
    state.recount = recount;
    state.batches++;
    if (!reserve) roomAgain(state);
  }
  state.commands += waiting.length;
  for (const [i, { resolve }] of waiting.entries()) resolve(answers[i] as object);
  tell(state, notices);
  return null;
}

/** Damage ends the command that meets it, and nothing else. */
const guarded =
  (run: (tx: Tx) => object) =>
  (tx: Tx): object => {
    try {
      return run(tx);
    } catch (error) {
      if (error instanceof RowDamaged) return refuse('damaged', error.message);
      throw error;
    }
  };

function noRoom(state: State, error: DiskFull): void {
  if (state.fullSince !== null) return;
  state.fullSince = state.world.monotonicMs();
  state.world.log('store.full', { error: error.message });
}

function roomAgain(state: State): void {
  if (state.fullSince === null) return;
  state.world.log('store.room', { sinceMs: Math.round(state.world.monotonicMs() - state.fullSince) });
  state.fullSince = null;
}

/** A change event names at most so many (messages.ts). */
const changesPerEvent = 10_000;

function tell(state: State, { changes, rev, due, records }: Notices): void {
  for (const peer of state.subscribers.values()) {
    for (let at = 0; at < changes.length; at += changesPerEvent) {
      peer.emit('changed', { commit: state.commit, changes: changes.slice(at, at + changesPerEvent) });
    }
    if (rev !== null) peer.emit('configured', { rev });
    if (due !== null) peer.emit('queued', { due });
    for (let at = 0; at < records.length; at += changesPerEvent) peer.emit('recordsChanged', { keys: records.slice(at, at + changesPerEvent) });
  }
}

function countQueue(engine: Engine): number {
  engine.refresh();
  const { from, to } = prefixRange('queue');
  let count = 0;
  for (const _ of engine.keys(from, to)) count++;
  return count;
}
