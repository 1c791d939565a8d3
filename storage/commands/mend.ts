// Damage and its mending. Guarantees: what is mended says what the rows that it derives from say, in one commit, which also
// says that the digest is to be counted anew (recount.ts); a row that cannot be derived soundly now is left as it is, and stays on the list of damage.

import type { Answer, Refusal } from '../../actors/wire.ts';
import type { Document } from '../document.ts';
import type { StoreProtocol } from '../messages.ts';
import { readPage } from '../page.ts';
import { decodeKey, decodeRow, type Key, type Row, tableOf, unlessDamaged } from '../rows.ts';
import type { TableName } from '../schema.ts';
import type { Tx } from '../tx.ts';
import { chunkCount, declaredSize } from '../bodies.ts';
import { limits } from '../../actors/limits.ts';
import { tally } from './folder.ts';
import { type Command, site } from './site.ts';
import { recount, recountTrace } from './trace.ts';

const nameOf = (key: Uint8Array): Key<'damage'> => ({ of: new Uint8Array(new Bun.CryptoHasher('sha256').update(key).digest()) });

export const scrubbed: Command<'scrubbed'> = (tx, { now, next, rows, bodies, found }) => {
  const was = progress(tx);
  const begun = was === undefined || was.next.length === 0 ? { startedAt: now, finishedAt: was?.finishedAt ?? 0, rows: 0, bodies: 0, found: 0 } : was;
  const done = next.length === 0;
  const sum = { rows: begun.rows + rows, bodies: begun.bodies + bodies, found: begun.found + found.length };
  tx.put('scrub', {}, { next, startedAt: begun.startedAt, finishedAt: done ? now : begun.finishedAt, ...sum });
  return damaged(tx, { now, found });
};

export const damaged: Command<'damaged'> = (tx, { now, found }) => {
  for (const { table, key, what } of found) {
    const known = unlessDamaged(() => tx.get('damage', nameOf(key)));
    tx.put('damage', nameOf(key), { table, key, what: what.slice(0, 500), foundAt: known?.foundAt ?? now, tries: known?.tries ?? 0 });
  }
  return {};
};

const progress = (tx: Tx): Row<'scrub'> | undefined => unlessDamaged(() => tx.get('scrub', {}));

type How = Answer<StoreProtocol, 'mend'>['how'];

export const mend: Command<'mend'> = (tx, { key: octets, row: given }) => {
  const table = tableOf(octets);
  if (table === undefined || table === 'chunk') return { how: 'no' };
  const key = decodeKey(table, octets) as Key<TableName>;
  const how = mendRow(tx, table, key, octets, given);
  if (how !== 'no') {
    tx.recount();
    tx.delete('damage', nameOf(octets));
    if (table === 'trace' || table === 'traceEvent') recount(tx);
    if (table === 'page') recountMailbox(tx, (key as Key<'page'>).mailbox);
    return { how };
  }
  const listed = unlessDamaged(() => tx.get('damage', nameOf(octets)));
  if (listed && listed.tries < 1_000_000) tx.put('damage', nameOf(octets), { ...listed, tries: listed.tries + 1 });
  return { how };
};

function mendRow(tx: Tx, table: TableName, key: Key<TableName>, octets: Uint8Array, given: Uint8Array): How {
  const there = unlessDamaged(() => tx.get(table, key));
  if (there !== undefined) return 'sound'; // it was written anew meanwhile
  if (given.length > 0) {
    const row = unlessDamaged(() => decodeRow(table, given, octets));
    if (row === undefined) return 'no';
    tx.put(table, key, row);
    return 'given';
  }
  const derived = unlessDamaged(() => derive(tx, table, key));
  if (derived === undefined) return 'no';
  if (derived === null) tx.delete(table, key);
  else tx.put(table, key, derived);
  return derived === null ? 'removed' : 'derived';
}

/** What a row must be: null when it must not be; undefined when the others do not tell. */
function derive(tx: Tx, table: TableName, key: Key<TableName>): Row<TableName> | null | undefined {
  const by = derivations[table] as ((tx: Tx, key: Key<TableName>) => Row<TableName> | null | undefined) | undefined;
  return by?.(tx, key);
}

