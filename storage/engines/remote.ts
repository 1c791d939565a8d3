// Reading an engine that another process has open, through its socket (reads.ts). Guarantees: those of every Reader; what a
// command of ours committed is seen after `refresh`, because the store answers in turn; the store may die and come back
// meanwhile, and then the reads go on at the same commit, or throw LinkLost.
//
// Each question blocks this process for a round trip (about 30 µs). So: rows come by the page, what is read twice between
// two refreshes is asked once, and a large value that is read again is only sent when it is another.

import { LinkLost } from '../../actors/actor.ts';
import { assert } from '../../actors/assert.ts';
import { type BlockingSocket, dialBlocking } from '../../actors/blocking.ts';
import { limits } from '../../actors/limits.ts';
import type { Reader, Snapshot } from '../engine.ts';
import { octetText } from '../rows.ts';
import { ABSENT, answerHead, encodeGet, encodeRange, FRESH, HELD, hashOf, KEYS_ONLY, REVERSE, ROWS_AND_MORE, SAME } from './reads.ts';

export interface RemoteReader extends Reader {
  /** On a connection of its own. */
  snapshot(): Snapshot;
  close(): Promise<void>;
}

/** A reader by the socket at `path`. It connects at the first read, and again whenever the store has been away. */
export function openRemote(path: string): RemoteReader {
  const connection = new Connection(path, 0);
  return {
    ...readerOf(connection),
    snapshot() {
      const own = new Connection(path, HELD);
      // asked now, so that it is of now
      own.ask((flags) => encodeGet(new Uint8Array([0]), flags, 0n));
      return { ...readerOf(own), refresh: () => {}, release: () => own.close() };
    },
    close: async () => connection.close(),
  };
}

interface Answer {
  readonly result: number;
  readonly body: Uint8Array;
}

class Connection {
  /** Values read since the last refresh, by key; null: no row. */
  readonly recent = new Map<string, Uint8Array | null>();
  /** Large values and their hashes, for longer; the first is the one not asked for longest. */
  readonly known = new Map<string, { readonly value: Uint8Array; readonly hash: bigint }>();
  knownOctets = 0;
  /** By table: the first octet of a key. */
  readonly ahead = new Map<number, Ahead>();
  private readonly path: string;
  private readonly flags: number;
  private socket: BlockingSocket | null = null;
  private fresh = true;
  /** How often the other side has gone, or kept silent, since it last answered. */
  private losses = 0;
  /** Of the commit that is read; null: any. */
  private sequence: number | null = null;

  constructor(path: string, flags: number) {
    this.path = path;
    this.flags = flags;
  }

  refresh(): void {
    this.fresh = true;
    this.sequence = null;
    this.recent.clear();
    this.ahead.clear();
  }

  close(): void {
    this.socket?.close();
    this.socket = null;
  }

  /** `question` is made with the flags that it is given. Throws LinkLost when nobody answers, or of another commit. */
  ask(question: (flags: number) => Uint8Array): Answer {
    for (let waited = 0; ; waited += limits.linkReconnectMs) {
      const answer = this.tryAsk(question);
      if (answer !== null) return answer;
      if (waited >= limits.readWaitMs || this.losses > 2) {
        this.losses = 0;
        throw new LinkLost('reads');
      }
      Bun.sleepSync(limits.linkReconnectMs);
    }
  }

  private tryAsk(question: (flags: number) => Uint8Array): Answer | null {
    const began = this.socket !== null;
    this.socket ??= dialBlocking(this.path, limits.readWaitMs);
    if (this.socket === null) return null;
    const head = new Uint8Array(answerHead);
    const asked = question(this.flags | (this.fresh || !began ? FRESH : 0));
    if (!this.socket.send(asked) || !this.socket.receive(head)) return this.lost();
    const view = new DataView(head.buffer);
    const octets = view.getUint32(0) - (answerHead - 4);
    assert(octets >= 0 && octets <= limits.frame, 'an answer has a length within the limit');
    const body = new Uint8Array(octets);
    if (octets > 0 && !this.socket.receive(body)) return this.lost();
    const sequence = view.getFloat64(4);
    if (this.sequence !== null && sequence !== this.sequence) {
      this.refresh();
      throw new LinkLost('reads');
    }
    this.sequence = sequence;
    this.fresh = false;
    this.losses = 0;
    return { result: head[12] as number, body };
  }

  private lost(): null {
    this.losses++;
    this.close();
    return null;
  }
}

const readerOf = (connection: Connection): Reader => ({
  get: (key) => {
    const value = read(connection, key);
    return value === null ? undefined : value.slice();
  },
  peek: (key) => read(connection, key) ?? undefined,
  range: (from, to, { reverse = false, limit } = {}) => scan(connection, from, to, reverse ? REVERSE : 0, limit ?? 0),
  *keys(from, to) {
    for (const [key] of scan(connection, from, to, KEYS_ONLY, 0)) yield key;
  },
  refresh: () => connection.refresh(),
});

