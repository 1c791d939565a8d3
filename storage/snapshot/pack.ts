// What an object of a snapshot holds: rows, one after the other, and where one object ends and the next begins. Pure
// functions of octets. A row is
//   u16 length of the key | u32 length of the value, or 0xffffffff: the key was deleted | key | value
//
// Where an object ends depends on the keys near its end only (content-defined): a row that changes moves no boundary but
// its own, so that the next snapshot makes the same objects of all that stayed the same, and finds them there.

import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';

/** `null`: deleted. */
export type PackedRow = readonly [key: Uint8Array, value: Uint8Array | null];

const HEAD = 6;
const DELETED = 0xffff_ffff;

/** Buffers of one object each, used again: fresh memory costs as much as what is written into it. */
export interface Buffers {
  take(size: number): Buffer;
  /** Nobody may look at it any more. */
  give(octets: Uint8Array): void;
}

export function createBuffers(): Buffers {
  // an object, and what sealing adds to it
  const most = limits.snapshotObject + 4_096;
  const free: ArrayBufferLike[] = [];
  return {
    take: (size) => (size > most ? Buffer.allocUnsafeSlow(size) : Buffer.from(free.pop() ?? new ArrayBuffer(most))),
    give({ buffer }) {
      if (buffer.byteLength === most) free.push(buffer);
    },
  };
}

/** Collects rows until an object is full. */
export interface Packer {
  /** Adds a row; true: the object ends here. */
  add(key: Uint8Array, value: Uint8Array | null): boolean;
  /** Must the object end before this row, so that it keeps within its limit? */
  overflows(key: Uint8Array, value: Uint8Array | null): boolean;
  /** The octets so far; the packer begins anew. */
  take(): Uint8Array;
  readonly size: number;
  readonly rows: number;
}

/** `least`: octets before which no object ends; then one key in `oneIn` ends it. */
export function createPacker(buffers: Buffers, least: number, oneIn: number): Packer {
  let buffer = buffers.take(limits.snapshotObject);
  let at = 0;
  let rows = 0;
  return {
    overflows: (key, value) => at > 0 && at + HEAD + key.length + (value?.length ?? 0) > limits.snapshotObject,
    add(key, value) {
      const end = at + HEAD + key.length + (value?.length ?? 0);
      if (end > buffer.length) {
        // one row may be longer than an object is meant to be: a document, say
        const longer = buffers.take(end);
        longer.set(buffer.subarray(0, at));
        buffers.give(buffer);
        buffer = longer;
      }
      buffer.writeUInt16BE(key.length, at);
      buffer.writeUInt32BE(value === null ? DELETED : value.length, at + 2);
      buffer.set(key, at + HEAD);
      if (value !== null) buffer.set(value, at + HEAD + key.length);
      at = end;
      rows++;
      return at >= limits.snapshotObject || (at >= least && Bun.hash.crc32(key) % oneIn === 0);
    },
    take() {
      const out = buffer.subarray(0, at);
      buffer = buffers.take(limits.snapshotObject);
      at = 0;
      rows = 0;
      return out;
    },
    get size() {
      return at;
    },
    get rows() {
      return rows;
    },
  };
}

/** The rows of an object. They share its memory. Throws on octets that are no rows. */
export function* unpackRows(from: Uint8Array): Generator<PackedRow, void, undefined> {
  // no Buffer: its `slice` would not copy
  const octets = new Uint8Array(from.buffer, from.byteOffset, from.length);
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  let at = 0;
  while (at < octets.length) {
    assert(at + HEAD <= octets.length, 'an object holds whole rows');
    const keyEnd = at + HEAD + view.getUint16(at);
    const length = view.getUint32(at + 2);
    const end = length === DELETED ? keyEnd : keyEnd + length;
    assert(keyEnd > at + HEAD && end <= octets.length, 'an object holds whole rows');
    yield [octets.subarray(at + HEAD, keyEnd), length === DELETED ? null : octets.subarray(keyEnd, end)];
    at = end;
  }
}
