// Everything the rest of the program may say to the storage actor. Tags are forever: retire, never reuse.
// Every success is answered after the durable commit that holds all of it (M1). A refusal changed nothing.
// Times are ms since the epoch and come from the caller: the store reads no clock.

import { limits } from '../actors/limits.ts';
import { bin, bool, call, event, i53, list, nullable, oneOf, protocol, record, text, u8, u32, u53 } from '../actors/wire.ts';

/** Why the store says no. `detail` is for people. */
export const refusals = {
  noSuchAccount: 'no account of that number, or it is not enabled',
  noSuchMailbox: 'no mailbox of that name or number',
  mailboxExists: 'the name is taken',
  badName: 'the name is not a valid mailbox name',
  overQuota: 'the account has no room for it',
  limit: 'a limit of the site (keywords, mailboxes, sizes)',
  full: 'the disk is full: nothing is written until there is room',
  noSuchTransfer: 'the transfer is unknown: the store restarted, or it was dropped',
  badContent: 'hash, size or chunks do not agree',
  locked: 'the configuration is locked by a portal',
  conflict: 'the row changed under the caller',
  inboxStays: 'INBOX cannot be deleted',
  unneeded: 'the engine gives room back by itself',
  superseded: 'another machine is this site now, or this one is not the site yet',
  damaged: 'a row that it needs is damaged: nothing was done',
} as const;
export type RefusalCode = keyof typeof refusals;

const address = text(320);
const mailboxName = text(1000);
const chunk = bin(16_384);
/** UIDs as [low, high] pairs, ascending, not overlapping. */
const uids = list(u32, 200_000);
const keywords = list(text(64), 48);

/** A message body and what was computed of it. Either all its chunks are here (transfer 0), or they were streamed. */
const content = record({
  hash: bin(32),
  size: u53,
  headerSize: u32,
  transfer: u53,
  chunks: list(chunk, 64),
  chunkCount: u32,
  info: record({
    envelope: bin(64 * 1024),
    structure: bin(256 * 1024),
    body: bin(256 * 1024),
    parts: bin(256 * 1024),
    sentDate: nullable(i53),
    messageId: text(998),
    references: list(text(998), 100),
    subject: text(998),
  }),
});

/** One message to some recipients, here and elsewhere. All of it, or nothing. */
const mail = record({
  envelopeFrom: address,
  content,
  /** Mailbox `name` must exist, else INBOX takes it (a subaddress never loses mail). */
  local: list(record({ account: u32, mailbox: mailboxName, flags: u8 }), 10_000),
  remote: list(record({ address, notify: u8, orcpt: text(600) }), 10_000),
  ret: oneOf('', 'FULL', 'HDRS'),
  envid: text(200),
  smtputf8: bool,
  eightBit: bool,
  /** Octets at the start of the content which are for local delivery only (Return-Path) and not sent on. */
  skip: u32,
  /** The submitting account, 0 for mail from elsewhere. */
  account: u32,
  /** For its trace: whence it came, and its recipients as they were named. No `ip`: it was made here. */
  origin: record({ session: text(40), ip: text(60), helo: text(255), tls: text(100), named: list(address, 1_000) }),
});

/** Recipients of the queue, as an administrator names them. */
const tended = list(record({ queue: u53, n: u32 }), 1_000);
/** `done`: how many it changed. `leased`: how many of those named are being tried at this moment. */
const tendedAnswer = { done: u32, leased: u32 };

const kinds = oneOf('exists', 'flags', 'expunge', 'mailbox');
const change = record({
  account: u32,
  mailbox: u32,
  modseq: u53,
  kind: kinds,
  /** Pages touched; more than 256: an empty list, and the reader looks at all. */
  pages: list(u32, 256),
});

const recordKey = record({ kind: u32, id: text(400) });
/** Damage: the table, the key of the row (of a body: of its first chunk), and what is wrong with it. */
const found = list(record({ table: text(40), key: bin(500), what: text(500) }), 1_000);

