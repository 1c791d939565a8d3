// Coming in and going out: the first owner, sign-in by password, passkey and link, and the sessions that there are.

import { z } from 'zod';
import { attempt } from '../../identity/attempts.ts';
import { makeChallenge, takeChallenge } from '../../identity/challenge.ts';
import { objection, sealPassword } from '../../identity/password.ts';
import { assertionResponse, challengeOf, relyingParty, requestOptions, verifyAssertion } from '../../identity/passkey.ts';
import { addMember, addPerson, normalEmail, type Person, personByEmail } from '../../identity/person.ts';
import { hashOf, newId, sameText } from '../../identity/secret.ts';
import { endSession, endSessions, isLive, provedSince, rotateSession, sessionsOf } from '../../identity/session.ts';
import { sessionCookie } from '../actor.ts';
import { invalid, notFound } from '../problem.ts';
import { nothing, open, own, reply } from '../route.ts';
import * as shape from '../shapes.ts';
import { mustBeRight, provesPerson, secondFactor, sessionAnswer, signedIn, signIn, wrong } from '../signed.ts';

const linkSpent = 'This link is not good, or was used: mailsite portal link, on the machine of the portal, prints a new one.';

/** Throws with the reason, when a password is not taken. Its hash otherwise. */
export async function goodPassword(password: string, about: readonly string[] = []): Promise<string> {
  const why = objection(password, about);
  if (why !== null) throw invalid([{ path: 'body.password', message: why }]);
  return sealPassword(password);
}

const sessionRow = z.strictObject({
  id: z.string(),
  current: z.boolean(),
  strong: z.boolean(),
  createdAt: shape.time,
  seenAt: shape.time,
  expiresAt: shape.time,
  address: z.string(),
  agent: z.string(),
});

const coming = [
  open('POST', '/setup', {
    about: 'The first owner, by the link that the portal printed at its start. Signs in.',
    body: z.strictObject({ token: shape.secret, organisation: shape.line(100), name: shape.line(100), email: shape.email, password: shape.password }),
    answer: shape.session,
    status: 201,
    secret: true,
    async handle(call) {
      const { portal, body, now } = call;
      const hash = hashOf(body.token);
      const isOpen = (row: { secretHash: string | null } | undefined): boolean =>
        row !== undefined && row.secretHash !== null && sameText(row.secretHash, hash);
      mustBeRight(await attempt(portal, call.from.address, null, async () => isOpen(await portal.records.get('setup'))), linkSpent);
      const password = await goodPassword(body.password, [body.email, body.name]);
      const [person, organisation] = [newId(portal.world), newId(portal.world)];
      const secret = await call.change(async (tx, tell) => {
        const row = await tx.get('setup');
        if (row === undefined || !isOpen(row)) throw wrong(linkSpent);
        if ((await personByEmail(tx, body.email)) !== null) throw invalid([{ path: 'body.email', message: 'is somebody here already' }]);
        tx.put('setup', [], { ...row, secretHash: null });
        tx.put('organisation', [organisation], { name: body.organisation, createdAt: now });
        addPerson(tx, person, body.email, body.name, password, now);
        addMember(tx, organisation, person, 'owner', [], now);
        await tell({
          organisation,
          actor: body.email,
          auth: 'setup link',
          action: 'organisation.create',
          target: body.organisation,
          detail: `first owner ${body.email}`,
        });
        return signIn(call, tx, person, { auth: 'setup link', strong: false });
      });
      return signedIn(portal, secret, 201);
    },
  }),
  open('POST', '/session', {
    about: 'Signs in by password, and by a code of six digits or a recovery code where the person has one.',
    body: z.strictObject({ email: shape.email, password: shape.password, code: shape.code.optional() }),
    answer: z.union([shape.session, z.strictObject({ needs: z.literal('totp') })]),
    async handle(call) {
      const { portal, body, now } = call;
      let found: { id: string; row: Person } | null = null;
      const verdict = await attempt(portal, call.from.address, normalEmail(body.email), async () => {
        found = await personByEmail(portal.records, body.email);
        return provesPerson(found?.row, body.password, body.code, now);
      });
      mustBeRight(verdict);
      if (verdict === 'half') return { needs: 'totp' as const };
      const { id } = found as unknown as { id: string };
      const secret = await call.change(async (tx, tell) => {
        const row = await tx.get('person', id);
        const after = row === undefined ? null : secondFactor(row, body.code ?? '', now);
        if (row === undefined || after === null || !row.enabled) throw wrong(); // the code was used meanwhile
        if (after !== row) tx.put('person', [id], after);
        const strong = row.totp !== null;
        const auth = strong ? 'password and code' : 'password';
        for (const { id: at } of await tx.list('membershipOf', [id]))
          await tell({
            organisation: at[1] as string,
            actor: row.email,
            auth,
            action: 'session.open',
            target: row.email,
          });
        return signIn(call, tx, id, { auth, strong });
      });
      return signedIn(portal, secret);
    },
  }),
  open('POST', '/session/passkey/options', {
    about: 'What the browser is asked to sign, for navigator.credentials.get().',
    answer: z.strictObject({ options: z.unknown() }),
    handle: async ({ portal }) => ({ options: requestOptions(relyingParty(portal.url), await makeChallenge(portal, 'sign in', '')) }),
  }),
  open('POST', '/session/passkey', {
    about: 'Signs in by passkey.',
    body: z.strictObject({ response: assertionResponse }),
    answer: shape.session,
    async handle(call) {
      const { portal, body, now } = call;
      const { response } = body;
      let proved: { person: string; counter: number } | null = null;
      const detail = 'This passkey is not known here, or its answer is not right: try again, or sign in by password.';
      const verdict = await attempt(portal, call.from.address, null, async () => {
        const challenge = challengeOf(response.response.clientDataJSON);
        if (challenge === null || (await takeChallenge(portal, 'sign in', challenge)) === null) return false;
        const owner = await portal.records.get('passkeyOf', response.id);
        const key = owner && (await portal.records.get('passkey', owner.person, response.id));
        const counter = key === undefined ? null : verifyAssertion(response, challenge, relyingParty(portal.url), key);
        if (owner === undefined || counter === null) return false;
        proved = { person: owner.person, counter };
        return true;
      });
      mustBeRight(verdict, detail);
      const { person, counter } = proved as unknown as { person: string; counter: number };
      const secret = await call.change(async (tx, tell) => {
        const [row, key] = [await tx.get('person', person), await tx.get('passkey', person, response.id)];
        if (row === undefined || key === undefined || !row.enabled) throw wrong(detail);
        tx.put('passkey', [person, response.id], { ...key, counter, seenAt: now });
        for (const { id: at } of await tx.list('membershipOf', [person]))
          await tell({ organisation: at[1] as string, actor: row.email, auth: 'passkey', action: 'session.open', target: row.email });
        return signIn(call, tx, person, { auth: 'passkey', strong: true });
      });
      return signedIn(portal, secret);
    },
  }),
  open('POST', '/session/link', {
    about:
      'Signs in by a link that mailsite portal link printed on the machine of the portal; with a password, that is the new one, and codes by time are off.',
    body: z.strictObject({ secret: shape.secret, password: shape.password.optional() }),
    answer: shape.session,
    async handle(call) {
      const { portal, body } = call;
      const at = hashOf(body.secret);
      const isOpen = async () => {
        const row = await portal.records.get('challenge', at);
        return row?.purpose === 'link' && row.expiresAt > call.now;
      };
      mustBeRight(await attempt(portal, call.from.address, null, isOpen), linkSpent);
      const password = body.password === undefined ? null : await goodPassword(body.password);
      const person = await takeChallenge(portal, 'link', at);
      if (person === null) throw wrong(linkSpent);
      const secret = await call.change(async (tx, tell) => {
        const row = await tx.get('person', person);
        if (row === undefined) throw wrong(linkSpent);
        if (password !== null) {
          tx.put('person', [person], { ...row, password, totp: null, totpPending: null, recoveryCodes: [] });
          await endSessions(tx, person, null);
        }
        for (const { id } of await tx.list('membershipOf', [person]))
          await tell({
            organisation: id[1] as string,
            actor: row.email,
            auth: 'link',
            action: password === null ? 'session.open' : 'person.reset',
            target: row.email,
          });
        return signIn(call, tx, person, { auth: 'link', strong: false });
      });
      return signedIn(portal, secret);
    },
  }),
] as const;

