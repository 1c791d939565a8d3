// Message numbers and UIDs. A session sees its mailbox as an ascending list of UIDs; a message's number is its index
// plus one. Pure functions. Ranges are pairs [from, to) of indexes; UID pairs are [low, high], both included.

import { STAR, type SequenceSet } from './grammar.ts';

/** The first index in uids[0, count) whose UID is not below `uid`. */
export function lowerBound(uids: Uint32Array, count: number, uid: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((uids[middle] as number) < uid) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of a UID, or -1. */
export function indexOf(uids: Uint32Array, count: number, uid: number): number {
  const at = lowerBound(uids, count, uid);
  return at < count && uids[at] === uid ? at : -1;
}

/** What a set names, as ascending, disjoint ranges of indexes; null when it names a message number that is not there. */
export function resolve(set: SequenceSet, uids: Uint32Array, count: number, uid: boolean): number[] | null {
  const ranges: number[] = [];
  for (let i = 0; i < set.length; i += 2) {
    let low = set[i] as number;
    let high = set[i + 1] as number;
    if (uid) {
      // RFC 3501 §6.4.8: `*` is the largest UID, also when the other end is above it
      const last = count === 0 ? 0 : (uids[count - 1] as number);
      if (low === STAR) low = last;
      if (high === STAR) high = last;
      if (low > high) [low, high] = [high, low];
      if (count > 0) ranges.push(lowerBound(uids, count, low), lowerBound(uids, count, high + 1));
      continue;
    }
    if (low === STAR && high === STAR) {
      if (count > 0) ranges.push(count - 1, count);
      continue;
    }
    if (low === STAR || high === STAR) {
      // n:* past the end is the last message, as with UIDs
      const n = Math.min(low === STAR ? high : low, count);
      if (count > 0) ranges.push(n - 1, count);
      continue;
    }
    if (low > high) [low, high] = [high, low];
    if (high > count) return null;
    ranges.push(low - 1, high);
  }
  return merge(ranges);
}

/** Sorts and joins ranges that touch. */
export function merge(ranges: readonly number[]): number[] {
  if (ranges.length <= 2) return ranges.length === 2 && (ranges[0] as number) < (ranges[1] as number) ? [...ranges] : [];
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) if ((ranges[i] as number) < (ranges[i + 1] as number)) pairs.push([ranges[i] as number, ranges[i + 1] as number]);
  pairs.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [from, to] of pairs) {
    const last = out.length - 1;
    if (last > 0 && from <= (out[last] as number)) out[last] = Math.max(out[last] as number, to);
    else out.push(from, to);
  }
  return out;
}

/** The UID pairs of ranges of indexes. A pair may span UIDs that no message has: they cannot come back (S2). */
export function uidPairs(ranges: readonly number[], uids: Uint32Array): number[] {
  const out: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) out.push(uids[ranges[i] as number] as number, uids[(ranges[i + 1] as number) - 1] as number);
  return out;
}

/** Adds a number to ascending pairs [low, high], joining neighbours. */
export function addToPairs(pairs: number[], value: number): void {
  const last = pairs.length - 1;
  if (last > 0 && pairs[last] === value - 1) pairs[last] = value;
  else pairs.push(value, value);
}

/** Is a value in ascending pairs? */
export function inPairs(pairs: readonly number[], value: number): boolean {
  let low = 0;
  let high = pairs.length >>> 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pairs[2 * middle + 1] as number) < value) low = middle + 1;
    else high = middle;
  }
  return 2 * low < pairs.length && (pairs[2 * low] as number) <= value;
}

/** Pairs as a sequence-set: 1:3,7. */
export function setText(pairs: readonly number[]): string {
  let out = '';
  for (let i = 0; i < pairs.length; i += 2) {
    const low = pairs[i] as number;
    const high = pairs[i + 1] as number;
    out += `${i === 0 ? '' : ','}${low === high ? low : `${low}:${high}`}`;
  }
  return out;
}

/** Sums up how many numbers pairs hold. */
export function countPairs(pairs: readonly number[]): number {
  let count = 0;
  for (let i = 0; i < pairs.length; i += 2) count += (pairs[i + 1] as number) - (pairs[i] as number) + 1;
  return count;
}
