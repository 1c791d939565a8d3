// The check of bodies: S4 references equal a recount, M2 every chunk belongs to a blob, a transfer or garbage, every blob
// has its chunks, its info and its hash. Blob numbers are looked at in windows, so that memory does not grow with a site.

import { chunkCount, chunkSize, declaredSize, openChunk } from './bodies.ts';
import { type Checking, readable, tryRow } from './check.ts';
import { readPage } from './page.ts';
import { decodeKey, prefixRange, type Row } from './rows.ts';

/** Blob numbers in a window: 20 octets each. */
const windowSize = 2 ** 20;

interface Window {
  readonly from: number;
  readonly to: number;
  /** Chunks found and not yet accounted for. */
  readonly chunks: Uint32Array;
  /** References a blob row claims, less those found. */
  readonly refs: Int32Array;
  /** Size and one; 0: no such blob. */
  readonly sizes: Float64Array;
  readonly infos: Uint8Array;
}

export function checkBlobs(c: Checking): void {
  const end = c.site.nextBlob;
  for (const { key, row } of readable(c, 'hash')) {
    const blob = tryRow(c, 'blob', { blob: row.blob });
    if (!blob || !Buffer.from(blob.hash).equals(key.hash)) c.say('M2', `hash ${hex(key.hash)} names blob ${row.blob}, which has another or is not there`);
  }
  // One window more than there are numbers: what lies beyond them is found there.
  for (let from = 0; from <= end; from += windowSize) checkWindow(c, from, from + windowSize);
  checkBeyond(c, Math.floor(end / windowSize) * windowSize + windowSize);
  if (c.deep) for (const { key, row } of readable(c, 'blob')) checkContent(c, key.blob, row);
}

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

function checkWindow(c: Checking, from: number, to: number): void {
  const size = Math.min(windowSize, Math.max(1, c.site.nextBlob - from + 1024));
  const w: Window = { from, to, chunks: new Uint32Array(size), refs: new Int32Array(size), sizes: new Float64Array(size), infos: new Uint8Array(size) };
  countChunks(c, w);
  for (const { key, row } of rowsOf(c, w, 'info')) {
    w.infos[key.blob - from] = 1;
    if (row.envelope.length === 0 || row.structure.length === 0) c.say('M2', `info of blob ${key.blob} is empty`);
  }
  for (const { key, row } of rowsOf(c, w, 'blob')) checkBlob(c, w, key.blob, row);
  for (const table of ['transfer', 'garbage'] as const) {
    for (const { key, row } of rowsOf(c, w, table)) {
      if (w.chunks[key.blob - from] !== row.chunks) c.say('M2', `${table} ${key.blob} says ${row.chunks} chunks and has ${w.chunks[key.blob - from]}`);
      if ((w.sizes[key.blob - from] as number) > 0) c.say('M2', `${table} ${key.blob} is a blob as well`);
      w.chunks[key.blob - from] = 0;
    }
  }
  countReferences(c, w);
  for (let i = 0; i < size; i++) {
    if (w.chunks[i] !== 0) c.say('M2', `${w.chunks[i]} chunks of blob ${from + i} belong to nobody`);
    if (w.infos[i] !== 0) c.say('M2', `info of blob ${from + i}, which is not there`);
    if (w.refs[i] !== 0) c.say('S4', `blob ${from + i} says ${w.refs[i]} more references than there are`);
  }
}

/** Rows of a window that fit its arrays; the others are said. */
function* rowsOf<N extends 'info' | 'blob' | 'transfer' | 'garbage'>(c: Checking, w: Window, table: N): Generator<{ key: { blob: number }; row: Row<N> }> {
  const { from } = prefixRange(table, w.from);
  const { from: to } = prefixRange(table, w.to);
  for (const found of readable(c, table, [], { from, to })) {
    if (found.key.blob - w.from < w.refs.length) yield found;
    else c.say('S2', `${table} ${found.key.blob} is not below ${c.site.nextBlob}`);
  }
}

