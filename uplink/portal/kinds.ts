// Every record of a portal, as one row each: a permanent number, how its id is made, and what it holds. Guarantees: what
// belongs to an organisation has the organisation as the first part of its id, so that a tenant can only ever name its
// own; a record is proved against its row whenever it is read.

import { z } from 'zod';

/** Parts of an id stand in this order, separated by `/`, which no part holds. Lists go over a prefix of parts. */
interface Kind<T> {
  readonly number: number;
  readonly parts: readonly string[];
  readonly body: z.ZodType<T>;
}
const kind = <T>(number: number, parts: readonly string[], body: z.ZodType<T>): Kind<T> => ({ number, parts, body });

const at = z.int();
const id = z.string().min(1).max(100);
const none = z.strictObject({});

export const roles = ['owner', 'admin', 'domain admin', 'helpdesk', 'read-only'] as const;
const role = z.enum(roles);
/** What a site is to its portal (uplink/states.ts). */
const siteStates = ['waiting', 'active', 'superseded', 'quarantined', 'decommissioned'] as const;

const documentError = z.strictObject({ path: z.string(), code: z.string(), message: z.string() });

export const kinds = {
  /** The portal itself: who it is, and the key that signs desired documents and commands. `grantKey`: for its own tokens. */
  portal: kind(
    1,
    [],
    z.strictObject({
      portal: id,
      rootPublic: z.string(),
      signPrivate: z.string(),
      signPublic: z.string(),
      signProof: z.string(),
      grantKey: z.string(),
      createdAt: at,
    }),
  ),
  /** The one-time link of the first owner: the SHA-256 of its secret, null once it is used. */
  setup: kind(2, [], z.strictObject({ secretHash: z.string().nullable(), createdAt: at })),

  organisation: kind(3, ['organisation'], z.strictObject({ name: z.string(), createdAt: at })),
  person: kind(
    4,
    ['person'],
    z.strictObject({
      email: z.string(),
      name: z.string(),
      /** PHC argon2id; empty: passkeys only. */
      password: z.string(),
      /** Base32; null: none. `totpPending`: shown, not yet proved. `totpStep`: the last time step used (RFC 6238 §5.2: never twice). */
      totp: z.string().nullable(),
      totpPending: z.string().nullable(),
      totpStep: z.int(),
      /** SHA-256 of recovery codes that are not used. */
      recoveryCodes: z.array(z.string()),
      createdAt: at,
      enabled: z.boolean(),
    }),
  ),
  personByEmail: kind(5, ['email'], z.strictObject({ person: id })),
  membership: kind(6, ['organisation', 'person'], z.strictObject({ role, /** Of a domain admin. */ domains: z.array(z.string()), since: at })),
  membershipOf: kind(7, ['person', 'organisation'], none),
  invitation: kind(
    8,
    ['organisation', 'invitation'],
    z.strictObject({ email: z.string(), role, domains: z.array(z.string()), secretHash: z.string(), by: id, createdAt: at, expiresAt: at }),
  ),
  invitationBySecret: kind(9, ['secretHash'], z.strictObject({ organisation: id, invitation: id })),
  /** By the SHA-256 of the cookie. `strong`: a second factor was given. `auth`: how the person came in. `reauthAt`: when they last proved who they are. */
  session: kind(
    10,
    ['tokenHash'],
    z.strictObject({
      person: id,
      createdAt: at,
      seenAt: at,
      expiresAt: at,
      reauthAt: at,
      strong: z.boolean(),
      auth: z.string().optional(),
      address: z.string(),
      agent: z.string(),
    }),
  ),
  sessionOf: kind(11, ['person', 'tokenHash'], none),
  token: kind(
    12,
    ['organisation', 'token'],
    z.strictObject({
      name: z.string(),
      role,
      domains: z.array(z.string()),
      secretHash: z.string(),
      by: id,
      createdAt: at,
      expiresAt: at.nullable(),
      seenAt: at.nullable(),
    }),
  ),
  tokenBySecret: kind(13, ['secretHash'], z.strictObject({ organisation: id, token: id })),
  passkey: kind(
    14,
    ['person', 'credential'],
    z.strictObject({ name: z.string(), publicKey: z.string(), counter: z.int(), transports: z.array(z.string()), createdAt: at, seenAt: at.nullable() }),
  ),
  passkeyOf: kind(15, ['credential'], z.strictObject({ person: id })),
  /** What a person was asked to sign or to finish, once. */
  challenge: kind(16, ['challenge'], z.strictObject({ purpose: z.string(), person: z.string(), value: z.string(), expiresAt: at })),
  /** Failures by address prefix or login: brute-force limits survive a crash. */
  attempts: kind(17, ['key'], z.strictObject({ count: z.int(), since: at })),
  /** An answer that a repeated request with the same key gets again. */
  idempotency: kind(18, ['actor', 'key'], z.strictObject({ request: z.string(), status: z.int(), body: z.string(), expiresAt: at })),
  auditHead: kind(19, ['organisation'], z.strictObject({ n: z.int(), hash: z.string() })),
  /** `n` in 12 digits. `hash`: SHA-256 over the canonical JSON of all the others. */
  audit: kind(
    20,
    ['organisation', 'n'],
    z.strictObject({
      n: z.int(),
      at,
      prevHash: z.string(),
      actor: z.string(),
      auth: z.string(),
      address: z.string(),
      action: z.string(),
      target: z.string(),
      detail: z.string(),
      beforeHash: z.string(),
      afterHash: z.string(),
      hash: z.string(),
    }),
  ),

  site: kind(
    21,
    ['organisation', 'site'],
    z.strictObject({
      name: z.string(),
      state: z.enum(siteStates),
      createdAt: at,
      /** Grows with each machine that becomes the primary; 0 before the first. */
      epoch: z.int(),
      /** The machine that is the primary; empty before the first. */
      machine: z.string(),
      /** The newest rev of the desired document and its hash; 0 and empty: none yet. */
      wantedRev: z.int(),
      wantedHash: z.string(),
      /** The newest rev that the site has dealt with, whatever came of it: revs go on above it. */
      seenRev: z.int().optional(),
      appliedRev: z.int(),
      appliedHash: z.string(),
      appliedStatus: z.enum(['none', 'applied', 'rejected', 'rolledback']),
      appliedErrors: z.array(documentError),
      appliedAt: at.nullable(),
      /** Since when its uplink is up or down. `online` is of this record's writing: a portal that crashed did not write it. */
      online: z.boolean(),
      since: at.nullable(),
      seenAt: at.nullable(),
      /** The last report: plain facts for people, by name (uplink/facts.ts). */
      reported: z.string(),
      reportSeq: z.int(),
      /** The highest contiguous event that is kept here. */
      eventSeq: z.int(),
      /** Of that event: tells it from the one of a copy. */
      eventMark: z.string().optional(),
      /** When a restore of one of its snapshots was last proven by a launch; what the site itself proves it reports. */
      provenAt: at.optional(),
      /** History of commits that the primary is on. */
      lineage: z.string(),
    }),
  ),
  siteOf: kind(22, ['site'], z.strictObject({ organisation: id })),
  machine: kind(
    23,
    ['site', 'machine'],
    z.strictObject({
      signPublic: z.string(),
      wrapPublic: z.string(),
      epoch: z.int(),
      state: z.enum(['standby', 'active', 'superseded', 'quarantined', 'revoked']),
      /** A machine that presents an older one is a copy or a disk that was rolled back. */
      sessionCounter: z.int(),
      /** The highest counter that was offered: it counts once the machine has said that it keeps it. */
      offered: z.int(),
      enrolledAt: at,
      seenAt: at.nullable(),
    }),
  ),
  /** `secret`: proves the enrolment by HMAC, so it is kept while the claim is open. `usedBy`: the machine key that took it. */
  claim: kind(
    24,
    ['organisation', 'claim'],
    z.strictObject({
      site: id,
      purpose: z.enum(['new', 'launch']),
      /** Of a launch: the name of the snapshot's manifest to start from. */
      snapshot: z.string(),
      secret: z.string(),
      by: z.string(),
      createdAt: at,
      expiresAt: at,
      usedBy: z.string(),
      machine: z.string(),
      /** Of the site when it was made: once another machine has taken over, it is over. Older claims have none. */
      epoch: z.int().optional(),
    }),
  ),
  claimOf: kind(25, ['claim'], z.strictObject({ organisation: id })),
  /** A box that nobody has claimed yet, by the code that it shows (RFC 8628 shape). */
  device: kind(
    26,
    ['code'],
    z.strictObject({
      signPublic: z.string(),
      wrapPublic: z.string(),
      secret: z.string(),
      claim: z.string(),
      address: z.string(),
      createdAt: at,
      expiresAt: at,
      /** What the machine says of itself: anybody may say anything. */
      host: z.string().optional(),
      version: z.string().optional(),
    }),
  ),
  /** `rev` in 12 digits. `signed`: the canonical JSON that was signed, with the document in it. */
  desired: kind(
    27,
    ['site', 'rev'],
    z.strictObject({ rev: z.int(), hash: z.string(), signed: z.string(), signature: z.string(), by: z.string(), at, summary: z.string() }),
  ),
  command: kind(
    28,
    ['site', 'command'],
    z.strictObject({
      name: z.string(),
      args: z.string(),
      signed: z.string(),
      signature: z.string(),
      state: z.enum(['waiting', 'sent', 'accepted', 'running', 'done', 'failed', 'expired']),
      value: z.string(),
      by: z.string(),
      at,
      notAfter: at,
      endedAt: at.nullable(),
    }),
  ),
  /** Commands that have not ended, to be sent again at each connection. */
  commandOpen: kind(29, ['site', 'command'], none),
  /** `seq` in 12 digits. */
  event: kind(30, ['site', 'seq'], z.strictObject({ seq: z.int(), at, name: z.string(), body: z.string() })),
  /** What is parked: one row a manifest, `n` is its commit in 15 digits; kept in step with the object store by the portal. */
  snapshot: kind(
    31,
    ['site', 'epoch', 'n'],
    z.strictObject({ name: z.string(), lineage: z.string(), epoch: z.int(), commit: z.int(), at, size: z.int(), by: z.string(), proven: z.string() }),
  ),
  /** What the portal was last called by: a verb on its machine prints links of it. */
  service: kind(40, [], z.strictObject({ url: z.string(), since: at })),
  /** What somebody should look at: a second machine on a claim, a copy of a machine. `alarm`: its time in ms, 15 digits, and some letters. */
  alarm: kind(60, ['organisation', 'alarm'], z.strictObject({ at, site: z.string(), name: z.string(), detail: z.string() })),
} as const satisfies Readonly<Record<string, Kind<unknown>>>;

export type KindName = keyof typeof kinds;
export type RecordOf<K extends KindName> = z.infer<(typeof kinds)[K]['body']>;

/** Ordered as numbers are, as long as they are below 10^12. */
export const ordered = (n: number): string => String(n).padStart(12, '0');
