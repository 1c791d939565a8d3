// Somebody else's verifier (mailauth), with DNS records that a test gives it.

import { dkimVerify } from 'mailauth/lib/dkim/verify.js';

export interface Verified {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  readonly result: string;
}

/** Every signature of a message, in their order. `keys`: p= by selector. */
export async function verify(message: Uint8Array | string, keys: { readonly rsa: Uint8Array; readonly ed25519: Uint8Array }): Promise<Verified[]> {
  const base64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64');
  const records: Readonly<Record<string, string>> = { s1: `v=DKIM1; k=rsa; p=${base64(keys.rsa)}`, s2: `v=DKIM1; k=ed25519; p=${base64(keys.ed25519)}` };
  const resolver = async (name: string): Promise<string[][]> => [[records[name.split('.')[0] ?? ''] ?? '']];
  const { results } = await dkimVerify(Buffer.from(message as string, 'latin1'), { resolver } as never);
  return results
    .filter((r) => r.status.result !== 'none')
    .map((r) => ({ domain: `${r.signingDomain}`, selector: `${r.selector}`, algorithm: `${r.algo}`, result: `${r.status.result}` }));
}
