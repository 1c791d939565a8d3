// The digest of a site: what says that two stores hold the same rows. Guarantees: it does not depend on the order of rows
// or on the engine; it is kept by every commit in proportion to what the commit changed; equal digests are equal rows but
// for chance (2^-64). It is no signature: whoever can write rows can write the digest.
//
// A row is hashed by key and value (XXH3, 64 bits) and added as two sums mod 2^32. What comes and goes by itself is not
// covered (journal, transfers, garbage), nor are chunks: each body has its SHA-256 in its blob row, which is covered.

import type { Reader } from './engine.ts';
import type { Row } from './rows.ts';
import { type TableName, tables } from './schema.ts';

/** `rows`: how many; `sumA`, `sumB`: sums of their hashes mod 2^32. */
export interface Digest {
  rows: number;
  sumA: number;
  sumB: number;
}

const uncovered: readonly TableName[] = ['site', 'journal', 'chunk', 'transfer', 'garbage'];
const uncoveredNumbers: ReadonlySet<number | undefined> = new Set(uncovered.map((table) => tables[table].number));

/** Does the digest count this row? */
export const covered = (key: Uint8Array): boolean => !uncoveredNumbers.has(key[0]);

// The halves of a hash, low and high (the machine is little-endian): half the time of arithmetic on a bigint.
const whole = new BigUint64Array(1);
const halves = new Uint32Array(whole.buffer);

/** The two hashes of a row. */
export function rowSum(key: Uint8Array, value: Uint8Array): [a: number, b: number] {
  hash(key, value);
  return [halves[0] as number, halves[1] as number];
}

function hash(key: Uint8Array, value: Uint8Array): void {
  whole[0] = Bun.hash.xxHash3(value, Bun.hash.xxHash3(key));
}

export function addRow(to: Digest, key: Uint8Array, value: Uint8Array): void {
  hash(key, value);
  to.rows++;
  to.sumA = (to.sumA + (halves[0] as number)) >>> 0;
  to.sumB = (to.sumB + (halves[1] as number)) >>> 0;
}

export function removeRow(from: Digest, key: Uint8Array, value: Uint8Array): void {
  hash(key, value);
  from.rows--;
  from.sumA = (from.sumA - (halves[0] as number)) >>> 0;
  from.sumB = (from.sumB - (halves[1] as number)) >>> 0;
}

/** A recount of all rows. */
export function digestOf(reader: Reader): Digest {
  const digest: Digest = { rows: 0, sumA: 0, sumB: 0 };
  for (const [from, to] of coveredFrom(new Uint8Array(0))) for (const [key, value] of reader.range(from, to)) addRow(digest, key, value);
  return digest;
}

/** Where the rows lie that are covered, from a key on: between two tables that are not, all is, also what no table declares. */
export function* coveredFrom(next: Uint8Array): Generator<[from: Uint8Array, to: Uint8Array], void, undefined> {
  const holes = [0, ...[...uncoveredNumbers].map(Number), 256].sort((a, b) => a - b);
  for (let i = 1; i < holes.length; i++) {
    const from = new Uint8Array([i === 1 ? 0 : (holes[i - 1] as number) + 1]);
    const end = holes[i] as number;
    const to = end < 256 ? new Uint8Array([end]) : new Uint8Array(64).fill(255);
    if (Buffer.compare(next, to) < 0) yield [Buffer.compare(next, from) > 0 ? next : from, to];
  }
}

export const sameDigest = (a: Digest, b: Digest): boolean => a.rows === b.rows && a.sumA === b.sumA && a.sumB === b.sumB;

/** For people: 16 hexadecimal digits. */
export const digestText = ({ sumA, sumB }: Pick<Row<'site'>, 'sumA' | 'sumB'>): string =>
  sumA.toString(16).padStart(8, '0') + sumB.toString(16).padStart(8, '0');
