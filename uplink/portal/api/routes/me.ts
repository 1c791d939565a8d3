// What a person changes about themselves: name, password, codes by time, passkeys. Guarantees: whoever only found an open
// screen cannot change how one signs in; each such change gives the session a new secret.

import { z } from 'zod';
import { limits } from '../../../../actors/limits.ts';
import { attempt } from '../../identity/attempts.ts';
import { makeChallenge, takeChallenge } from '../../identity/challenge.ts';
import { challengeOf, creationOptions, creationResponse, relyingParty, verifyCreation } from '../../identity/passkey.ts';
import { isPassword } from '../../identity/password.ts';
import { addMember, organisationsOf, type Person } from '../../identity/person.ts';
import { newId } from '../../identity/secret.ts';
import { endSessions, provedSince, rotateSession } from '../../identity/session.ts';
import { newRecoveryCodes, newTotpSecret, totpStep, totpUri } from '../../identity/totp.ts';
import type { Transaction } from '../../records.ts';
import { sessionCookie } from '../actor.ts';
import { conflict, forbidden, invalid, notFound } from '../problem.ts';
import { nothing, own, type PersonCall, reply } from '../route.ts';
import * as shape from '../shapes.ts';
import { mustBeRight, signedIn } from '../signed.ts';
import { goodPassword } from './session.ts';

const passkeyRow = z.strictObject({ id: z.string(), name: z.string(), createdAt: shape.time, seenAt: shape.maybe });

/** The person as it is now. */
async function mine(tx: Transaction, { me }: PersonCall<unknown, unknown, unknown>): Promise<Person> {
  const row = await tx.get('person', me.id);
  if (row === undefined) throw notFound();
  return row;
}

const factors = [
  own('POST', '/me/totp', {
    about: 'A new secret for codes by time. It counts once a code of it was given.',
    fresh: true,
    secret: true,
    answer: z.strictObject({ secret: z.string().describe('Base32'), uri: z.string().describe('otpauth:, to be shown as a QR code') }),
    handle: (call) =>
      call.change(async (tx, tell) => {
        const secret = newTotpSecret(call.portal.world);
        const row = await mine(tx, call);
        tx.put('person', [call.me.id], { ...row, totpPending: secret });
        await tell({ action: 'person.totp.begin', target: row.email });
        return { secret, uri: totpUri(secret, row.email, relyingParty(call.portal.url).name) };
      }),
  }),
  own('PUT', '/me/totp', {
    about: 'The first code of the new secret: from now on codes are asked for. The recovery codes are shown once.',
    fresh: true,
    body: z.strictObject({ code: shape.code }),
    answer: z.strictObject({ recoveryCodes: z.array(z.string()) }),
    async handle(call) {
      const { portal, body, now, me } = call;
      const pending = me.person.totpPending;
      if (pending === null) throw conflict('There is no new secret to prove: ask for one with POST /api/v1/me/totp.');
      mustBeRight(
        await attempt(portal, call.from.address, me.person.email, async () => totpStep(pending, body.code, now, 0) !== null),
        'The code is not right: see that the clock of the device is.',
      );
      const { codes, hashes } = newRecoveryCodes(portal.world);
      const secret = await call.change(async (tx, tell) => {
        const row = await mine(tx, call);
        const step = row.totpPending === pending ? totpStep(pending, body.code, now, 0) : null;
        if (step === null) throw conflict('There is another new secret meanwhile: give a code of that one.');
        tx.put('person', [me.id], { ...row, totp: pending, totpPending: null, totpStep: step, recoveryCodes: hashes });
        await tell({ action: 'person.totp.on', target: row.email });
        return rotateSession(tx, portal.world, me.session, { strong: true, auth: provedSince(me.session.row.auth, 'code') });
      });
      return reply({ recoveryCodes: codes }, { headers: { 'Set-Cookie': sessionCookie(portal.url, secret) } });
    },
  }),
  own('DELETE', '/me/totp', {
    about: 'No more codes by time.',
    fresh: true,
    answer: shape.session,
    async handle(call) {
      const secret = await call.change(async (tx, tell) => {
        const row = await mine(tx, call);
        tx.put('person', [call.me.id], { ...row, totp: null, totpPending: null, recoveryCodes: [] });
        await tell({ action: 'person.totp.off', target: row.email });
        return rotateSession(tx, call.portal.world, call.me.session, {});
      });
      return signedIn(call.portal, secret);
    },
  }),
  own('GET', '/me/passkeys', {
    about: 'The passkeys of the person.',
    answer: shape.listOf(passkeyRow),
    async handle({ portal, me }) {
      const rows = await portal.records.list('passkey', [me.id]);
      return { items: rows.map(({ id, body: { name, createdAt, seenAt } }) => ({ id: id[1] as string, name, createdAt, seenAt })), next: null };
    },
  }),
  own('POST', '/me/passkeys/options', {
    about: 'What the browser is asked to make, for navigator.credentials.create().',
    fresh: true,
    reads: true,
    answer: z.strictObject({ options: z.unknown() }),
    async handle({ portal, me }) {
      const known = (await portal.records.list('passkey', [me.id])).map(({ id }) => id[1] as string);
      const user = { id: me.id, email: me.person.email, name: me.person.name };
      return { options: creationOptions(relyingParty(portal.url), await makeChallenge(portal, 'new passkey', me.id), user, known) };
    },
  }),
  own('POST', '/me/passkeys', {
    about: 'A new passkey.',
    fresh: true,
    body: z.strictObject({ name: shape.line(60), response: creationResponse }),
    answer: passkeyRow,
    status: 201,
    async handle(call) {
      const { portal, me, body, now } = call;
      const challenge = challengeOf(body.response.response.clientDataJSON);
      const asked = challenge !== null && (await takeChallenge(portal, 'new passkey', challenge)) === me.id;
      const made = asked ? verifyCreation(body.response, challenge, relyingParty(portal.url)) : null;
      if (made === null || made.credential.length > 200)
        throw invalid([{ path: 'body.response', message: 'is not the answer to what was asked: begin again' }]);
      return call.change(async (tx, tell) => {
        if ((await tx.get('passkeyOf', made.credential)) !== undefined) throw conflict('This passkey is known already.');
        if ((await tx.list('passkey', [me.id])).length >= limits.passkeysPerPerson)
          throw conflict(`There are ${limits.passkeysPerPerson} passkeys: remove one first.`);
        const row = { name: body.name, createdAt: now, seenAt: null };
        tx.put('passkey', [me.id, made.credential], { ...row, publicKey: made.publicKey, counter: made.counter, transports: made.transports });
        tx.put('passkeyOf', [made.credential], { person: me.id });
        await tell({ action: 'person.passkey.add', target: me.person.email, detail: body.name });
        return { id: made.credential, ...row };
      });
    },
  }),
  own('DELETE', '/me/passkeys/{id}', {
    about: 'Removes a passkey.',
    fresh: true,
    answer: nothing,
    handle: ({ change, me, params }) =>
      change(async (tx, tell) => {
        const row = await tx.get('passkey', me.id, params.id);
        if (row === undefined) throw notFound();
        if (me.person.password === '' && (await tx.list('passkey', [me.id])).length < 2)
          throw conflict('It is the only way that you sign in: set a password first.');
        tx.remove('passkey', me.id, params.id);
        tx.remove('passkeyOf', params.id);
        await tell({ action: 'person.passkey.remove', target: me.person.email, detail: row.name });
      }),
  }),
] as const;

