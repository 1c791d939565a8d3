// Who is at the other end of a connection, as far as its address says.

import type { Connection, Endpoint } from '../../actors/world.ts';

export const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');

/** May a password be taken on this connection? Under TLS; in clear only from loopback and only in the demo (DESIGN §9). */
export function mayTakePasswords(site: { readonly plaintextOnLoopback: boolean }, connection: Connection): boolean {
  return connection.tls !== null || (site.plaintextOnLoopback && isLoopback(connection.remote.address));
}

/** What brute-force limits count by: an IPv4 address, or the /64 that one IPv6 customer has (RFC 6177). */
export function originPrefix(remote: Endpoint): string {
  const { address } = remote;
  if (!address.includes(':')) return `ip:${address}/32`;
  return `ip:${firstGroups(address).join(':')}::/64`;
}

/** The first four groups of an IPv6 literal, without leading zeros. */
function firstGroups(address: string): readonly string[] {
  const [bare = ''] = address.split('%');
  const [head = '', tail] = bare.split('::');
  const before = head === '' ? [] : head.split(':');
  if (tail === undefined) return before.slice(0, 4).map(shorten);
  const after = tail === '' ? [] : tail.split(':');
  // a dotted quad at the end is two groups
  const width = before.length + after.length + (tail.includes('.') ? 1 : 0);
  const all = [...before, ...new Array<string>(Math.max(0, 8 - width)).fill('0'), ...after];
  return all.slice(0, 4).map(shorten);
}

const shorten = (group: string): string => group.toLowerCase().replace(/^0+(?=.)/, '');