function read(connection: Connection, key: Uint8Array): Uint8Array | null {
  const { recent, known } = connection;
  const name = octetText(key);
  const found = recent.get(name);
  if (found !== undefined) return found;
  const nearby = readAhead(connection, key, name);
  if (nearby !== undefined) return nearby;
  const before = known.get(name);
  const { result, body } = connection.ask((flags) => encodeGet(key, flags, before?.hash ?? 0n));
  if (result === SAME) {
    assert(before !== undefined, 'only what is known is the same');
    recent.set(name, before.value);
    return before.value;
  }
  const value = result === ABSENT ? null : body;
  remember(connection, name, value);
  return value;
}

/** Rows of one table that were sent ahead: all that there are from the key that was asked for up to `to`. */
interface Ahead {
  last: string;
  /** How many gets in a row went upwards. */
  run: number;
  rows: Map<string, Uint8Array>;
  to: string;
  hits: number;
}

/** Point reads that walk up a table, as FETCH of a folder does, get the rows behind the one they ask for, too. Undefined:
 *  it is no walk. */
function readAhead(connection: Connection, key: Uint8Array, name: string): Uint8Array | null | undefined {
  const table = key[0] as number;
  const ahead = connection.ahead.get(table);
  if (ahead === undefined || name <= ahead.last) {
    connection.ahead.set(table, { last: name, run: 0, rows: new Map(), to: '', hits: 0 });
    return undefined;
  }
  ahead.last = name;
  if (name <= ahead.to) {
    ahead.hits++;
    return ahead.rows.get(name) ?? null;
  }
  // most of what was sent was not wanted: it is a walk with long steps
  ahead.run = 4 * ahead.hits < ahead.rows.size ? 0 : ahead.run + 1;
  ahead.rows = new Map();
  ahead.to = '';
  ahead.hits = 0;
  if (ahead.run < 2) return undefined;
  const limit = Math.min(mostAhead, 4 << Math.min(ahead.run, 10));
  const { result, body } = connection.ask((flags) => encodeRange(key, new Uint8Array([table + 1]), flags, limit, octetsAhead));
  for (const [found, value] of rowsOf(body)) {
    ahead.to = octetText(found);
    ahead.rows.set(ahead.to, value);
  }
  if (result !== ROWS_AND_MORE && ahead.rows.size < limit) ahead.to = String.fromCharCode(table + 1);
  ahead.hits = 1;
  return ahead.rows.get(name) ?? null;
}

const mostAhead = 256;
const octetsAhead = 64 * 1024;

function remember(connection: Connection, name: string, value: Uint8Array | null): void {
  const { recent, known } = connection;
  const before = known.get(name);
  if (before !== undefined) {
    connection.knownOctets -= before.value.length;
    known.delete(name);
  }
  const octets = value?.length ?? 0;
  if (octets >= largeValue && octets <= limits.readKept) {
    known.set(name, { value: value as Uint8Array, hash: hashOf(value as Uint8Array) });
    connection.knownOctets += octets;
    for (const [oldest, { value: old }] of known) {
      if (connection.knownOctets <= limits.readKept) break;
      known.delete(oldest);
      connection.knownOctets -= old.length;
    }
  }
  if (recent.size < recentMost && (octets < largeValue || known.has(name))) recent.set(name, value);
}

/** Octets from which a value is kept across refreshes. */
const largeValue = 2_048;
const recentMost = 1_024;
/** The first page of a scan: most end in it. */
const firstPage = 32 * 1024;

function* scan(connection: Connection, from: Uint8Array, to: Uint8Array, flags: number, limit: number): Generator<readonly [Uint8Array, Uint8Array]> {
  if (Buffer.compare(from, to) >= 0 || limit < 0) return;
  let low = from;
  let high = to;
  let left = limit;
  for (let octets = firstPage; ; octets = limits.readPage) {
    const most = left;
    const { result, body } = connection.ask((more) => encodeRange(low, high, flags | more, most, octets));
    let last: Uint8Array | null = null;
    for (const row of rowsOf(body)) {
      last = row[0];
      yield row;
      if (limit > 0 && --left === 0) return;
    }
    if (result !== ROWS_AND_MORE || last === null) return;
    if (flags & REVERSE) high = last;
    else low = Buffer.concat([last, new Uint8Array(1)]);
  }
}

/** Copies: a row that is kept must not keep its page. */
function* rowsOf(body: Uint8Array): Generator<readonly [Uint8Array, Uint8Array]> {
  const view = new DataView(body.buffer);
  for (let at = 0; at < body.length; ) {
    const key = at + 6;
    const value = key + view.getUint16(at);
    const end = value + view.getUint32(at + 2);
    yield [body.slice(key, value), body.slice(value, end)];
    at = end;
  }
}
