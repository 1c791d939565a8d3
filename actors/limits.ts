// Every limit of the program, with the relations between them asserted at start (STYLE 12).
// Octets unless the name ends in a unit.

import { assert } from './assert.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  // links between processes
  /** The largest messages are documents, and deliveries to thousands of recipients. */
  frame: 64 * MiB,
  linkInFlight: 1024,
  linkUnsent: 4 * MiB,
  heartbeatMs: 1_000,
  heartbeatMissedMs: 10_000,
  linkReconnectMs: 10,
  linkWaitMs: 10_000,
  /** How long the locks of a killed process may last. */
  dyingMs: 2_000,

  // reads of an engine which one process opens
  readQuestion: 8 * KiB,
  readPage: 256 * KiB,
  /** A view that nobody reads by is let go. */
  readViewMs: 10_000,
  /** How long a read waits for the store to come back: it blocks its process, which must not miss its heartbeats. */
  readWaitMs: 5_000,
  /** Octets of large values that a reader keeps, so that they need not be sent again: a document is read at each login. */
  readKept: 20 * MiB,

  // actors
  mailbox: 4096,

  // the store
  batchCommands: 512,
  batchOctets: 8 * MiB,
  /** Raw octets of a body chunk row, for good: one page of 4 KiB less LMDB's header (24) and our codec octet. In a store that
   *  has seen deletes, longer ones cost two to five times the CPU of a delivery: runs of free pages are searched. */
  chunk: 4_071,
  /** Octets of body that travel inside the command; more is streamed under a transfer. */
  inlineBody: 256 * KiB,
  transferWindow: 512 * KiB,
  /** Octets that all bodies on their way in hold together, in one process; past that they stream to the store early. */
  intakeMemory: 64 * MiB,
  /** Octets of header that a message may hold even then: ordinary mail still comes in. */
  intakeFloor: 16 * KiB,
  /** UIDs in one index page row. */
  pageUids: 32,
  keywordsPerMailbox: 48,
  keyword: 64,
  mailboxName: 1000,
  mailboxDepth: 25,
  mailboxesPerAccount: 5_000,
  journalCommits: 100_000,
  /** Octets of disk kept for the commands that free room: without them a full site could not be emptied. */
  diskReserve: 16 * MiB,
  /** Octets that an LSM engine keeps for its next start: it writes its log out before it serves. */
  lsmBallast: 32 * MiB,
  collectPerCommit: 2_000,
  /** What one step of compacting reads and writes: for so long mail waits. */
  compactOctets: 1 * MiB,
  compactRows: 1_000,
  /** Messages that EXPUNGE or MOVE takes in one commit; more is several. */
  messagesPerCommit: 2_000,

  // snapshots
  /** Octets of rows in an object, before compression; one longer row makes a longer object. */
  snapshotObject: 8 * MiB,
  /** Objects on their way to the place at the same time. */
  snapshotInFlight: 4,
  /** Octets of its disk that a folder leaves to mail, which may be on the same one: what is parked without anybody asking stops before. */
  placeLeaves: 256 * MiB,
  /** Octets that one of the 36 looks a day of the round reads from a bucket. */
  placeLookOctets: 64 * MiB,
  /** Octets of a snapshot that is built up in memory, to be verified away from any site. */
  verifyInMemory: 64 * MiB,
  /** How often a site restores its newest snapshot for proof; one that is larger than `proofLarge` less often. */
  proofEveryMs: 7 * 24 * 3_600_000,
  proofLarge: 20 * 1024 * MiB,
  proofLargeEveryMs: 28 * 24 * 3_600_000,
  /** How soon after a start, and after a try that failed. */
  proofAfterMs: 600_000,
  proofRetryMs: 24 * 3_600_000,
  /** One that takes longer is ended. */
  proofMs: 24 * 3_600_000,
  /** Octets of its disk that a proof leaves to mail. */
  proofLeaves: 1024 * MiB,
  /** Longest wait before a place that failed is tried again. */
  parkingRetryMs: 600_000,

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
  /** Recipients refused in a session, before it looks like guessing. */
  smtpBadRecipients: 50,
  /** Commands that do nothing (NOOP, RSET, VRFY…) between two messages. */
  smtpIdleCommands: 200,
  smtpAuthTries: 5,
  /** Octets of a mailbox in a path (RFC 5321 §4.5.3.1.3 asks for 256), and what the store's address fields take. */
  smtpMailbox: 320,
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
  /** Items of one FETCH, and fields of one section. */
  fetchItems: 500,
  fetchFields: 1_000,
  /** NOT, OR and parentheses of SEARCH inside one another, and its keys. */
  searchDepth: 50,
  searchKeys: 1_000,
  imapAuthTries: 5,
  imapAuthDelayMs: 1_000,

  // connections
  connections: 10_000,
  /** An IPv6 /64 counts as one address. */
  connectionsPerAddress: 200,
  acceptBacklog: 511,
  tlsHandshakeMs: 20_000,
  readChunk: 64 * KiB,
  /** After our last word: how long the peer has to read it and to close. */
  lingerMs: 5_000,

  // authentication
  passwordOctets: 1_024,
  authFailuresPerAddress: 20,
  authWindowMs: 15 * 60_000,
  hashConcurrency: 2,
  /** Logins of a process that wait for their turn to be hashed. */
  authWaiting: 200,
  /** Passwords of a process that were verified and need no second hash. */
  verifiedPasswords: 10_000,

  // outbound
  destinationConcurrency: 5,
  outboundConcurrency: 50,
  /** How long what was leased waits after a crash. A living attempt renews its lease each third of it. */
  queueLeaseMs: 3 * 60_000,
  queueExpiryMs: 5 * 24 * 3_600_000,
  queueWarnMs: 4 * 3_600_000,
  outboundConnectMs: 30_000,
  outboundReplyMs: 300_000,
  outboundDataMs: 120_000,
  outboundBlockMs: 180_000,
  outboundDoneMs: 600_000,
  /** One attempt at one message for one destination, all its hosts together. Its lease is renewed meanwhile. */
  outboundAttemptMs: 3_600_000,
  outboundReplyLines: 100,
  /** Recipients of one transaction (RFC 5321 §4.5.3.1.8: a server takes at least 100). */
  outboundRecipients: 100,
  /** Claimed transactions which wait for a free connection. */
  outboundWaiting: 1_000,
  outboundPollMs: 30_000,
  /** Between two looks at the queue while a destination has enough waiting. */
  outboundPaceMs: 50,
  /** Messages sent over one connection. */
  outboundReuse: 100,
  /** How soon mail is looked at again whose domain has no signing keys yet, and how old it may get until it goes without. */
  dkimRetryMs: 5_000,
  dkimWaitMs: 10 * 60_000,
  /** Fields of one name that a signature covers; a header with more of them is not signed. */
  dkimFields: 100,
  /** Octets hashed between two looks at everything else that goes on. */
  dkimSlice: 1 * MiB,
  /** What a DSN returns of the message: past that only its header, and no more of it than that. */
  returned: 64 * KiB,
  dnsTimeoutMs: 3_000,
  dnsTries: 3,
  /** Of a survey of all domains by hand. */
  surveyMs: 600_000,
  dnsCache: 10_000,
  dnsCacheMaxMs: 3_600_000,
  /** Records of one answer that are kept. */
  dnsRecords: 100,
  mxHosts: 20,
  hostAddresses: 10,

  // snapshots
  /** Plain octets of one sealed object. A row is never cut: an object may hold a whole document beside its share. */
  sealedObject: 64 * MiB,
  /** Octets read at once where a tar file is looked through. */
  placeRead: 1 * MiB,
  placeTries: 7,
  /** Before the second try; each further pause is twice as long, up to the next row. */
  placeRetryMs: 250,
  placeRetryMaxMs: 8_000,
  placeRequestMs: 120_000,
  /** After that long, what a crashed put left in a folder is removed. */
  placeLeftoverMs: 3_600_000,

  // the portal
  /** Records of one list. */
  portalPage: 1_000,
  /** How long a machine may put or read parked objects before it proves itself again, and how long it has for the proof. */
  grantMs: 3_600_000,
  grantChallengeMs: 60_000,
  /** Octets of a parked manifest, or of the record of a lineage. */
  parkedManifest: 2 * MiB,
  /** Of a transaction whose reads others change meanwhile. */
  portalTries: 20,
  portalRequest: 2 * MiB,
  /** Octets of a record of a portal. */
  record: 40 * MiB,
  // what is remembered of messages
  traceAgeMs: 30 * 24 * 3_600_000,
  traceMessages: 1_000_000,
  traceOctets: 512 * MiB,
  /** Deferrals of one message that are told; its end always is. */
  traceEvents: 1_000,
  /** Rows of refused mail: the oldest go, whatever their age. */
  traceRefused: 100_000,
  /** Refusals that a process gathers for one commit; what is more is counted together. */
  refusedGathered: 200,
  refusedEveryMs: 5_000,
  /** So often while there are many. */
  refusedFloodMs: 60_000,
  traceFound: 1_000,
  /** Recipients of the queue that one command of an administrator changes. */
  queueTended: 1_000,

  // the page of numbers
  httpLine: 2 * KiB,
  httpFields: 100,
  httpRequestMs: 5_000,
  httpConnections: 20,
  /** How often an edge tells of its sessions. */
  sessionsEveryMs: 5_000,
  /** How old numbers may be that are counted row by row. */
  countedMs: 5_000,
  /** After that long without an octet either way a connection is closed; a live stream beats more often. */
  portalIdleSeconds: 60,
  /** Characters of a person's password. */
  portalPasswordLength: 12,
  /** Guesses at one login within authWindowMs. */
  portalFailuresPerLogin: 10,
  sessionIdleMs: 14 * 86_400_000,
  sessionMs: 60 * 86_400_000,
  sessionsPerPerson: 50,
  /** How long ago a person must have proved who they are, at most, to change how they do so. */
  reauthMs: 3_600_000,
  /** How exactly it is known when a session or a token was used last. */
  seenEveryMs: 300_000,
  signInLinkMs: 3_600_000,
  challengeMs: 300_000,
  invitationMs: 7 * 86_400_000,
  claimMs: 86_400_000,
  claimKeptMs: 7 * 86_400_000,
  /** How long a repeated request gets the answer of the first. */
  idempotencyMs: 86_400_000,
  passkeysPerPerson: 20,
  tokensPerOrganisation: 200,
  sitesPerOrganisation: 1_000,
  apiBody: 64 * KiB,
  /** Rows of one answer. */
  apiPage: 200,
  /** Requests of one session, token or, where there is neither, address, in a minute. */
  apiPerMinute: 600,
  apiStrangersPerMinute: 120,
  /** Sessions, tokens and addresses whose requests a process counts. */
  apiCounted: 10_000,
  apiQueryMs: 10_000,
  /** Live streams of one process, and of one session or token. */
  apiStreams: 1_000,
  apiStreamsEach: 10,
  apiStreamBeatMs: 15_000,
  /** Events that a live stream may have waiting to be read. */
  apiStreamBacklog: 100,
  portalSweepMs: 600_000,
  /** What a portal keeps of each site, and for how long. */
  eventsKept: 10_000,
  revsKept: 200,
  commandKeptMs: 30 * 86_400_000,
  alarmKeptMs: 365 * 86_400_000,

  // the uplink
  /** Octets of a frame. */
  uplinkFrame: 1 * MiB,
  /** Of what anybody may send before we know who it is. */
  uplinkStranger: 16 * KiB,
  uplinkAuthMs: 10_000,
  uplinkConnectMs: 20_000,
  uplinkPingMs: 20_000,
  /** Without a word for so long the other side is gone. */
  uplinkSilentMs: 65_000,
  uplinkRetryMs: 1_000,
  /** The clocks of a site and its portal may differ by so much, the way of the welcome included, before somebody is told. */
  clockDiffersMs: 5_000,
  uplinkRetryMaxMs: 300_000,
  /** Between two tries to reach a portal that does not answer, at most: when it is back, all its sites are soon. */
  uplinkAwayMs: 20_000,
  /** How long a poll waits for something to say. */
  uplinkPollMs: 25_000,
  uplinkLookMs: 5_000,
  uplinkReportMs: 30_000,
  uplinkPresenceMs: 30_000,
  /** Connections that have not said who they are: of one address (of IPv6: one /64), and of all. */
  uplinkPerAddress: 200,
  uplinkStrangers: 1_000,
  /** Frames that one side has sent and the other has not taken yet. */
  uplinkWaiting: 1_000,
  /** UTF-16 units of them. */
  uplinkWaitingText: 8 * MiB,
  /** UTF-16 units of a long text in one frame: at most three octets each, or two where they are escaped. */
  uplinkSlice: 256 * KiB,
  /** UTF-16 units of a signed rev. */
  uplinkDesired: 17 * MiB,
  /** Octets that wait for a site which reads slowly: a rev in its frames, however it is escaped. */
  uplinkBehind: 40 * MiB,
  /** Octets of events that a site keeps while nobody takes them. */
  uplinkEvents: 64 * MiB,
  /** Of one frame: events, and octets of theirs. */
  uplinkEventsAtOnce: 100,
  uplinkCommandsAtOnce: 100,
  uplinkEventsOctets: 256 * KiB,
  /** UTF-16 units of what a site last told of itself. */
  uplinkReport: 64 * KiB,
  desiredKept: 20,
  /** Revs that a site may be ahead of a portal whose older records came back. */
  desiredAhead: 1_000_000,
  /** Of a document that a site rejects. */
  documentErrors: 50,
  /** A rev that may cut the uplink goes back after so long without one. */
  confirmMs: 300_000,
  commandMs: 600_000,
  queryMs: 10_000,
  /** Of a query for what DNS says: what has not answered by then is not known. */
  queryDnsMs: 7_000,
  deviceMs: 900_000,
  devicePollMs: 3_000,
  /** Codes that one address gets in that time. */
  devicesPerAddress: 20,

  // the document
  document: 16 * MiB,
  accounts: 100_000,
  aliasTargets: 1_000,
  aliasDepth: 10,
} as const;

