// One request of the API, from octets to octets: which route, who asks, may they, is it well-formed, then its handler.
// Guarantees: no handler runs before all of these are answered; whatever happens, the answer is JSON in the shape that its
// row declares, or a problem in plain words; no answer is kept or guessed at by a browser.

import type { z } from 'zod';
import { LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { originPrefix } from '../../../protocols/sasl/origin.ts';
import { bodyWithin } from '../body.ts';
import { Crowded } from '../identity/password.ts';
import type { Origin } from '../identity/session.ts';
import type { Portal } from '../process.ts';
import { Busy } from '../records.ts';
import { actorOf, mustBeFresh, mustBeOurs, type Tenancy, tenancyOf } from './actor.ts';
import { router } from './match.ts';
import { type Once, once, Repeated, statusOf } from './once.ts';
import { badRequest, type FieldError, forbidden, invalid, Problem, problemResponse, signInFirst, throttled, unavailable } from './problem.ts';
import { rateCounter } from './rate.ts';
import { type Actor, isReply, type Route } from './route.ts';
import { routes } from './table.ts';

const prefix = '/api/v1';

/** Answers requests below /api/v1. `address`: where it came from, an IP literal. */
export type Serve = (request: Request, address: string) => Promise<Response>;

export function openApi(portal: Portal): Serve {
  const match = router(routes);
  const wait = rateCounter();
  return async (request, address) => {
    const url = new URL(request.url);
    try {
      const from: Origin = { address, agent: request.headers.get('user-agent') ?? '' };
      const { route, params } = match(request.method, url.pathname.slice(prefix.length));
      const actor = await actorOf(portal, request, from);
      const seconds = wait(counted(actor, address), actor === null ? limits.apiStrangersPerMinute : limits.apiPerMinute, portal.world.monotonicMs());
      if (seconds > 0) throw throttled(seconds, `More requests came than one may send in a minute: go on in ${seconds} s.`);
      return secured(portal, await answer(portal, { request, url, route, params, actor, from }));
    } catch (error) {
      return secured(portal, problemResponse(problemOf(portal, error)));
    }
  };
}

function counted(actor: Actor | null, address: string): string {
  if (actor === null) return originPrefix({ address, port: 0 });
  return actor.kind === 'person' ? actor.session.id : actor.token.id;
}

interface Asked {
  readonly request: Request;
  readonly url: URL;
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  readonly actor: Actor | null;
  readonly from: Origin;
}

async function answer(portal: Portal, asked: Asked): Promise<Response> {
  const { request, url, route, params, actor, from } = asked;
  const now = portal.world.now();
  if (request.method !== 'GET') mustBeOurs(portal, request);
  const tenancy = await access(portal, asked, now);
  const text = await bodyText(request, route);
  const query = checked(route.query, Object.fromEntries(url.searchParams), 'query');
  const body = checked(route.body, parsed(text), 'body');
  const run = once({
    portal,
    route,
    actor,
    from,
    organisation: tenancy?.organisation ?? null,
    key: request.headers.get('idempotency-key'),
    request: `${request.method} ${url.pathname}${url.search}\n${text}`,
  });
  const call = { portal, params, query, body, from, now, actor, ifRev: ifMatch(request, route), signal: request.signal, change: run.change };
  const more = tenancy === null ? (actor?.kind === 'person' ? { me: actor } : {}) : within(tenancy);
  return (await run.answer()) ?? respond(route, run, () => route.handle({ ...call, ...more } as never));
}

/** Throws where this actor may not use this route. */
async function access(portal: Portal, { route, params, actor }: Asked, now: number): Promise<Tenancy | null> {
  if (route.who === 'anyone') return null;
  if (route.who !== 'person') return tenancyOf(portal, route, actor, params['org'] as string);
  if (actor === null) throw signInFirst();
  if (actor.kind === 'token') throw forbidden('A token cannot do this: sign in as a person.');
  if (route.fresh) mustBeFresh(actor, now);
  return null;
}

const within = ({ domains, ...tenancy }: Tenancy) => ({
  ...tenancy,
  mayDomain: (domain: string): boolean => tenancy.role !== 'domain admin' || domains.includes(domain),
});

async function respond(route: Route, run: Once, handle: () => Promise<unknown>): Promise<Response> {
  let result: unknown;
  try {
    result = await handle();
  } catch (error) {
    const before = error instanceof Repeated ? await run.answer() : null; // it came twice at once
    if (before === null) throw error;
    return before;
  }
  if (result instanceof Response) return result;
  const { reply: body, status, headers } = isReply(result) ? result : { reply: result, status: undefined, headers: undefined };
  const json = route.answer.parse(body); // an answer that is not as declared is our fault, and tells nobody anything
  if (json === undefined) return new Response(null, { status: status ?? statusOf(route), headers: { ...headers } });
  return new Response(JSON.stringify(json), { status: status ?? statusOf(route), headers: { 'Content-Type': 'application/json', ...headers } });
}

async function bodyText(request: Request, route: Route): Promise<string> {
  const most = route.most ?? limits.apiBody;
  const large = new Problem(413, 'too-large', 'Too large', `At most ${most} octets are taken here.`);
  if (request.method === 'GET') return '';
  const octets = await bodyWithin(request, most);
  if (octets === null) throw large;
  if (octets.byteLength > 0 && !/^application\/json\b/i.test(request.headers.get('content-type') ?? ''))
    throw new Problem(415, 'media-type', 'Not JSON', 'A body must be JSON, and say so: Content-Type: application/json.');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw badRequest('The body is not UTF-8.');
  }
}

