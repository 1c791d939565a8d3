// What the API of a portal says to its web UI, as types: taken from the rows that serve it, and from what a site answers where
// the portal only passes that on. Guarantees: nothing is imported at run time, so that no page carries any of it. Times are ms
// since the epoch, sizes are octets.

import type { JudgedRecord } from '../../protocols/dns/judge.ts';
import type { Document as WholeDocument } from '../../storage/document.ts';
import type { QueuedMessage } from '../../storage/queued.ts';
import type { Traced as TraceAnswer, TracedMessage, TracedRefusal, TraceEvent } from '../../storage/trace.ts';
import type { AnswerOf, Endpoint } from '../portal/api/client.ts';

export interface List<T> {
  readonly items: readonly T[];
  readonly next?: string | null;
}
export type { AnswerOf };
type Item<E extends Endpoint> = AnswerOf<E> extends { readonly items: readonly (infer T)[] } ? T : never;

export type Session = AnswerOf<'GET /session'>;
export type Membership = Session['organisations'][number];
export type Role = Membership['role'];
/** RFC 9457. `changed`: what another hand changed meanwhile, of a 412. */
export interface Problem {
  readonly type?: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly wantedRev?: number;
  readonly changed?: readonly { readonly path: string; readonly was: unknown; readonly now: unknown; readonly by: string }[];
}

type OfOrg<Path extends string> = `GET /organisations/{org}${Path}`;
type OfSite<Path extends string> = OfOrg<`/sites/{site}${Path}`>;
export type Site = AnswerOf<OfSite<''>>;
export type Claim = AnswerOf<'POST /organisations/{org}/sites'>['claim'];
/** A machine that waits to be taken in. */
export type Device = AnswerOf<OfOrg<'/devices/{code}'>>;
export type Invited = AnswerOf<'POST /invitations/show'>;
export type Member = Item<OfOrg<'/members'>>;
export type Token = Item<OfOrg<'/tokens'>>;
export type AuditRow = Item<OfOrg<'/audit'>>;
/** What the portal itself noticed of a site. */
export type Alarm = Item<OfOrg<'/alarms'>>;
export type Passkey = Item<'GET /me/passkeys'>;
export type SignedIn = Item<'GET /sessions'>;

export type Domain = Item<OfSite<'/domains'>>;
export type Account = Item<OfSite<'/accounts'>>;
export type Alias = Item<OfSite<'/aliases'>>;
export type Edited = AnswerOf<'POST /organisations/{org}/sites/{site}/domains'>;
export type Command = AnswerOf<OfSite<'/commands/{command}'>>;
/** A command that the site was given: its id. */
export type Started = AnswerOf<'POST /organisations/{org}/sites/{site}/snapshots'>;
export type SiteEvent = Item<OfSite<'/events'>>;
export type Snapshot = Item<OfSite<'/snapshots'>>;
export type Revision = Item<OfSite<'/document/revisions'>>;
/** A secret in it reads as an empty text. */
export type Document = Pick<WholeDocument, 'host'> & Partial<Pick<WholeDocument, 'outbound' | 'network'>> & { readonly [more: string]: unknown };
export type Relay = NonNullable<Document['outbound']>['relays'][number];

// what the site says, and the portal passes on
export type DnsRow = JudgedRecord;
export type Queued = QueuedMessage;
export type QueuedRecipient = Queued['recipients'][number];
export interface QueueAnswer {
  readonly queue: { readonly messages: readonly Queued[]; readonly next: number | null };
}
export type { TraceAnswer, TraceEvent };
export type Traced = TracedMessage;
export type Refusal = TracedRefusal;
/** Of itself; an older one says less. */
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
export type Overview = Omit<AnswerOf<OfSite<'/overview'>>, 'facts'> & { readonly facts: Facts };
