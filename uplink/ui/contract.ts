// What the API of a portal says to its web UI, as shapes. Types only: the screens, the client and the tests' own portal are
// held to the same words. Times are ms since the epoch, sizes are octets.

export type Role = 'owner' | 'admin' | 'domain admin' | 'helpdesk' | 'read-only';
export interface Membership {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Of a domain admin. */
  readonly domains: readonly string[];
}
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly totp: boolean;
  /** How many. */
  readonly passkeys: number;
}
export interface Session {
  readonly person: Person;
  readonly organisations: readonly Membership[];
}
export interface List<T> {
  readonly items: readonly T[];
  readonly next?: string | null;
}
/** RFC 9457. `changed`: what another hand changed meanwhile, of a 412. */
export interface Problem {
  readonly type?: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly needs?: 'totp';
  readonly wantedRev?: number;
  readonly changed?: readonly { readonly path: string; readonly was: unknown; readonly now: unknown }[];
}

export type SiteState = 'waiting' | 'online' | 'offline' | 'superseded' | 'quarantined' | 'decommissioned';
export interface DocumentError {
  readonly path: string;
  readonly code?: string;
  readonly message: string;
}
export interface Site {
  readonly id: string;
  readonly name: string;
  readonly state: SiteState;
  /** One state word: "All well". */
  readonly word: string;
  readonly wantedRev: number;
  readonly runningRev: number;
  readonly status: 'none' | 'applied' | 'rejected' | 'rolledback';
  readonly errors: readonly DocumentError[];
  /** Why the word is what it is; empty: nothing to say. */
  readonly because: string;
  readonly lockedSince: number | null;
  readonly lastSeenAt: number | null;
  readonly version: string;
  readonly host: string;
  readonly domains: number;
  readonly accounts: number;
  readonly queue: { readonly messages: number; readonly oldestAt: number | null };
  readonly certificateDays: number | null;
  readonly snapshot: { readonly at: number | null; readonly provenAt: number | null };
  readonly createdAt: number;
}
export interface Claim {
  readonly text: string;
  /** To paste into a shell of the machine. */
  readonly command: string;
  readonly expiresAt: number;
}

export interface Domain {
  readonly name: string;
  readonly aliasOf: string | null;
  readonly catchAll: string | null;
  readonly subaddress: string;
}
export interface Account {
  readonly address: string;
  readonly name: string;
  /** 0: no quota. */
  readonly quotaBytes: number;
  readonly enabled: boolean;
  readonly usedBytes?: number;
}
export interface Alias {
  readonly address: string;
  readonly to: readonly string[];
}
export interface Edited {
  readonly wantedRev: number;
}
/** A record that a domain needs, judged by what the world sees of it. */
export interface DnsRow {
  readonly name: string;
  readonly type: string;
  /** What should be there, one record each; empty: not known yet, see `reason`. */
  readonly values: readonly string[];
  readonly level: 'required' | 'recommended' | 'conditional' | 'optional';
  readonly state: 'right' | 'missing' | 'wrong' | 'unneeded' | 'unknown';
  /** What is there. */
  readonly found: readonly string[];
  readonly reason: string;
  readonly fix: string;
}
/** As `mailsite queue list --json` says it. */
export interface QueueAnswer {
  readonly queue: { readonly messages: readonly Queued[]; readonly next: number | null };
}
export interface Queued {
  readonly id: number;
  readonly from: string;
  readonly size: number;
  readonly arrivedAt: number;
  /** When it is given up. */
  readonly expiresAt: number;
  readonly messageId: string;
  readonly recipients: readonly QueuedRecipient[];
}
export interface QueuedRecipient {
  readonly n: number;
  readonly address: string;
  readonly state: 'trying' | 'held' | 'waiting';
  readonly attempts: number;
  /** Null: held, or being tried. */
  readonly nextAttempt: number | null;
  readonly lastHost: string;
  readonly lastCode: string;
  readonly lastError: string;
}

