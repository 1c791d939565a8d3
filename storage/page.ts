// Index pages: one row holds up to 32 messages of a mailbox (limits.pageUids), so one row write stores a flag and a
// mailbox of 10,000 messages is 313 rows to read or to change. Pure functions of octets.
//
// An entry is 44 octets, big-endian, ascending by UID:
//   uid u32 | flags u32 | keywords u64 | modseq u64 | internalDate i64 (ms) | size u32 | blob u64
// `keywords` is a set of positions in the mailbox's keyword list (at most 48, so it stays an exact number).

import { assert } from '../actors/assert.ts';
import { limits } from '../actors/limits.ts';

/** System flags, as bits. \Recent is not stored (RFC 3501 §2.3.2). */
export const flag = { seen: 1, answered: 2, flagged: 4, deleted: 8, draft: 16 } as const;

export interface Entry {
  readonly uid: number;
  readonly flags: number;
  readonly keywords: number;
  readonly modseq: number;
  /** ms since the epoch */
  readonly internalDate: number;
  /** octets */
  readonly size: number;
  readonly blob: number;
}

/** Octets of an entry. */
export const entrySize = 44;
const HIGH = 2 ** 32;

/** The page that holds a UID. */
export const pageOf = (uid: number): number => Math.floor(uid / limits.pageUids);

/** All entries of a page row. */
export function readPage(row: Uint8Array): Entry[] {
  assert(row.length % entrySize === 0, 'a page holds whole entries');
  const view = new DataView(row.buffer, row.byteOffset, row.length);
  const out: Entry[] = new Array(row.length / entrySize);
  for (let i = 0, at = 0; at < row.length; i++, at += entrySize) {
    out[i] = {
      uid: view.getUint32(at),
      flags: view.getUint32(at + 4),
      keywords: view.getUint32(at + 8) * HIGH + view.getUint32(at + 12),
      modseq: view.getUint32(at + 16) * HIGH + view.getUint32(at + 20),
      internalDate: view.getInt32(at + 24) * HIGH + view.getUint32(at + 28),
      size: view.getUint32(at + 32),
      blob: view.getUint32(at + 36) * HIGH + view.getUint32(at + 40),
    };
  }
  return out;
}

export function writePage(entries: readonly Entry[]): Uint8Array {
  const row = new Uint8Array(entries.length * entrySize);
  const view = new DataView(row.buffer);
  let at = 0;
  let last = 0;
  for (const e of entries) {
    assert(e.uid > last && pageOf(e.uid) === pageOf(entries[0]?.uid ?? 0), 'a page is sorted and holds its own UIDs');
    last = e.uid;
    view.setUint32(at, e.uid);
    view.setUint32(at + 4, e.flags);
    setU64(view, at + 8, e.keywords);
    setU64(view, at + 16, e.modseq);
    view.setInt32(at + 24, Math.floor(e.internalDate / HIGH));
    view.setUint32(at + 28, e.internalDate - Math.floor(e.internalDate / HIGH) * HIGH);
    view.setUint32(at + 32, e.size);
    setU64(view, at + 36, e.blob);
    at += entrySize;
  }
  return row;
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / HIGH));
  view.setUint32(at + 4, value % HIGH);
}

/** Keyword sets: positions 0..47 in a number. */
export const keywordBit = (position: number): number => 2 ** position;
export const hasKeyword = (set: number, position: number): boolean => Math.floor(set / 2 ** position) % 2 === 1;
export const unionKeywords = (a: number, b: number): number => combine(a, b, (x, y) => x | y);
export const withoutKeywords = (a: number, b: number): number => combine(a, b, (x, y) => x & ~y);

function combine(a: number, b: number, by: (x: number, y: number) => number): number {
  const high = by(Math.floor(a / HIGH), Math.floor(b / HIGH)) >>> 0;
  return high * HIGH + (by((a % HIGH) >>> 0, (b % HIGH) >>> 0) >>> 0);
}
