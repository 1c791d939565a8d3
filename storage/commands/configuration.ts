// The desired document, certificates, credentials and keys. Guarantees (U2): a document is applied whole, in one transaction, or
// not at all; the account of an address that comes back is the one it had; what a user set is not undone by a document
// which says what it said before.

import { refuse } from '../../actors/wire.ts';
import type { Account, Document } from '../document.ts';
import { type Row, unlessDamaged } from '../rows.ts';
import type { Tx } from '../tx.ts';
import { createDefaults } from './mailbox.ts';
import { type Command, site, takeId } from './site.ts';

export const applyConfig: Command<'applyConfig'> = (tx, { now, document }) => {
  const owner = tx.get('uplink', {});
  if (owner && owner.state !== 'decommissioned') return refuse('locked', `it is locked by the portal ${owner.portal}, rev ${owner.runningRev}`);
  return { rev: putDocument(tx, document, now) };
};

/** Makes a validated, normalized document the one in force. Returns the number that this site gives it. */
export function putDocument(tx: Tx, text: string, now: number): number {
  const was = tx.get('config', {});
  if (was?.document === text) return was.rev;
  const before = was ? (JSON.parse(was.document) as Document) : null;
  const document = JSON.parse(text) as Document;
  const accounts = applyAccounts(tx, document, before, now);
  applyDomains(tx, document);
  applyAddresses(tx, document, accounts);
  const rev = (was?.rev ?? 0) + 1;
  tx.put('config', {}, { rev, appliedAt: now, document: text });
  tx.configured(rev);
  return rev;
}

/** Accounts by address, those of the document and those of earlier ones. */
function applyAccounts(tx: Tx, document: Document, before: Document | null, now: number): Map<string, number> {
  const passwords = new Map(before?.accounts.map((a) => [a.address, a.password]));
  const known = new Map<string, { account: number; row: Row<'account'> }>();
  for (const { key, row } of tx.scan('account', [])) known.set(row.address, { account: key.account, row });
  const wanted = new Set(document.accounts.map((a) => a.address));
  for (const { account, row } of known.values()) {
    if (row.present && !wanted.has(row.address)) tx.put('account', { account }, { ...row, present: false });
  }
  const accounts = new Map<string, number>();
  for (const a of document.accounts) {
    const found = known.get(a.address);
    accounts.set(a.address, found ? found.account : createAccount(tx, a, now));
    if (found) updateAccount(tx, found.account, found.row, a, passwords.get(a.address) !== a.password);
  }
  return accounts;
}

function createAccount(tx: Tx, a: Account, now: number): number {
  const account = takeId(tx, 'nextAccount');
  const { address, name, password, quotaBytes, enabled } = a;
  tx.put('account', { account }, { address, name, password, quotaBytes, usedBytes: 0, messages: 0, enabled, present: true });
  createDefaults(tx, account, now);
  return account;
}

function updateAccount(tx: Tx, account: number, row: Row<'account'>, a: Account, newPassword: boolean): void {
  const { name, quotaBytes, enabled } = a;
  const next = { ...row, name, quotaBytes, enabled, present: true, password: newPassword ? a.password : row.password };
  const same = (Object.keys(next) as (keyof typeof next)[]).every((field) => next[field] === row[field]);
  if (!same) tx.put('account', { account }, next);
}

function applyDomains(tx: Tx, document: Document): void {
  const wanted = new Map(document.domains.map(({ name, aliasOf, catchAll, subaddress }) => [name, { aliasOf, catchAll, subaddress }]));
  for (const { key } of tx.scan('domain', [])) if (!wanted.has(key.name)) tx.delete('domain', key);
  for (const [name, row] of wanted) if (!same(tx.get('domain', { name }), row)) tx.put('domain', { name }, row);
}

function applyAddresses(tx: Tx, document: Document, accounts: ReadonlyMap<string, number>): void {
  const wanted = new Map<string, Row<'address'>>();
  for (const { address, to } of document.aliases) wanted.set(address, { kind: 'alias', account: 0, to });
  for (const [address, account] of accounts) wanted.set(address, { kind: 'account', account, to: [] });
  for (const { key } of tx.scan('address', [])) if (!wanted.has(key.address)) tx.delete('address', key);
  for (const [address, row] of wanted) if (!same(tx.get('address', { address }), row)) tx.put('address', { address }, row);
}

const same = (a: object | undefined, b: object): boolean => a !== undefined && JSON.stringify(a) === JSON.stringify(b);

export const putCertificate: Command<'putCertificate'> = (tx, { host, ...row }) => {
  if (same(tx.get('certificate', { host: host.toLowerCase() }), row)) return {};
  tx.put('certificate', { host: host.toLowerCase() }, row);
  tx.configured(tx.get('config', {})?.rev ?? 0);
  return {};
};

export const putDkim: Command<'putDkim'> = (tx, { now, domain, keys }) => {
  let added = 0;
  for (const { selector, ...key } of keys) {
    const name = `${domain}/${selector}`;
    // the one that is there may be published already: another would make every signature wrong
    if (tx.get('dkim', { name })) continue;
    tx.put('dkim', { name }, { ...key, state: 'current', createdAt: now });
    added++;
  }
  return { added };
};

export const rehash: Command<'rehash'> = (tx, { account, was, password }) => {
  const row = tx.get('account', { account });
  if (!row) return refuse('noSuchAccount');
  if (row.password !== was) return refuse('conflict', 'the password changed');
  if (password !== was) tx.put('account', { account }, { ...row, password });
  return {};
};

export const authFailed: Command<'authFailed'> = (tx, { now, windowMs, keys }) => ({
  counts: keys.map((key) => {
    const row = tx.get('authFailure', { key });
    const next = row && now - row.since < windowMs ? { count: row.count + 1, since: row.since } : { count: 1, since: now };
    tx.put('authFailure', { key }, next);
    return next.count;
  }),
});

export const authSucceeded: Command<'authSucceeded'> = (tx, { keys }) => {
  for (const key of keys) if (tx.get('authFailure', { key })) tx.delete('authFailure', { key });
  return {};
};

export const proved: Command<'proved'> = (tx, { now, state, commit, takenAt, problem }) => {
  const { lineage } = site(tx);
  const known = unlessDamaged(() => tx.get('proof', {}));
  const none = { state, problem, at: 0, commit: 0, takenAt: 0, lineage };
  const last = known?.lineage === lineage ? known : none;
  const standing = state === 'untried' && last.state === 'failed' ? {} : { state, problem };
  tx.put('proof', {}, { ...last, ...standing, ...(state === 'proven' ? { at: now, commit, takenAt } : {}), triedAt: now });
  return {};
};

export const makeKeys: Command<'makeKeys'> = (tx, { now, dataKey, wrapped, identity, recipient }) => {
  const { lineage } = site(tx);
  const known = tx.get('lineage', { lineage });
  const kit = tx.get('recovery', {});
  if (known && kit) return { lineage, dataKey: known.dataKey, wrapped: known.wrapped, identity: kit.identity, recipient: kit.recipient, made: false };
  // the caller wraps for the kit that it saw: another one came first
  if (kit && kit.recipient !== recipient) return refuse('conflict', 'the recovery kit was made meanwhile');
  if (!kit) tx.put('recovery', {}, { identity, recipient, createdAt: now });
  tx.put('lineage', { lineage }, { dataKey, createdAt: now, wrapped });
  return { lineage, dataKey, wrapped, identity, recipient, made: !kit };
};
