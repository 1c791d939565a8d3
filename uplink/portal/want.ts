// A new rev of what a site is to be: signed, kept, and taken by the site when it is reached. Guarantees: revs only grow,
// above every one that the site has ever dealt with; of two who change the same rev, one is told that it is stale.

import type { Document } from '../../storage/document.ts';
import { hashOf, signValue } from '../keys.ts';
import { signerFor } from './identity.ts';
import { ordered } from './kinds.ts';
import type { Portal } from './process.ts';
import type { Transaction } from './records.ts';

export interface Wanted {
  readonly organisation: string;
  readonly site: string;
  /** In its normal form, with hashes in the place of passwords (storage/document.ts). */
  readonly document: Document;
  /** Who wants it: a person, a token, `site`. */
  readonly by: string;
  readonly summary: string;
  /** The rev that was changed; undefined: whatever there is. */
  readonly ifRev?: number | undefined;
}
export type WantAnswer =
  | { readonly is: 'wanted'; readonly rev: number; readonly hash: string }
  /** It was changed meanwhile. */
  | { readonly is: 'stale'; readonly wantedRev: number }
  | { readonly is: 'gone' };

/** The oldest program that understands what is signed here. */
const minAgent = '0.1.0';

export async function want(tx: Transaction, { world }: Pick<Portal, 'world'>, wanted: Wanted): Promise<WantAnswer> {
  const { organisation, site: id, document, by, summary, ifRev } = wanted;
  const site = await tx.get('site', organisation, id);
  if (site === undefined || site.state === 'decommissioned') return { is: 'gone' };
  if (ifRev !== undefined && ifRev !== site.wantedRev) return { is: 'stale', wantedRev: site.wantedRev };
  const { signer } = await signerFor(tx);
  const rev = Math.max(site.wantedRev, site.appliedRev, site.seenRev ?? 0) + 1;
  const auditHead = (await tx.get('auditHead', organisation))?.hash ?? '';
  const statement = { siteId: id, epoch: site.epoch, rev, prevHash: site.wantedHash, schema: 1, minAgent, auditHead, doc: document };
  const { signed, signature } = signValue(signer, 'desired', statement);
  const hash = hashOf(signed);
  tx.put('desired', [id, ordered(rev)], { rev, hash, signed, signature, by, at: world.now(), summary });
  tx.put('site', [organisation, id], { ...site, wantedRev: rev, wantedHash: hash });
  return { is: 'wanted', rev, hash };
}

/** The document of a rev that was signed. */
export const documentOf = (signed: string): Document => (JSON.parse(signed) as { readonly doc: Document }).doc;
