// An organisation: its people, invitations, tokens and its audit log. Guarantees: nobody gives away more than they have; an
// organisation keeps an owner; secrets are shown once.

import { z } from 'zod';
import { limits } from '../../../../actors/limits.ts';
import { exportEntries, verify } from '../../identity/audit.ts';
import { addMember, addPerson, isLastOwner, personByEmail } from '../../identity/person.ts';
import { hashOf, newId, newSecret } from '../../identity/secret.ts';
import { endSessions } from '../../identity/session.ts';
import { mayGive, newToken, type Role } from '../../identity/token.ts';
import { ordered } from '../../kinds.ts';
import type { Transaction } from '../../records.ts';
import { conflict, forbidden, invalid, notFound, Problem } from '../problem.ts';
import { admins, auditors, members, nothing, open, siteWide, type TenantCall, tenant } from '../route.ts';
import * as shape from '../shapes.ts';
import { signedIn, signIn, wrong } from '../signed.ts';
import { goodPassword } from './session.ts';

const organisation = z.strictObject({ id: z.string(), name: z.string(), role: shape.role, createdAt: shape.time });
const member = z.strictObject({
  person: z.string(),
  name: z.string(),
  email: z.string(),
  role: shape.role,
  domains: z.array(z.string()),
  since: shape.time,
  strong: z.boolean(),
});
const invitation = z.strictObject({
  id: z.string(),
  email: z.string(),
  role: shape.role,
  domains: z.array(z.string()),
  createdAt: shape.time,
  expiresAt: shape.time,
});
const token = z.strictObject({
  id: z.string(),
  name: z.string(),
  role: shape.role,
  domains: z.array(z.string()),
  by: z.string(),
  createdAt: shape.time,
  expiresAt: shape.maybe,
  seenAt: shape.maybe,
});
const auditRow = z.strictObject({
  n: z.int(),
  at: shape.time,
  actor: z.string(),
  auth: z.string(),
  address: z.string(),
  action: z.string(),
  target: z.string(),
  detail: z.string(),
  beforeHash: z.string(),
  afterHash: z.string(),
  prevHash: z.string(),
  hash: z.string(),
});

type Call = TenantCall<unknown, unknown, unknown>;
const grant = { role: shape.role, domains: shape.domains };

/** Throws where `call` may not give `role`, or where role and domains do not fit. */
function mustMayGive(call: Call, role: Role, domains: readonly string[]): void {
  if (!mayGive(call.role, role)) throw forbidden(`As ${call.role} you cannot make anybody ${role}: ask one who is.`);
  if (role === 'domain admin' && domains.length === 0) throw invalid([{ path: 'body.domains', message: 'must name the domains that a domain admin is for' }]);
  if (role !== 'domain admin' && domains.length > 0) throw invalid([{ path: 'body.domains', message: 'is only for a domain admin: leave it empty' }]);
}

/** Removes the tokens that a person made and, with the role `left` to them, may not use any more; null: none is left. */
async function endTokens(tx: Transaction, org: string, person: string, left: Role | null): Promise<void> {
  for (const { id, body } of await tx.list('token', [org])) {
    if (body.by !== person || (left !== null && mayGive(left, body.role))) continue;
    tx.remove('token', org, id[1] as string);
    tx.remove('tokenBySecret', body.secretHash);
  }
}