export const Store = protocol(
  'store',
  {
    /** Changes are pushed to this link from now on; the answer names the newest commit. */
    subscribe: call(1, {}, { commit: u53 }),

    // bodies: begin, append…, then a command that claims the transfer. A lost link drops its transfers.
    beginTransfer: call(10, { now: u53 }, { transfer: u53 }),
    /** Chunks in order from 0; answered when they are written (not yet claimed). */
    appendTransfer: call(11, { transfer: u53, first: u32, chunks: list(chunk, 64) }, {}),
    dropTransfer: call(12, { transfer: u53 }, {}),

    /** M1: the 250. One commit holds body, index, quota and queue of all the mails. `queues` in order; 0 where nothing goes out. */
    deliver: call(
      20,
      { now: u53, expiryMs: u53, mails: list(mail, 8) },
      { queues: list(u53, 8), placed: list(record({ account: u32, mailbox: u32, uid: u32 }), 10_000) },
    ),

    // IMAP
    append: call(
      30,
      { now: u53, account: u32, mailbox: mailboxName, flags: u8, keywords, internalDate: i53, content },
      { mailbox: u32, uidValidity: u32, uid: u32 },
    ),
    // `modseq` of an answer is that of the change itself: 0 when nothing changed, so that nobody takes another's for it
    /** Flags of messages. `unchangedSince` null: unconditional. `modified`: UIDs left alone because they changed since (RFC 7162 §3.1.3). */
    store: call(
      31,
      {
        account: u32,
        mailbox: u32,
        uids,
        mode: oneOf('add', 'remove', 'replace'),
        flags: u8,
        keywords,
        unchangedSince: nullable(u53),
      },
      { modseq: u53, modified: uids },
    ),
    /** Copies or moves. `from` and `to` are the UIDs in matching order (RFC 4315 §3, RFC 6851 §4.3). */
    copy: call(
      32,
      { now: u53, account: u32, mailbox: u32, uids, target: mailboxName, move: bool },
      { uidValidity: u32, targetMailbox: u32, from: uids, to: uids, modseq: u53 },
    ),
    /** Removes the messages among `uids` that carry \Deleted. */
    expunge: call(33, { account: u32, mailbox: u32, uids }, { expunged: uids, modseq: u53 }),
    /** The messages above `recentUid` are \Recent for this session only (RFC 3501 §2.3.2). */
    claimRecent: call(34, { account: u32, mailbox: u32 }, { recentUid: u32 }),
    createMailbox: call(35, { now: u53, account: u32, name: mailboxName, specialUse: text(20) }, { mailbox: u32, uidValidity: u32 }),
    deleteMailbox: call(36, { account: u32, name: mailboxName }, {}),
    /** Renames it and all below it. Renaming INBOX moves its messages to the new name (RFC 3501 §6.3.5). */
    renameMailbox: call(37, { now: u53, account: u32, from: mailboxName, to: mailboxName }, {}),
    subscribeMailbox: call(38, { account: u32, name: mailboxName, on: bool }, {}),

    // the queue
    /** Leases due recipients, oldest first, at most `limit`, none of the domains in `skipDomains`. */
    claimQueue: call(
      50,
      { now: u53, leaseMs: u53, limit: u32, skipDomains: list(text(255), 1_000) },
      { due: list(record({ queue: u53, n: u32, domain: text(255) }), 1_000), nextDue: nullable(u53) },
    ),
    /** What became of leased recipients, and what to tell the sender, in one commit (Q1). `queueAgain`: due now, as an operator asks. */
    reportQueue: call(
      51,
      {
        now: u53,
        expiryMs: u53,
        outcomes: list(
          record({
            queue: u53,
            n: u32,
            outcome: oneOf('done', 'later', 'failed'),
            due: u53,
            warned: bool,
            attempted: bool,
            code: text(20),
            error: text(500),
            host: text(255),
            /** For its trace; empty: nothing happened that is worth telling. */
            event: oneOf('', 'delivered', 'deferred', 'bounced', 'expired', 'discarded'),
            ip: text(60),
            tls: text(100),
          }),
          1_000,
        ),
        mails: list(mail, 8),
      },
      {},
    ),
    // an administrator (`by`) and the queue. What was done already is not done again. A recipient that is leased is in the
    // hands of an attempt, which ends as it ends: held, it is not tried again; it is not deleted.
    holdQueue: call(121, { now: u53, by: text(100), of: tended }, tendedAnswer),
    /** Due now. The time that it was held does not count towards its expiry. */
    releaseQueue: call(122, { now: u53, by: text(100), of: tended }, tendedAnswer),
    /** Due now, and its waits begin anew. */
    retryQueue: call(123, { now: u53, by: text(100), of: tended }, tendedAnswer),
    /** Out of the queue, undelivered; `mails`: what its senders are told, in the same commit. `alone`: the caller knows
     *  that nothing is being tried, so that leases mean nothing. */
    deleteQueue: call(124, { now: u53, expiryMs: u53, by: text(100), alone: bool, of: tended, mails: list(mail, 8) }, tendedAnswer),

    // what is seen from outside
    /** Mail that was refused: best effort, gathered by whoever refused it. */
    recordRefused: call(
      120,
      {
        now: u53,
        refusals: list(record({ at: u53, envelopeFrom: address, address, ip: text(60), helo: text(255), code: text(20), words: text(500), count: u32 }), 1_000),
      },
      {},
    ),
    /** How many sessions of each protocol a process has; kept until it says otherwise or its link ends. */
    tellSessions: call(125, { open: list(record({ protocol: text(20), sessions: u32 }), 20) }, {}),
    /** What the store itself knows of its work, without reading a row. */
    pulse: call(126, {}, { commit: u53, batches: u53, commands: u53, full: bool, open: list(record({ protocol: text(20), sessions: u32 }), 20) }),

    // configuration and keys
    /** A validated, normalized document (storage/document.ts). Refuses `locked` on a joined site. */
    applyConfig: call(70, { now: u53, document: text(16 * 1024 * 1024) }, { rev: u53 }),
    putCertificate: call(71, { host: text(255), certificatePem: text(64 * 1024), keyPem: text(64 * 1024), notAfter: u53, selfSigned: bool }, {}),
    /** An imported hash that was verified is replaced by a better one (DESIGN §9); `was` guards against a newer one. */
    rehash: call(72, { account: u32, was: text(500), password: text(500) }, {}),
    authFailed: call(73, { now: u53, windowMs: u53, keys: list(text(400), 4) }, { counts: list(u32, 4) }),
    authSucceeded: call(74, { keys: list(text(400), 4) }, {}),
    /** The keys of this lineage's snapshots and the recovery kit, where there are none yet. The answer names what is there now. */
    makeKeys: call(
      75,
      { now: u53, dataKey: bin(32), wrapped: text(20_000), identity: text(200), recipient: text(200) },
      { lineage: text(64), dataKey: bin(32), wrapped: text(20_000), identity: text(200), recipient: text(200), made: bool },
    ),
    /** New signing keys of a domain, by selector. One that is there already stays as it is; `added`: how many were not. */
    putDkim: call(
      110,
      {
        now: u53,
        domain: text(255),
        keys: list(record({ selector: text(63), algorithm: oneOf('rsa', 'ed25519'), privateKey: bin(4_096), publicKey: bin(1_024) }), 8),
      },
      { added: u32 },
    ),

    // damage (storage/scrub.ts)
    /** A slice was looked at: where to go on (empty: the end is reached), how much it was, and what was found. */
    scrubbed: call(90, { now: u53, next: bin(500), rows: u32, bodies: u32, found }, {}),
    /** What somebody else than the scrub found. */
    damaged: call(135, { now: u53, found }, {}),
    /** What came of restoring a parked snapshot (storage/snapshot/proof.ts). But for `proven` the one that was proven before
     *  stays, and one that was not even tried leaves a failure standing. */
    proved: call(136, { now: u53, state: oneOf('proven', 'failed', 'untried'), commit: u53, takenAt: u53, problem: text(500) }, {}),
    /** Mends one row: from what it derives from, or with `row`, its octets as they were stored (empty: there are none). */
    mend: call(91, { key: bin(500), row: bin(17 * 1024 * 1024) }, { how: oneOf('sound', 'derived', 'given', 'removed', 'no') }),
    /** Chunks of a body that is damaged, in the place of those that are there. `last`: the body is whole again. */
    mendBody: call(92, { blob: u53, first: u32, chunks: list(chunk, 64), last: bool }, {}),

    // the uplink (uplink/agent): whose the site is, what it was told, and what it has to tell
    /** The site belongs to a portal from now on, as `machine`. Refuses `locked` where it belongs to
     *  another one, unless `identity` is the key of its recovery kit. */
    joined: call(
      140,
      {
        now: u53,
        portal: text(500),
        portalId: text(100),
        rootPublic: text(100),
        site: text(100),
        machine: text(100),
        signPublic: text(100),
        epoch: u32,
        identity: text(200),
      },
      {},
    ),
    /** A session was granted: its counter is kept before it is used. Refuses `conflict` for one that is not above the last. */
    uplinkUp: call(141, { now: u53, counter: u53, aheadMs: i53 }, {}),
    /** There is none any more; `state` other than offline is for good. */
    uplinkDown: call(142, { now: u53, state: oneOf('offline', 'superseded', 'quarantined', 'decommissioned') }, {}),
    /** U2: the rev and its document in one commit. `confirmBy` 0: it stays. Refuses `conflict` for a rev that is not newer. */
    applyDesired: call(
      143,
      {
        now: u53,
        rev: u53,
        hash: text(100),
        signed: text(8 * 1024 * 1024),
        signature: text(200),
        document: text(16 * 1024 * 1024),
        confirmBy: u53,
      },
      {},
    ),
    /** A rev that this site does not take; the one in force stays. */
    rejectDesired: call(144, { now: u53, rev: u53, hash: text(100), errors: text(20_000) }, {}),
    /** The rev that waits for it stays (`keep`), or the one before comes back. */
    settleDesired: call(145, { now: u53, rev: u53, keep: bool }, {}),
    /** U2: does another call of this protocol (`kind`, its fields as JSON; empty: what is done is not the store's) and keeps
     *  that `command` was done, in one commit; `state` and `value` are told then. One that was done before is not done again:
     *  `again`. What the other call refuses is refused here, and nothing is kept. */
    perform: call(
      146,
      {
        now: u53,
        command: text(100),
        name: text(100),
        kind: text(40),
        ask: text(1024 * 1024),
        state: oneOf('running', 'done', 'failed', 'expired'),
        value: text(100_000),
      },
      { state: oneOf('running', 'done', 'failed', 'expired'), value: text(100_000), again: bool },
    ),
    /** What came of a command that was running. */
    settleCommand: call(147, { now: u53, command: text(100), state: oneOf('done', 'failed'), value: text(100_000) }, {}),
    /** Results that the portal has. */
    toldCommands: call(148, { commands: list(text(100), 1_000) }, {}),
    recordEvents: call(149, { now: u53, events: list(record({ name: text(100), body: text(4_000) }), 1_000) }, { last: u53 }),
    /** The portal has all up to `seq`. */
    ackEvents: call(150, { seq: u53 }, {}),
    /** The portal has events up to `seq`, the last of which has that `mark` (storage/eventmark.ts). If they are not ours, ours go on
     *  above them; if it lacks some that we gave it, it is told so. */
    alignEvents: call(151, { now: u53, seq: u53, mark: text(100) }, {}),
    /** A document by hand on a joined site: with the key of its recovery kit only. */
    overrideConfig: call(152, { now: u53, document: text(16 * 1024 * 1024), identity: text(200) }, { rev: u53 }),

    // records of a portal (uplink/portal/records.ts)
    /** All of `writes` (body null: removed), if each of `reads` still has the rev that was read (0: absent); else `conflict`. */
    changeRecords: call(
      160,
      {
        reads: list(record({ kind: u32, id: text(400), rev: u53 }), 1_000),
        writes: list(record({ kind: u32, id: text(400), body: nullable(text(limits.record)) }), 1_000),
      },
      {},
    ),
    /** Tells all subscribers something that is not kept. */
    publish: call(161, { channel: text(200), payload: text(1024 * 1024) }, {}),

    // housekeeping
    /** Removes garbage and unclaimed transfers older than `transferAgeMs`; call again while `more`. */
    collect: call(80, { now: u53, transferAgeMs: u53 }, { chunks: u32, more: bool }),
    /** Makes a part of the traces that came quick to find; call again while `more`. */
    indexTrace: call(127, {}, { more: bool }),
    /** A process of this site ended without goodbye: its reader slots are freed. */
    readersGone: call(81, {}, {}),
    stats: call(82, {}, { commit: u53, queued: u32, batches: u53, commands: u53, full: bool }),
    /** Gives freed room back to the disk while mail is served. Answered when it is done, with octets on the disk. */
    compact: call(84, { now: u53 }, { before: u53, after: u53 }),
    /** How far that is, in rows; `total` 0: it does not run. */
    compacting: call(85, {}, { done: u53, total: u53 }),
  },
  {
    /** After a durable commit: what changed in mailboxes. */
    changed: event(100, { commit: u53, changes: list(change, 10_000) }),
    /** The document or a certificate changed. */
    configured: event(101, { rev: u53 }),
    /** There is something due in the queue. */
    queued: event(102, { due: u53 }),
    /** Another file has taken the place of the engine's: who reads it reopens it now. Told before any answer about later commits. */
    reopened: event(103, { commit: u53 }),
    /** After a durable commit: records that were written or removed. */
    recordsChanged: event(104, { keys: list(recordKey, 10_000) }),
    /** What somebody published. */
    published: event(105, { channel: text(200), payload: text(1024 * 1024) }),
  },
);
export type StoreProtocol = typeof Store;
/** NOTIFY bits of a remote recipient. */
export { notify } from './schema.ts';
