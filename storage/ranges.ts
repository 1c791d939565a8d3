// Sets of UIDs as they travel: [low, high] pairs, ascending, not overlapping. Pure functions.

import { assert } from '../actors/assert.ts';
import { pageOf } from './page.ts';

export type Ranges = readonly number[];

/** Collects ascending UIDs. */
export function addUid(ranges: number[], uid: number): void {
  const last = ranges.length - 1;
  if (last > 0 && ranges[last] === uid - 1) ranges[last] = uid;
  else ranges.push(uid, uid);
}

export function assertRanges(ranges: Ranges): void {
  assert(ranges.length % 2 === 0, 'ranges are pairs');
  for (let i = 0; i < ranges.length; i += 2) {
    assert((ranges[i] as number) <= (ranges[i + 1] as number) && (i === 0 || (ranges[i] as number) > (ranges[i - 1] as number)), 'ranges ascend');
  }
}

/** Tells of ascending UIDs whether they are in the set, each in constant time. */
export function member(ranges: Ranges): (uid: number) => boolean {
  let at = 0;
  return (uid) => {
    while (at < ranges.length && (ranges[at + 1] as number) < uid) at += 2;
    return at < ranges.length && (ranges[at] as number) <= uid;
  };
}

/** What of the set is above a UID. */
export function above(ranges: Ranges, uid: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    if ((ranges[i + 1] as number) > uid) out.push(Math.max(ranges[i] as number, uid + 1), ranges[i + 1] as number);
  }
  return out;
}

export function sizeOf(ranges: Ranges): number {
  let size = 0;
  for (let i = 0; i < ranges.length; i += 2) size += (ranges[i + 1] as number) - (ranges[i] as number) + 1;
  return size;
}

/** The pages that may hold UIDs of the set below `uidNext`, as [first, last] pairs. */
export function pageRanges(ranges: Ranges, uidNext: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    const high = Math.min(ranges[i + 1] as number, uidNext - 1);
    if ((ranges[i] as number) > high) break;
    const first = pageOf(ranges[i] as number);
    const last = pageOf(high);
    if (out.length > 0 && first <= (out.at(-1) as number) + 1) out[out.length - 1] = Math.max(out.at(-1) as number, last);
    else out.push(first, last);
  }
  return out;
}

/** Numbers a message or a row takes (messages.ts, schema.ts). */
export const maxRanges = 200_000;
