// `mailsite check`: does what is stored keep its promises? Guarantees: it only reads, it sees one commit (give it a
// snapshot), its memory does not grow with the site, and every row of every table is looked at. Rules: M2 every byte is
// accounted for, S1 modseq, S2 UIDs, S3 counters, S4 references, S5 quota, Q1 the queue, D1 the digest, and `row` for what
// cannot be read.

import { limits } from '../actors/limits.ts';
import { checkBlobs } from './checkblob.ts';
import { checkMailboxes } from './checkmailbox.ts';
import { checkTrace } from './checktrace.ts';
import { digestOf, digestText, sameDigest } from './digest.ts';
import type { Reader } from './engine.ts';
import { unpackKeys } from './journal.ts';
import { schemaVersion } from './migrate.ts';
import { decodeKey, decodeRow, getRow, type Keyed, prefixRange, type Range, type Row, tableOf } from './rows.ts';
import { type TableName, tables } from './schema.ts';

export type Rule = 'M2' | 'S1' | 'S2' | 'S3' | 'S4' | 'S5' | 'Q1' | 'D1' | 'row';
export interface Problem {
  readonly rule: Rule;
  readonly what: string;
}
export interface Checked {
  /** At most `maxProblems`; `found` counts them all. */
  readonly problems: readonly Problem[];
  readonly found: number;
  readonly counts: Counts;
}
export interface Counts {
  commit: number;
  accounts: number;
  mailboxes: number;
  messages: number;
  bodies: number;
  /** Octets of bodies, each counted once. */
  octets: number;
  queued: number;
}
export interface CheckOptions {
  /** Recompute the hash of every body. */
  readonly deep?: boolean;
  readonly progress?: (done: number, of: number) => void;
}
/** What the parts of the check share. */
export interface Checking {
  readonly reader: Reader;
  readonly site: Row<'site'>;
  readonly counts: Counts;
  readonly deep: boolean;
  readonly progress: (done: number, of: number) => void;
  say(rule: Rule, what: string): void;
}

const maxProblems = 1_000;
const uplinkTables = ['uplink', 'desired', 'before', 'commandResult', 'event', 'eventLog', 'clock'] as const;

export function check(reader: Reader, options: CheckOptions = {}): Checked {
  const problems: Problem[] = [];
  const counts: Counts = { commit: 0, accounts: 0, mailboxes: 0, messages: 0, bodies: 0, octets: 0, queued: 0 };
  let found = 0;
  const say = (rule: Rule, what: string): void => {
    if (++found <= maxProblems) problems.push({ rule, what });
  };
  const site = readSite(reader, say);
  if (site) {
    counts.commit = site.commit;
    const c: Checking = { reader, site, counts, deep: options.deep === true, progress: options.progress ?? (() => {}), say };
    checkUnknown(c);
    checkJournal(c);
    checkDirectory(c);
    checkMailboxes(c);
    checkQueue(c);
    checkTrace(c);
    checkBlobs(c);
    checkDigest(c);
    for (const { row } of readable(c, 'damage')) say('row', `${row.table} ${Buffer.from(row.key).toString('hex')} is damaged and not mended: ${row.what}`);
    for (const table of ['certificate', 'authFailure', 'lineage', 'recovery', 'scrub', ...uplinkTables] as const) for (const _ of readable(c, table));
  }
  return { problems, found, counts };
}

function readSite(reader: Reader, say: Checking['say']): Row<'site'> | undefined {
  try {
    const site = getRow(reader, 'site', {});
    if (site && site.schema > schemaVersion) say('row', `the site has schema ${site.schema}, this program knows ${schemaVersion}`);
    if (!site) for (const _ of reader.keys(new Uint8Array([0]), new Uint8Array([255]))) return void say('row', 'there are rows but no site row');
    return site;
  } catch (error) {
    say('row', `site: ${String(error)}`);
  }
  return undefined;
}

/** Every row under a prefix (or in a range) that can be read; what cannot is said. */
export function* readable<N extends TableName>(c: Checking, table: N, prefix: readonly number[] = [], range?: Range): Generator<Keyed<N>> {
  const { from, to } = range ?? prefixRange(table, ...prefix);
  for (const [key, value] of c.reader.range(from, to)) {
    const row = read(c, table, key, value);
    if (row) yield row;
  }
}

function read<N extends TableName>(c: Checking, table: N, key: Uint8Array, value: Uint8Array): Keyed<N> | undefined {
  try {
    return { key: decodeKey(table, key), row: decodeRow(table, value, key) };
  } catch (error) {
    c.say('row', `${table} ${Buffer.from(key).toString('hex')}: ${String(error)}`);
    return undefined;
  }
}