/** Called once per process. */
export function checkLimits(): void {
  assert(limits.inlineBody + 2 * limits.structure + limits.envelope < limits.frame, 'an inline delivery fits a frame');
  assert(limits.mimeParts * 250 <= limits.structure, 'the scantest BODYSTRUCTURE and the packed parts of any message fit their rows');
  assert(limits.inlineBody + limits.transferWindow < limits.intakeMemory, 'one body may always come in');
  assert(limits.intakeFloor < limits.header && limits.header < limits.intakeMemory, 'a header may be longer when there is room');
  assert(3 * limits.document < limits.frame, 'a document fits a frame, whatever its characters');
  assert(
    3 * limits.document < limits.sealedObject && limits.sealedObject < 2 ** 32,
    'a document fits an object, whatever its characters, and its size a header',
  );
  assert(limits.document + 64 * KiB <= limits.uplinkDesired, 'a document fits a signed rev');
  assert(2 * limits.uplinkDesired + 4 * KiB <= limits.record && limits.record < limits.frame, 'a signed rev fits a record, however it is escaped');
  assert(2 * limits.uplinkDesired + 4 * MiB <= limits.uplinkBehind, 'a rev may wait for its site');
  assert(limits.apiStreamBeatMs < 1_000 * limits.portalIdleSeconds && limits.apiQueryMs < 1_000 * limits.portalIdleSeconds, 'a stream that beats is not idle');
  assert(limits.queryDnsMs + 2_000 <= Math.min(limits.queryMs, limits.apiQueryMs), 'where DNS does not answer, the site still does');
  assert(limits.apiPage < limits.portalPage, 'a page and whether there is more fit a list');
  assert(limits.seenEveryMs < limits.sessionIdleMs && limits.sessionIdleMs < limits.sessionMs, 'a session in use does not end for being idle');
  assert(limits.transferWindow < limits.frame, 'a window of chunks fits a frame');
  assert(limits.chunk + 1 + 24 <= 4096, 'a chunk row fits a page');
  assert(limits.pageUids * 44 < 2038, 'an index page stays inside an LMDB leaf');
  assert(limits.keywordsPerMailbox <= 52, 'keywords fit a number');
  assert(limits.queueLeaseMs / 3 > limits.linkWaitMs, 'a renewal may wait for the store to come back');
  assert(limits.dkimRetryMs < limits.dkimWaitMs && limits.dkimWaitMs < limits.queueExpiryMs, 'mail does not expire for want of a signature');
  assert(limits.smtpLine >= 512 && limits.smtpAuthLine >= 12 * KiB, 'RFC 5321 §4.5.3.1.4, RFC 4954 §4');
  assert(2 * limits.readWaitMs <= limits.heartbeatMissedMs, 'a read that waits for the store is no hang');
  assert(limits.document + 4 * KiB <= limits.readKept, 'a document is kept');
  assert(3 * limits.uplinkSlice + 4 * KiB < limits.uplinkFrame, 'a slice fits a frame, whatever its characters');
  assert(2 * limits.uplinkEventsOctets <= limits.uplinkFrame, 'events fit a frame, however they are escaped');
  assert(limits.uplinkSilentMs > 3 * limits.uplinkPingMs, 'a ping may be lost');
  assert(limits.heartbeatMissedMs > 3 * limits.heartbeatMs, 'a heartbeat may be late');
}
