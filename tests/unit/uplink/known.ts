// A portal of tests whose records know one site `s` of organisation `o`, and its machine `m`.

import type { RecordOf } from '../../../uplink/portal/kinds.ts';
import { signerOf } from '../../../uplink/keys.ts';
import { type House, house } from '../portal/house.ts';
import { newSite } from './newsite.ts';

export const seed = (n: number): string => Buffer.alloc(32, n).toString('base64url');
export const machine = signerOf(seed(1));
export const at = 1_700_000_000_000;
const joined: RecordOf<'site'> = { ...newSite(at), state: 'active', epoch: 1, machine: 'm' };

export async function portalWith(site: Partial<RecordOf<'site'>> = {}, of: Partial<RecordOf<'machine'>> = {}): Promise<House> {
  const made = await house();
  await made.write(async (tx) => {
    tx.put('site', ['o', 's'], { ...joined, ...site });
    tx.put('siteOf', ['s'], { organisation: 'o' });
    const state = { epoch: 1, state: 'active', sessionCounter: 5, offered: 5, enrolledAt: at, seenAt: at } as const;
    tx.put('machine', ['s', 'm'], { signPublic: machine.publicKey, wrapPublic: '', ...state, ...of });
  });
  return made;
}
