// The store's end of reads from other processes (reads.ts), for an engine which one process opens. Guarantees: a connection
// reads one commit until it asks for a newer one; what is not a question ends its connection and nothing else; a
// connection holds one answer and, while it is used, one view.

import { chmodSync, unlinkSync } from 'node:fs';
import type { Socket } from 'bun';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import type { Reader, Snapshot } from '../engine.ts';
import { ABSENT, answerHead, FRESH, GET, HELD, hashOf, KEYS_ONLY, RANGE, REVERSE, ROWS, ROWS_AND_MORE, SAME, VALUE } from './reads.ts';

export interface Shared {
  /** Grows with each commit; the same after a start when nothing was committed. */
  sequence(): number;
  snapshot(): Snapshot;
}

/** Serves the reads of `engine` on a Unix socket at `path` (mode 0600). */
export function serveReads(world: World, path: string, engine: Shared): void {
  try {
    unlinkSync(path);
  } catch {}
  Bun.listen<ReadPeer>({
    unix: path,
    socket: {
      open(socket) {
        socket.data = new ReadPeer(world, engine, socket);
      },
      data: (socket, bytes) => socket.data.receive(bytes),
      drain: (socket) => socket.data.flush(),
      close: (socket) => socket.data.close(),
      error: (socket) => socket.data.close(),
    },
  });
  chmodSync(path, 0o600);
}

class ReadPeer {
  private readonly world: World;
  private readonly engine: Shared;
  private readonly socket: Socket<ReadPeer>;
  private question: Uint8Array = new Uint8Array(0);
  private unsent: Uint8Array | null = null;
  private view: { readonly snapshot: Snapshot; readonly sequence: number } | null = null;
  private held = false;
  private used = 0;
  private watched = false;
  private closed = false;

  constructor(world: World, engine: Shared, socket: Socket<ReadPeer>) {
    this.world = world;
    this.engine = engine;
    this.socket = socket;
  }

  receive(bytes: Uint8Array): void {
    if (this.closed) return;
    try {
      assert(this.unsent === null, 'a question comes after the answer to the last');
      this.question = this.question.length === 0 ? bytes : Buffer.concat([this.question, bytes]);
      assert(this.question.length < 4 || length(this.question) <= limits.readQuestion, 'a question has a length within the limit');
      if (this.question.length < 4 || this.question.length < 4 + length(this.question)) return;
      assert(this.question.length === 4 + length(this.question), 'one question at a time');
      const question = this.question;
      this.question = new Uint8Array(0);
      this.unsent = this.answer(question);
      this.flush();
    } catch (error) {
      this.world.log('link.lost', { to: 'reads', error: String(error) });
      this.close();
      this.socket.end();
    }
  }

  flush(): void {
    if (this.unsent === null || this.closed) return;
    const sent = Math.max(0, this.socket.write(this.unsent));
    this.unsent = sent < this.unsent.length ? this.unsent.subarray(sent) : null;
  }

  close(): void {
    this.closed = true;
    this.release();
  }

  private answer(question: Uint8Array): Uint8Array {
    assert(question.length >= 6, 'a question has a kind');
    const kind = question[4] as number;
    const flags = question[5] as number;
    this.held ||= (flags & HELD) !== 0;
    const { snapshot, sequence } = this.pin((flags & FRESH) !== 0);
    const body = new DataView(question.buffer, question.byteOffset + 6, question.length - 6);
    if (kind === GET) return get(snapshot, sequence, body);
    assert(kind === RANGE, 'a question is of a kind that is known');
    return range(snapshot, sequence, body, flags);
  }

  private pin(fresh: boolean) {
    const sequence = this.engine.sequence();
    if (this.view === null || (fresh && this.view.sequence !== sequence)) {
      this.release();
      this.view = { snapshot: this.engine.snapshot(), sequence };
    }
    this.used = this.world.monotonicMs();
    this.watch();
    return this.view;
  }

  /** A view keeps files that have been merged: one that nobody uses is let go. */
  private watch(): void {
    if (this.held || this.watched) return;
    this.watched = true;
    this.world.after(limits.readViewMs, () => {
      this.watched = false;
      if (this.view === null) return;
      if (this.world.monotonicMs() - this.used >= limits.readViewMs) this.release();
      else this.watch();
    });
  }

  private release(): void {
    this.view?.snapshot.release();
    this.view = null;
  }
}

const length = (frame: Uint8Array): number => new DataView(frame.buffer, frame.byteOffset).getUint32(0);
const octetsOf = (view: DataView, from: number, to = view.byteLength): Uint8Array => new Uint8Array(view.buffer, view.byteOffset + from, to - from);

function get(reader: Reader, sequence: number, body: DataView): Uint8Array {
  const known = body.getBigUint64(0);
  const key = octetsOf(body, 8);
  const value = reader.peek(key);
  if (value === undefined) return answerOf(sequence, ABSENT, 0);
  if (known !== 0n && hashOf(value) === known) return answerOf(sequence, SAME, 0);
  const answer = answerOf(sequence, VALUE, value.length);
  answer.set(value, answerHead);
  return answer;
}

function range(reader: Reader, sequence: number, body: DataView, flags: number): Uint8Array {
  const limit = body.getUint32(0) || Number.POSITIVE_INFINITY;
  const most = Math.min(body.getUint32(4), limits.readPage);
  const split = 10 + body.getUint16(8);
  assert(split <= body.byteLength, 'a range has two keys');
  const from = octetsOf(body, 10, split);
  const to = octetsOf(body, split);
  const found: (readonly [Uint8Array, Uint8Array])[] = [];
  let octets = 0;
  let more = false;
  for (const row of flags & KEYS_ONLY ? bare(reader.keys(from, to)) : reader.range(from, to, { reverse: (flags & REVERSE) !== 0, limit })) {
    found.push(row);
    octets += 6 + row[0].length + row[1].length;
    more = octets >= most;
    if (more) break;
  }
  const answer = answerOf(sequence, more ? ROWS_AND_MORE : ROWS, octets);
  const view = new DataView(answer.buffer);
  let at = answerHead;
  for (const [key, value] of found) {
    view.setUint16(at, key.length);
    view.setUint32(at + 2, value.length);
    answer.set(key, at + 6);
    answer.set(value, at + 6 + key.length);
    at += 6 + key.length + value.length;
  }
  return answer;
}

const nothing = new Uint8Array(0);
function* bare(keys: Iterable<Uint8Array>): Generator<readonly [Uint8Array, Uint8Array]> {
  for (const key of keys) yield [key, nothing];
}

function answerOf(sequence: number, result: number, octets: number): Uint8Array {
  const answer = new Uint8Array(answerHead + octets);
  const view = new DataView(answer.buffer);
  view.setUint32(0, answer.length - 4);
  view.setFloat64(4, sequence);
  answer[12] = result;
  return answer;
}
