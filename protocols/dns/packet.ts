// DNS questions and answers as octets (RFC 1035, RFC 6891). Pure functions. Guarantees: nothing here throws on octets a
// stranger sent; a reply counts only when its id and its question are ours (RFC 5452 §9.1).

import { Buffer } from 'node:buffer';
import { domainToASCII } from 'node:url';
import dns from 'dns-packet';

export type RecordType = 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR' | 'CNAME' | 'SRV' | 'TLSA' | 'CAA';
/** One resource record of the answer section. `name` and every name in `value` are lower case, without a final dot. */
export type DnsRecord =
  | { readonly type: 'A' | 'AAAA' | 'CNAME' | 'PTR'; readonly name: string; readonly ttl: number; readonly value: string }
  | { readonly type: 'MX'; readonly name: string; readonly ttl: number; readonly preference: number; readonly value: string }
  | { readonly type: 'TXT'; readonly name: string; readonly ttl: number; readonly value: string }
  /** `value` as a zone file has it, names in it like all others: `0 1 993 mail.example.org`, `3 1 1 00ff…`, `0 issue "ca.example"`. */
  | { readonly type: 'SRV' | 'TLSA' | 'CAA'; readonly name: string; readonly ttl: number; readonly value: string };

export interface Reply {
  readonly rcode: string;
  readonly truncated: boolean;
  /** The resolver has proved the answer by DNSSEC (RFC 4035 §3.2.3); it counts as far as the way to the resolver is trusted. */
  readonly authentic: boolean;
  readonly records: readonly DnsRecord[];
  /** Seconds for which the absence may be remembered (RFC 2308 §5); null: no SOA came with it. */
  readonly negativeTtl: number | null;
}

const HEADER = 12;
/** RFC 9715: what fits without fragments. */
const UDP_PAYLOAD = 1232;

/** A name as lower-case A-labels without the final dot, or null when it cannot be asked for (RFC 1035 §2.3.4, RFC 5891 §4.4). */
export function dnsName(text: string): string | null {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text;
  if (bare.length === 0 || bare.length > 1000) return null;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is the range
  const ascii = (/^[\x00-\x7f]*$/.test(bare) ? bare : domainToASCII(bare)).toLowerCase();
  if (ascii.length > 253) return null;
  return ascii.split('.').every((label) => /^[a-z0-9_-]{1,63}$/.test(label)) ? ascii : null;
}

/** A recursive question. `id` 0..65535. */
export function encodeQuery(id: number, name: string, type: RecordType, edns: boolean): Uint8Array {
  return dns.encode({
    type: 'query',
    id,
    // RFC 6840 §5.7: AD in a question asks for AD in the answer
    flags: dns.RECURSION_DESIRED | dns.AUTHENTIC_DATA,
    questions: [{ type, name, class: 'IN' }],
    additionals: edns ? [{ type: 'OPT', name: '.', udpPayloadSize: UDP_PAYLOAD, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }] : [],
  });
}

/** Is `reply` an answer to `query`? Anything else that arrives on the port is somebody's guess. */
export function answers(query: Uint8Array, reply: Uint8Array): boolean {
  if (reply.length < HEADER || reply[0] !== query[0] || reply[1] !== query[1]) return false;
  const opcode = ((reply[2] ?? 0) >> 3) & 15;
  if (((reply[2] ?? 0) & 0x80) === 0 || opcode !== 0) return false;
  const questions = (reply[4] ?? 0) * 256 + (reply[5] ?? 0);
  const rcode = (reply[3] ?? 0) & 15;
  // A server that could not read the question (FORMERR, NOTIMP, REFUSED, SERVFAIL) may leave it out.
  if (questions === 0) return rcode !== 0 && rcode !== 3;
  if (questions !== 1) return false;
  const end = questionEnd(query);
  if (reply.length < end) return false;
  for (let i = HEADER; i < end; i++) if (fold(reply[i]) !== fold(query[i])) return false;
  return true;
}

/** Our own question is never compressed: labels, root, type, class. */
function questionEnd(query: Uint8Array): number {
  let at = HEADER;
  for (let length = query[at] ?? 0; length !== 0; length = query[at] ?? 0) at += length + 1;
  return at + 5;
}
const fold = (octet: number | undefined): number => (octet !== undefined && octet >= 65 && octet <= 90 ? octet + 32 : (octet ?? 0));

/** The parts of a reply we use, or null when it is malformed. */
export function decodeReply(bytes: Uint8Array): Reply | null {
  try {
    const packet = dns.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)) as dns.DecodedPacket & { readonly rcode: string };
    const records: DnsRecord[] = [];
    for (const answer of packet.answers ?? []) {
      const found = toRecord(answer);
      if (found) records.push(found);
    }
    return { rcode: packet.rcode, truncated: packet.flag_tc, authentic: packet.flag_ad, records, negativeTtl: negativeTtl(packet) };
  } catch {
    return null;
  }
}

function toRecord(answer: dns.Answer): DnsRecord | null {
  if (answer.type === 'OPT' || (answer.class !== undefined && answer.class !== 'IN')) return null;
  const name = answer.name.toLowerCase();
  // RFC 2181 §8: a TTL with the top bit set is zero.
  const ttl = (answer.ttl ?? 0) < 2 ** 31 ? (answer.ttl ?? 0) : 0;
  switch (answer.type) {
    case 'A':
    case 'AAAA':
    case 'CNAME':
    case 'PTR':
      return typeof answer.data === 'string' ? { type: answer.type, name, ttl, value: answer.data.toLowerCase() } : null;
    case 'MX':
      return { type: 'MX', name, ttl, preference: answer.data.preference ?? 0, value: answer.data.exchange.toLowerCase() };
    case 'TXT':
      return { type: 'TXT', name, ttl, value: txtValue(answer.data) };
    case 'SRV': {
      const { priority = 0, weight = 0, port, target } = answer.data;
      return { type: 'SRV', name, ttl, value: `${priority} ${weight} ${port} ${target.toLowerCase()}` };
    }
    case 'TLSA': {
      const { usage, selector, matchingType, certificate } = answer.data;
      return { type: 'TLSA', name, ttl, value: `${usage} ${selector} ${matchingType} ${certificate.toString('hex')}` };
    }
    case 'CAA':
      return { type: 'CAA', name, ttl, value: `${answer.data.flags ?? 0} ${answer.data.tag} "${answer.data.value}"` };
    default:
      return null;
  }
}

/** The strings of one TXT record belong together (RFC 7208 §3.3). */
function txtValue(data: dns.TxtData): string {
  const strings = Array.isArray(data) ? data : [data];
  return Buffer.concat(strings.map((s) => (typeof s === 'string' ? Buffer.from(s) : s))).toString('utf8');
}

function negativeTtl(packet: dns.DecodedPacket): number | null {
  for (const row of packet.authorities ?? []) {
    if (row.type === 'SOA') return Math.min(row.ttl ?? 0, row.data.minimum ?? 0);
  }
  return null;
}