export type TraceKind =
  | 'received'
  | 'stored'
  | 'queued'
  | 'refused'
  | 'delivered'
  | 'deferred'
  | 'bounced'
  | 'expired'
  | 'discarded'
  | 'held'
  | 'released'
  | 'retried'
  | 'deleted';
export interface TraceEvent {
  readonly at: number;
  readonly kind: TraceKind;
  readonly to: readonly string[];
  readonly account?: string;
  readonly mailbox?: string;
  readonly host?: string;
  readonly ip?: string;
  readonly tls?: string;
  readonly code?: string;
  /** The remote host's own. */
  readonly words?: string;
  readonly next?: number;
  readonly by?: string;
}
export interface Traced {
  readonly trace: number;
  readonly at: number;
  readonly messageId: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly size: number;
  readonly client: { readonly ip: string; readonly helo: string; readonly tls: string } | null;
  readonly account: string;
  readonly waiting: readonly string[];
  readonly held: readonly string[];
  readonly events: readonly TraceEvent[];
}
export interface Refusal {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly ip: string;
  readonly helo: string;
  readonly code: string;
  readonly words: string;
  readonly count: number;
}
export interface TraceAnswer {
  readonly messages: readonly Traced[];
  readonly refusals: readonly Refusal[];
  readonly more: boolean;
}

/** What a site says of itself; an older one says less. */
export interface Facts {
  readonly version?: string;
  readonly host?: string | null;
  readonly mail?: { readonly messages: number; readonly octets: number };
  readonly engine?: string;
  readonly diskOctets?: number;
  readonly freeOctets?: number;
  readonly startedAt?: number | null;
  readonly listeners?: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  readonly certificate?: { readonly notAfter: number; readonly selfSigned: boolean } | null;
  /** Rows that are damaged. */
  readonly damage?: number;
  /** Where snapshots go. */
  readonly parking?: string | null;
}
export interface Overview {
  readonly live: boolean;
  readonly at: number | null;
  readonly facts: Facts;
}
export interface Command {
  readonly id: string;
  readonly name: string;
  readonly state: 'waiting' | 'sent' | 'accepted' | 'running' | 'done' | 'failed' | 'expired';
  readonly value?: unknown;
}
/** A command that the site was given: its id. */
export interface Started {
  readonly command: string;
}
export interface SiteEvent {
  readonly seq: number;
  readonly at: number;
  readonly name: string;
  readonly body: unknown;
}
/** What the portal itself noticed of a site. */
export interface Alarm {
  readonly id: string;
  readonly at: number;
  readonly site: string;
  readonly name: string;
  readonly detail: string;
}
export interface Snapshot {
  readonly name: string;
  readonly at: number;
  readonly commit: number;
  readonly size: number;
  readonly epoch: number;
  /** When a restore of it was proven, ms since the epoch as text; empty: not yet. */
  readonly proven: string;
}
export interface Revision {
  readonly rev: number;
  readonly at: number;
  readonly by: string;
  readonly summary: string;
}
export interface Document {
  readonly host: string;
  readonly outbound?: { readonly relays?: readonly Relay[] };
  readonly network?: { readonly resolvers?: readonly string[] };
  readonly [more: string]: unknown;
}
export interface Relay {
  readonly for: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
}

export interface Member {
  readonly person: string;
  readonly name: string;
  readonly email: string;
  readonly role: Role;
  readonly domains: readonly string[];
  readonly since: number;
}
export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly domains: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly seenAt: number | null;
}
export interface AuditRow {
  readonly n: number;
  readonly at: number;
  readonly actor: string;
  readonly auth: string;
  readonly address: string;
  readonly action: string;
  readonly target: string;
  readonly detail: string;
}
export interface Passkey {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly seenAt: number | null;
}
export interface SignedIn {
  readonly id: string;
  readonly createdAt: number;
  readonly seenAt: number;
  readonly address: string;
  readonly agent: string;
  readonly current: boolean;
}