const people = [
  tenant('GET', '/organisations/{org}/members', {
    about: 'Who belongs to the organisation, and what they may do.',
    who: members,
    answer: shape.listOf(member),
    query: shape.page,
    async handle({ portal: { records }, organisation: org, query }) {
      const rows = await records.list('membership', [org], { limit: query.limit + 1, ...(query.after === undefined ? {} : { after: [org, query.after] }) });
      const shown = rows.slice(0, query.limit);
      const items = await Promise.all(
        shown.map(async ({ id, body }) => {
          const row = await records.get('person', id[1] as string);
          const passkeys = await records.list('passkey', [id[1] as string], { limit: 1 });
          const about = { name: row?.name ?? '', email: row?.email ?? '', strong: (row?.totp ?? null) !== null || passkeys.length > 0 };
          return { person: id[1] as string, ...about, ...body };
        }),
      );
      return { items, next: rows.length > shown.length ? (shown.at(-1)?.id[1] ?? null) : null };
    },
  }),
  tenant('PATCH', '/organisations/{org}/members/{person}', {
    about: 'Another role, or other domains. Their sessions end, so that they sign in with what they may do now.',
    who: admins,
    people: true,
    body: z.strictObject(grant),
    answer: member,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const { organisation: org, params, body } = call;
        const [was, row] = [await tx.get('membership', org, params.person), await tx.get('person', params.person)];
        if (was === undefined || row === undefined) throw notFound();
        mustMayGive(call, body.role, body.domains);
        if (!mayGive(call.role, was.role)) throw forbidden(`As ${call.role} you cannot change what an ${was.role} is.`);
        if (was.role === 'owner' && body.role !== 'owner' && (await isLastOwner(tx, org, params.person)))
          throw conflict('This is the only owner: make somebody else an owner first.');
        tx.put('membership', [org, params.person], { ...was, ...body });
        await endTokens(tx, org, params.person, body.role);
        await endSessions(tx, params.person, params.person === call.person && call.actor.kind === 'person' ? call.actor.session.id : null);
        await tell({ action: 'member.change', target: row.email, detail: `${was.role} → ${body.role}`, before: was, after: body });
        const strong = row.totp !== null || (await tx.list('passkey', [params.person], { limit: 1 })).length > 0;
        return { person: params.person, name: row.name, email: row.email, ...body, since: was.since, strong };
      }),
  }),
  tenant('DELETE', '/organisations/{org}/members/{person}', {
    about: 'Somebody belongs to the organisation no more. The tokens that they made end.',
    who: admins,
    people: true,
    answer: nothing,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const { organisation: org, params } = call;
        const [was, row] = [await tx.get('membership', org, params.person), await tx.get('person', params.person)];
        if (was === undefined) throw notFound();
        if (!mayGive(call.role, was.role)) throw forbidden(`As ${call.role} you cannot remove an ${was.role}.`);
        if (was.role === 'owner' && (await isLastOwner(tx, org, params.person))) throw conflict('This is the only owner: make somebody else an owner first.');
        tx.remove('membership', org, params.person);
        tx.remove('membershipOf', params.person, org);
        await endTokens(tx, org, params.person, null);
        await tell({ action: 'member.remove', target: row?.email ?? params.person, before: was });
      }),
  }),
] as const;

