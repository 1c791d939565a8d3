// The keys of snapshots (age, C2SP age-encryption.org/v1). Guarantees: a data key leaves the site wrapped only; the
// recovery kit opens it, with this program or with `age -d`; a kit that a person typed or pasted is found in whatever
// surrounds it, and a typing error in it is told from a wrong kit.

import { armor, Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { Ask } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { StoreProtocol } from '../messages.ts';
import { Damaged } from './seal.ts';

/** The key does not open this, or is no key. */
export class WrongKey extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WrongKey';
  }
}

export interface Kit {
  /** The secret: AGE-SECRET-KEY-1… */
  readonly identity: string;
  /** age1… */
  readonly recipient: string;
}

/** A fresh recovery key. */
export async function makeKit(): Promise<Kit> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** New keys of a lineage, for `makeKeys`: wrapped for the recovery kit that is there, or for a new one. */
export async function keysFor(world: Pick<World, 'now' | 'random'>, kit: Kit | undefined): Promise<Ask<StoreProtocol, 'makeKeys'>> {
  const { identity, recipient } = kit ?? (await makeKit());
  const dataKey = world.random(32);
  return { now: world.now(), dataKey, wrapped: await wrapKey(dataKey, [recipient]), identity, recipient };
}

/** An armored age file which each of the recipients can open. */
export async function wrapKey(dataKey: Uint8Array, recipients: readonly string[]): Promise<string> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch {
      throw new WrongKey(`${recipient.slice(0, 80)} is not an age recipient: it looks like age1…`);
    }
  }
  return armor.encode(await encrypter.encrypt(dataKey));
}

/** The data key. Rejects with WrongKey when none of the identities opens it, with Damaged when it is no wrapped key. */
export async function unwrapKey(armored: string, identities: readonly string[]): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity);
    } catch {
      throw new WrongKey('the recovery key has a typing error: compare it with the kit, letter by letter');
    }
  }
  let dataKey: Uint8Array;
  try {
    dataKey = await decrypter.decrypt(armor.decode(armored));
  } catch (error) {
    if (/no identity matched/.test((error as Error).message))
      throw new WrongKey('the recovery key is not the one of these snapshots: look for the kit of their site');
    throw new Damaged('the wrapped key was changed: try another copy of the snapshots');
  }
  if (dataKey.length !== 32) throw new Damaged('the wrapped key does not hold a key of 32 octets');
  return dataKey;
}

/** The last letters of a key follow from the others (BIP 173). */
const checkLetters = 6;

/** The recovery kit, for printing. `what`: such as the mail site mail.example.org. `holds`: what is in it, beside its settings. */
export function kitText(what: string, holds: string, lineage: string, identity: string): string {
  return `RECOVERY KIT of ${what}

This is the key to the snapshots of ${what}. Snapshots hold all its
${holds} and settings, and they are encrypted. Whoever has this key and a snapshot can
read everything. Whoever has lost the machine and this key has lost all of it: nobody, not even
who made the program, can open a snapshot without it.

Keep it on paper or in a password manager, in two places, and away from the machine and from
its snapshots.

    ${identity}

    check letters: ${identity.slice(-checkLetters)} (the last ${checkLetters} of the key)
    history:       ${lineage}

To bring it back on a new machine, run

    mailsite snapshot restore --from PLACE

and give it this key, or this whole page, when it asks. The key also works with age
(age-encryption.org).
`;
}

/** The identity in what a person pasted: the whole kit or the key alone, broken over lines, quoted, in any case. Rejects with WrongKey. */
export async function parseKit(text: string): Promise<string> {
  const bare = text
    .slice(0, 100_000)
    .replace(/[^a-z0-9]/gi, '')
    .toUpperCase();
  for (const [, letters] of bare.matchAll(/AGESECRETKEY1(?=([02-9AC-HJ-NP-Z]{58}))/g)) {
    const identity = `AGE-SECRET-KEY-1${letters}`;
    if ((await identityToRecipient(identity).catch(() => null)) !== null) return identity;
  }
  if (bare.includes('SECRETKEY')) throw new WrongKey('the recovery key has a typing error or is not whole: compare it with the kit, letter by letter');
  throw new WrongKey('there is no recovery key in this: it starts with AGE-SECRET-KEY-1');
}
