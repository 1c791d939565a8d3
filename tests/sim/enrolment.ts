// What a portal and a machine say to each other when the machine becomes a site, or takes one over, in the simulation of the uplink.

import type { Reply, Transport } from '../../uplink/agent/transport.ts';
import { parseSigned, type Signer, signValue } from '../../uplink/keys.ts';

export const replyOf = async (response: Response): Promise<Reply> => ({ status: response.status, body: await response.text() });

/** As cli/launch.ts does it, when the snapshot is restored: the epoch from which on this machine is the site; null: it is not to be. */
export async function activate(
  { post }: Transport,
  url: string,
  signer: Signer,
  who: { readonly portal: string; readonly site: string; readonly machine: string },
): Promise<number | null> {
  const asked = await post(`${url}/v1/grant`, JSON.stringify({ challenge: true }), 30_000);
  const { challenge } = JSON.parse(asked.body) as { challenge: string };
  const said = await post(`${url}/v1/activate`, JSON.stringify(signValue(signer, 'activate', { challenge, ...who })), 30_000);
  if (said.status !== 200) return null;
  return Number(parseSigned((JSON.parse(said.body) as { signed: string }).signed)?.['epoch']);
}

export const secretOf = (claim: string): string => Buffer.alloc(32, claim).toString('base64url');
