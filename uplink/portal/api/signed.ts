// What signing in has in common, whichever way: the proof is judged under the brute-force limits, the session gets a new
// secret, the old one ends, and the organisations of the person are told.

import { limits } from '../../../actors/limits.ts';
import type { attempt } from '../identity/attempts.ts';
import { organisationsOf, type Person } from '../identity/person.ts';
import { isPassword } from '../identity/password.ts';
import { type Came, endSession, findSession, openSession } from '../identity/session.ts';
import { recoveryHash, totpStep } from '../identity/totp.ts';
import type { Portal } from '../process.ts';
import type { Transaction } from '../records.ts';
import { sessionCookie } from './actor.ts';
import { Problem, throttled } from './problem.ts';
import { type OpenCall, type Reply, reply } from './route.ts';
import type { z } from 'zod';
import type { session } from './shapes.ts';

type SessionAnswer = z.input<typeof session>;
type Call = OpenCall<unknown, unknown, unknown>;

export const wrong = (detail = 'The address, the password or the code is not right.'): Problem => new Problem(401, 'wrong', 'Not right', detail);

/** Throws unless the proof was right (or half of one). */
export function mustBeRight(verdict: Awaited<ReturnType<typeof attempt>>, detail?: string): void {
  if (verdict === 'wrong') throw wrong(detail);
  const minutes = limits.authWindowMs / 60_000;
  if (verdict === 'throttled') throw throttled(minutes * 60, `There were too many wrong tries: wait ${minutes} minutes, or use a passkey from elsewhere.`);
}

/** Password and, where there is one, the second factor; `half`: it is missing. */
export async function provesPerson(person: Person | undefined, password: string, code: string | undefined, now: number): Promise<boolean | 'half'> {
  const right = await isPassword(password, person?.enabled === true ? person.password : undefined);
  if (!right || person === undefined) return false;
  if (person.totp === null) return true;
  if (code === undefined || code === '') return 'half';
  return secondFactor(person, code, now) !== null;
}

/** The person with the code used up, or null: it is none. */
export function secondFactor(person: Person, code: string, now: number): Person | null {
  if (person.totp === null) return person;
  const step = totpStep(person.totp, code, now, person.totpStep);
  if (step !== null) return { ...person, totpStep: step };
  const hash = recoveryHash(code);
  return person.recoveryCodes.includes(hash) ? { ...person, recoveryCodes: person.recoveryCodes.filter((one) => one !== hash) } : null;
}

/** A new session in the place of the one that the request came with. Returns its secret. */
export async function signIn(call: Call, tx: Transaction, person: string, came: Came): Promise<string> {
  if (call.actor?.kind === 'person') endSession(tx, call.actor.id, call.actor.session.id);
  return openSession(tx, call.portal.world, person, call.from, came);
}

/** The answer that makes the browser keep `secret`. */
export async function signedIn(portal: Portal, secret: string, status = 200): Promise<Reply<SessionAnswer>> {
  const found = await findSession(portal.records, secret, portal.world.now());
  if (found === null) throw wrong('The session has ended meanwhile: sign in again.');
  return reply(await sessionAnswer(portal, found.row.person, found.row), { status, headers: { 'Set-Cookie': sessionCookie(portal.url, secret) } });
}

export async function sessionAnswer({ records }: Portal, id: string, row: { strong: boolean; expiresAt: number; reauthAt: number }): Promise<SessionAnswer> {
  const person = await records.get('person', id);
  if (person === undefined) throw wrong('The person is not there any more.');
  const ids = await organisationsOf(records, id);
  const organisations = await Promise.all(
    ids.map(async (organisation) => {
      const [known, membership] = [await records.get('organisation', organisation), await records.get('membership', organisation, id)];
      return known === undefined || membership === undefined
        ? []
        : [{ id: organisation, name: known.name, role: membership.role, domains: membership.domains }];
    }),
  );
  const passkeys = (await records.list('passkey', [id])).length;
  return {
    person: { id, name: person.name, email: person.email, totp: person.totp !== null, passkeys, recoveryCodes: person.recoveryCodes.length },
    organisations: organisations.flat(),
    strong: row.strong,
    expiresAt: row.expiresAt,
    reauthAt: row.reauthAt,
  };
}
