// Every limit of the program, with the relations between them asserted at start (STYLE 12).
// Octets unless the name ends in a unit.

import { assert } from './assert.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  // links between processes
  frame: 2 * MiB,
  linkInFlight: 1024,
  linkUnsent: 4 * MiB,
  heartbeatMs: 1_000,
  heartbeatMissedMs: 10_000,
  linkReconnectMs: 10,
  linkWaitMs: 10_000,

  // actors
  mailbox: 4096,

  // the store
  batchCommands: 512,
  batchOctets: 8 * MiB,
  /** Raw octets of a body chunk row. 4 pages of 4 KiB less LMDB's header and our codec octet. */
  chunk: 16_367,
  /** Octets of body that travel inside the command; more is streamed under a transfer. */
  inlineBody: 256 * KiB,
  transferWindow: 512 * KiB,
  /** UIDs in one index page row. */
  pageUids: 32,
  keywordsPerMailbox: 48,
  keyword: 64,
  mailboxName: 1000,
  mailboxDepth: 25,
  mailboxesPerAccount: 5_000,
  journalCommits: 100_000,
  collectPerCommit: 2_000,

  // messages
  message: 50 * MiB,
  header: 1 * MiB,
  mimeDepth: 100,
  mimeParts: 1_000,
  /** Rendered ENVELOPE or BODYSTRUCTURE: past that it is cut to a well-formed smaller one. */
  envelope: 64 * KiB,
  structure: 256 * KiB,

  // SMTP (RFC 5321 §4.5.3)
  smtpLine: 4 * KiB,
  smtpAuthLine: 12 * KiB,
  smtpRecipients: 1_000,
  smtpErrors: 10,
  smtpCommandTimeoutMs: 300_000,
  smtpDataTimeoutMs: 180_000,
  /** Least octets per second over a minute of DATA: below it is a slow-loris. */
  smtpMinRate: 64,
  receivedHops: 100,

  // IMAP
  imapLine: 64 * KiB,
  imapCommand: 256 * KiB,
  imapLiteral: 64 * KiB,
  imapAutologoutMs: 30 * 60_000,
  imapLoginTimeoutMs: 60_000,
  imapErrors: 20,
  imapUnsent: 256 * KiB,

  // connections
  connections: 10_000,
  connectionsPerAddress: 200,
  acceptBacklog: 511,
  tlsHandshakeMs: 20_000,
  readChunk: 64 * KiB,

  // authentication
  passwordOctets: 1_024,
  authFailuresPerAddress: 20,
  authWindowMs: 15 * 60_000,
  hashConcurrency: 2,

  // outbound
  destinationConcurrency: 5,
  outboundConcurrency: 50,
  queueLeaseMs: 15 * 60_000,
  queueExpiryMs: 5 * 24 * 3_600_000,
  queueWarnMs: 4 * 3_600_000,
  outboundConnectMs: 30_000,
  outboundReplyMs: 300_000,
  dnsTimeoutMs: 3_000,
  dnsTries: 3,
  dnsCache: 10_000,
  dnsCacheMaxMs: 3_600_000,
  /** Records of one answer that are kept. */
  dnsRecords: 100,
  mxHosts: 20,
  hostAddresses: 10,

  // the document
  document: 16 * MiB,
  accounts: 100_000,
  aliasTargets: 1_000,
  aliasDepth: 10,
} as const;

/** Called once per process. */
export function checkLimits(): void {
  assert(limits.inlineBody + 2 * limits.structure + limits.envelope < limits.frame, 'an inline delivery fits a frame');
  assert(limits.transferWindow < limits.frame, 'a window of chunks fits a frame');
  assert(limits.chunk + 1 + 16 <= 4 * 4096, 'a chunk row fills whole pages');
  assert(limits.pageUids * 44 < 2038, 'an index page stays inside an LMDB leaf');
  assert(limits.keywordsPerMailbox <= 52, 'keywords fit a number');
  assert(limits.smtpLine >= 512 && limits.smtpAuthLine >= 12 * KiB, 'RFC 5321 §4.5.3.1.4, RFC 4954 §4');
  assert(limits.heartbeatMissedMs > 3 * limits.heartbeatMs, 'a heartbeat may be late');
}
