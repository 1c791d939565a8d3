// How a portal process reads and writes its records. Guarantees: a transaction writes all or nothing, and only if nothing
// that it read was changed meanwhile (it is run again otherwise, and those of one process that disturbed each other go one
// after the other then); a process keeps no record in its memory, so that any number of them may share one engine; a
// reader sees its own writes.

import type { Address } from '../../actors/actor.ts';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { Reader } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { record, records as rows } from '../../storage/views.ts';
import { type KindName, kinds, type RecordOf } from './kinds.ts';
import { createTurns, type Turns } from './turns.ts';

export type Parts = readonly string[];
export interface Found<K extends KindName> {
  /** The parts of its id. */
  readonly id: readonly string[];
  readonly body: RecordOf<K>;
}
export interface ListOptions {
  /** Goes on behind this id. */
  readonly after?: Parts;
  readonly limit?: number;
  /** Descending; `after` is then the one above. */
  readonly reverse?: boolean;
}

/** Reads as of now; what is read is expected unchanged when the writes are made. */
export interface Transaction {
  get<K extends KindName>(kind: K, ...id: string[]): Promise<RecordOf<K> | undefined>;
  /** Not guarded against additions: whatever must not come twice has a record of its own. */
  list<K extends KindName>(kind: K, prefix: Parts, options?: ListOptions): Promise<Found<K>[]>;
  put<K extends KindName>(kind: K, id: Parts, body: RecordOf<K>): void;
  remove(kind: KindName, ...id: string[]): void;
}

