// One course of a site's history, as its disk saw it, commit by commit: what every snapshot is held against. A copy of the
// disk, and a restored site, are branches of it.

import { decodeRow, getRow, octetText, type Row, tableOf } from '../../storage/rows.ts';
import type { Reader } from '../../storage/engine.ts';
import type { Changed } from './disk.ts';

/** By key (`octetText`). */
export type Rows = ReadonlyMap<string, Uint8Array>;

interface Commit {
  readonly commit: number;
  readonly site: Row<'site'>;
  readonly changes: readonly Changed[];
}
/** A message that somebody was promised (`ackedAt`), or asked for. Commits of the branch that it was sent to. */
export interface Promised {
  readonly askedAt: number;
  ackedAt: number | null;
}

export class Branch {
  readonly from: { readonly branch: Branch; readonly commit: number } | null;
  readonly promised = new Map<string, Promised>();
  private readonly base: Rows;
  private readonly first: Row<'site'> | null;
  private readonly commits: Commit[] = [];

  /** It begins with the rows that are on the disk: none, or those of another branch at a commit. */
  constructor(reader: Reader, from: Branch['from']) {
    this.from = from;
    this.base = new Map([...reader.range(new Uint8Array([0]), new Uint8Array([255]))].map(([key, value]) => [octetText(key), value]));
    this.first = getRow(reader, 'site', {}) ?? null;
  }

  /** What the disk's watcher sees. */
  add(changes: readonly Changed[]): void {
    const row = changes.find((c) => tableOf(c.key) === 'site')?.now;
    if (!row) throw new Error('every commit numbers itself');
    const site = decodeRow('site', row);
    this.commits.push({ commit: site.commit, site, changes });
  }

  get site(): Row<'site'> {
    return (this.commits.at(-1)?.site ?? this.first) as Row<'site'>;
  }

  /** 0 before the first. */
  get commit(): number {
    return (this.commits.at(-1)?.site ?? this.first)?.commit ?? 0;
  }

  /** The site row at a commit. `undefined`: this branch has not come so far. */
  siteAt(commit: number): Row<'site'> | undefined {
    if (this.first?.commit === commit) return this.first;
    if (commit < (this.first?.commit ?? 0)) return this.from?.branch.siteAt(commit);
    return this.commits.find((c) => c.commit === commit)?.site;
  }

  rowsAt(commit: number): Map<string, Uint8Array> {
    if (commit < (this.first?.commit ?? 0) && this.from) return this.from.branch.rowsAt(commit);
    const rows = new Map(this.base);
    for (const one of this.commits) {
      if (one.commit > commit) break;
      for (const { key, now } of one.changes) {
        if (now === null) rows.delete(octetText(key));
        else rows.set(octetText(key), now);
      }
    }
    return rows;
  }

  /** What was promised by a commit (`sure`), and what nobody had asked for yet (`never`), on this branch and those before. */
  promisedAt(commit: number): { sure: string[]; never: string[] } {
    const sure: string[] = [];
    const never: string[] = [];
    for (let at: Branch['from'] = { branch: this, commit }; at; ) {
      const branch: Branch = at.branch;
      const limit: number = at.commit;
      for (const [id, { askedAt, ackedAt }] of branch.promised) {
        if (ackedAt !== null && ackedAt <= limit) sure.push(id);
        else if (askedAt >= limit) never.push(id);
      }
      at = branch.from && { branch: branch.from.branch, commit: Math.min(limit, branch.from.commit) };
    }
    return { sure, never };
  }
}
