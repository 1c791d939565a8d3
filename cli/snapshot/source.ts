// What the snapshot verbs share: the place, the snapshot that is meant, and the key that opens it.

import { dlopen, FFIType } from 'bun:ffi';
import { existsSync, lchownSync, lstatSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { World } from '../../actors/world.ts';
import { engineFiles } from '../../storage/engines/open.ts';
import { getRow, scanRows } from '../../storage/rows.ts';
import { Forked } from '../../storage/snapshot/create.ts';
import { parseKit, unwrapKey, WrongKey } from '../../storage/snapshot/keys.ts';
import { type Glance, glance as glanceAt, type Manifest, manifestNames, readLineage, readManifest } from '../../storage/snapshot/manifest.ts';
import { openPlace, type Place, PlaceError } from '../../storage/snapshot/place.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import { config } from '../../storage/views.ts';
import { type Member, memberOf, openPortal } from '../../uplink/agent/parking.ts';
import type { Arguments } from '../arguments.ts';
import { Failure, UsageError } from '../output.ts';
import { dataDirectory } from '../place.ts';
import { glance } from '../site.ts';

/** `--to` or `--from` as the user meant it, whatever directory is entered later. */
export const absolute = (url: string): string => (/^[a-z0-9]+:\/\//i.test(url) ? url : resolve(url));

/** Runs it; what a place, a key or a snapshot says against it is the one line that the user reads. */
export async function plainly<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof PlaceError || error instanceof WrongKey || error instanceof Forked) throw new Failure(asWritten(error.message));
    if (error instanceof Damaged) throw new Failure(`the snapshot is damaged or its key is another: ${error.message.replace(/^damaged: /, '')}`);
    throw error;
  }
}

/** As `--from` or `--to`: the portal of the site. */
const portalWord = 'portal';

/** The place that a verb reads: `--from`, else the one of the document of the site, else the portal that it has joined. */
export async function fromPlace(world: World, given: Arguments): Promise<Place> {
  const local = await localSite(world, given);
  const member = portalMeant(given, given.from, local);
  if (member !== null) return openPortal(world, member, 'read');
  const url = given.from === undefined ? local?.to : absolute(given.from);
  if (url == null) throw new UsageError('name the place of the snapshots: --from FOLDER, FILE.tar or s3://bucket/prefix');
  const place = await openPlace(within(url, dataDirectory(given.data)), { world, create: false, ...local?.s3 });
  return { ...place, url: asWritten(place.url) };
}

/** The site as its portal knows it, where `named` (`--from`, `--to`) or the lack of any other place means the portal; else null. */
export function portalMeant(given: Arguments, named: string | undefined, local: Local | null): Member | null {
  if (named === portalWord && local?.member == null)
    throw new Failure(`no site in ${dataDirectory(given.data)} is known to a portal: name another place, or the --data of a site that has joined one`);
  return named === portalWord || (named === undefined && local?.to == null) ? (local?.member ?? null) : null;
}

/** The folder, file or bucket that `--to` names, absolute; undefined: none. */
export const namedPlace = (to: string | undefined): string | undefined => (to === undefined || to === portalWord ? undefined : absolute(to));

const held = new Map<string, string>();

/**
 * The same place by a path that stays open to this process when root has become the user of the site: what systemd keeps for
 * a service lies in a folder which that user may not pass.
 */
export function within(url: string, data: string): string {
  if (process.getuid?.() !== 0 || !url.startsWith('/') || statSync(data, { throwIfNoEntry: false })?.uid === 0) return held.get(url) ?? url;
  const folder = url.endsWith('.tar') ? dirname(url) : url;
  try {
    const path = `/proc/self/fd/${openSync(folder, 'r')}`;
    held.set(url, folder === url ? path : join(path, basename(url)));
  } catch {
    // what is wrong with it is said when it is opened
  }
  return held.get(url) ?? url;
}

/** What is said of a place, with the path that the user knows. */
export const asWritten = (text: string): string => [...held].reduce((said, [url, path]) => said.replaceAll(path, url), text);

