// Answers out of a zone that a test writes down: `name TYPE` to values as a zone file has them, TXT as plain text.

import type { Published } from '../../../protocols/dns/resolver.ts';
import type { Lookup } from '../../../protocols/dns/spf.ts';

export type Zone = Readonly<Record<string, readonly string[]>>;

/** CNAMEs are followed. `failing`: what cannot be asked; `signed`: DNSSEC proves everything. */
export function lookupIn(zone: Zone, more: { readonly failing?: readonly string[]; readonly signed?: boolean } = {}): Lookup & { asked: string[] } {
  const asked: string[] = [];
  const lookup: Lookup = async (name, type): Promise<Published> => {
    asked.push(`${name} ${type}`);
    if (more.failing?.includes(`${name} ${type}`)) return { kind: 'failed', reason: `${type} ${name}: 192.0.2.53: SERVFAIL` };
    const aliases: string[] = [];
    let at = name;
    for (let next = zone[`${at} CNAME`]?.[0]; type !== 'CNAME' && next !== undefined; next = zone[`${at} CNAME`]?.[0]) {
      at = next;
      aliases.push(at);
    }
    const values = zone[`${at} ${type}`] ?? [];
    const authentic = more.signed === true;
    if (values.length === 0) return { kind: 'none', aliases, authentic };
    const records = values.map((value) => {
      const common = { name: at, ttl: 60 };
      if (type !== 'MX') return { ...common, type, value };
      const [preference = '', host = ''] = value.split(' ');
      return { ...common, type, preference: Number(preference), value: host };
    });
    return { kind: 'found', records, aliases, authentic };
  };
  return Object.assign(lookup, { asked });
}