/** A row, or undefined when there is none or it cannot be read (which the scan of its table says). */
export function tryRow<N extends TableName>(c: Checking, table: N, key: Keyed<N>['key']): Row<N> | undefined {
  try {
    return getRow(c.reader, table, key);
  } catch {
    return undefined;
  }
}

function checkUnknown(c: Checking): void {
  const known = new Set<number>(Object.values(tables).map((t) => t.number));
  for (let from = 0; from < 256; from++) {
    if (known.has(from)) continue;
    let to = from + 1;
    while (to < 256 && !known.has(to)) to++;
    const end = to < 256 ? new Uint8Array([to]) : new Uint8Array(64).fill(255);
    for (const key of c.reader.keys(new Uint8Array([from]), end)) c.say('row', `no table has the key ${Buffer.from(key).toString('hex').slice(0, 80)}`);
    from = to;
  }
}

function checkJournal(c: Checking): void {
  const { commit, journalFloor } = c.site;
  let next = journalFloor + 1;
  for (const { key, row } of readable(c, 'journal')) {
    if (key.commit !== next) c.say('M2', `journal: commit ${next} expected, ${key.commit} found`);
    next = key.commit + 1;
    try {
      for (const touched of unpackKeys(row)) if (tableOf(touched) === undefined) c.say('M2', `journal ${key.commit} names a key of no table`);
    } catch (error) {
      c.say('row', `journal ${key.commit}: ${String(error)}`);
    }
  }
  if (next !== commit + 1) c.say('M2', `journal ends at ${next - 1}, the site is at ${commit}`);
  if (commit - journalFloor > limits.journalCommits) c.say('M2', `journal holds ${commit - journalFloor} commits`);
}

function checkDigest({ reader, site, say }: Checking): void {
  if (site.schema < 2) return; // from before there were digests
  const found = digestOf(reader);
  if (!sameDigest(site, found)) say('D1', `the site says ${site.rows} rows, digest ${digestText(site)}; a recount gives ${found.rows}, ${digestText(found)}`);
}

/** The document in force, and the domains and addresses that follow from it. */
function checkDirectory(c: Checking): void {
  let domains = 0;
  let addresses = 0;
  for (const { key, row } of readable(c, 'domain')) {
    domains++;
    if (row.aliasOf !== null && !tryRow(c, 'domain', { name: row.aliasOf }))
      c.say('M2', `domain ${key.name} is an alias of ${row.aliasOf}, which is not there`);
  }
  for (const { key, row } of readable(c, 'address')) {
    addresses++;
    if (row.kind !== 'account') continue;
    const account = tryRow(c, 'account', { account: row.account });
    if (account?.address !== key.address || !account.present) c.say('M2', `address ${key.address} is of account ${row.account}, which is not its`);
  }
  for (const { row } of readable(c, 'config')) {
    const document = parse(row.document);
    if (!document) c.say('row', 'the document in force is not JSON');
    else if (document.domains.length !== domains) c.say('M2', `the document has ${document.domains.length} domains, the site ${domains}`);
    else if (document.accounts.length + document.aliases.length !== addresses) c.say('M2', `the site has ${addresses} addresses, not those of the document`);
  }
}

function parse(text: string): { domains: unknown[]; accounts: unknown[]; aliases: unknown[] } | null {
  try {
    return JSON.parse(text) as ReturnType<typeof parse>;
  } catch {
    return null;
  }
}

function checkQueue(c: Checking): void {
  for (const { key, row } of readable(c, 'queue')) {
    c.counts.queued++;
    let recipients = 0;
    for (const _ of readable(c, 'queueRecipient', [key.queue])) recipients++;
    if (recipients !== row.recipients || recipients === 0) c.say('Q1', `queue ${key.queue} says ${row.recipients} recipients and has ${recipients}`);
    if (key.queue >= c.site.nextQueue) c.say('S2', `queue ${key.queue} is not below ${c.site.nextQueue}`);
  }
  for (const { key, row } of readable(c, 'queueRecipient')) {
    if (!tryRow(c, 'queue', { queue: key.queue })) c.say('Q1', `recipient ${key.queue}/${key.n} has no message`);
    if (!tryRow(c, 'queueDue', { due: row.due, ...key })) c.say('Q1', `recipient ${key.queue}/${key.n} is never due`);
    if (row.leaseUntil !== 0 && row.leaseUntil !== row.due)
      c.say('Q1', `recipient ${key.queue}/${key.n} is leased until ${row.leaseUntil} and due at ${row.due}`);
  }
  for (const { key } of readable(c, 'queueDue')) {
    const row = tryRow(c, 'queueRecipient', { queue: key.queue, n: key.n });
    if (row?.due !== key.due) c.say('Q1', `${key.queue}/${key.n} is due at ${key.due}, but no such recipient is`);
  }
}
