// Who signs a message on its way out. Guarantees: only what this site itself wrote or an account of it handed in is signed,
// in the name of a domain that the account may send from; mail of strangers that passes through (an alias that leads
// elsewhere) is never signed, whatever its From says.

import { limits } from '../../actors/limits.ts';
import { config, header, isLocalDomain, mayFrom } from '../../storage/views.ts';
import type { Keyring } from '../dkim/keyring.ts';
import type { Signing } from '../dkim/sign.ts';
import { dnsName } from '../dns/packet.ts';
import { parseAddresses } from '../mime/address.ts';
import { headerFields, unfold } from '../mime/header.ts';
import type { Site } from '../site.ts';
import type { Pending } from './attempt.ts';

/**
 * What to sign a message with; null: nothing. `wait`: its domain has no keys at this moment. Keys are made where they are
 * missing, within half a second, so this is rare (the work process died, the disk is full) and mostly over with the next try:
 * an unsigned message may be taken for a forgery and cannot be called back, one that is some seconds late is no harm. But
 * mail must not expire for want of a signature either: after limits.dkimWaitMs it goes without, as most hosts take it.
 */
export async function signingFor(site: Site, keys: Keyring, pending: Pending): Promise<Signing | null | 'wait'> {
  site.view.refresh();
  const domain = signingDomain(site, pending);
  if (domain === null) return null;
  const found = await keys.current(domain);
  if (found.length > 0) return { domain, keys: found };
  if (site.world.now() - pending.row.arrivedAt < limits.dkimWaitMs) return 'wait';
  site.world.log('dkim.unsigned', { queue: pending.queue, domain, reason: 'its keys could not be made or stored' });
  return null;
}

/** The domain that answers for the message (d=), as A-labels. */
function signingDomain(site: Site, { row }: Pending): string | null {
  const octets = header(site.view, row.blob).subarray(row.skip);
  if (row.account === 0) return isOurNotice(octets, row.envelopeFrom) ? domainOfHost(site) : null;
  const ours = (address: string | null): string | null =>
    address !== null && mayFrom(site.view, row.account, address) ? dnsName(address.slice(address.lastIndexOf('@') + 1)) : null;
  return ours(authorOf(octets)) ?? ours(row.envelopeFrom);
}

/** A notification of this host. What came from elsewhere begins with our Received field (deliver.ts), a notification does not. */
function isOurNotice(octets: Uint8Array, envelopeFrom: string): boolean {
  const [first] = headerFields(octets);
  return envelopeFrom === '' && first !== undefined && first.name !== 'received';
}

/** Notifications come from the host's name: the nearest domain of ours above it is aligned with it (RFC 7489 §3.1.1). */
function domainOfHost(site: Site): string | null {
  let name = dnsName(config(site.view)?.document.host ?? '');
  while (name !== null && !isLocalDomain(site.view, name)) name = dnsName(name.split('.').slice(1).join('.'));
  return name;
}

/** The first address of the one From field there must be (RFC 5322 §3.6), or null. */
function authorOf(octets: Uint8Array): string | null {
  const fields = [...headerFields(octets)].filter((field) => field.name === 'from');
  const [field] = fields;
  if (field === undefined || fields.length > 1) return null;
  const value = unfold(Buffer.from(octets.subarray(field.valueFrom, field.to)).toString('latin1'));
  const author = parseAddresses(value).find((address) => address.kind === 'mailbox');
  return author === undefined ? null : Buffer.from(`${author.mailbox}@${author.host}`, 'latin1').toString('utf8');
}
