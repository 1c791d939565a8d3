// Every snapshot of a place, proved: by its objects, by building the site up again in a scratch engine under every rule, and by
// what a ledger or a chain says must be in it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realWorld } from '../../actors/platform.ts';
import type { Reader } from '../../storage/engine.ts';
import { openLmdb } from '../../storage/engines/lmdb.ts';
import { flag, hasKeyword, readPage } from '../../storage/page.ts';
import { getRow, scanRows } from '../../storage/rows.ts';
import { parseKit, unwrapKey } from '../../storage/snapshot/keys.ts';
import { type Manifest, manifestNames, readLineage, readManifest } from '../../storage/snapshot/manifest.ts';
import { openPlace, type Place } from '../../storage/snapshot/place.ts';
import { openSnapshot } from '../../storage/snapshot/read.ts';
import { restoreSnapshot } from '../../storage/snapshot/restore.ts';
import { verifyPresence } from '../../storage/snapshot/verify.ts';
import type { Ledger } from './ledger.ts';

const world = realWorld(() => {});

/** Snapshots of a folder, opened with the recovery kit. */
export class Shelf {
  private readonly kit: string;
  private readonly proved = new Set<string>();
  readonly folder: string;

  constructor(folder: string, kit: string) {
    this.folder = folder;
    this.kit = kit;
  }

  private place = (): Promise<Place> => openPlace(this.folder, { world, create: false });

  async names(): Promise<string[]> {
    return manifestNames(await this.place());
  }

  /** Proves what was not proved before, of the `newest`, and gives each to `look`. What is wrong, a line each; how many were proved. */
  async prove(
    look: (site: Reader, manifest: Manifest) => readonly string[] = () => [],
    newest = Number.POSITIVE_INFINITY,
  ): Promise<{ wrong: string[]; proved: number }> {
    const place = await this.place();
    const wrong: string[] = [];
    let proved = 0;
    const names = await manifestNames(place);
    for (const name of names.slice(Math.max(0, names.length - newest))) {
      const present = await verifyPresence(place, name, !this.proved.has(name), () => {});
      wrong.push(...present.problems.map((problem) => `${name}: ${problem}`));
      if (present.problems.length > 0 || this.proved.has(name)) continue;
      wrong.push(...(await this.rebuild(place, name, look)).map((problem) => `${name}: ${problem}`));
      this.proved.add(name);
      proved++;
    }
    return { wrong, proved };
  }

  private async rebuild(place: Place, name: string, look: (site: Reader, manifest: Manifest) => readonly string[]): Promise<string[]> {
    const manifest = await readManifest(place, name);
    const record = await readLineage(place, manifest.lineage);
    const key = await unwrapKey(record?.wrapped[0] ?? '', [await parseKit(this.kit)]);
    const folder = mkdtempSync(join(tmpdir(), 'mailsite-rebuilt-'));
    const engine = openLmdb(join(folder, 'mail.lmdb'));
    try {
      const { problems } = await restoreSnapshot(engine, await openSnapshot(place, manifest, key), { world, lineage: '00', deep: true });
      return [...problems.map(({ rule, what }) => `${rule}: ${what}`), ...look(engine, manifest)];
    } finally {
      await engine.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** What a snapshot that was taken at `takenAt` must hold of a ledger and does not, a line each. */
export function missing(site: Reader, ledger: Ledger, takenAt: number): string[] {
  const there = contents(site);
  const wrong: string[] = [];
  for (const [id, entry] of ledger.entries) {
    const found = there.get(`${entry.user}@example.test/${entry.mailbox}/${id}`) ?? [];
    if (entry.fate === 'kept' && entry.keptAt < takenAt && found.length !== 1) wrong.push(`${id}: answered yes before, there ${found.length} times`);
    if (found.length > 1) wrong.push(`${id}: there ${found.length} times`);
    for (const [i, name] of entry.flags.entries())
      if ((entry.flaggedAt[i] as number) < takenAt && found[0]?.has(name) === false) wrong.push(`${id}: ${name} was answered OK before, and is not there`);
  }
  return wrong;
}

/** The flags of each message, by account, mailbox and id. */
function contents(site: Reader): Map<string, Set<string>[]> {
  const there = new Map<string, Set<string>[]>();
  for (const { key, row: box } of scanRows(site, 'mailbox', [])) {
    const address = getRow(site, 'account', { account: key.account })?.address ?? '';
    for (const { row } of scanRows(site, 'page', [key.mailbox])) {
      for (const { blob, flags, keywords } of readPage(row)) {
        const id = /ledger-\d+/.exec(getRow(site, 'info', { blob })?.messageId ?? '')?.[0];
        if (id === undefined) continue;
        const names = new Set(box.keywords.filter((_, position) => hasKeyword(keywords, position)));
        if ((flags & flag.flagged) !== 0) names.add('\\Flagged');
        const name = `${address}/${box.name}/${id}`;
        there.set(name, [...(there.get(name) ?? []), names]);
      }
    }
  }
  return there;
}