interface Local {
  /** Where the document keeps snapshots. */
  readonly to: string | null;
  readonly s3: object;
  readonly lineage: string;
  /** Null: no portal knows this machine. */
  readonly member: Member | null;
  /** The data keys of this site's history, by lineage. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
}

/** What the site of `--data` knows of snapshots; null where there is none, or it is closed to us. */
export async function localSite(world: World, given: Arguments): Promise<Local | null> {
  const data = dataDirectory(given.data);
  if (!existsSync(data)) return null;
  try {
    const found = await glance(world, data, (view) => {
      const parking = config(view)?.document.snapshots ?? null;
      const keys = new Map([...scanRows(view, 'lineage', [])].map(({ key, row }) => [key.lineage, row.dataKey] as const));
      return {
        lineage: getRow(view, 'site', {})?.lineage ?? '',
        to: parking?.to ?? null,
        s3: parking?.s3 ? { s3: parking.s3 } : {},
        member: memberOf(view),
        keys,
      };
    });
    giveToOwner(
      data,
      engineFiles(data).map((name) => join(data, name)), // opening an engine may write to it
    );
    return found;
  } catch (error) {
    if (given.data !== undefined && (error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    return null;
  }
}

/** As root in the data directory of another user: what root made there, never through a link, is that user's. */
export function giveToOwner(data: string, made: readonly string[]): void {
  const { uid, gid } = statSync(data);
  if (process.getuid?.() !== 0 || uid === 0) return;
  for (const path of made) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.uid === 0 && (found.isDirectory() || found.nlink === 1)) lchownSync(path, uid, gid);
  }
}

/** How people name a snapshot: the start of its lineage and its commit. */
export const idOf = (m: { readonly lineage: string; readonly commit: number }): string => `${m.lineage.slice(0, 8)}/${m.commit}`;

export interface Found {
  readonly name: string;
  readonly manifest: Manifest;
}

/** All snapshots of a place that can be read, by the time they were taken, and the manifests that cannot. */
export async function allSnapshots(place: Place): Promise<{ found: Glance[]; damaged: { name: string; why: string }[] }> {
  const { readable, damaged: broken } = await glanceAt(place, await manifestNames(place));
  const damaged = [...broken].map(([name, why]) => ({ name, why }));
  return { found: readable.sort((a, b) => a.takenAt - b.takenAt || a.commit - b.commit), damaged };
}

/** The snapshot that `--at` names, else the newest. A time: the newest that is not later. Of the site of `--data`, where there is one and it has any. */
export async function chosen(world: World, place: Place, given: Arguments): Promise<Found> {
  const { at } = given;
  const { found, damaged } = await allSnapshots(place);
  const bad = damaged.length === 0 ? '' : ` (${damaged.length} cannot be read: ${damaged[0]?.why})`;
  if (found.length === 0) throw new Failure(`${place.url} holds no snapshot${bad}: name the place in which they are`);
  const matching = at === undefined ? found : found.filter((snapshot) => matches(snapshot, at));
  const local = await localSite(world, given);
  const last =
    matching.findLast(({ lineage }) => lineage === local?.lineage) ?? matching.findLast(({ lineage }) => local?.keys.has(lineage)) ?? matching.at(-1);
  if (last === undefined)
    throw new Failure(
      `${place.url} has no snapshot at ${at}${bad}: mailsite snapshot list${given.from === undefined ? '' : ` --from ${given.from}`} tells which there are`,
    );
  return { name: last.name, manifest: await readManifest(place, last.name) };
}

/**
 * Before a whole site is restored: a copy of a site that ran beside it (a drill, a fork) parks in the same place, and its
 * newest snapshot is not that of the site. Throws unless one history is meant.
 */
export async function mustBeOne(place: Place, { manifest }: Found, at: string | undefined): Promise<void> {
  if (at?.includes('/')) return; // named by its id
  const all = (await allSnapshots(place)).found;
  const began = all.find(({ lineage }) => lineage === manifest.lineage)?.takenAt ?? 0;
  const beside = all.findLast((m) => m.lineage !== manifest.lineage && m.takenAt > began && (at === undefined || matches(m, at)));
  if (beside === undefined) return;
  throw new Failure(
    `${place.url} holds snapshots of sites that ran side by side: name the one that is meant, as --at ${idOf(manifest)} or --at ${idOf(beside)}; mailsite snapshot list shows all`,
  );
}

function matches(m: Glance, at: string): boolean {
  if (/^\d{1,15}$/.test(at)) return m.commit === Number(at);
  const id = /^([0-9a-f]{1,64})\/(\d{1,15})$/.exec(at);
  if (id) return m.lineage.startsWith(id[1] as string) && m.commit === Number(id[2]);
  const until = timeOf(at);
  return m.takenAt <= until;
}

/** `2026-11-23` is the end of that day, UTC; `2026-11-23 14:00` and `2026-11-23T14:00:00Z` are moments. */
function timeOf(at: string): number {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(at);
  const zone = /([zZ]|[+-]\d{2}:?\d{2})$/.test(at) ? '' : 'Z';
  const time = Date.parse(day ? `${at}T23:59:59.999Z` : `${at.replace(' ', 'T')}${zone}`);
  if (Number.isNaN(time))
    throw new UsageError(`--at takes a commit, an id such as 1f2e3d4c/1234, or a time such as 2026-11-23T14:00Z, not ${JSON.stringify(at)}`);
  return time;
}

/** The data key of a snapshot: this site's own, else unwrapped by the recovery key. null: nobody gave one, and it was not asked for. */
export async function dataKey(world: World, place: Place, manifest: Manifest, given: Arguments, ask: boolean): Promise<Uint8Array | null> {
  const own = (await localSite(world, given))?.keys.get(manifest.lineage);
  if (own !== undefined && given.key === undefined) return own;
  const text = given.key !== undefined ? readKit(given.key) : ask ? askForKit() : null;
  if (text === null) return null;
  const record = await readLineage(place, manifest.lineage);
  if (record === null) throw new Failure(`the record of lineage ${manifest.lineage} is not in ${place.url}: without it the key cannot be unwrapped`);
  return unwrapKey(record.wrapped[0] as string, [await parseKit(text)]);
}

/** What `--key` names. */
export function readKit(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new Failure(`the recovery kit cannot be read (${(error as Error).message}): --key names its file, or - for standard input`);
  }
}

/** From a terminal, until there is a key: a person may paste the whole kit. */
function askForKit(): string {
  if (process.stdin.isTTY !== true)
    throw new Failure('the snapshot needs its recovery key: give the file of the recovery kit as --key FILE, or - for standard input');
  writeSync(2, 'Recovery key (AGE-SECRET-KEY-1…), or the whole recovery kit:\n');
  const line = Buffer.alloc(4_096);
  let text = '';
  for (let read = 1; read > 0 && !/SECRET-?KEY.*\n/i.test(text) && text.length < 100_000; ) {
    read = readSync(0, line);
    text += line.toString('utf8', 0, read);
  }
  forgetTyped();
  return text;
}

/** The rest of what was pasted is not for the shell that comes after us. */
function forgetTyped(): void {
  Bun.sleepSync(200);
  dlopen('libc.so.6', { tcflush: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } }).symbols.tcflush(0, 0); // TCIFLUSH
}
