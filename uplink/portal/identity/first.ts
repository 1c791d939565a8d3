// How the first owner comes in, and an owner who is locked out: by a link that only the machine itself prints. Guarantees: a
// link is good once; only its hash is kept; there is one for the first owner until there is a first owner.

import type { Portal } from '../process.ts';
import { limits } from '../../../actors/limits.ts';
import { normalEmail } from './person.ts';
import { hashOf, newId, newSecret } from './secret.ts';

/** A new link for the first owner, which takes the place of the one before; null: there is an owner. */
export async function setupLink({ world, records, url }: Portal): Promise<string | null> {
  const secret = newSecret(world);
  const made = await records.transact(async (tx) => {
    const now = await tx.get('setup');
    if (now !== undefined && now.secretHash === null) return false;
    tx.put('setup', [], { secretHash: hashOf(secret), createdAt: world.now() });
    return true;
  });
  return made ? `${url}/setup#${secret}` : null;
}

/** A link that signs a person in; null: there is nobody of this address. */
export async function signInLink({ world, records, url }: Portal, email: string): Promise<string | null> {
  const found = await records.get('personByEmail', hashOf(normalEmail(email)));
  if (found === undefined) return null;
  const secret = newSecret(world);
  await records.transact(async (tx) => {
    tx.put('challenge', [hashOf(secret)], { purpose: 'link', person: found.person, value: newId(world), expiresAt: world.now() + limits.signInLinkMs });
  });
  return `${url}/link#${secret}`;
}
