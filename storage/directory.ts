// Who an address is. Guarantees: an address of a domain that is not ours is never called ours; aliases end (limits.
// aliasDepth) and name each target once; nothing is looked up that the document does not declare.

import { limits } from '../actors/limits.ts';
import { domainOf, localPartOf, normalizeAddress, normalizeDomain } from './addresses.ts';
import type { Reader } from './engine.ts';
import { getRow, type Row, scanRows } from './rows.ts';

/** `mailbox`: INBOX, or the folder that a subaddress names and that exists. `address`: the account's own. */
export type Resolution =
  | { readonly kind: 'local'; readonly account: number; readonly mailbox: string; readonly address: string }
  | { readonly kind: 'remote'; readonly address: string };
export type Unresolved = 'notOurs' | 'unknown' | 'disabled' | 'full' | 'loop';
export type Resolved = { readonly targets: readonly Resolution[] } | { readonly error: Unresolved };

export const isLocalDomain = (reader: Reader, domain: string): boolean => domainRow(reader, domain) !== undefined;

/** The account whose own address this is, also in a domain that is an alias of its own. */
export function accountByAddress(reader: Reader, address: string): { account: number; row: Row<'account'> } | undefined {
  const name = canonical(reader, address);
  const found = name === null ? undefined : getRow(reader, 'address', { address: name });
  if (found?.kind !== 'account') return undefined;
  const row = getRow(reader, 'account', { account: found.account });
  return row && { account: found.account, row };
}

/** Where mail for an address goes. An address of another domain is `notOurs`. */
export function resolveAddress(reader: Reader, address: string): Resolved {
  const walk: Walk = { reader, catchAll: true, seen: new Set(), targets: new Map(), error: null };
  const start = /^postmaster$/i.test(address) ? postmaster(reader) : address;
  if (start === null || !isLocalDomain(reader, domainOf(start))) return { error: 'notOurs' };
  follow(walk, start, 0);
  if (walk.error === 'loop' || walk.error === 'full') return { error: walk.error };
  if (walk.targets.size > 0) return { targets: [...walk.targets.values()] };
  return { error: walk.error ?? 'unknown' };
}

/** May this account send as that address? Its own, an alias that leads to it, and both with a subaddress. */
export function mayFrom(reader: Reader, account: number, address: string): boolean {
  const walk: Walk = { reader, catchAll: false, seen: new Set(), targets: new Map(), error: null };
  if (isLocalDomain(reader, domainOf(address))) follow(walk, address, 0);
  for (const target of walk.targets.values()) if (target.kind === 'local' && target.account === account) return true;
  return false;
}

interface Walk {
  readonly reader: Reader;
  /** Follow catch-all and postmaster, refuse the full: what delivery does and sending does not. */
  readonly catchAll: boolean;
  readonly seen: Set<string>;
  readonly targets: Map<string, Resolution>;
  error: Unresolved | null;
}

function follow(walk: Walk, address: string, depth: number, folder = ''): void {
  const { reader } = walk;
  if (depth > limits.aliasDepth) {
    walk.error = 'loop';
    return;
  }
  const domain = domainRow(reader, domainOf(address));
  if (!domain) {
    walk.targets.set(address, { kind: 'remote', address });
    return;
  }
  const name = canonical(reader, address) ?? '';
  if (walk.seen.has(`${name} ${folder}`)) return;
  walk.seen.add(`${name} ${folder}`);
  const found = getRow(reader, 'address', { address: name });
  if (found) {
    if (found.kind === 'account') reach(walk, found.account, folder);
    else for (const target of found.to) follow(walk, target, depth + 1, folder);
    return;
  }
  if (!followDetail(walk, address, domain, depth, folder) && walk.catchAll) followNobody(walk, name, domain.row, depth);
}

/** An address with a subaddress is the one before it. Was it one? */
function followDetail(walk: Walk, address: string, domain: DomainRow, depth: number, folder: string): boolean {
  // RFC 5233 §1: what is after the separator is detail of the address before it.
  const local = localPartOf(address);
  const cut = domain.row.subaddress === '' || folder !== '' ? -1 : local.indexOf(domain.row.subaddress);
  if (cut < 1 || cut === local.length - 1) return false;
  const base = `${local.slice(0, cut)}@${domain.name}`;
  const plain = canonical(walk.reader, base);
  if (plain === null || !getRow(walk.reader, 'address', { address: plain })) return false;
  follow(walk, base, depth, local.slice(cut + 1));
  return true;
}

/** Mail for an address that nobody has. */
function followNobody(walk: Walk, name: string, domain: Row<'domain'>, depth: number): void {
  if (domain.catchAll !== null) {
    follow(walk, domain.catchAll, depth + 1);
    return;
  }
  // RFC 5321 §4.5.1: mail to postmaster is always taken.
  const first = name.startsWith('postmaster@') ? firstAccount(walk.reader) : undefined;
  if (first !== undefined) reach(walk, first, '');
}

function reach(walk: Walk, account: number, folder: string): void {
  const row = getRow(walk.reader, 'account', { account });
  if (!row?.present || !row.enabled) {
    walk.error ??= 'disabled';
    return;
  }
  if (walk.catchAll && row.quotaBytes > 0 && row.usedBytes >= row.quotaBytes) walk.error = 'full';
  const mailbox = folder === '' ? 'INBOX' : folderOf(walk.reader, account, folder);
  walk.targets.set(`${account}`, { kind: 'local', account, mailbox, address: row.address });
}

/** The account's mailbox of that name, in any case, or INBOX: a subaddress never loses mail. */
function folderOf(reader: Reader, account: number, folder: string): string {
  const wanted = folder.toLowerCase();
  let found = 'INBOX';
  for (const { key } of scanRows(reader, 'mailboxName', [account])) {
    if (key.name === folder) return folder;
    if (key.name.toLowerCase() === wanted) found = key.name;
  }
  return found;
}

interface DomainRow {
  readonly name: string;
  readonly row: Row<'domain'>;
}

/** A domain of ours, or what it is an alias of. */
function domainRow(reader: Reader, domain: string): DomainRow | undefined {
  const name = normalizeDomain(domain);
  if (name === null) return undefined;
  const row = getRow(reader, 'domain', { name });
  if (row === undefined || row.aliasOf === null) return row && { name, row };
  const target = getRow(reader, 'domain', { name: row.aliasOf });
  return target && { name: row.aliasOf, row: target };
}

/** The address in its one spelling and in the domain that counts, or null when it cannot be declared. */
function canonical(reader: Reader, address: string): string | null {
  const name = normalizeAddress(address);
  if (name === null) return null;
  const domain = domainRow(reader, domainOf(name));
  return domain ? `${localPartOf(name)}@${domain.name}` : name;
}

function firstAccount(reader: Reader): number | undefined {
  for (const { key, row } of scanRows(reader, 'account', [])) if (row.present && row.enabled) return key.account;
  return undefined;
}

/** RFC 5321 §4.1.1.3: `postmaster` without a domain is the postmaster of this host. */
function postmaster(reader: Reader): string | null {
  for (const { key, row } of scanRows(reader, 'domain', [])) if (row.aliasOf === null) return `postmaster@${key.name}`;
  return null;
}
