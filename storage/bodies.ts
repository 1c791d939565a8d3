// Message bodies as they are kept (storage/schema.ts, chunk): chunk 0 is the header block, cut at limits.chunk; every
// later chunk holds limits.chunk raw octets, the last one what is left. Guarantees: any octet is found by arithmetic, a
// read holds limits.readChunk octets at most, and nothing is pinned between two pieces.

import { assert } from '../actors/assert.ts';
import { limits } from '../actors/limits.ts';
import type { Reader } from './engine.ts';
import { encodeKey, getRow, openRow, type Row, RowDamaged } from './rows.ts';

export type BlobRow = Row<'blob'>;
export type InfoRow = Row<'info'>;

/** How a chunk is stored: its first octet. */
export const codec = { raw: 0, zstd: 1 } as const;

/** The body went away while it was read: the message was expunged and collected. Only the connection can be ended. */
export class BodyGone extends Error {
  constructor(blob: number) {
    super(`body ${blob} is gone`);
    this.name = 'BodyGone';
  }
}

/** Raw octets of chunk 0. */
const firstChunkSize = (headerSize: number): number => Math.min(headerSize, limits.chunk);
/** How many chunks a body has. Chunk 0 is there even when it is empty. */
export const chunkCount = (size: number, headerSize: number): number => 1 + Math.ceil((size - firstChunkSize(headerSize)) / limits.chunk);
/** Raw octets of chunk `n`. */
export function chunkSize(size: number, headerSize: number, n: number): number {
  const first = firstChunkSize(headerSize);
  return n === 0 ? first : Math.min(limits.chunk, size - first - (n - 1) * limits.chunk);
}

/** The raw octets of a stored chunk. Shares the memory of `stored` when it is not compressed. */
export function openChunk(stored: Uint8Array): Uint8Array {
  if (stored[0] === codec.raw) return stored.subarray(1);
  assert(stored[0] === codec.zstd, 'a chunk has a known codec');
  return Bun.zstdDecompressSync(stored.subarray(1));
}

/** Why these chunks, in their order, are not the body of that row; null: they are. A chunk is looked at before the next one is asked for. */
export function bodyDamage(row: BlobRow, chunks: Iterable<Uint8Array | undefined>): string | null {
  const hasher = new Bun.CryptoHasher('sha256');
  let n = 0;
  for (const stored of chunks) {
    if (stored === undefined) return `chunk ${n} is missing`;
    try {
      const octets = openChunk(stored);
      if (octets.length !== chunkSize(row.size, row.headerSize, n)) return `chunk ${n} has another size`;
      hasher.update(octets);
    } catch (error) {
      return `chunk ${n}: ${(error as Error).message}`;
    }
    n++;
  }
  if (n !== row.chunks) return `it has ${n} of ${row.chunks} chunks`;
  return hasher.digest().equals(Buffer.from(row.hash)) ? null : 'the body does not have its hash';
}

/** Throws RowDamaged for a chunk that does not open. */
function soundChunk(stored: Uint8Array, blob: number, n: number): Uint8Array {
  try {
    return openChunk(stored);
  } catch (error) {
    throw new RowDamaged('chunk', encodeKey('chunk', { blob, n }), (error as Error).message);
  }
}

/**
 * How many raw octets a chunk says it holds, without decompressing it, or -1 when it does not say so. A zstd frame
 * written in one piece carries its content size (RFC 8878 §3.1.1.1).
 */
export function declaredSize(stored: Uint8Array): number {
  if (stored[0] === codec.raw) return stored.length - 1;
  if (stored[0] !== codec.zstd || stored.length < 7) return -1;
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length);
  if (view.getUint32(1, true) !== 0xfd2fb528) return -1;
  const descriptor = view.getUint8(5);
  const single = (descriptor & 0x20) !== 0;
  const at = 6 + (single ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number);
  const size = descriptor >>> 6;
  if (at + 8 > stored.length) return size === 0 && single && at < stored.length ? view.getUint8(at) : -1;
  if (size === 0) return single ? view.getUint8(at) : -1;
  if (size === 1) return view.getUint16(at, true) + 256;
  if (size === 2) return view.getUint32(at, true);
  return view.getUint32(at + 4, true) === 0 ? view.getUint32(at, true) : -1;
}