function parsed(text: string): unknown {
  if (text === '') return {};
  try {
    return /\\u[dD]/.test(text) ? JSON.parse(text, wellFormed) : JSON.parse(text);
  } catch (error) {
    throw badRequest(`The body is not JSON: ${(error as Error).message}.`);
  }
}
/** Half a character, which only an escape can bring, is no text: it could not be signed. */
function wellFormed(name: string, value: unknown): unknown {
  if (!name.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) throw new Error('it holds half a character');
  return value;
}

function checked(shape: z.ZodType, value: unknown, where: 'query' | 'body'): unknown {
  const result = shape.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw invalid(result.error.issues.slice(0, 100).flatMap((issue) => fieldErrors(issue, where)));
}

function fieldErrors(issue: z.core.$ZodIssue, where: string): FieldError[] {
  const path = (more: readonly PropertyKey[]): string =>
    [where, ...issue.path, ...more].map((p, i) => (typeof p === 'number' ? `[${p}]` : i === 0 ? String(p) : `.${String(p)}`)).join('');
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: path([key]), message: 'is not known here' }));
  if (issue.code === 'invalid_type' && issue.input === undefined) return [{ path: path([]), message: 'is required' }];
  if (issue.code === 'invalid_union') return [{ path: path([]), message: choiceOf(issue.errors) }];
  return [{ path: path([]), message: issue.message }];
}

/** What is missing of each of the forms that a body may have: `needs password, or generate`. */
function choiceOf(forms: readonly (readonly z.core.$ZodIssue[])[]): string {
  const lacking = forms.map((issues) => issues.filter(({ input, path }) => input === undefined && path.length > 0).map(({ path }) => path.join('.')));
  return lacking.every((names) => names.length > 0)
    ? `needs ${lacking.map((names) => names.join(' and ')).join(', or ')}`
    : 'has none of the forms that are taken here';
}

/** `"41"` or `*`. */
function ifMatch(request: Request, route: Route): number | null {
  const given = request.headers.get('if-match');
  if (given === null && route.match === true)
    throw new Problem(428, 'match', 'Which rev?', 'This needs If-Match: "REV", the ETag of the document that you changed, so that nobody is overwritten.');
  if (given === null || given === '*') return null;
  const rev = /^(?:W\/)?"([0-9]{1,15})"$/.exec(given)?.[1];
  if (rev === undefined) throw badRequest('If-Match must be the ETag of a document, such as "41".');
  return Number(rev);
}

function problemOf(portal: Portal, error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Busy) return unavailable('busy', 'Others changed the same at the same time: try again.');
  if (error instanceof Crowded) return unavailable('busy', 'Too many sign in at the same time: try again in a few seconds.');
  if (error instanceof LinkLost) return unavailable('store', 'The store of the portal is starting again: try again in a few seconds.');
  const failure = error instanceof Error ? error : new Error(String(error));
  portal.world.log('actor.crash', { actor: 'api', error: failure.message, stack: failure.stack ?? '' });
  return new Problem(
    500,
    'failed',
    'Our fault',
    'The portal failed at this. It is in its log; nothing more is known here. Look whether it was done before you repeat it.',
  );
}

/** What every answer says to a browser: it is data, not a page, and nobody else's. */
function secured(portal: Portal, response: Response): Response {
  const { headers } = response;
  headers.set('X-Content-Type-Options', 'nosniff');
  headers.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
  headers.set('Referrer-Policy', 'no-referrer');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store');
  if (portal.url.startsWith('https:')) headers.set('Strict-Transport-Security', 'max-age=31536000');
  return response;
}
