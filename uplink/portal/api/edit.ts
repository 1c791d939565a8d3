// How the desired document of a site is changed. Guarantees: a change is made to the newest document in one transaction with
// the rev that it becomes, so that no change of somebody else is lost; whoever says which rev they saw is told what changed
// since; a document that a site would refuse is refused here; no password leaves the portal, not even as a hash.

import { assert } from '../../../actors/assert.ts';
import { limits } from '../../../actors/limits.ts';
import { type Document, sealDocument, validateDocument } from '../../../storage/document.ts';
import { canonical } from '../../canonical.ts';
import { sealPassword } from '../identity/password.ts';
import { ordered, type RecordOf } from '../kinds.ts';
import type { Records, Transaction } from '../records.ts';
import { documentOf as documentIn, want } from '../want.ts';
import { conflict, invalid, notFound, Problem } from './problem.ts';
import type { Tell, TenantCall } from './route.ts';

type Reads = Pick<Records, 'get'>;

/** Before the first one: not valid yet, it lacks a domain. */
export const blank: Document = {
  schema: 1,
  host: '',
  domains: [],
  accounts: [],
  aliases: [],
  outbound: { relays: [] },
  network: { resolvers: [] },
  snapshots: null,
};

/** The desired document of a rev; undefined: there is none (rev 0), or it is not kept any more. */
export async function documentOf(reads: Reads, site: string, rev: number): Promise<Document | undefined> {
  const row = rev < 1 ? undefined : await reads.get('desired', site, ordered(rev));
  return row === undefined ? undefined : documentIn(row.signed);
}

/** The site of the path, or the 404 that everybody else gets. */
export async function siteOf(
  reads: Reads,
  { organisation, params }: Pick<TenantCall<{ readonly site: string }, unknown, unknown>, 'organisation' | 'params'>,
): Promise<RecordOf<'site'>> {
  const found = await reads.get('site', organisation, params.site);
  if (found === undefined) throw notFound();
  return found;
}

/** The newest document of the site of the path; `blank` before the first. */
export async function wantedOf(reads: Reads, call: SiteCall): Promise<{ rev: number; document: Document }> {
  const { wantedRev } = await siteOf(reads, call);
  return { rev: wantedRev, document: (await documentOf(reads, call.params.site, wantedRev)) ?? blank };
}

export type SiteCall = TenantCall<{ readonly site: string }, unknown, unknown>;
export interface Edit {
  readonly action: string;
  readonly target: string;
  /** For people, in the history. */
  readonly summary: string;
}

/** One change as the next rev. `change` gets the newest document and gives the next one, or throws; where both are the same, nothing is written. */
export function edit(call: SiteCall, about: Edit, change: (document: Document) => object): Promise<{ wantedRev: number }> {
  return call.change((tx, tell) => editIn(tx, tell, call, about, change));
}

export async function editIn(
  tx: Transaction,
  tell: Tell,
  call: SiteCall,
  { action, target, summary }: Edit,
  change: (document: Document) => object,
): Promise<{ wantedRev: number }> {
  const { organisation, portal, by } = call;
  const { site } = call.params;
  const row = await siteOf(tx, call);
  if (row.state === 'decommissioned' || row.state === 'superseded')
    throw conflict('This site is not in service any more: its configuration cannot be changed.');
  const was = (await documentOf(tx, site, row.wantedRev)) ?? blank;
  if (call.ifRev !== null && call.ifRev !== row.wantedRev) throw await stale(tx, site, call.ifRev, row.wantedRev, was);
  const document = checkedDocument(change(was));
  const same = canonical(document) === canonical(was);
  await tell({
    action: same ? `${action}.unchanged` : action,
    target: `${row.name}: ${target}`,
    detail: same ? '' : `follows rev ${row.wantedRev}`,
    before: was,
    after: document,
  });
  if (same) return { wantedRev: row.wantedRev };
  const done = await want(tx, portal, { organisation, site, document, by, summary, ifRev: row.wantedRev });
  assert(done.is === 'wanted', 'a document follows the one that was read in the same transaction');
  return { wantedRev: done.rev };
}

/** In its normal form. Throws with every error and its path. */
function checkedDocument(draft: object): Document {
  const text = JSON.stringify(draft);
  if (Buffer.byteLength(text) > limits.document) throw invalid([{ path: 'document', message: `would be larger than ${limits.document} octets` }]);
  const checked = validateDocument(text);
  if (!checked.ok) throw invalid(checked.errors.slice(0, 100), 'The document would not be valid: see errors. Nothing was changed.');
  for (const { address, password } of checked.document.accounts)
    if (typeof password !== 'string') throw invalid([{ path: 'document', message: `the password of ${address} is not hashed` }]);
  return checked.document as Document;
}