export const blob = (reader: Reader, id: number): BlobRow | undefined => getRow(reader, 'blob', { blob: id });
export const info = (reader: Reader, id: number): InfoRow | undefined => getRow(reader, 'info', { blob: id });

/** The rendered texts of a message. Good until the next read: for copying straight into an output buffer. */
export interface Rendered {
  readonly envelope: Uint8Array;
  readonly structure: Uint8Array;
  readonly body: Uint8Array;
}

/** Like `info`, for FETCH of whole folders: without a copy, and without decoding what FETCH does not need. */
export function peekInfo(reader: Reader, id: number): Rendered | undefined {
  const key = encodeKey('info', { blob: id });
  const stored = reader.peek(key);
  if (!stored) return undefined;
  const row = openRow('info', key, stored);
  // An array of at most 15 fields, of which the first three are octet strings (schema.ts).
  assert((row[0] as number) >>> 4 === 9, 'an info row is a short array');
  const envelope = binaryAt(row, 1);
  const structure = binaryAt(row, envelope.end);
  const body = binaryAt(row, structure.end);
  return { envelope: envelope.octets, structure: structure.octets, body: body.octets };
}

/** A msgpack `bin` that starts at `at`. */
function binaryAt(row: Uint8Array, at: number): { octets: Uint8Array; end: number } {
  const kind = row[at];
  assert(kind === 0xc4 || kind === 0xc5 || kind === 0xc6, 'the field is an octet string');
  const width = kind === 0xc4 ? 1 : kind === 0xc5 ? 2 : 4;
  let length = 0;
  for (let i = 1; i <= width; i++) length = length * 256 + (row[at + i] as number);
  const from = at + 1 + width;
  return { octets: row.subarray(from, from + length), end: from + length };
}

/** The header block with its empty line, at most limits.header octets of it. Its octets belong to the caller. Throws BodyGone. */
export function header(reader: Reader, id: number): Uint8Array {
  const first = reader.get(encodeKey('chunk', { blob: id, n: 0 }));
  if (!first) throw new BodyGone(id);
  const octets = soundChunk(first, id, 0);
  if (octets.length < limits.chunk) return octets;
  const row = blob(reader, id);
  if (!row) throw new BodyGone(id);
  return row.headerSize <= limits.chunk ? octets : Buffer.concat([...body(reader, id, 0, Math.min(row.headerSize, limits.header))]);
}

/**
 * Raw octets [from, to) of a body, clamped to its size, in pieces of up to limits.readChunk which belong to the caller.
 * Each step is a read of its own: awaiting between steps is allowed (call `refresh` after it). Throws BodyGone.
 */
export function* body(reader: Reader, id: number, from: number, to: number): Generator<Uint8Array, void, undefined> {
  const row = blob(reader, id);
  if (!row) throw new BodyGone(id);
  const first = firstChunkSize(row.headerSize);
  const end = Math.min(to, row.size);
  for (let at = Math.max(0, from); at < end; ) {
    const piece = Buffer.allocUnsafe(Math.min(limits.readChunk, end - at));
    for (let filled = 0; filled < piece.length; ) {
      const n = at < first ? 0 : 1 + Math.floor((at - first) / limits.chunk);
      const start = n === 0 ? 0 : first + (n - 1) * limits.chunk;
      const stored = reader.peek(encodeKey('chunk', { blob: id, n }));
      if (!stored) throw new BodyGone(id);
      const octets = soundChunk(stored, id, n);
      if (octets.length !== chunkSize(row.size, row.headerSize, n)) throw new RowDamaged('chunk', encodeKey('chunk', { blob: id, n }), 'it has another size');
      const part = octets.subarray(at - start, Math.min(octets.length, at - start + piece.length - filled));
      piece.set(part, filled);
      filled += part.length;
      at += part.length;
    }
    yield piece;
  }
}
