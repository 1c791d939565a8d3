// IP addresses as names and as members of networks. Pure; what is no address is in no network.

import { BlockList } from 'node:net';
import { ipLiteral } from './resolver.ts';

/** The name whose PTR record names an address (RFC 1035 §3.5, RFC 3596 §2.5). `address`: a literal. */
export function reverseName(address: string): string {
  if (!address.includes(':')) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  return `${[
    ...groups(address)
      .map((group) => group.toString(16).padStart(4, '0'))
      .join(''),
  ]
    .reverse()
    .join('.')}.ip6.arpa`;
}

/** The eight groups of an IPv6 literal. */
function groups(address: string): number[] {
  // the URL parser gives the one short spelling, with an embedded IPv4 address as two groups
  const short = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [left = '', right] = short.split('::');
  const words = (text: string): number[] => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const [before, after] = [words(left), words(right ?? '')];
  return right === undefined ? before : [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** One spelling for an address, so that two can be compared. */
export const sameAddress = (a: string, b: string): boolean => reverseName(a) === reverseName(b);

/** `prefix`: bits that count; null: all of them. */
export function inNetwork(address: string, network: string, prefix: number | null): boolean {
  const family = (text: string): 'ipv4' | 'ipv6' => (text.includes(':') ? 'ipv6' : 'ipv4');
  const most = family(network) === 'ipv4' ? 32 : 128;
  if (ipLiteral(network) === null || family(address) !== family(network) || (prefix ?? most) > most) return false;
  const list = new BlockList();
  list.addSubnet(network, prefix ?? most, family(network));
  return list.check(address, family(address));
}
