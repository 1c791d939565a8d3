// The next desired document of a site.

import type { Document } from '../../storage/document.ts';
import { canonical } from '../canonical.ts';
import { hashOf } from './identity/secret.ts';
import { ordered } from './kinds.ts';
import type { Portal } from './process.ts';
import type { Transaction } from './records.ts';

export interface Wanted {
  readonly organisation: string;
  readonly site: string;
  readonly document: Document;
  readonly by: string;
  readonly summary: string;
  /** The rev that it follows. */
  readonly ifRev?: number | undefined;
}
export type WantAnswer =
  | { readonly is: 'wanted'; readonly rev: number; readonly hash: string }
  | { readonly is: 'stale'; readonly wantedRev: number }
  | { readonly is: 'gone' };

/** Writes it and raises the site's rev. */
export async function want(tx: Transaction, { world }: Portal, { organisation, site, document, by, summary, ifRev }: Wanted): Promise<WantAnswer> {
  const row = await tx.get('site', organisation, site);
  if (row === undefined) return { is: 'gone' };
  if (ifRev !== undefined && row.wantedRev !== ifRev) return { is: 'stale', wantedRev: row.wantedRev };
  const head = await tx.get('auditHead', organisation);
  const rev = row.wantedRev + 1;
  const signed = canonical({
    siteId: site,
    epoch: row.epoch,
    rev,
    prevHash: row.wantedHash,
    schema: 1,
    minAgent: 1,
    auditHead: head?.hash ?? '',
    doc: document,
  });
  const hash = hashOf(signed);
  tx.put('desired', [site, ordered(rev)], { rev, hash, signed, signature: '', by, at: world.now(), summary });
  tx.put('site', [organisation, site], { ...row, wantedRev: rev, wantedHash: hash });
  return { is: 'wanted', rev, hash };
}
