// Every byte a site keeps. Table numbers and the order of value fields are forever; retired numbers stay as gaps.
// tests/golden/schema.txt holds them still. A key is the table number (one octet) and its parts, big-endian, so that
// keys sort as their values do. A `raw` value is not msgpack: its layout is told in its row.

import { limits } from '../actors/limits.ts';
import { bin, bool, type Field, type Fields, i53, list, nullable, type Of, oneOf, record, text, u8, u32, u53 } from '../actors/wire.ts';

/** Ordered key parts. `text` is UTF-8 and may only stand last; `hash` is 32 octets. */
export type Part = 'u32' | 'u64' | 'text' | 'hash';
type PartValue<P extends Part> = P extends 'text' ? string : P extends 'hash' ? Uint8Array : number;
export type Parts = Readonly<Record<string, Part>>;
export interface Table<K extends Parts, V extends Fields> {
  readonly number: number;
  readonly key: K;
  readonly value: V;
  readonly raw: boolean;
  readonly why: string;
}
export type KeyOf<T> = T extends Table<infer K, Fields> ? { readonly [N in keyof K]: PartValue<K[N]> } : never;
export type RowOf<T> = T extends Table<Parts, infer V> ? Of<V> : never;

const table = <const K extends Parts, const V extends Fields>(number: number, key: K, value: V, why: string): Table<K, V> => ({
  number,
  key,
  value,
  raw: false,
  why,
});
const raw = <const K extends Parts>(number: number, key: K, why: string): Table<K, Record<never, never>> => ({
  number,
  key,
  value: {},
  raw: true,
  why,
});

const address: Field<string> = text(320);
const mailboxName: Field<string> = text(1000);

/** What may become of an accepted message, and of one that was not. */
const traceKinds = ['refused', 'delivered', 'deferred', 'bounced', 'expired', 'discarded', 'held', 'released', 'retried', 'deleted'] as const;