export interface Records {
  get<K extends KindName>(kind: K, ...id: string[]): Promise<RecordOf<K> | undefined>;
  /** At most `limits.portalPage` of them by id, ascending. */
  list<K extends KindName>(kind: K, prefix: Parts, options?: ListOptions): Promise<Found<K>[]>;
  /** Runs `run` until what it read is still so when its writes are made. Throws Busy after too many tries. What `run` throws leaves nothing. */
  transact<T>(run: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Calls after each commit, of any process, that wrote a record of this kind below `prefix`. Returns how to end it. */
  watch(kind: KindName, prefix: Parts, run: (id: readonly string[]) => void): () => void;
  /** Says something to all processes, which is not kept. At most 1 MiB. */
  publish(channel: string, payload: string): Promise<void>;
  hear(channel: string, run: (payload: string) => void): () => void;
}

/** Others were faster each time. */
export class Busy extends Error {}

const part = /^[^/\p{Cc}]{1,200}$/u;
const idOf = (kind: KindName, parts: Parts): string => {
  assert(parts.length === kinds[kind].parts.length, 'an id has all of its parts');
  return prefixOf(parts);
};
const prefixOf = (parts: Parts): string => {
  for (const p of parts) assert(part.test(p), 'a part of an id is short and holds no slash');
  return parts.join('/');
};
/** What a stranger gave may be no part of any id: nothing is found then. */
const isId = (parts: Parts): boolean => parts.every((p) => part.test(p));

export function openRecords(store: Address<StoreProtocol>, view: Reader): Records {
  const turns = createTurns();
  const watchers = interest<readonly string[]>();
  const listeners = interest<string>();
  store.on('recordsChanged', ({ keys }) => {
    for (const { kind, id } of keys) {
      const parts = id.split('/');
      for (let n = 0; n <= parts.length; n++) watchers.tell(`${kind}/${parts.slice(0, n).join('/')}`, parts);
    }
  });
  store.on('published', ({ channel, payload }) => listeners.tell(channel, payload));
  const read = (kind: KindName, parts: Parts): { rev: number; body: unknown } => {
    if (!isId(parts)) return { rev: 0, body: undefined };
    view.refresh();
    const row = record(view, kinds[kind].number, idOf(kind, parts));
    return row === undefined ? { rev: 0, body: undefined } : { rev: row.rev, body: kinds[kind].body.parse(JSON.parse(row.body)) };
  };
  const list = <K extends KindName>(kind: K, prefix: Parts, options: ListOptions = {}): Found<K>[] => {
    if (!isId(prefix)) return [];
    view.refresh();
    const under = prefix.length === 0 ? '' : `${prefixOf(prefix)}/`;
    const { after, reverse = false, limit = limits.portalPage } = options;
    const found = rows(view, kinds[kind].number, under, { reverse, limit, ...(after === undefined ? {} : { after: prefixOf(after) }) });
    return found.map(({ id, row }) => ({ id: id.split('/'), body: kinds[kind].body.parse(JSON.parse(row.body)) as RecordOf<K> }));
  };
  return {
    async get(kind, ...id) {
      return read(kind, id).body as RecordOf<typeof kind> | undefined;
    },
    async list(kind, prefix, options) {
      return list(kind, prefix, options);
    },
    async transact(run) {
      let disturbed: readonly string[] = [];
      for (let tries = 0; tries < limits.portalTries; tries++) {
        const attempt = begin(read, list, turns, disturbed);
        try {
          const result = await run(attempt.tx);
          if (await attempt.commit(store)) return result;
          disturbed = attempt.disturbed();
        } finally {
          attempt.end();
        }
      }
      throw new Busy('others changed the same each time: try again');
    },
    watch: (kind, prefix, run) => watchers.add(`${kinds[kind].number}/${prefixOf(prefix)}`, run),
    async publish(channel, payload) {
      await store.ask('publish', { channel, payload });
    },
    hear: listeners.add,
  };
}

interface Interest<T> {
  /** Returns how to end it. */
  add(name: string, run: (what: T) => void): () => void;
  tell(name: string, what: T): void;
}

/** Who wants to hear of what, by its name: thousands of sessions cost nothing when something else changes. */
function interest<T>(): Interest<T> {
  const rows = new Map<string, Set<{ readonly run: (what: T) => void }>>();
  return {
    add(name, run) {
      const row = { run };
      const all = rows.get(name) ?? new Set();
      rows.set(name, all.add(row));
      return () => {
        all.delete(row);
        if (all.size === 0 && rows.get(name) === all) rows.delete(name);
      };
    },
    tell(name, what) {
      for (const { run } of rows.get(name) ?? []) run(what);
    },
  };
}

type Read = (kind: KindName, parts: Parts) => { rev: number; body: unknown };
type List = <K extends KindName>(kind: K, prefix: Parts, options?: ListOptions) => Found<K>[];

interface Key {
  readonly kind: number;
  readonly id: string;
}

interface Attempt {
  readonly tx: Transaction;
  /** False: something that it read is not so any more. */
  commit(store: Address<StoreProtocol>): Promise<boolean>;
  /** What it read that is not so any more. */
  disturbed(): string[];
  end(): void;
}

/** `contended`: what others changed under the attempt before, so that this one waits for its turn at it. */
function begin(read: Read, list: List, turns: Turns, contended: readonly string[]): Attempt {
  let endTurn: (() => void) | null = null;
  const reads = new Map<string, Key & { of: KindName; parts: Parts; rev: number; body: unknown }>();
  const writes = new Map<string, Key & { body: unknown }>();
  const nameOf = (kind: KindName, id: string): string => `${kinds[kind].number}/${id}`;
  const write = (kind: KindName, parts: Parts, body: unknown): void => {
    const id = idOf(kind, parts);
    writes.set(nameOf(kind, id), { kind: kinds[kind].number, id, body });
  };
  const tx: Transaction = {
    async get(kind, ...parts) {
      if (!isId(parts)) return undefined;
      const id = idOf(kind, parts);
      const name = nameOf(kind, id);
      const own = writes.get(name);
      if (own !== undefined) return (own.body ?? undefined) as RecordOf<typeof kind> | undefined;
      if (endTurn === null && !reads.has(name) && (turns.busy(name) || contended.includes(name))) {
        const turn = turns.take(name);
        endTurn = () => void turn.then((end) => end()); // also when what waits for it is given up
        await turn;
      }
      const known = reads.get(name) ?? { kind: kinds[kind].number, id, of: kind, parts, ...read(kind, parts) };
      reads.set(name, known);
      return known.body as RecordOf<typeof kind> | undefined;
    },
    async list(kind, prefix, options) {
      return list(kind, prefix, options);
    },
    put: (kind, id, body) => write(kind, id, kinds[kind].body.parse(body)),
    remove: (kind, ...id) => write(kind, id, null),
  };
  return {
    tx,
    disturbed: () => [...reads.entries()].filter(([, { parts, of, rev }]) => read(of, parts).rev !== rev).map(([name]) => name),
    end: () => endTurn?.(),
    async commit(store) {
      if (writes.size === 0) return true;
      const done = await store.ask('changeRecords', {
        reads: [...reads.values()].map(({ kind, id, rev }) => ({ kind, id, rev })),
        writes: [...writes.values()].map(({ kind, id, body }) => ({ kind, id, body: body === null ? null : JSON.stringify(body) })),
      });
      if (!isRefusal(done)) return true;
      if (done.refused === 'conflict') return false;
      throw new Error(`the records were not written: ${done.detail || done.refused}`);
    },
  };
}