const inviting = [
  tenant('GET', '/organisations/{org}/invitations', {
    about: 'Invitations that nobody has used yet.',
    who: admins,
    answer: shape.listOf(invitation),
    async handle({ portal: { records }, organisation: org }) {
      const rows = await records.list('invitation', [org]);
      return { items: rows.map(({ id, body: { secretHash: _, by: __, ...row } }) => ({ id: id[1] as string, ...row })), next: null };
    },
  }),
  tenant('POST', '/organisations/{org}/invitations', {
    about: 'A link by which one person joins, once, within seven days. Give it to them.',
    who: admins,
    people: true,
    secret: true,
    body: z.strictObject({ email: shape.email, ...grant }),
    answer: z.strictObject({ id: z.string(), link: z.string(), expiresAt: shape.time }),
    status: 201,
    handle: (call) => {
      const { portal, organisation: org, body, now } = call;
      mustMayGive(call, body.role, body.domains);
      return call.change(async (tx, tell) => {
        const known = await personByEmail(tx, body.email);
        if (known !== null && (await tx.get('membership', org, known.id)) !== undefined) throw conflict(`${body.email} belongs to the organisation already.`);
        if ((await tx.list('invitation', [org])).length >= limits.apiPage) throw conflict('There are too many open invitations: withdraw some first.');
        const [id, secret] = [newId(portal.world), newSecret(portal.world)];
        const expiresAt = now + limits.invitationMs;
        tx.put('invitation', [org, id], { ...body, secretHash: hashOf(secret), by: call.person, createdAt: now, expiresAt });
        tx.put('invitationBySecret', [hashOf(secret)], { organisation: org, invitation: id });
        await tell({ action: 'member.invite', target: body.email, detail: body.role });
        return { id, link: `${portal.url}/invitation#${secret}`, expiresAt };
      });
    },
  }),
  tenant('DELETE', '/organisations/{org}/invitations/{invitation}', {
    about: 'Withdraws an invitation.',
    who: admins,
    people: true,
    answer: nothing,
    handle: ({ change, organisation: org, params }) =>
      change(async (tx, tell) => {
        const row = await tx.get('invitation', org, params.invitation);
        if (row === undefined) throw notFound();
        tx.remove('invitation', org, params.invitation);
        tx.remove('invitationBySecret', row.secretHash);
        await tell({ action: 'member.withdraw', target: row.email });
      }),
  }),
  open('POST', '/invitations/show', {
    about: 'What an invitation is for, before it is accepted.',
    reads: true,
    body: z.strictObject({ secret: shape.secret }),
    answer: z.strictObject({
      organisation: z.string(),
      email: z.string(),
      role: shape.role,
      known: z.boolean().describe('the person has signed in here before: sign in first, then accept'),
    }),
    async handle({ portal: { records }, body, now }) {
      const at = await records.get('invitationBySecret', hashOf(body.secret));
      const row = at && (await records.get('invitation', at.organisation, at.invitation));
      const known = at && (await records.get('organisation', at.organisation));
      if (row === undefined || known === undefined || row.expiresAt <= now) throw badInvitation();
      return { organisation: known.name, email: row.email, role: row.role, known: (await personByEmail(records, row.email)) !== null };
    },
  }),
  open('POST', '/invitations/accept', {
    about: 'Joins an organisation. Somebody new gives name and password; whoever has been here before signs in first.',
    body: z.strictObject({ secret: shape.secret, name: shape.line(100).optional(), password: shape.password.optional() }),
    answer: shape.session,
    status: 201,
    async handle(call) {
      const { portal, body, now, actor } = call;
      const hash = hashOf(body.secret);
      const password = body.password === undefined ? null : await goodPassword(body.password);
      const secret = await call.change(async (tx, tell) => {
        const at = await tx.get('invitationBySecret', hash);
        const row = at && (await tx.get('invitation', at.organisation, at.invitation));
        if (at === undefined || row === undefined || row.expiresAt <= now) throw badInvitation();
        const inviter = await tx.get('membership', at.organisation, row.by);
        if (inviter === undefined || !mayGive(inviter.role, row.role)) throw badInvitation();
        const known = await personByEmail(tx, row.email);
        if (known !== null && (actor?.kind !== 'person' || actor.id !== known.id))
          throw wrong(`${row.email} has been here before: sign in as ${row.email}, then open the link again.`);
        if (known === null && (password === null || body.name === undefined))
          throw invalid([body.name === undefined ? { path: 'body.name', message: 'is required' } : { path: 'body.password', message: 'is required' }]);
        const person = known?.id ?? newId(portal.world);
        if (known === null) addPerson(tx, person, row.email, body.name ?? '', password ?? '', now);
        addMember(tx, at.organisation, person, row.role, row.domains, now);
        tx.remove('invitation', at.organisation, at.invitation);
        tx.remove('invitationBySecret', hash);
        await tell({ organisation: at.organisation, actor: row.email, auth: 'invitation', action: 'member.join', target: row.email, detail: row.role });
        return signIn(call, tx, person, { auth: 'invitation', strong: known !== null && actor?.kind === 'person' && actor.session.row.strong });
      });
      return signedIn(portal, secret, 201);
    },
  }),
] as const;
const badInvitation = (): Problem => new Problem(404, 'not-found', 'Not found', 'This invitation was used, withdrawn or is too old: ask for another one.');

const programs = [
  tenant('GET', '/organisations/{org}/tokens', {
    about: 'The API tokens. What they are is not kept, only that they are.',
    who: admins,
    answer: shape.listOf(token),
    async handle({ portal: { records }, organisation: org }) {
      const rows = await records.list('token', [org]);
      return { items: rows.map(({ id, body: { secretHash: _, ...row } }) => ({ id: id[1] as string, ...row })), next: null };
    },
  }),
  tenant('POST', '/organisations/{org}/tokens', {
    about: 'A new API token. It is shown once.',
    who: admins,
    people: true,
    secret: true,
    body: z.strictObject({
      name: shape.line(60),
      ...grant,
      days: z
        .int('must be a whole number')
        .min(1, 'must be at least 1')
        .max(3_650, 'must be at most 3650')
        .nullable()
        .default(90)
        .describe('null: until it is revoked'),
    }),
    answer: z.strictObject({ id: z.string(), token: z.string(), expiresAt: shape.maybe }),
    status: 201,
    handle: (call) => {
      const { portal, organisation: org, body, now } = call;
      mustMayGive(call, body.role, body.domains);
      return call.change(async (tx, tell) => {
        if ((await tx.list('token', [org])).length >= limits.tokensPerOrganisation) throw conflict('There are too many tokens: revoke some first.');
        const [id, text] = [newId(portal.world), newToken(portal.world)];
        const expiresAt = body.days === null ? null : now + body.days * 86_400_000;
        const { name, role, domains } = body;
        tx.put('token', [org, id], { name, role, domains, secretHash: hashOf(text), by: call.person, createdAt: now, expiresAt, seenAt: null });
        tx.put('tokenBySecret', [hashOf(text)], { organisation: org, token: id });
        await tell({ action: 'token.create', target: name, detail: role });
        return { id, token: text, expiresAt };
      });
    },
  }),
  tenant('DELETE', '/organisations/{org}/tokens/{token}', {
    about: 'Revokes a token.',
    who: admins,
    people: true,
    answer: nothing,
    handle: ({ change, organisation: org, params }) =>
      change(async (tx, tell) => {
        const row = await tx.get('token', org, params.token);
        if (row === undefined) throw notFound();
        tx.remove('token', org, params.token);
        tx.remove('tokenBySecret', row.secretHash);
        await tell({ action: 'token.revoke', target: row.name });
      }),
  }),
] as const;

