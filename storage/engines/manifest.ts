// The list of RocksDB's files (MANIFEST), where a loss of power tore its end. The library syncs each change of the list. Of its
// write-ahead log it takes what is not whole for the end; of this list for damage, and does not open. Guarantees: what is
// cut off was not synced, so that nothing depends on it: the files that it named are made again, from the log or from the
// files that were merged. A record that was whole once and is damaged now stays as it is, and the engine does not open.
//
// What tells them apart: a log is removed only after the record that makes it needless was synced. So the logs must go on
// where the whole records end, by the numbers of the changes (sequence numbers), without a gap. While they are empty, nothing
// was flushed since the start, and only merges can have been noted behind the record which ends it.
//
// The format of both (db/log_format.h): blocks of 32 KiB of fragments, each a masked CRC-32C of type and octets (4), a length
// (2), a type (1: whole, 2: first, 3: middle, 4: last), and the octets. No fragment begins in the last 6 octets of a block.

import { closeSync, fsyncSync, ftruncateSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const block = 32_768;
const header = 7;

/** Cuts off the torn end of the list in `folder`, which nobody has open. False: it has none, or what is there depends on it. */
export function cutTornEnd(folder: string): boolean {
  const path = join(folder, readFileSync(join(folder, 'CURRENT'), 'latin1').trim());
  const octets = readFileSync(path);
  const { end, records } = wholeRecords(octets);
  const known = records.length === 0 ? null : changesOf(records);
  if (end === octets.length || known === null || !goesOn(folder, known)) return false;
  const file = openSync(path, 'r+');
  ftruncateSync(file, end);
  fsyncSync(file);
  closeSync(file);
  return true;
}

/** The records up to the first that is not whole, and where the last of them ends. */
function wholeRecords(octets: Buffer, most = Number.POSITIVE_INFINITY): { readonly end: number; readonly records: readonly Buffer[] } {
  const records: Buffer[] = [];
  let begun: Buffer[] | null = null;
  let end = 0;
  for (let at = 0; at + header <= octets.length && records.length < most; ) {
    const left = block - (at % block);
    if (left < header) {
      at += left;
      continue;
    }
    const type = octets[at + 6] as number;
    const next = at + header + octets.readUInt16LE(at + 4);
    if (type < 1 || type > 4 || next - at > left || next > octets.length) break;
    if (octets.readUInt32LE(at) !== masked(crc32c(octets.subarray(at + 6, next)))) break;
    if ((begun === null) !== (type === 1 || type === 2)) break;
    begun = [...(begun ?? []), octets.subarray(at + header, next)];
    at = next;
    if (type === 2 || type === 3) continue;
    records.push(Buffer.concat(begun));
    begun = null;
    end = at;
  }
  return { end, records };
}

interface Changes {
  /** Logs with a lower number are needless. */
  log: number;
  /** The newest change that needs no log. */
  sequence: number;
  /** The record which ends a start is among them. */
  started: boolean;
}

/** Tags of fields (db/version_edit.h), and those which have numbers alone: how many. */
const tag = { comparator: 1, log: 2, sequence: 4, cursor: 5, leastLog: 10, file: 103, lastOfFile: 1, ignorable: 1 << 13 } as const;
const numbers: Readonly<Record<number, number>> = { 3: 1, 6: 2, 9: 1, [tag.leastLog]: 1, 200: 1, 203: 1 };

/** What the records come to; null where one has a field that is not known here. */
function changesOf(records: readonly Buffer[]): Changes | null {
  const changes: Changes = { log: 0, sequence: 0, started: false };
  for (const record of records) if (!take(changes, record)) return null;
  return changes;
}

function take(changes: Changes, record: Buffer): boolean {
  const field = fieldsOf(record);
  let movesLog = false;
  while (field.more()) {
    const kind = field.number();
    if (kind === tag.log) {
      changes.log = Math.max(changes.log, field.number());
      movesLog = true;
    } else if (kind === tag.sequence) {
      // with a merge it is only how far the site was
      const sequence = field.number();
      if (movesLog) changes.sequence = Math.max(changes.sequence, sequence);
    } else if (kind === tag.file) {
      for (let i = 0; i < 3; i++) field.number(); // level, number, size
      for (let i = 0; i < 2; i++) field.text(); // the least key and the greatest
      field.number();
      changes.sequence = Math.max(changes.sequence, field.number());
      while (field.more() && field.number() !== tag.lastOfFile) field.text();
    } else if (kind === tag.comparator || kind >= tag.ignorable) field.text();
    else if (kind === tag.cursor) {
      field.number();
      field.text();
    } else {
      const count = numbers[kind];
      if (count === undefined) return false;
      if (kind === tag.leastLog && !movesLog) changes.started = true;
      for (let i = 0; i < count; i++) field.number();
    }
  }
  return true;
}

function fieldsOf(record: Buffer): { more(): boolean; number(): number; text(): void } {
  let at = 0;
  const number = (): number => {
    for (let value = 0, unit = 1; ; unit *= 128) {
      const octet = record[at++] ?? 0;
      value += (octet & 127) * unit;
      if (octet < 128) return value;
    }
  };
  return {
    more: () => at < record.length,
    number,
    text() {
      const length = number();
      at += length;
    },
  };
}

/** Does the oldest log that is needed and has a change begin where the records end? */
function goesOn(folder: string, { log, sequence, started }: Changes): boolean {
  const needed = readdirSync(folder).filter((name) => /^\d+\.log$/.test(name) && Number.parseInt(name, 10) >= log);
  for (const name of needed.sort()) {
    const [first] = wholeRecords(readFileSync(join(folder, name)), 1).records;
    if (first !== undefined && first.length >= 8) return Number(first.readBigUInt64LE(0)) <= sequence + 1;
  }
  return started;
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f6_3b78 : value >>> 1;
  return value;
});

/** Castagnoli's polynomial. */
function crc32c(octets: Uint8Array): number {
  let value = 0xffff_ffff;
  for (const octet of octets) value = (table[(value ^ octet) & 255] as number) ^ (value >>> 8);
  return (value ^ 0xffff_ffff) >>> 0;
}

const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0;
