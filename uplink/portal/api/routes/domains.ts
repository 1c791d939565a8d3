// Domains, accounts and aliases of a site: each change is one new rev of its document. Guarantees: a domain admin sees and
// changes only what is in its domains; what it may not see is not there.

import { z } from 'zod';
import { limits } from '../../../../actors/limits.ts';
import { domainOf, normalizeAddress, normalizeDomain } from '../../../../storage/addresses.ts';
import type { Account, Alias, Document, Domain } from '../../../../storage/document.ts';
import { readableSecret } from '../../identity/secret.ts';
import { edit, type SiteCall, wantedOf } from '../edit.ts';
import { conflict, forbidden, notFound } from '../problem.ts';
import { admins, domainAdmins, helpers, members, reply, tenant } from '../route.ts';
import * as shape from '../shapes.ts';
import { goodPassword } from './session.ts';

const domainRow = z.strictObject({
  name: z.string(),
  aliasOf: z.string().nullable(),
  catchAll: z.string().nullable(),
  subaddress: z.string(),
  accounts: z.int(),
  aliases: z.int(),
});
const accountRow = z.strictObject({ address: z.string(), name: z.string(), quotaBytes: z.int(), enabled: z.boolean() });
const aliasRow = z.strictObject({ address: z.string(), to: z.array(z.string()) });
const found = z.strictObject({
  ...shape.page.shape,
  domain: shape.domain.optional(),
  q: z.string().max(200).optional().describe('only what has this in its address or name'),
});
const generated = z.strictObject({
  ...shape.wanted.shape,
  password: z.string().nullable().describe('the one that was made, shown once; null: the one that was given'),
});

const quota = z.int('must be a whole number of octets').min(0, 'must not be negative');
const targets = z.array(shape.email).min(1, 'must name at least one address').max(limits.aliasTargets, `must name at most ${limits.aliasTargets} addresses`);

/** With the rev that it was read of, for If-Match of who changes it. */
const seenAt = <A>(rev: number, row: A) => reply(row, { headers: { ETag: `"${rev}"` } });

/** The name of the path in its one spelling; what is none, or in a domain of others, is not there. */
function named(call: SiteCall, text: string, normalize: (text: string) => string | null): string {
  const name = normalize(text);
  if (name === null || !call.mayDomain(domainOf(name))) throw notFound();
  return name;
}
/** For what is about to be made: a domain admin is told that it may not. */
function mustMay(call: SiteCall, address: string): void {
  if (!call.mayDomain(domainOf(address))) throw forbidden(`${domainOf(address)} is not one of your domains.`);
}

/** `rows` with one of them changed or removed (null). 404 where it is not there. */
function replaced<T>(rows: readonly T[], is: (row: T) => boolean, change: (row: T) => T | null): T[] {
  if (!rows.some(is)) throw notFound();
  return rows.flatMap((row) => (is(row) ? (change(row) ?? []) : [row]));
}

const isIn =
  (domain: string | undefined, q: string | undefined) =>
  (row: { address: string; name?: string }): boolean =>
    (domain === undefined || domainOf(row.address) === domain) &&
    (q === undefined || `${row.address} ${row.name ?? ''}`.toLowerCase().includes(q.toLowerCase()));

const seenBy =
  (call: SiteCall) =>
  (row: { address: string }): boolean =>
    call.mayDomain(domainOf(row.address));
const byAddress = (a: { address: string }, b: { address: string }): number => (a.address < b.address ? -1 : 1);

const counted = ({ accounts, aliases }: Document) => {
  const count = (rows: readonly { address: string }[], name: string): number => rows.filter(({ address }) => domainOf(address) === name).length;
  return (row: Domain) => ({ ...row, accounts: count(accounts, row.name), aliases: count(aliases, row.name) });
};

const domainBody = {
  aliasOf: shape.domain.nullable().optional(),
  catchAll: shape.email.nullable().optional(),
  subaddress: z.string().max(10).optional(),
};
/** Without the fields that were not sent. */
const sent = <T extends object>(fields: T): Partial<T> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;