const alarmRow = z.strictObject({ id: z.string(), at: shape.time, site: z.string(), name: z.string(), detail: z.string() });

const audited = [
  tenant('GET', '/organisations/{org}/alarms', {
    about: 'What somebody should look at, newest first: a second machine on a claim, a copy of a machine.',
    who: siteWide,
    query: shape.page,
    answer: shape.listOf(alarmRow),
    async handle({ portal: { records }, organisation: org, query }) {
      const after = query.after === undefined ? {} : { after: [org, query.after] };
      const rows = await records.list('alarm', [org], { reverse: true, limit: query.limit + 1, ...after });
      const items = rows.slice(0, query.limit).map(({ id, body }) => ({ id: id[1] as string, ...body }));
      return { items, next: rows.length > items.length ? (items.at(-1)?.id ?? null) : null };
    },
  }),
  tenant('GET', '/organisations/{org}/audit', {
    about: 'What was done, by whom, newest first.',
    who: auditors,
    query: shape.page,
    answer: shape.listOf(auditRow),
    async handle({ portal: { records }, organisation: org, query }) {
      const after = query.after !== undefined && /^[0-9]{1,12}$/.test(query.after) ? { after: [org, ordered(Number(query.after))] } : {};
      const rows = await records.list('audit', [org], { reverse: true, limit: query.limit + 1, ...after });
      const items = rows.slice(0, query.limit).map(({ body }) => body);
      return { items, next: rows.length > items.length ? String(items.at(-1)?.n ?? 0) : null };
    },
  }),
  tenant('GET', '/organisations/{org}/audit/proof', {
    about: 'Whether each entry follows from the one before it.',
    who: auditors,
    answer: z.strictObject({ ok: z.boolean(), entries: z.int(), head: z.string(), problem: z.string() }),
    handle: ({ portal, organisation: org }) => verify(portal.records, org),
  }),
  tenant('GET', '/organisations/{org}/audit/export', {
    about: 'The whole log, oldest first, one JSON object a line.',
    who: auditors,
    answer: nothing,
    raw: 'application/x-ndjson',
    async handle({ portal, organisation: org }) {
      const rows = exportEntries(portal.records, org);
      const body = new ReadableStream<string>({
        async pull(controller) {
          const { done, value } = await rows.next();
          if (done === true) controller.close();
          else controller.enqueue(`${JSON.stringify(value)}\n`);
        },
      });
      return new Response(body.pipeThrough(new TextEncoderStream()), {
        headers: { 'Content-Type': 'application/x-ndjson', 'Content-Disposition': 'attachment; filename="audit.jsonl"' },
      });
    },
  }),
] as const;

export const organisationRoutes = [
  tenant('GET', '/organisations/{org}', {
    about: 'The organisation, and what the one who asks is in it.',
    who: members,
    answer: organisation,
    async handle({ portal, organisation: org, role }) {
      const row = await portal.records.get('organisation', org);
      if (row === undefined) throw notFound();
      return { id: org, role, ...row };
    },
  }),
  tenant('PATCH', '/organisations/{org}', {
    about: 'Another name.',
    who: admins,
    body: z.strictObject({ name: shape.line(100) }),
    answer: organisation,
    handle: ({ change, organisation: org, role, body }) =>
      change(async (tx, tell) => {
        const row = await tx.get('organisation', org);
        if (row === undefined) throw notFound();
        tx.put('organisation', [org], { ...row, name: body.name });
        await tell({ action: 'organisation.rename', target: body.name, before: row.name, after: body.name });
        return { id: org, role, ...row, name: body.name };
      }),
  }),
  ...people,
  ...inviting,
  ...programs,
  ...audited,
] as const;