type Derivations = { readonly [N in TableName]?: (tx: Tx, key: Key<N>) => Row<N> | null | undefined };
const derivations: Derivations = {
  domain: (tx, { name }) => {
    const found = documentOf(tx)?.domains.find((d) => d.name === name);
    return found ? { aliasOf: found.aliasOf, catchAll: found.catchAll, subaddress: found.subaddress } : null;
  },
  address: deriveAddress,
  account: deriveAccount,
  mailbox: deriveMailbox,
  mailboxName: (tx, { account, name }) => {
    for (const { key, row } of tx.scan('mailbox', [account])) if (row.name === name) return { mailbox: key.mailbox };
    return null;
  },
  blob: deriveBlob,
  hash: (tx, { hash }) => {
    for (const { key, row } of tx.scan('blob', [])) if (Buffer.from(row.hash).equals(hash)) return { blob: key.blob };
    return null;
  },
  garbage: (tx, { blob }) => {
    const chunks = tx.count('chunk', [blob]);
    return chunks > 0 ? { chunks } : null;
  },
  transfer: (tx, { blob }) => {
    const chunks = tx.count('chunk', [blob]);
    if (chunks > 0) tx.put('garbage', { blob }, { chunks });
    return null;
  },
  queue: () => undefined,
  queueDue: (tx, { due, queue, n }) => (tx.get('queueRecipient', { queue, n })?.due === due ? {} : null),
  // a row without fields is told by its key
  subscription: () => ({}),
  removed: () => ({}),
  // made anew by whoever needs it
  authFailure: () => null,
  certificate: () => null,
  damage: () => null,
  scrub: () => null,
  // what it told of is as it is
  trace: () => null,
  traceEvent: () => null,
  traceIndex: () => ({}),
  traceMeter: (tx) => recountTrace(tx, undefined),
};

function documentOf(tx: Tx): Document | undefined {
  const row = tx.get('config', {});
  return row && (JSON.parse(row.document) as Document);
}

function deriveAddress(tx: Tx, { address }: Key<'address'>): Row<'address'> | null | undefined {
  const document = documentOf(tx);
  if (!document) return undefined;
  const alias = document.aliases.find((a) => a.address === address);
  if (alias) return { kind: 'alias', account: 0, to: alias.to };
  if (!document.accounts.some((a) => a.address === address)) return null;
  for (const { key, row } of tx.scan('account', [], { skipDamaged: true }))
    if (row.address === address) return { kind: 'account', account: key.account, to: [] };
  return undefined;
}

function deriveAccount(tx: Tx, { account }: Key<'account'>): Row<'account'> | undefined {
  const document = documentOf(tx);
  for (const { key, row } of tx.scan('address', [], { skipDamaged: true })) {
    const found = row.kind === 'account' && row.account === account && document?.accounts.find((a) => a.address === key.address);
    if (!found) continue;
    const { address, name, password, quotaBytes, enabled } = found;
    return { address, name, password, quotaBytes, enabled, present: true, ...usage(tx, account) };
  }
  return undefined;
}

/** S5: what an account uses, by its mailboxes. */
function usage(tx: Tx, account: number): Pick<Row<'account'>, 'usedBytes' | 'messages'> {
  let usedBytes = 0;
  let messages = 0;
  for (const { row } of tx.scan('mailbox', [account])) {
    usedBytes += row.bytes;
    messages += row.exists;
  }
  return { usedBytes, messages };
}

/**
 * A mailbox by its name, pages and expunged UIDs. The names of its keywords are gone, and what clients remember of it
 * cannot be relied on: it has a new UIDVALIDITY (RFC 3501 §2.3.1.1), and its UIDs stay.
 */
