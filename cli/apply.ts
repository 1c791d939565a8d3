// `mailsite apply`: a document from a file or stdin becomes the configuration in force, whole or not at all. Applying the
// same document twice changes nothing: a password in clear that the stored hash verifies keeps that hash.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { limits } from '../actors/limits.ts';
import { realWorld } from '../actors/platform.ts';
import type { World } from '../actors/world.ts';
import { hashPassword, verifyPassword } from '../protocols/work.ts';
import { type Document, type DocumentError, type Draft, sealDocument, validateDocument } from '../storage/document.ts';
import { config } from '../storage/views.ts';
import type { Arguments } from './arguments.ts';
import { complain, count, Failure, print, printJsonLine, progress } from './output.ts';
import { mustHold, writeSite } from './site.ts';

/** Exit code 1 when the document is refused: every error is told, with its path. */
export async function apply(given: Arguments): Promise<number> {
  const file = given.operands[0] as string;
  const checked = validateDocument(readDocument(file));
  if (!checked.ok) return refuse(file, checked.errors, given.json);
  const world = realWorld(() => {});
  const identity = given.key === undefined ? null : await kitIdentity(given.key);
  const site = await writeSite(world, given.data, given.engine);
  mustHold('site', site);
  const before = site.view === null ? null : config(site.view);
  const document = await seal(world, before?.document ?? null, checked.document, given.json);
  const changes = describeChanges(before?.document ?? null, document);
  if (before !== null && changes.length === 0) {
    if (given.json) printJsonLine({ ok: true, rev: before.rev, changed: [] });
    else print(`Nothing to change: rev ${before.rev} of ${document.host} says the same.`);
    return 0;
  }
  const { store, running } = await site.open();
  const now = world.now();
  const text = JSON.stringify(document);
  const answer = await (identity === null ? store.ask('applyConfig', { now, document: text }) : store.ask('overrideConfig', { now, document: text, identity }));
  if ('refused' in answer) {
    const hint =
      answer.refused === 'locked' && identity === null ? ': change it there, or give the recovery key of this site with --key FILE' : '; the site is as it was';
    throw new Failure(`${file} was not applied: ${answer.detail || answer.refused}${hint}`);
  }
  if (given.json) printJsonLine({ ok: true, rev: answer.rev, host: document.host, running, changed: changes });
  else
    print(
      `Rev ${answer.rev} of ${document.host} is in force: ${changes.join(', ')}.${running ? '' : `\nNo site runs on ${site.data}: it will follow when it starts.`}`,
    );
  if (!given.json && document.snapshots !== null && !before?.document.snapshots)
    print('Its snapshots are sealed. Print the recovery kit with mailsite snapshot key and keep it away from the site: nobody can open them without it.');
  return 0;
}

/** The key of a recovery kit, or one line of why there is none. */
export async function kitIdentity(file: string): Promise<string> {
  const [{ readKit }, { parseKit }] = await Promise.all([import('./snapshot/source.ts'), import('../storage/snapshot/keys.ts')]);
  return parseKit(readKit(file)).catch((error: Error) => {
    throw new Failure(error.message);
  });
}

function readDocument(file: string): string {
  try {
    const text = readFileSync(file === '-' ? 0 : file, 'utf8');
    if (text.length <= limits.document) return text;
    throw new Failure(`${file} is larger than ${limits.document} octets: a document cannot be`);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`${file} cannot be read (${(error as Error).message}): name a file, or - for standard input`);
  }
}

function refuse(file: string, errors: readonly DocumentError[], json: boolean): number {
  if (json) printJsonLine({ ok: false, errors });
  else for (const { path, message } of errors) complain(`${file}: ${path === '' ? '' : `${path}: `}${message}`);
  return 1;
}

/**
 * All passwords as hashes, those of the document in force where they still fit: so that nothing changes, and a password
 * that a user has set since stays. Many are worked on at once: a hash takes a core for about 30 ms.
 */
async function seal(world: World, before: Document | null, draft: Draft, json: boolean): Promise<Document> {
  const known = new Map(before?.accounts.map((a) => [a.address, a.password]));
  const total = draft.accounts.filter((a) => typeof a.password !== 'string').length;
  const bar = progress('hashing passwords', json, () => world.monotonicMs());
  let done = 0;
  const hash = async (address: string, plain: string): Promise<string> => {
    const stored = known.get(address);
    const kept = stored !== undefined && (await verifyPassword(plain, stored)) ? stored : await hashPassword(plain);
    bar.at(++done, total);
    return kept;
  };
  const document = await sealDocument(draft, hash, availableParallelism());
  bar.end();
  return document;
}

/** What differs, in a few words for each part of the document. */
export function describeChanges(before: Document | null, after: Document): string[] {
  const parts = [
    lists('domain', before?.domains ?? [], after.domains, (d) => d.name),
    lists('account', before?.accounts ?? [], after.accounts, (a) => a.address),
    lists('alias', before?.aliases ?? [], after.aliases, (a) => a.address),
    lists('relay', before?.outbound.relays ?? [], after.outbound.relays, (r) => r.for),
  ].flat();
  if (before !== null && before.host !== after.host) parts.unshift(`host ${before.host} is now ${after.host}`);
  if (!same(before?.network ?? { resolvers: [] }, after.network)) parts.push('resolvers changed');
  if (!same(before?.snapshots ?? null, after.snapshots)) parts.push(after.snapshots === null ? 'snapshots off' : `snapshots to ${after.snapshots.to}`);
  return parts;
}

function lists<T>(noun: string, before: readonly T[], after: readonly T[], name: (row: T) => string): string[] {
  const old = new Map(before.map((row) => [name(row), row]));
  const now = new Set(after.map(name));
  const added = after.filter((row) => !old.has(name(row)));
  const changed = after.filter((row) => old.has(name(row)) && !same(old.get(name(row)), row));
  const removed = before.filter((row) => !now.has(name(row)));
  const say = (rows: readonly T[], what: string): string[] => {
    if (rows.length === 0) return [];
    return [rows.length > 3 ? `${count(rows.length, noun)} ${what}` : `${noun} ${rows.map(name).join(' and ')} ${what}`];
  };
  return [...say(added, 'added'), ...say(changed, 'changed'), ...say(removed, 'removed')];
}
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
