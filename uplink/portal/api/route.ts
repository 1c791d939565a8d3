// What a route of the API is: one row that says method, path, who may, and the shapes of what comes and goes. Guarantees:
// validation, the OpenAPI document and the types of clients are made from the rows, so that they cannot differ from them.

import { z } from 'zod';
import type { Portal } from '../process.ts';
import type { Origin, Session } from '../identity/session.ts';
import type { Role, Token } from '../identity/token.ts';
import type { Person } from '../identity/person.ts';
import type { Transaction } from '../records.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** The names between braces of a path. */
type ParamNames<P extends string> = P extends `${string}{${infer N}}${infer Rest}` ? N | ParamNames<Rest> : never;
export type Params<P extends string> = { readonly [N in ParamNames<P>]: string };

/** What one request tells the audit log. */
export interface Telling {
  readonly action: string;
  readonly target: string;
  readonly detail?: string;
  readonly before?: unknown;
  readonly after?: unknown;
  /** Where it is not the one of the path, or all those of the person. */
  readonly organisation?: string;
  /** Where it is not whoever asked. */
  readonly actor?: string;
  readonly auth?: string;
}
export type Tell = (telling: Telling) => Promise<void>;

export interface SignedIn {
  readonly session: Session;
  readonly id: string;
  readonly person: Person;
}
export type Actor = ({ readonly kind: 'person' } & SignedIn) | { readonly kind: 'token'; readonly token: Token };

/** One request, after all checks. */
export interface OpenCall<P, Q, B> {
  readonly portal: Portal;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly from: Origin;
  /** Milliseconds. */
  readonly now: number;
  /** Whoever asks; null: a stranger. */
  readonly actor: Actor | null;
  /** The rev of If-Match; null: none was given. */
  readonly ifRev: number | null;
  /** Ends when the client has gone. */
  readonly signal: AbortSignal;
  /**
   * A transaction which is also where an Idempotency-Key takes effect: a request that is repeated never comes here twice. A
   * handler that changes something does so in one `change` and answers with its result.
   */
  change<T>(run: (tx: Transaction, tell: Tell) => Promise<T>): Promise<T>;
}
/** By a person with a session. */
export interface PersonCall<P, Q, B> extends OpenCall<P, Q, B> {
  readonly me: SignedIn;
}
/** Within one organisation, by one of its people or tokens. */
export interface TenantCall<P, Q, B> extends OpenCall<P, Q, B> {
  readonly actor: Actor;
  readonly organisation: string;
  readonly role: Role;
  /** The name that goes into histories. */
  readonly by: string;
  /** The id of the person who asks, or who made the token that does. */
  readonly person: string;
  /** Of a domain admin: may it touch what is in this domain? Always true for the others. */
  mayDomain(domain: string): boolean;
}

/** An answer with more than its body. */
export interface Reply<A> {
  readonly reply: A;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}
export const reply = <A>(body: A, more: Omit<Reply<A>, 'reply'>): Reply<A> => ({ reply: body, ...more });
export const isReply = (value: unknown): value is Reply<unknown> => typeof value === 'object' && value !== null && 'reply' in value;

const empty = z.strictObject({});
/** No body comes back. */
export const nothing = z.void();

type Shape = z.ZodObject | z.ZodUnion | z.ZodDiscriminatedUnion;
interface Spec<Q extends Shape, B extends Shape, A extends z.ZodType> {
  readonly about: string;
  readonly query?: Q;
  readonly body?: B;
  readonly answer: A;
  /** When all went well; 200 without it, 204 where nothing comes back. */
  readonly status?: number;
  /** Its answer holds a secret, which is shown once and not kept for a repeated request. */
  readonly secret?: true;
  /** Octets of body; limits.apiBody without it. */
  readonly most?: number;
  /** The answer is no JSON: its media type. */
  readonly raw?: string;
  /** If-Match must be given. */
  readonly match?: true;
  /** It changes nothing, though its method says so. */
  readonly reads?: true;
}

export interface Route<M extends Method = Method, P extends string = string, Q extends Shape = Shape, B extends Shape = Shape, A extends z.ZodType = z.ZodType>
  extends Spec<Q, B, A> {
  readonly method: M;
  readonly path: P;
  readonly query: Q;
  readonly body: B;
  /** `anyone`; `person`: with a session; else a member of the organisation of the path, in one of these roles. */
  readonly who: 'anyone' | 'person' | readonly Role[];
  /** Not by a token. */
  readonly people: boolean;
  /** The person has proved lately who they are. */
  readonly fresh: boolean;
  /** Called with what `who` promises. */
  readonly handle: (call: never) => Promise<unknown>;
}

type Given<C, A extends z.ZodType> = (call: C) => Promise<z.input<A> | Reply<z.input<A>> | Response>;
type Empty = typeof empty;

/** For everybody. */
export function open<const M extends Method, const P extends string, A extends z.ZodType, Q extends Shape = Empty, B extends Shape = Empty>(
  method: M,
  path: P,
  row: Spec<Q, B, A> & { readonly handle: Given<OpenCall<Params<P>, z.output<Q>, z.output<B>>, A> },
): Route<M, P, Q, B, A> {
  return { query: empty as unknown as Q, body: empty as unknown as B, ...row, method, path, who: 'anyone', people: true, fresh: false };
}

/** For a person about themselves. */
export function own<const M extends Method, const P extends string, A extends z.ZodType, Q extends Shape = Empty, B extends Shape = Empty>(
  method: M,
  path: P,
  row: Spec<Q, B, A> & { readonly fresh?: true; readonly handle: Given<PersonCall<Params<P>, z.output<Q>, z.output<B>>, A> },
): Route<M, P, Q, B, A> {
  return { query: empty as unknown as Q, body: empty as unknown as B, fresh: false, ...row, method, path, who: 'person', people: true };
}

/** Within an organisation. */
export function tenant<
  const M extends Method,
  const P extends `/organisations/{org}${string}`,
  A extends z.ZodType,
  Q extends Shape = Empty,
  B extends Shape = Empty,
>(
  method: M,
  path: P,
  row: Spec<Q, B, A> & { readonly who: readonly Role[]; readonly people?: true; readonly handle: Given<TenantCall<Params<P>, z.output<Q>, z.output<B>>, A> },
): Route<M, P, Q, B, A> {
  return { query: empty as unknown as Q, body: empty as unknown as B, people: false, ...row, method, path, fresh: false };
}

// Who may: the roles that a row names.
export const owners: readonly Role[] = ['owner'];
export const admins: readonly Role[] = ['owner', 'admin'];
/** A domain admin sees and changes only what is in its domains. */
export const domainAdmins: readonly Role[] = ['owner', 'admin', 'domain admin'];
export const helpers: readonly Role[] = ['owner', 'admin', 'domain admin', 'helpdesk'];
export const members: readonly Role[] = ['owner', 'admin', 'domain admin', 'helpdesk', 'read-only'];
/** What is of the whole site: everybody but a domain admin. */
export const siteWide: readonly Role[] = ['owner', 'admin', 'helpdesk', 'read-only'];
/** What was done by whom. */
export const auditors: readonly Role[] = ['owner', 'admin', 'read-only'];
