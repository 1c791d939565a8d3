// Bodies: claimed, shared, released. Guarantees (M2, S4): a blob's refs are the page entries and queue rows that name it;
// equal bodies are one blob; when the last reference goes, so do its rows, at once or as garbage that is collected.

import { assert } from '../../actors/assert.ts';
import type { Ask, Refusal } from '../../actors/wire.ts';
import { refuse } from '../../actors/wire.ts';
import { chunkCount, chunkSize, declaredSize } from '../bodies.ts';
import type { StoreProtocol } from '../messages.ts';
import { mustHave, type Tx } from '../tx.ts';
import { takeId } from './site.ts';

export type Content = Ask<StoreProtocol, 'append'>['content'];

/** Chunks of a released blob up to this many are removed at once, more become garbage. */
const inlineRelease = 16;

/** Makes `content` a blob with `refs` new references. The blob's number, or why not. */
export function claim(tx: Tx, content: Content, refs: number): number | Refusal {
  assert(refs > 0, 'a claimed body is referenced');
  if (content.headerSize > content.size) return refuse('badContent', 'the header is longer than the message');
  const known = tx.get('hash', { hash: content.hash });
  if (known) return share(tx, content, known.blob, refs);
  if (content.chunkCount !== chunkCount(content.size, content.headerSize)) return refuse('badContent', 'the number of chunks does not fit the size');
  const id = content.transfer === 0 ? placeInline(tx, content) : claimTransfer(tx, content);
  if (typeof id !== 'number') return id;
  tx.put('blob', { blob: id }, { hash: content.hash, refs, size: content.size, headerSize: content.headerSize, chunks: content.chunkCount });
  tx.put('info', { blob: id }, content.info);
  tx.put('hash', { hash: content.hash }, { blob: id });
  return id;
}

/** The same octets are here already: what was brought is dropped. */
function share(tx: Tx, content: Content, id: number, refs: number): number | Refusal {
  const row = mustHave(tx, 'blob', { blob: id });
  if (row.size !== content.size || row.headerSize !== content.headerSize) return refuse('badContent', 'the hash is known with another size');
  if (content.transfer !== 0) dropTransfer(tx, content.transfer);
  tx.put('blob', { blob: id }, { ...row, refs: row.refs + refs });
  return id;
}

function placeInline(tx: Tx, content: Content): number | Refusal {
  if (content.chunks.length !== content.chunkCount) return refuse('badContent', 'chunks are missing');
  for (const [n, chunk] of content.chunks.entries()) {
    if (declaredSize(chunk) !== chunkSize(content.size, content.headerSize, n)) return refuse('badContent', `chunk ${n} has the wrong size`);
  }
  const id = takeId(tx, 'nextBlob');
  for (const [n, chunk] of content.chunks.entries()) tx.put('chunk', { blob: id, n }, chunk);
  return id;
}

function claimTransfer(tx: Tx, content: Content): number | Refusal {
  const row = tx.get('transfer', { blob: content.transfer });
  if (!row) return refuse('noSuchTransfer');
  if (row.chunks !== content.chunkCount || row.octets !== content.size) return refuse('badContent', 'the transfer does not hold the message');
  const first = tx.get('chunk', { blob: content.transfer, n: 0 });
  if (!first || declaredSize(first) !== chunkSize(content.size, content.headerSize, 0)) return refuse('badContent', 'the header is not chunk 0');
  tx.delete('transfer', { blob: content.transfer });
  return content.transfer;
}

/** One more reference for each message copied: `counts` by blob. */
export function retain(tx: Tx, counts: ReadonlyMap<number, number>): void {
  for (const [id, count] of counts) {
    const row = mustHave(tx, 'blob', { blob: id });
    tx.put('blob', { blob: id }, { ...row, refs: row.refs + count });
  }
}

/** Gives references back: `counts` by blob. */
export function release(tx: Tx, counts: ReadonlyMap<number, number>): void {
  for (const [id, count] of counts) {
    const row = mustHave(tx, 'blob', { blob: id });
    assert(row.refs >= count, 'a message has its body');
    if (row.refs > count) {
      tx.put('blob', { blob: id }, { ...row, refs: row.refs - count });
      continue;
    }
    tx.delete('blob', { blob: id });
    tx.delete('info', { blob: id });
    tx.delete('hash', { hash: row.hash });
    discardChunks(tx, id, row.chunks);
  }
}

/** The chunks of a transfer that nobody claims. */
export function dropTransfer(tx: Tx, transfer: number): boolean {
  const row = tx.get('transfer', { blob: transfer });
  if (!row) return false;
  tx.delete('transfer', { blob: transfer });
  if (row.chunks > 0) discardChunks(tx, transfer, row.chunks);
  return true;
}

function discardChunks(tx: Tx, blob: number, chunks: number): void {
  if (chunks > inlineRelease) tx.put('garbage', { blob }, { chunks });
  else for (let n = 0; n < chunks; n++) tx.delete('chunk', { blob, n });
}

export const countOf = (blobs: Iterable<number>): Map<number, number> => {
  const counts = new Map<number, number>();
  for (const blob of blobs) counts.set(blob, (counts.get(blob) ?? 0) + 1);
  return counts;
};
