// What a person was asked to answer, or may use, once. Guarantees: a challenge is taken before it is judged, so that no second
// answer to it counts; it is worth nothing after its end, or for another purpose.

import { limits } from '../../../actors/limits.ts';
import type { Portal } from '../process.ts';
import { newSecret } from './secret.ts';

type Purpose = 'sign in' | 'new passkey' | 'link';

/** `person` empty: whoever answers. */
export async function makeChallenge({ world, records }: Portal, purpose: Purpose, person: string): Promise<string> {
  const challenge = newSecret(world);
  await records.transact(async (tx) => tx.put('challenge', [challenge], { purpose, person, value: '', expiresAt: world.now() + limits.challengeMs }));
  return challenge;
}

/** Whose it was, or null: there is none such. */
export function takeChallenge({ world, records }: Portal, purpose: Purpose, challenge: string): Promise<string | null> {
  return records.transact(async (tx) => {
    const row = await tx.get('challenge', challenge);
    if (row === undefined || row.purpose !== purpose) return null;
    tx.remove('challenge', challenge);
    return row.expiresAt > world.now() ? row.person : null;
  });
}