/** RFC 9110 §13.1.1: what the caller saw is not what is there. */
async function stale(reads: Reads, site: string, seen: number, wantedRev: number, now: Document): Promise<Problem> {
  const then = await documentOf(reads, site, seen);
  const changed = then === undefined ? [] : await signed(reads, site, wantedRev, now, seen, differences(then, now));
  const fields = changed.slice(0, 5).map(({ path }) => path);
  const detail = `You saw rev ${seen}; it is rev ${wantedRev} now${fields.length > 0 ? ` (${fields.join(', ')}${changed.length > 5 ? ' …' : ''})` : ''}. Look at what changed, then send it with If-Match: "${wantedRev}".`;
  return new Problem(412, 'stale', 'Changed meanwhile', detail, { more: { wantedRev, changed }, headers: { ETag: `"${wantedRev}"` } });
}

/** `changed` with who made each: the last to touch it. Asks a few revs, not all: empty where it was longer ago. */
async function signed(reads: Reads, site: string, newest: number, now: Document, seen: number, changed: readonly Difference[]): Promise<Signed[]> {
  const by = new Map<string, string>();
  let after = now;
  for (let rev = newest; rev > Math.max(seen, newest - ASKED_REVS) && by.size < changed.length; rev--) {
    const before = await documentOf(reads, site, rev - 1);
    const row = await reads.get('desired', site, ordered(rev));
    if (before === undefined || row === undefined) break;
    const touched = differences(before, after).map(({ path }) => path);
    for (const { path } of changed) if (!by.has(path) && touched.some((one) => within(one, path) || within(path, one))) by.set(path, row.by);
    after = before;
  }
  return changed.map((row) => ({ ...row, by: by.get(row.path) ?? '' }));
}
const ASKED_REVS = 10;
const within = (path: string, whole: string): boolean => path === whole || path.startsWith(`${whole}/`);
type Signed = Difference & { readonly by: string };

export interface Difference {
  /** `accounts/alice@example.org/quotaBytes`. */
  readonly path: string;
  readonly was: unknown;
  readonly now: unknown;
}

/** What differs, by the names of things and not by their places; at most 200 rows. Secrets are only said to have changed. */
export function differences(was: unknown, now: unknown, path = ''): Difference[] {
  if (canonical(was ?? null) === canonical(now ?? null)) return [];
  const [a, b] = [fieldsOf(was), fieldsOf(now)];
  if (a === null || b === null)
    return [secretName.test(path) ? { path, was: hidden, now: hidden } : { path, was: redact(was) ?? null, now: redact(now) ?? null }];
  const out: Difference[] = [];
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    out.push(...differences(a[name], b[name], path === '' ? name : `${path}/${name}`));
    if (out.length >= 200) return out.slice(0, 200);
  }
  return out;
}

const secretName = /(^|\/)(password|secretAccessKey)$/;
const hidden = '(hidden)';

/** Fields by name: those of an object, or the rows of a list that have an address, a name or a domain that they are for. */
function fieldsOf(value: unknown): Record<string, unknown> | null {
  if (Array.isArray(value)) {
    const names = value.map((row: unknown) => (typeof row === 'object' && row !== null ? nameOf(row as Record<string, unknown>) : null));
    return names.every((name) => name !== null) ? Object.fromEntries(value.map((row, i) => [names[i] as string, row])) : null;
  }
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}
const nameOf = (row: Record<string, unknown>): string | null => {
  const name = row['address'] ?? row['name'] ?? row['for'];
  return typeof name === 'string' ? name : null;
};

/** The same without secrets: an empty text stands for each. */
export function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, secretName.test(name) ? '' : redact(inner)]));
}

/** A whole document as a person sent it: where a secret is empty or missing it is the one that is there, and what is in clear is hashed. Throws with every error. */
export async function wholeDocument(draft: unknown, now: Document): Promise<Document> {
  const checked = validateDocument(JSON.stringify(kept(draft, now)));
  if (!checked.ok) throw invalid(checked.errors.slice(0, 100), 'The document is not valid: see errors. Nothing was changed.');
  if (checked.document.accounts.filter(({ password }) => typeof password !== 'string').length > 100)
    throw invalid([{ path: 'accounts', message: 'has more than 100 passwords in clear: send them as argon2id hashes, or in parts' }]);
  return sealDocument(checked.document, (_, plain) => sealPassword(plain), limits.hashConcurrency);
}

/** Fills secrets that were left out, by the names of things. */
function kept(draft: unknown, now: unknown): unknown {
  if (Array.isArray(draft)) {
    const known = Array.isArray(now) ? (fieldsOf(now) ?? {}) : {};
    return draft.map((row: unknown) =>
      typeof row === 'object' && row !== null ? kept(row, known[String(nameOf(row as Record<string, unknown>)).toLowerCase()]) : row,
    );
  }
  if (typeof draft !== 'object' || draft === null) return draft;
  const there = (typeof now === 'object' && now !== null ? now : {}) as Record<string, unknown>;
  const out: Record<string, unknown> = Object.fromEntries(Object.entries(draft).map(([name, inner]) => [name, kept(inner, there[name])]));
  // a secret stays with whom it is for: it is not handed on to another host or user
  if (['host', 'user', 'endpoint', 'accessKeyId'].some((name) => name in there && out[name] !== there[name])) return out;
  for (const name of Object.keys(there)) if (secretName.test(name) && (out[name] === undefined || out[name] === '')) out[name] = there[name];
  return out;
}