export const meRoutes = [
  ...factors,
  own('PATCH', '/me', {
    about: 'The name of the person.',
    body: z.strictObject({ name: shape.line(100) }),
    answer: nothing,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const row = await mine(tx, call);
        tx.put('person', [call.me.id], { ...row, name: call.body.name });
        await tell({ action: 'person.name', target: row.email, before: row.name, after: call.body.name });
      }),
  }),
  own('PUT', '/me/password', {
    about: 'A new password. All other sessions of the person end.',
    body: z.strictObject({ was: shape.password, password: shape.password }),
    answer: shape.session,
    async handle(call) {
      const { portal, me, body } = call;
      const prove = async () => me.person.password === '' || (await isPassword(body.was, me.person.password));
      mustBeRight(await attempt(portal, call.from.address, me.person.email, prove), 'The password so far is not right.');
      const password = await goodPassword(body.password, [me.person.email, me.person.name]);
      const secret = await call.change(async (tx, tell) => {
        const row = await mine(tx, call);
        tx.put('person', [me.id], { ...row, password });
        await endSessions(tx, me.id, me.session.id);
        await tell({ action: 'person.password', target: row.email });
        return rotateSession(tx, portal.world, me.session, { reauthAt: call.now });
      });
      return signedIn(portal, secret);
    },
  }),
  own('POST', '/organisations', {
    about: 'Another organisation. Its first owner is whoever makes it, who must be an owner of one already.',
    body: z.strictObject({ name: shape.line(100) }),
    answer: shape.membership,
    status: 201,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const { portal, me, now } = call;
        const rows = await Promise.all((await organisationsOf(tx, me.id)).map((id) => tx.get('membership', id, me.id)));
        if (!rows.some((row) => row?.role === 'owner')) throw forbidden('Only an owner of an organisation may make another one.');
        const id = newId(portal.world);
        tx.put('organisation', [id], { name: call.body.name, createdAt: now });
        addMember(tx, id, me.id, 'owner', [], now);
        await tell({ organisation: id, action: 'organisation.create', target: call.body.name });
        return { id, name: call.body.name, role: 'owner' as const, domains: [] };
      }),
  }),
] as const;