export const tables = {
  site: table(
    1,
    {},
    {
      schema: u32,
      commit: u53,
      journalFloor: u53,
      nextAccount: u32,
      nextMailbox: u32,
      nextBlob: u53,
      nextQueue: u53,
      lastUidValidity: u32,
      lineage: text(64),
      epoch: u32,
      rows: u53,
      sumA: u32,
      sumB: u32,
    },
    'counters: every id is used once; rows, sumA, sumB: how many rows there are and their digest, see storage/digest.ts',
  ),
  config: table(2, {}, { rev: u53, appliedAt: u53, document: text(16 * 1024 * 1024) }, 'the desired document in force'),
  domain: table(
    3,
    { name: 'text' },
    { aliasOf: nullable(text(255)), catchAll: nullable(address), subaddress: text(4) },
    'from the document: the domains we receive for',
  ),
  address: table(
    4,
    { address: 'text' },
    { kind: oneOf('account', 'alias'), account: u32, to: list(address, 1000) },
    'from the document: who an address is, lower case',
  ),
  account: table(
    5,
    { account: 'u32' },
    { address, name: text(200), password: text(500), quotaBytes: u53, usedBytes: u53, messages: u53, enabled: bool, present: bool },
    'one per login; present: named by the document in force. S5: usedBytes equals the sum',
  ),
  mailbox: table(
    6,
    { account: 'u32', mailbox: 'u32' },
    {
      name: mailboxName,
      uidValidity: u32,
      uidNext: u32,
      modseq: u53,
      exists: u32,
      unseen: u32,
      deleted: u32,
      bytes: u53,
      recentUid: u32,
      keywords: list(text(64), 48),
      specialUse: text(20),
      createdAt: u53,
    },
    'S1 modseq only grows; S2 uidNext only grows; S3 exists, unseen, deleted, bytes equal a recount',
  ),
  mailboxName: table(7, { account: 'u32', name: 'text' }, { mailbox: u32 }, 'name to mailbox; INBOX is stored in capitals'),
  page: raw(8, { mailbox: 'u32', page: 'u32' }, 'messages whose uid / 32 is page: entries of 44 octets in UID order, see storage/page.ts'),
  blob: table(
    9,
    { blob: 'u64' },
    { hash: bin(32), refs: u32, size: u53, headerSize: u32, chunks: u32 },
    'S4: refs equals the page entries and queue rows that name it',
  ),
  info: table(
    10,
    { blob: 'u64' },
    {
      envelope: bin(64 * 1024),
      structure: bin(256 * 1024),
      body: bin(256 * 1024),
      parts: bin(256 * 1024),
      sentDate: nullable(i53),
      messageId: text(998),
      references: list(text(998), 100),
      subject: text(998),
    },
    'what was computed once at delivery: IMAP text of ENVELOPE, BODYSTRUCTURE and BODY, part offsets, threading keys',
  ),
  chunk: raw(
    11,
    { blob: 'u64', n: 'u32' },
    'codec octet (0 raw, 1 zstd), then octets. Chunk 0 is the header block (at most limits.chunk), the rest limits.chunk each',
  ),
  hash: table(12, { hash: 'hash' }, { blob: u53 }, 'SHA-256 of the whole message to its blob'),
  transfer: table(
    13,
    { blob: 'u64' },
    { startedAt: u53, chunks: u32, octets: u53 },
    'chunks of this blob number are streaming in and not claimed: how many so far, and their raw octets',
  ),
  garbage: table(14, { blob: 'u64' }, { chunks: u32 }, 'blob rows are gone, chunks are still to be removed'),
  vanished: table(15, { mailbox: 'u32', modseq: 'u64' }, { ranges: list(u32, 200_000) }, 'expunged UIDs, [low, high] pairs (RFC 7162)'),
  journal: raw(16, { commit: 'u64' }, 'the keys this commit touched: u16 length and octets each; behind the one of the site, the sums of its digest since'),
  queue: table(
    17,
    { queue: 'u64' },
    {
      blob: u53,
      skip: u32,
      envelopeFrom: address,
      account: u32,
      arrivedAt: u53,
      expiresAt: u53,
      ret: oneOf('', 'FULL', 'HDRS'),
      envid: text(200),
      smtputf8: bool,
      eightBit: bool,
      recipients: u32,
      trace: u53,
    },
    'one accepted message on its way out; trace: what is remembered of it, 0: nothing',
  ),
  queueRecipient: table(
    18,
    { queue: 'u64', n: 'u32' },
    {
      address,
      domain: text(255),
      notify: u8,
      orcpt: text(600),
      attempts: u32,
      due: u53,
      leaseUntil: u53,
      warned: bool,
      lastCode: text(20),
      lastError: text(500),
      lastHost: text(255),
      held: u53,
    },
    'Q1: stays until delivered, bounced or deleted by an administrator; held: since when one holds it back (ms), 0: nobody does',
  ),
  queueDue: table(
    19,
    { due: 'u64', queue: 'u64', n: 'u32' },
    {},
    'a lease that expires is the only recovery: a leased recipient is due at the end of its lease',
  ),
  subscription: table(20, { account: 'u32', name: 'text' }, {}, 'RFC 3501 §6.3.6: a name may be subscribed and not exist'),
  authFailure: table(21, { key: 'text' }, { count: u32, since: u53 }, 'brute-force limits survive a crash; key is an address prefix or a login'),
  certificate: table(22, { host: 'text' }, { certificatePem: text(64 * 1024), keyPem: text(64 * 1024), notAfter: u53, selfSigned: bool }, 'TLS identities'),
  removed: table(23, { mailbox: 'u32' }, {}, 'a deleted mailbox whose pages the collector still has to release: deleting a large one takes no longer'),
  lineage: table(
    24,
    { lineage: 'text' },
    { dataKey: bin(32), createdAt: u53, wrapped: text(20_000) },
    'a history of commits without a fork: the key its snapshots are sealed with, and the same wrapped for the recovery kit (age)',
  ),
  recovery: table(25, {}, { identity: text(200), recipient: text(200), createdAt: u53 }, 'the recovery kit: the age identity that unwraps data keys'),
  damage: table(
    26,
    { of: 'hash' },
    { table: text(40), key: bin(500), what: text(500), foundAt: u53, tries: u32 },
    'a row or a body that is damaged and not mended yet, by the SHA-256 of its key; a body is named by its first chunk',
  ),
  scrub: table(
    27,
    {},
    { next: bin(500), startedAt: u53, finishedAt: u53, rows: u53, bodies: u53, found: u32 },
    'how far the scrub of this week is: the key it goes on at (empty: not under way), and what it has looked at and found',
  ),
  uplink: table(
    34,
    {},
    {
      portal: text(500),
      portalId: text(100),
      rootPublic: text(100),
      site: text(100),
      machine: text(100),
      signPublic: text(100),
      epoch: u32,
      state: oneOf('enrolled', 'active', 'offline', 'superseded', 'quarantined', 'decommissioned', 'standby', 'restored'),
      counter: u53,
      joinedAt: u53,
      offlineSince: u53,
      seenRev: u53,
      seenHash: text(100),
      seenStatus: oneOf('none', 'applied', 'rejected', 'rolledback'),
      seenErrors: text(20_000),
      runningRev: u53,
      runningHash: text(100),
      confirmBy: u53,
    },
    'whose configuration is in force: seenRev is the newest rev that was dealt with (it only grows), runningRev the one in force; confirmBy: it goes back then (0: it stays)',
  ),
  desired: table(
    35,
    { rev: 'u64' },
    { hash: text(100), signed: text(8 * 1024 * 1024), signature: text(200), at: u53 },
    'the last revs as the portal signed them',
  ),
  before: table(36, {}, { document: text(16 * 1024 * 1024), rev: u53, hash: text(100) }, 'what comes back when a rev is not confirmed'),
  commandResult: table(
    37,
    { command: 'text' },
    { name: text(100), state: oneOf('running', 'done', 'failed', 'expired'), value: text(100_000), at: u53, told: bool },
    'U2: a command that has a row is never done again; ids grow with time, rows go after 30 days',
  ),
  event: table(
    38,
    { seq: 'u64' },
    { at: u53, name: text(100), body: text(4_000) },
    'what the portal is still to be told; name gap: events from body.from to seq are gone',
  ),
  eventLog: table(
    39,
    {},
    { last: u53, octets: u53, started: text(100) },
    'seq of the last event, the octets of those that are kept, and which start of the site was told last',
  ),
  clock: table(40, {}, { aheadMs: i53, at: u53 }, 'how far the clock of the portal was ahead of ours when the session began; no row: they agree'),
  proof: table(
    41,
    {},
    { state: oneOf('proven', 'failed', 'untried'), triedAt: u53, problem: text(500), at: u53, lineage: text(64), commit: u53, takenAt: u53 },
    'what came of trying to restore the newest parked snapshot of this lineage, and which one was proven last (at 0: none)',
  ),
  record: table(
    42,
    { kind: 'u32', id: 'text' },
    { rev: u53, body: text(limits.record) },
    'of a portal: one JSON document; kinds and ids are in uplink/portal/records.ts; rev: the commit that wrote it',
  ),
  dkim: table(
    28,
    { name: 'text' },
    { algorithm: oneOf('rsa', 'ed25519'), state: oneOf('current', 'next', 'old'), privateKey: bin(4_096), publicKey: bin(1_024), createdAt: u53 },
    'what mail is signed with, by domain/selector: PKCS #8, and the key as DNS publishes it. current: signs; next: published only; old: was. Stays when its domain leaves the document',
  ),
  trace: table(
    30,
    { trace: 'u64' },
    {
      at: u53,
      queue: u53,
      account: u32,
      session: text(40),
      ip: text(60),
      helo: text(255),
      tls: text(100),
      size: u53,
      messageId: text(998),
      envelopeFrom: address,
      named: list(address, 1_000),
      placed: list(record({ account: u32, mailbox: u32, uid: u32 }), 10_000),
      remote: list(address, 10_000),
    },
    'an accepted message: whence, for whom (as named), where it was placed, and which recipients were queued (by their n); no ip: made here',
  ),
  traceEvent: table(
    31,
    { trace: 'u64', n: 'u32' },
    {
      at: u53,
      kind: oneOf(...traceKinds),
      to: list(u32, 10_000),
      address,
      envelopeFrom: address,
      ip: text(60),
      host: text(255),
      code: text(20),
      words: text(500),
      tls: text(100),
      next: u53,
      count: u32,
      by: text(100),
    },
    'what became of it later: to are numbers in remote of its trace. Of trace 0: mail that was refused, which has no message',
  ),
  traceIndex: table(
    32,
    { bucket: 'u32', of: 'u64', trace: 'u64' },
    {},
    'who looks for an address or a Message-ID: of is 53 bits of its SHA-256, bucket is trace / 1024, so that rows come and go together. The collector writes it, of many messages at once',
  ),
  traceMeter: table(
    33,
    {},
    {
      first: u53,
      next: u53,
      indexed: u53,
      firstRefused: u32,
      nextRefused: u32,
      octets: u53,
      received: u53,
      refused: u53,
      delivered: u53,
      deferred: u53,
      bounced: u53,
      deleted: u53,
    },
    'traces are those of [first, next), in the index those of [first, indexed); refusals likewise; octets: about how long both are; what was counted since the site began',
  ),
} as const;

export type TableName = keyof typeof tables;
/** Where an octet string names a row: for the journal, check and `mailsite schema`. */
export const tableByNumber: ReadonlyMap<number, TableName> = new Map(Object.entries(tables).map(([name, t]) => [t.number, name as TableName]));

/** When a recipient that is held is due: never, which is later than all else. */
export const heldDue = 2 ** 52;

/** NOTIFY bits of a queue recipient (RFC 3461 §4.1). 0 means the default: FAILURE and DELAY. */
export const notify = { never: 1, success: 2, failure: 4, delay: 8 } as const;

export const describeSchema = (): string[] =>
  Object.entries(tables).map(([name, t]) => {
    const key = Object.entries(t.key).map(([k, p]) => `${k}:${p}`);
    const value = t.raw
      ? 'raw'
      : Object.entries(t.value as Fields)
          .map(([k, f]) => `${k}:${f.is}`)
          .join(', ');
    return `${t.number} ${name} (${key.join(', ')}) -> (${value})  ${t.why}`;
  });
