// What a portal and a machine say to each other when the machine becomes a site, or takes one over, in the simulation of the
// uplink, and the claim that comes before it.

import type { Reply, Transport } from '../../uplink/agent/transport.ts';
import { parseSigned, type Signer, signValue } from '../../uplink/keys.ts';
import { append } from '../../uplink/portal/identity/audit.ts';
import type { RecordOf } from '../../uplink/portal/kinds.ts';
import type { Transaction } from '../../uplink/portal/records.ts';
import { newSite } from '../unit/uplink/newsite.ts';

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

interface Given extends Pick<RecordOf<'claim'>, 'site' | 'purpose'> {
  readonly organisation: string;
  readonly claim: string;
  readonly at: number;
}

/** As a portal gives one, for a site that it makes where there is none: claims that nobody has used yet end. Given again it stays what it is. */
export async function giveClaim(tx: Transaction, { organisation, site, claim, purpose, at }: Given): Promise<void> {
  if ((await tx.get('claimOf', claim)) !== undefined) return;
  // first of all: whoever gives or takes a claim adds to the log, so that this runs again when one did so meanwhile
  await append(tx, organisation, { at, actor: 'me', auth: '', address: '', action: 'site.claim', target: site, detail: claim });
  if ((await tx.get('siteOf', site)) === undefined) {
    tx.put('site', [organisation, site], newSite(at));
    tx.put('siteOf', [site], { organisation });
  }
  for (const { id, body } of await tx.list('claim', [organisation])) {
    if (body.site !== site || body.usedBy !== '') continue;
    tx.remove('claim', organisation, id[1] as string);
    tx.remove('claimOf', id[1] as string);
  }
  tx.put('claimOf', [claim], { organisation });
  const unused = { snapshot: '', secret: secretOf(claim), by: 'me', createdAt: at, expiresAt: at + 86_400_000, usedBy: '', machine: '' };
  const epoch = (await tx.get('site', organisation, site))?.epoch ?? 0;
  tx.put('claim', [organisation, claim], { site, purpose, ...unused, epoch });
}
