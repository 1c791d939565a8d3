// API tokens: a program acts for an organisation, with a role, some domains and an end. Guarantees: only hashes are kept; a
// token is worth nothing once whoever made it has left or may do less than it.

import { limits } from '../../../actors/limits.ts';
import type { World } from '../../../actors/world.ts';
import { type RecordOf, roles } from '../kinds.ts';
import type { Records } from '../records.ts';
import { hashOf, newSecret } from './secret.ts';

export type Role = (typeof roles)[number];

/** The owner first: each role may give away itself and what stands behind it. */
export const mayGive = (giver: Role, given: Role): boolean => roles.indexOf(giver) <= roles.indexOf(given);

const prefix = 'mst_';
export const newToken = (world: World): string => `${prefix}${newSecret(world)}`;

export interface Token {
  readonly organisation: string;
  readonly id: string;
  readonly row: RecordOf<'token'>;
}

/** Null: nobody's, expired, or its maker may not do that any more. */
export async function findToken(records: Records, text: string, now: number): Promise<Token | null> {
  if (!text.startsWith(prefix)) return null;
  const at = await records.get('tokenBySecret', hashOf(text));
  const row = at && (await records.get('token', at.organisation, at.token));
  if (at === undefined || row === undefined || (row.expiresAt !== null && row.expiresAt <= now)) return null;
  const maker = await records.get('membership', at.organisation, row.by);
  return maker !== undefined && mayGive(maker.role, row.role) ? { organisation: at.organisation, id: at.token, row } : null;
}

/** Notes that it is in use, at most every few minutes. */
export async function touchToken(records: Records, token: Token, now: number): Promise<void> {
  if (token.row.seenAt !== null && token.row.seenAt + limits.seenEveryMs > now) return;
  await records.transact(async (tx) => {
    const found = await tx.get('token', token.organisation, token.id);
    if (found !== undefined) tx.put('token', [token.organisation, token.id], { ...found, seenAt: now });
  });
}
