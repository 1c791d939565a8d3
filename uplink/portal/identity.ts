// Who a portal is: a root key that never changes, which sites pin when they join, and a signing key that the root vouches
// for. Guarantees: made once, at the first start; the private root is in the file root.key of the data folder and nowhere
// else, to be taken away from the machine: it is needed again only to change the signing key.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { keyStatement, seedFrom, type Signer, signerOf } from '../keys.ts';
import type { RecordOf } from './kinds.ts';
import type { Portal } from './process.ts';
import type { Records, Transaction } from './records.ts';

type Identity = RecordOf<'portal'>;

/** `keepRoot`: where the seed of the root goes. */
export async function ensureIdentity({ world, records }: Pick<Portal, 'world' | 'records'>, keepRoot: (seed: string) => void = writeRoot): Promise<Identity> {
  const found = await records.get('portal');
  if (found !== undefined) return found;
  const [rootSeed, signPrivate, grantKey] = [seedFrom(world.random), seedFrom(world.random), seedFrom(world.random)];
  const root = signerOf(rootSeed);
  const signPublic = signerOf(signPrivate).publicKey;
  const portal = `p${Buffer.from(world.random(10)).toString('hex')}`;
  const made = {
    portal,
    rootPublic: root.publicKey,
    signPrivate,
    signPublic,
    signProof: root.sign(keyStatement(signPublic)),
    grantKey,
    createdAt: world.now(),
  };
  keepRoot(rootSeed);
  const kept = await records.transact(async (tx) => {
    const other = await tx.get('portal'); // another process was faster
    if (other === undefined) tx.put('portal', [], made);
    return other ?? made;
  });
  world.log('portal.identity', { portal: kept.portal, rootPublic: kept.rootPublic });
  return kept;
}

function writeRoot(seed: string): void {
  const file = openSync('root.key', 'w', 0o600);
  writeSync(file, `${JSON.stringify({ what: 'the root key of this portal: keep it away from here', seed })}\n`);
  fsyncSync(file);
  closeSync(file);
}

/** The portal's identity and who signs for it. */
export async function signerFor(from: Pick<Records | Transaction, 'get'>): Promise<{ readonly identity: Identity; readonly signer: Signer }> {
  const identity = await from.get('portal');
  if (identity === undefined) throw new Error('this portal has no identity yet');
  return { identity, signer: signerOf(identity.signPrivate) };
}