function countChunks(c: Checking, w: Window): void {
  const { from } = prefixRange('chunk', w.from);
  const { from: to } = prefixRange('chunk', w.to);
  for (const octets of c.reader.keys(from, to)) {
    const { blob, n } = decodeKey('chunk', octets);
    const at = blob - w.from;
    if (at >= w.chunks.length) c.say('S2', `chunk ${blob}/${n} is not below ${c.site.nextBlob}`);
    else if (w.chunks[at] !== n) c.say('M2', `blob ${blob}: chunk ${w.chunks[at]} expected, ${n} found`);
    if (at < w.chunks.length) w.chunks[at] = n + 1;
  }
}

function checkBlob(c: Checking, w: Window, id: number, row: Row<'blob'>): void {
  const at = id - w.from;
  c.counts.bodies++;
  c.counts.octets += row.size;
  if (id >= c.site.nextBlob) c.say('S2', `blob ${id} is not below ${c.site.nextBlob}`);
  if (row.headerSize > row.size || row.chunks !== chunkCount(row.size, row.headerSize))
    c.say('M2', `blob ${id}: ${row.chunks} chunks do not make ${row.size} octets`);
  if (w.chunks[at] !== row.chunks) c.say('M2', `blob ${id} says ${row.chunks} chunks and has ${w.chunks[at]}`);
  if (w.infos[at] !== 1) c.say('M2', `blob ${id} has no info`);
  if (tryRow(c, 'hash', { hash: row.hash })?.blob !== id) c.say('M2', `blob ${id} is not found by its hash`);
  if (row.refs === 0) c.say('S4', `blob ${id} is there without a reference`);
  w.chunks[at] = 0;
  w.infos[at] = 0;
  w.refs[at] = row.refs;
  w.sizes[at] = row.size + 1;
}

function countReferences(c: Checking, w: Window): void {
  const refer = (blob: number, who: () => string, size: number | null): void => {
    const at = blob - w.from;
    if (at < 0 || blob >= w.to) return;
    const found = at < w.sizes.length ? (w.sizes[at] as number) : 0;
    if (found === 0) {
      c.say('S4', `${who()} names blob ${blob}, which is not there`);
      return;
    }
    if (size !== null && found !== size + 1) c.say('M2', `${who()} says ${size} octets, its body has ${found - 1}`);
    w.refs[at] = (w.refs[at] as number) - 1;
  };
  for (const { key, row } of readable(c, 'page')) {
    if (row.length % 44 !== 0) continue; // said by checkPages
    for (const e of readPage(row)) refer(e.blob, () => `mailbox ${key.mailbox} UID ${e.uid}`, e.size);
  }
  for (const { key, row } of readable(c, 'queue')) refer(row.blob, () => `queue ${key.queue}`, null);
}

/** Rows with blob numbers above the last window. */
function checkBeyond(c: Checking, above: number): void {
  for (const table of ['blob', 'info', 'chunk', 'transfer', 'garbage'] as const) {
    const { from } = prefixRange(table, above);
    for (const key of c.reader.keys(from, prefixRange(table).to)) {
      c.say('S2', `${table} ${(decodeKey(table, key) as { blob: number }).blob} is not below ${c.site.nextBlob}`);
      break;
    }
  }
}

/** The octets themselves: each chunk's size, and the hash of all. */
function checkContent(c: Checking, id: number, row: Row<'blob'>): void {
  const hasher = new Bun.CryptoHasher('sha256');
  try {
    for (let n = 0; n < row.chunks; n++) {
      const stored = tryRow(c, 'chunk', { blob: id, n });
      if (!stored) return; // said by checkBlob
      const octets = openChunk(stored);
      const wanted = chunkSize(row.size, row.headerSize, n);
      if (octets.length !== wanted || declaredSize(stored) !== wanted) c.say('M2', `blob ${id} chunk ${n} has ${octets.length} octets, not ${wanted}`);
      hasher.update(octets);
    }
  } catch (error) {
    c.say('M2', `blob ${id}: ${String(error)}`);
    return;
  }
  if (!hasher.digest().equals(Buffer.from(row.hash))) c.say('M2', `blob ${id} does not have the hash it says`);
  c.progress(id, c.site.nextBlob);
}
