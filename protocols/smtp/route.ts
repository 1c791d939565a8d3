// Where a recipient's mail goes next: into a mailbox here, to a relay of the document, or to the hosts of its domain
// (RFC 5321 §5). Guarantees: mail never goes to a host that we are ourselves (§5.1), nor to one that takes none (RFC 7505).

import { config, isLocalDomain, relayFor } from '../../storage/views.ts';
import { dnsName } from '../dns/packet.ts';
import { ipLiteral, type Resolver } from '../dns/resolver.ts';
import type { Site } from '../site.ts';
import type { Hop } from './client.ts';
import { failed, later, type Verdict } from './reply.ts';

type Relay = NonNullable<ReturnType<typeof relayFor>>;

/** `key` names what connections are counted by. */
export type Destination =
  | { readonly kind: 'local'; readonly key: string }
  | { readonly kind: 'relay'; readonly key: string; readonly relay: Relay }
  | { readonly kind: 'domain'; readonly key: string; readonly domain: string };

/** Decided by the document in force now, at each attempt. */
export function destinationOf(site: Site, name: string): Destination {
  const domain = dnsName(name) ?? name;
  if (isLocalDomain(site.view, domain)) return { kind: 'local', key: `local ${domain}` };
  const relay = relayFor(site.view, domain);
  if (relay) return { kind: 'relay', key: `relay ${relay.host}:${relay.port} ${relay.user}`, relay };
  return { kind: 'domain', key: domain, domain };
}

/** A host to try, its addresses not yet looked up. */
export interface Host {
  readonly name: string;
  readonly port: number;
  readonly login: Hop['login'];
}

/** The hosts to try in order, or why there are none. */
export async function hostsOf(site: Site, resolver: Resolver, to: Exclude<Destination, { kind: 'local' }>): Promise<readonly Host[] | Verdict> {
  if (to.kind === 'relay') {
    const { host, port, user, password } = to.relay;
    return [{ name: host, port, login: user === '' ? null : { user, password } }];
  }
  const plain = (name: string): Host => ({ name, port: 25, login: null });
  // RFC 5321 §4.1.3: an address literal is its own host.
  if (to.domain.startsWith('[')) return ipLiteral(to.domain) === null ? failed('5.1.2', `${to.domain} is not an address`) : [plain(to.domain)];
  const found = await resolver.mx(to.domain);
  if (found.kind === 'failed') return later('4.4.3', `cannot look up the mail hosts of ${to.domain}: ${found.reason}`);
  if (found.kind === 'notFound') return failed('5.1.2', `the domain ${to.domain} does not exist or has no mail host`);
  // RFC 7505 §4.1
  if (found.kind === 'null') return failed('5.1.10', `the domain ${to.domain} takes no mail`);
  const self = dnsName(config(site.view)?.document.host ?? '');
  // RFC 5321 §5.1: when we are among them, only hosts better than we are may be tried.
  const own = found.hosts.find((h) => h.host === self)?.preference ?? Number.POSITIVE_INFINITY;
  const better = found.hosts.filter((h) => h.preference < own);
  if (better.length === 0) return failed('5.4.6', `mail for ${to.domain} loops back to this host, which does not take it`);
  return better.map((h) => plain(h.host));
}

/** Each address of a host as a hop, or why there is none. */
export async function hopsOf(resolver: Resolver, host: Host): Promise<readonly Hop[] | Verdict> {
  const found = await resolver.addresses(host.name);
  if (found.kind === 'failed') return later('4.4.3', `cannot look up the address of ${host.name}: ${found.reason}`);
  // A mail host without an address may be a mistake that is mended before the mail expires.
  if (found.kind === 'notFound') return later('4.4.4', `the mail host ${host.name} has no address`);
  return found.addresses.map((address) => ({ host: host.name, endpoint: { address, port: host.port }, implicitTls: host.port === 465, login: host.login }));
}