const domainRoutes = [
  tenant('GET', '/organisations/{org}/sites/{site}/domains', {
    about: 'The domains of the site.',
    who: members,
    query: shape.page,
    answer: shape.listOf(domainRow),
    async handle(call) {
      const { document } = await wantedOf(call.portal.records, call);
      const rows = document.domains.filter(({ name }) => call.mayDomain(name)).map(counted(document));
      return shape.paged(
        rows.sort((a, b) => (a.name < b.name ? -1 : 1)),
        call.query,
        ({ name }) => name,
      );
    },
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/domains', {
    about: 'A new domain. The first one also gives the site its host name, mail.DOMAIN, unless host is given.',
    who: admins,
    body: z.strictObject({ name: shape.domain, host: shape.domain.optional(), ...domainBody }),
    answer: shape.wanted,
    status: 201,
    handle(call) {
      const { name, host, ...more } = call.body;
      return edit(call, { action: 'domain.add', target: name, summary: `domain ${name}` }, (d) => {
        if (d.domains.some((row) => row.name === name)) throw conflict(`${name} is there already.`);
        return { ...d, host: host ?? (d.host || `mail.${name}`), domains: [...d.domains, { name, ...sent(more) }] };
      });
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/domains/{name}', {
    about: 'One domain. ETag is the rev of the document, for If-Match of a change: 412 then tells what another hand changed meanwhile.',
    who: members,
    answer: domainRow,
    async handle(call) {
      const name = named(call, call.params.name, normalizeDomain);
      const { document, rev } = await wantedOf(call.portal.records, call);
      const row = document.domains.find((one) => one.name === name);
      if (row === undefined) throw notFound();
      return seenAt(rev, counted(document)(row));
    },
  }),
  tenant('PUT', '/organisations/{org}/sites/{site}/domains/{name}', {
    about: 'Its catch-all, what it is an alias of, and what splits addresses. What is not sent stays.',
    who: admins,
    body: z.strictObject(domainBody),
    answer: shape.wanted,
    handle(call) {
      const name = named(call, call.params.name, normalizeDomain);
      return edit(call, { action: 'domain.change', target: name, summary: `domain ${name}` }, (d) => ({
        ...d,
        domains: replaced(
          d.domains,
          (row) => row.name === name,
          (row) => ({ ...row, ...sent(call.body) }) as Domain,
        ),
      }));
    },
  }),
  tenant('DELETE', '/organisations/{org}/sites/{site}/domains/{name}', {
    about: 'Removes a domain. With contents=remove also its accounts and aliases: mail for them is refused from then on, what is there stays.',
    who: admins,
    query: z.strictObject({ contents: z.literal('remove').optional() }),
    answer: shape.wanted,
    handle(call) {
      const name = named(call, call.params.name, normalizeDomain);
      const stays = ({ address }: { address: string }): boolean => call.query.contents === undefined || domainOf(address) !== name;
      return edit(call, { action: 'domain.remove', target: name, summary: `domain ${name} removed` }, (d) => ({
        ...d,
        domains: replaced(
          d.domains,
          (row) => row.name === name,
          () => null,
        ),
        accounts: d.accounts.filter(stays),
        aliases: d.aliases.filter(stays),
      }));
    },
  }),
] as const;

const accountRoutes = [
  tenant('GET', '/organisations/{org}/sites/{site}/accounts', {
    about: 'The accounts of the site.',
    who: members,
    query: found,
    answer: shape.listOf(accountRow),
    async handle(call) {
      const { document } = await wantedOf(call.portal.records, call);
      const rows = document.accounts.filter(seenBy(call)).filter(isIn(call.query.domain, call.query.q));
      return shape.paged(rows.map(({ password: _, ...row }) => row).sort(byAddress), call.query, ({ address }) => address);
    },
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/accounts', {
    about: 'A new account. Without a password one is made, and shown once.',
    who: domainAdmins,
    secret: true,
    body: z.strictObject({
      address: shape.email,
      name: z.string().max(100).default(''),
      password: shape.password.optional(),
      quotaBytes: quota.default(0),
      enabled: z.boolean().default(true),
    }),
    answer: generated,
    status: 201,
    async handle(call) {
      const { address, password: given, ...more } = call.body;
      mustMay(call, address);
      const made = given === undefined ? readableSecret(call.portal.world, 4, 5) : null;
      const password = await goodPassword(given ?? made ?? '', [address]);
      const done = await edit(call, { action: 'account.add', target: address, summary: `account ${address}` }, (d) => {
        if (d.accounts.some((row) => row.address === address)) throw conflict(`${address} is there already.`);
        return { ...d, accounts: [...d.accounts, { address, password, ...more }] };
      });
      return { ...done, password: made };
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/accounts/{address}', {
    about: 'One account. ETag is the rev of the document, for If-Match of a change: 412 then tells what another hand changed meanwhile.',
    who: members,
    answer: accountRow,
    async handle(call) {
      const address = named(call, call.params.address, normalizeAddress);
      const { document, rev } = await wantedOf(call.portal.records, call);
      const row = document.accounts.find((one) => one.address === address);
      if (row === undefined) throw notFound();
      const { password: _, ...shown } = row;
      return seenAt(rev, shown);
    },
  }),
  tenant('PUT', '/organisations/{org}/sites/{site}/accounts/{address}', {
    about: 'Name, quota, and whether it takes mail and logins. What is not sent stays.',
    who: domainAdmins,
    body: z.strictObject({ name: z.string().max(100).optional(), quotaBytes: quota.optional(), enabled: z.boolean().optional() }),
    answer: shape.wanted,
    handle(call) {
      const address = named(call, call.params.address, normalizeAddress);
      return edit(call, { action: 'account.change', target: address, summary: `account ${address}` }, (d) => ({
        ...d,
        accounts: replaced(
          d.accounts,
          (row) => row.address === address,
          (row) => ({ ...row, ...sent(call.body) }) as Account,
        ),
      }));
    },
  }),
  tenant('DELETE', '/organisations/{org}/sites/{site}/accounts/{address}', {
    about: 'Removes an account. Its mail stays on the site until that collects it.',
    who: domainAdmins,
    answer: shape.wanted,
    handle(call) {
      const address = named(call, call.params.address, normalizeAddress);
      return edit(call, { action: 'account.remove', target: address, summary: `account ${address} removed` }, (d) => ({
        ...d,
        accounts: replaced(
          d.accounts,
          (row) => row.address === address,
          () => null,
        ),
      }));
    },
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/accounts/{address}/password', {
    about: 'Another password for an account: a given one, or one that is made and shown once.',
    who: helpers,
    secret: true,
    body: z.union([z.strictObject({ password: shape.password }), z.strictObject({ generate: z.literal(true) })]),
    answer: generated,
    async handle(call) {
      const address = named(call, call.params.address, normalizeAddress);
      const made = 'generate' in call.body ? readableSecret(call.portal.world, 4, 5) : null;
      const password = await goodPassword('password' in call.body ? call.body.password : (made ?? ''), [address]);
      const done = await edit(call, { action: 'account.password', target: address, summary: `password of ${address}` }, (d) => ({
        ...d,
        accounts: replaced(
          d.accounts,
          (row) => row.address === address,
          (row) => ({ ...row, password }),
        ),
      }));
      return { ...done, password: made };
    },
  }),
] as const;

const aliasRoutes = [
  tenant('GET', '/organisations/{org}/sites/{site}/aliases', {
    about: 'The aliases of the site: addresses whose mail goes to others, here or elsewhere.',
    who: members,
    query: found,
    answer: shape.listOf(aliasRow),
    async handle(call) {
      const { document } = await wantedOf(call.portal.records, call);
      const rows = document.aliases.filter(seenBy(call)).filter(isIn(call.query.domain, call.query.q));
      return shape.paged(rows.map(({ address, to }) => ({ address, to: [...to] })).sort(byAddress), call.query, ({ address }) => address);
    },
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/aliases', {
    about: 'A new alias.',
    who: domainAdmins,
    body: z.strictObject({ address: shape.email, to: targets }),
    answer: shape.wanted,
    status: 201,
    handle(call) {
      const { address, to } = call.body;
      mustMay(call, address);
      return edit(call, { action: 'alias.add', target: address, summary: `alias ${address}` }, (d) => {
        if (d.aliases.some((row) => row.address === address)) throw conflict(`${address} is there already.`);
        return { ...d, aliases: [...d.aliases, { address, to }] };
      });
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/aliases/{address}', {
    about: 'One alias. ETag is the rev of the document, for If-Match of a change: 412 then tells what another hand changed meanwhile.',
    who: members,
    answer: aliasRow,
    async handle(call) {
      const address = named(call, call.params.address, normalizeAddress);
      const { document, rev } = await wantedOf(call.portal.records, call);
      const row = document.aliases.find((one) => one.address === address);
      if (row === undefined) throw notFound();
      return seenAt(rev, { address, to: [...row.to] });
    },
  }),
  tenant('PUT', '/organisations/{org}/sites/{site}/aliases/{address}', {
    about: 'Where its mail goes.',
    who: domainAdmins,
    body: z.strictObject({ to: targets }),
    answer: shape.wanted,
    handle(call) {
      const address = named(call, call.params.address, normalizeAddress);
      return edit(call, { action: 'alias.change', target: address, summary: `alias ${address}` }, (d) => ({
        ...d,
        aliases: replaced(
          d.aliases,
          (row) => row.address === address,
          (row): Alias => ({ ...row, to: call.body.to }),
        ),
      }));
    },
  }),
  tenant('DELETE', '/organisations/{org}/sites/{site}/aliases/{address}', {
    about: 'Removes an alias.',
    who: domainAdmins,
    answer: shape.wanted,
    handle(call) {
      const address = named(call, call.params.address, normalizeAddress);
      return edit(call, { action: 'alias.remove', target: address, summary: `alias ${address} removed` }, (d) => ({
        ...d,
        aliases: replaced(
          d.aliases,
          (row) => row.address === address,
          () => null,
        ),
      }));
    },
  }),
] as const;

export const contentRoutes = [...domainRoutes, ...accountRoutes, ...aliasRoutes] as const;