const being = [
  own('GET', '/session', {
    about: 'Who is signed in, and where they are members.',
    answer: shape.session,
    handle: ({ portal, me }) => sessionAnswer(portal, me.id, me.session.row),
  }),
  own('PUT', '/session', {
    about: 'Proves again who one is, which changes of how one signs in ask for.',
    body: z.strictObject({ password: shape.password, code: shape.code.optional() }),
    answer: shape.session,
    async handle(call) {
      const { portal, me, body, now } = call;
      const prove = async () => (await provesPerson(me.person, body.password, body.code, now)) === true;
      mustBeRight(await attempt(portal, call.from.address, me.person.email, prove), 'The password or the code is not right.');
      const secret = await call.change(async (tx, tell) => {
        const row = await tx.get('person', me.id);
        const after = row === undefined ? null : secondFactor(row, body.code ?? '', now);
        if (after === null) throw wrong();
        tx.put('person', [me.id], after);
        await tell({ action: 'session.prove', target: me.person.email });
        const auth = provedSince(me.session.row.auth, after.totp === null ? 'password' : 'password and code');
        return rotateSession(tx, portal.world, me.session, { reauthAt: now, auth, strong: me.session.row.strong || after.totp !== null });
      });
      return signedIn(portal, secret);
    },
  }),
  own('DELETE', '/session', {
    about: 'Signs out.',
    answer: nothing,
    async handle(call) {
      await call.change(async (tx) => endSession(tx, call.me.id, call.me.session.id));
      return reply(undefined, { headers: { 'Set-Cookie': sessionCookie(call.portal.url, null) } });
    },
  }),
  own('GET', '/sessions', {
    about: 'All sessions of the person.',
    answer: shape.listOf(sessionRow),
    async handle({ portal, me, now }) {
      const live = (await sessionsOf(portal.records, me.id)).filter(({ row }) => isLive(row, now));
      const items = live.map(({ id, row: { person: _, reauthAt: __, auth: ___, ...row } }) => ({ id, current: id === me.session.id, ...row }));
      return { items: items.sort((a, b) => b.seenAt - a.seenAt), next: null };
    },
  }),
  own('DELETE', '/sessions', {
    about: 'Ends all other sessions of the person.',
    answer: nothing,
    handle: ({ change, me }) =>
      change(async (tx, tell) => {
        await endSessions(tx, me.id, me.session.id);
        await tell({ action: 'session.endOthers', target: me.person.email });
      }),
  }),
  own('DELETE', '/sessions/{id}', {
    about: 'Ends one session of the person.',
    answer: nothing,
    handle: ({ change, me, params }) =>
      change(async (tx, tell) => {
        if ((await tx.get('sessionOf', me.id, params.id)) === undefined) throw notFound();
        endSession(tx, me.id, params.id);
        await tell({ action: 'session.end', target: me.person.email });
      }),
  }),
] as const;

export const sessionRoutes = [...coming, ...being] as const;
