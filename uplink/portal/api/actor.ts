// Who is asking, and may they? Guarantees: a cookie alone changes nothing (another site could make a browser send it); what a
// person or a token may do is read at each request, so that what was taken away is gone at once.

import { limits } from '../../../actors/limits.ts';
import { sameText } from '../identity/secret.ts';
import { findSession, type Origin, touchSession } from '../identity/session.ts';
import { findToken, type Role, touchToken } from '../identity/token.ts';
import type { Portal } from '../process.ts';
import { forbidden, notFound, Problem, proveAgain, signInFirst } from './problem.ts';
import type { Actor, Route } from './route.ts';

/** A cookie with this prefix comes from this host and by https only; a browser keeps none such from http. */
const cookieName = (url: string): string => (url.startsWith('https:') ? '__Host-mailsite' : 'mailsite');

/** What makes a browser send `secret` with each request, or forget it (null). */
export function sessionCookie(url: string, secret: string | null): string {
  const secure = url.startsWith('https:') ? '; Secure' : '';
  const age = secret === null ? 0 : Math.floor(limits.sessionMs / 1_000);
  return `${cookieName(url)}=${secret ?? ''}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${age}${secure}`;
}

function cookieOf(request: Request, url: string): string | null {
  const name = `${cookieName(url)}=`;
  const found = (request.headers.get('cookie') ?? '').split(';').find((part) => part.trim().startsWith(name));
  return found?.trim().slice(name.length) || null;
}

/** Null: a stranger. Throws where a token is shown that is none. */
export async function actorOf(portal: Portal, request: Request, from: Origin): Promise<Actor | null> {
  const { records, world, url } = portal;
  const now = world.now();
  const shown = request.headers.get('authorization');
  if (shown !== null) {
    const token = await findToken(records, /^Bearer (\S{1,100})$/.exec(shown)?.[1] ?? '', now);
    if (token === null) throw signInFirst();
    await touchToken(records, token, now);
    return { kind: 'token', token };
  }
  const secret = cookieOf(request, url);
  const session = secret === null || secret.length > 100 ? null : await findSession(records, secret, now);
  const person = session === null ? undefined : await records.get('person', session.row.person);
  if (session === null || person === undefined || !person.enabled) return null;
  await touchSession(records, session, now, from);
  return { kind: 'person', session, id: session.row.person, person };
}

/**
 * Refuses what another site may have made a browser send: a write must come from a page of ours, which names itself in
 * Origin and sets a header that a form cannot.
 */
export function mustBeOurs(portal: Portal, request: Request): void {
  if (request.headers.get('authorization') !== null) return; // no browser adds one by itself
  const origin = request.headers.get('origin');
  if (request.headers.get('x-mailsite') !== '1')
    throw new Problem(403, 'csrf', 'Not from this portal', 'A change needs the header X-Mailsite: 1, so that no other site can make a browser send it.');
  if (origin === null || !sameText(origin, new URL(portal.url).origin))
    throw new Problem(403, 'csrf', 'Not from this portal', `A change must come from a page of ${portal.url}: open the portal by this address.`);
}

export interface Tenancy {
  readonly organisation: string;
  readonly role: Role;
  readonly domains: readonly string[];
  readonly person: string;
  readonly by: string;
}

/** What the actor is in the organisation of the path, when that lets it use the route. Throws otherwise: 404 for whoever is no member. */
export async function tenancyOf(portal: Portal, route: Route, actor: Actor | null, organisation: string): Promise<Tenancy> {
  if (actor === null) throw signInFirst();
  const found = await tenancyIn(portal, actor, organisation);
  if (found === null) throw notFound();
  if (route.people && actor.kind === 'token') throw forbidden('A token cannot do this: sign in as a person.');
  const who = route.who as readonly Role[];
  if (!who.includes(found.role)) throw forbidden(`The role ${found.role} may not do this: ask one who is ${who.slice(0, 2).join(' or ')}.`);
  return found;
}

/** Null: it is nothing there. */
export async function tenancyIn({ records }: Portal, actor: Actor, organisation: string): Promise<Tenancy | null> {
  if (actor.kind === 'token') {
    const { token } = actor;
    const { role, domains, by: person, name } = token.row;
    return token.organisation === organisation ? { organisation, role, domains, person, by: `token ${name}` } : null;
  }
  const membership = await records.get('membership', organisation, actor.id);
  return membership === undefined ? null : { organisation, role: membership.role, domains: membership.domains, person: actor.id, by: actor.person.email };
}

/** Changes of how one signs in: whoever finds an open screen must not take it over for good. */
export function mustBeFresh(actor: Actor | null, now: number): void {
  if (actor?.kind === 'person' && actor.session.row.reauthAt + limits.reauthMs < now) throw proveAgain();
}