function deriveMailbox(tx: Tx, { account, mailbox }: Key<'mailbox'>): Row<'mailbox'> | undefined {
  const named = [...tx.scan('mailboxName', [account])].find(({ row }) => row.mailbox === mailbox);
  if (named === undefined) return undefined;
  const sum = sumOf(tx, mailbox);
  let { uidNext, modseq } = sum;
  for (const { key, row } of tx.scan('vanished', [mailbox])) {
    modseq = Math.max(modseq, key.modseq);
    uidNext = Math.max(uidNext, 1 + (row.ranges.at(-1) ?? 0));
  }
  const row = site(tx);
  const uidValidity = row.lastUidValidity + 1;
  tx.put('site', {}, { ...row, lastUidValidity: uidValidity });
  const { name } = named.key;
  const specialUse = ['Drafts', 'Sent', 'Archive', 'Junk', 'Trash'].includes(name) ? `\\${name}` : '';
  const keywords = Array.from({ length: sum.keywords }, (_, i) => `Keyword-${i + 1}`);
  return { name, uidValidity, uidNext, modseq: modseq + 1, ...sum.counters, recentUid: uidNext - 1, keywords, specialUse, createdAt: 0 };
}

/** S3: a recount of the pages. Throws RowDamaged when one of them is. */
function sumOf(tx: Tx, mailbox: number) {
  const counters = { exists: 0, unseen: 0, deleted: 0, bytes: 0 };
  let uidNext = 1;
  let modseq = 1;
  let keywords = 0;
  for (const { row } of tx.scan('page', [mailbox])) {
    const entries = readPage(row);
    const sum = tally(entries);
    for (const name of ['exists', 'unseen', 'deleted', 'bytes'] as const) counters[name] += sum[name];
    for (const e of entries) {
      uidNext = Math.max(uidNext, e.uid + 1);
      modseq = Math.max(modseq, e.modseq);
      while (e.keywords >= 2 ** keywords) keywords++;
    }
  }
  return { counters, uidNext, modseq, keywords };
}

/** After a page is back: its mailbox and its account count again. */
function recountMailbox(tx: Tx, mailbox: number): void {
  for (const { key, row } of tx.scan('mailbox', [], { skipDamaged: true })) {
    if (key.mailbox !== mailbox) continue;
    const sum = unlessDamaged(() => sumOf(tx, mailbox));
    if (sum !== undefined) tx.put('mailbox', key, { ...row, ...sum.counters });
    const account = unlessDamaged(() => tx.get('account', { account: key.account }));
    const used = unlessDamaged(() => usage(tx, key.account));
    if (account !== undefined && used !== undefined) tx.put('account', { account: key.account }, { ...account, ...used });
    tx.changed({ ...key, modseq: row.modseq, kind: 'flags', pages: [] });
  }
}

/** S4: a body by its chunks, its hash and a recount of who names it. */
function deriveBlob(tx: Tx, { blob }: Key<'blob'>): Row<'blob'> | null | undefined {
  let hash: Uint8Array | undefined;
  for (const { key, row } of tx.scan('hash', [], { skipDamaged: true })) if (row.blob === blob) hash = key.hash;
  let chunks = 0;
  let size = 0;
  let headerSize = 0;
  for (const { row } of tx.scan('chunk', [blob])) {
    if (chunks++ === 0) headerSize = declaredSize(row);
    size += declaredSize(row);
  }
  let refs = 0;
  for (const { row } of tx.scan('page', [])) for (const e of readPage(row)) if (e.blob === blob) refs++;
  for (const { row } of tx.scan('queue', [])) if (row.blob === blob) refs++;
  // a header that fills its chunk may go on in the next one: where it ends is not told
  if (hash === undefined || refs === 0 || headerSize >= limits.chunk || chunks !== chunkCount(size, headerSize)) return undefined;
  return { hash, refs, size, headerSize, chunks };
}

export const mendBody: Command<'mendBody'> = (tx, { blob, first, chunks, last }): Answer<StoreProtocol, 'mendBody'> | Refusal => {
  for (const [i, chunk] of chunks.entries()) tx.put('chunk', { blob, n: first + i }, chunk);
  if (last) for (const { key, row } of tx.scan('damage', [], { skipDamaged: true })) if (isBody(row, blob)) tx.delete('damage', key);
  return {};
};

const isBody = (row: Row<'damage'>, blob: number): boolean => row.table === 'chunk' && decodeKey('chunk', row.key).blob === blob;
