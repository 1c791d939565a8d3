// A stub resolver of our own (node's splits TXT records and hides what failed). Guarantees: every lookup ends within
// limits.dnsTimeoutMs per try; what does not exist is told apart from what could not be found out; the cache is
// bounded and forgets by TTL; equal questions in flight are asked once.

import { limits } from '../../actors/limits.ts';
import type { Endpoint, World } from '../../actors/world.ts';
import { LineReader } from '../reader.ts';
import { answers, type DnsRecord, decodeReply, dnsName, encodeQuery, type RecordType, type Reply } from './packet.ts';

/** `notFound`: the name or the record does not exist. `failed`: nobody could tell; try again later. */
export type Missing = { readonly kind: 'notFound' } | { readonly kind: 'failed'; readonly reason: string };
export type Addresses = { readonly kind: 'found'; readonly addresses: readonly string[] } | Missing;
export interface MxHost {
  readonly preference: number;
  readonly host: string;
}
/** `null`: the domain takes no mail at all (RFC 7505). Without MX records the domain is its own host (RFC 5321 §5.1). */
export type MailExchanges = { readonly kind: 'found'; readonly hosts: readonly MxHost[]; readonly implicit: boolean } | { readonly kind: 'null' } | Missing;
export type Texts = { readonly kind: 'found'; readonly texts: readonly string[] } | Missing;

export interface Resolver {
  /** Mail hosts of a domain, best first; equal ones in random order. */
  mx(domain: string): Promise<MailExchanges>;
  /** IPv4 addresses, then IPv6, of a host. An IP literal is its own address. */
  addresses(host: string): Promise<Addresses>;
  txt(name: string): Promise<Texts>;
  /** Records of any type as they are published, and how the answer was found. */
  records(name: string, type: RecordType): Promise<Published>;
}

/** `aliases`: the names that CNAMEs led to on the way. `none`: no record of that type. `authentic`: proved by DNSSEC. */
export type Published =
  | { readonly kind: 'found'; readonly records: readonly DnsRecord[]; readonly aliases: readonly string[]; readonly authentic: boolean }
  | { readonly kind: 'none'; readonly aliases: readonly string[]; readonly authentic: boolean }
  | { readonly kind: 'failed'; readonly reason: string };

interface Way {
  readonly aliases: readonly string[];
  readonly authentic: boolean;
}
type Found = Step & Way;
type Step = { readonly kind: 'records'; readonly records: readonly DnsRecord[] } | { readonly kind: 'noName' } | { readonly kind: 'noData' };
type Failed = { readonly kind: 'failed'; readonly reason: string };
type Outcome = Found | Failed;
interface Cached {
  readonly found: Found;
  readonly untilMs: number;
}
interface State {
  readonly world: World;
  readonly servers: () => readonly Endpoint[];
  readonly cache: Map<string, Cached>;
  readonly inFlight: Map<string, Promise<Outcome>>;
  /** The server that answered last is asked first. */
  first: number;
}

const ALIASES = 8;

/** `servers`: whom to ask, looked up at each question, so that a new document counts at once. */
export function resolver(world: World, servers: () => readonly Endpoint[]): Resolver {
  const state: State = { world, servers, cache: new Map(), inFlight: new Map(), first: 0 };
  return {
    mx: (domain) => mx(state, domain),
    addresses: (host) => addresses(state, host),
    txt: (name) => txt(state, name),
    records: (name, type) => records(state, name, type),
  };
}

async function mx(state: State, domain: string): Promise<MailExchanges> {
  const name = dnsName(domain);
  if (name === null) return { kind: 'notFound' };
  const found = await lookup(state, name, 'MX');
  if (found.kind === 'failed') return found;
  if (found.kind === 'noName') return { kind: 'notFound' };
  const records = found.kind === 'records' ? found.records.filter((r) => r.type === 'MX') : [];
  if (records.length === 0) {
    // RFC 5321 §5.1: the implicit MX, but only for a name that has an address.
    const own = await addresses(state, name);
    return own.kind === 'found' ? { kind: 'found', hosts: [{ preference: 0, host: name }], implicit: true } : own;
  }
  const usable = records.filter((r) => r.value !== '.' && r.value !== '' && dnsName(r.value) !== null);
  // RFC 7505 §3: a single "." says that no mail is taken.
  if (usable.length === 0) return records.some((r) => r.value === '.' || r.value === '') ? { kind: 'null' } : { kind: 'notFound' };
  const order = usable.map((r) => ({ preference: r.preference, host: r.value, lot: lot(state.world) }));
  order.sort((a, b) => a.preference - b.preference || a.lot - b.lot);
  return { kind: 'found', hosts: order.slice(0, limits.mxHosts).map(({ preference, host }) => ({ preference, host })), implicit: false };
}

async function addresses(state: State, host: string): Promise<Addresses> {
  const literal = ipLiteral(host);
  if (literal !== null) return { kind: 'found', addresses: [literal] };
  const name = dnsName(host);
  if (name === null) return { kind: 'notFound' };
  // RFC 6761 §6.3: never asked of the network.
  if (name === 'localhost' || name.endsWith('.localhost')) return { kind: 'found', addresses: ['127.0.0.1', '::1'] };
  const [v4, v6] = await Promise.all([lookup(state, name, 'A'), lookup(state, name, 'AAAA')]);
  const all: string[] = [];
  for (const found of [v4, v6]) if (found.kind === 'records') for (const r of found.records) all.push(r.value);
  if (all.length > 0) return { kind: 'found', addresses: all.slice(0, limits.hostAddresses) };
  if (v4.kind === 'failed') return v4;
  return v6.kind === 'failed' ? v6 : { kind: 'notFound' };
}

async function txt(state: State, text: string): Promise<Texts> {
  const name = dnsName(text);
  if (name === null) return { kind: 'notFound' };
  const found = await lookup(state, name, 'TXT');
  if (found.kind === 'failed') return found;
  return found.kind === 'records' ? { kind: 'found', texts: found.records.map((r) => r.value) } : { kind: 'notFound' };
}

async function records(state: State, text: string, type: RecordType): Promise<Published> {
  const name = dnsName(text);
  if (name === null) return { kind: 'none', aliases: [], authentic: false };
  const found = await lookup(state, name, type);
  if (found.kind === 'failed') return found;
  const { aliases, authentic } = found;
  return found.kind === 'records' ? { kind: 'found', records: found.records, aliases, authentic } : { kind: 'none', aliases, authentic };
}

/** Records of exactly that type, through aliases, from the cache or the servers. Never rejects. */
async function lookup(state: State, name: string, type: RecordType): Promise<Outcome> {
  let asked = name;
  const aliases: DnsRecord[] = [];
  const key = `${type} ${name}`;
  const cached = state.cache.get(key);
  if (cached && cached.untilMs > state.world.monotonicMs()) return cached.found;
  const running = state.inFlight.get(key);
  if (running) return running;
  const walk = async (): Promise<Outcome> => {
    let authentic = true;
    for (let hops = 0; hops <= ALIASES; hops++) {
      const reply = await ask(state, asked, type);
      if (typeof reply === 'string') return { kind: 'failed', reason: `${type} ${asked}: ${reply}` };
      authentic &&= reply.authentic;
      const step = follow(reply, asked, type, aliases);
      if (step.kind === 'alias') {
        asked = step.target;
        continue;
      }
      if (step.kind === 'failed') return step;
      const found: Found = { ...step, aliases: aliases.map((alias) => alias.value), authentic };
      remember(state, key, found, ttlSeconds(found, aliases, reply));
      return found;
    }
    return { kind: 'failed', reason: `${type} ${name}: too many aliases` };
  };
  const work = walk();
  state.inFlight.set(key, work);
  try {
    return await work;
  } finally {
    state.inFlight.delete(key);
  }
}

/** Reads a reply from `name` on along its CNAMEs (RFC 1034 §3.6.2); `alias`: the next name is not in this reply. */
function follow(reply: Reply, name: string, type: RecordType, aliases: DnsRecord[]): Step | Failed | { readonly kind: 'alias'; readonly target: string } {
  let at = name;
  for (let hops = 0; hops <= ALIASES; hops++) {
    const records = reply.records.filter((r) => r.type === type && r.name === at);
    if (records.length > 0) return { kind: 'records', records };
    const alias = reply.records.find((r) => r.type === 'CNAME' && r.name === at);
    if (!alias) {
      if (reply.rcode === 'NXDOMAIN') return { kind: 'noName' };
      return at === name || reply.negativeTtl !== null ? { kind: 'noData' } : { kind: 'alias', target: at };
    }
    const target = dnsName(alias.value);
    if (target === null) return { kind: 'noData' };
    aliases.push(alias);
    at = target;
  }
  return { kind: 'failed', reason: `${type} ${name}: too many aliases` };
}

function ttlSeconds(found: Found, aliases: readonly DnsRecord[], reply: Reply): number {
  const own = found.kind === 'records' ? found.records.map((r) => r.ttl) : [reply.negativeTtl ?? 0];
  return Math.min(...own.slice(0, 1000), ...aliases.map((r) => r.ttl));
}

function remember(state: State, key: string, found: Found, ttl: number): void {
  const ttlMs = Math.min(ttl * 1000, limits.dnsCacheMaxMs);
  state.cache.delete(key);
  if (ttlMs <= 0) return;
  const cut: Found = found.kind === 'records' ? { ...found, records: found.records.slice(0, limits.dnsRecords) } : found;
  state.cache.set(key, { found: cut, untilMs: state.world.monotonicMs() + ttlMs });
  // The oldest entry goes first: a Map keeps the order of insertion.
  if (state.cache.size > limits.dnsCache) for (const oldest of state.cache.keys()) return void state.cache.delete(oldest);
}

/** One question to the servers in turn; the answer, or why there is none. */
async function ask(state: State, name: string, type: RecordType): Promise<Reply | string> {
  const servers = state.servers();
  if (servers.length === 0) return 'no resolver is configured';
  const tries = Math.max(limits.dnsTries, servers.length);
  let reason = 'no answer';
  for (let n = 0; n < tries; n++) {
    const index = (state.first + n) % servers.length;
    const server = servers[index] as Endpoint;
    const reply = await askOne(state.world, server, name, type, true);
    if (typeof reply === 'string') {
      reason = reply;
      continue;
    }
    state.first = index;
    return reply;
  }
  return reason;
}

async function askOne(world: World, server: Endpoint, name: string, type: RecordType, edns: boolean): Promise<Reply | string> {
  const id = world.random(2);
  const query = encodeQuery((id[0] ?? 0) * 256 + (id[1] ?? 0), name, type, edns);
  let reply: Reply | null;
  try {
    reply = decodeReply(await world.exchange(server, query, (r) => answers(query, r), limits.dnsTimeoutMs));
    // RFC 7766 §5: what was cut is asked for again over TCP.
    if (reply?.truncated) reply = decodeReply(await overTcp(world, server, query));
  } catch (error) {
    return `${server.address}: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (reply === null) return `${server.address}: malformed answer`;
  if (reply.rcode === 'NOERROR' || reply.rcode === 'NXDOMAIN') return reply;
  // RFC 6891 §7: an old server does not know EDNS.
  if (edns && (reply.rcode === 'FORMERR' || reply.rcode === 'NOTIMP')) return askOne(world, server, name, type, false);
  return `${server.address}: ${reply.rcode}`;
}

/** RFC 1035 §4.2.2: two octets of length before each message. */
async function overTcp(world: World, server: Endpoint, query: Uint8Array): Promise<Uint8Array> {
  const deadline = world.monotonicMs() + limits.dnsTimeoutMs;
  const connection = await world.connect(server, { timeoutMs: limits.dnsTimeoutMs });
  try {
    const frame = new Uint8Array(query.length + 2);
    frame.set([query.length >> 8, query.length & 255]);
    frame.set(query, 2);
    connection.write(frame);
    const reader = new LineReader(connection, world);
    const length = await exactly(world, reader, 2, deadline);
    const reply = await exactly(world, reader, (length[0] ?? 0) * 256 + (length[1] ?? 0), deadline);
    if (!answers(query, reply)) throw new Error('the answer over TCP is not to our question');
    return reply;
  } finally {
    connection.destroy();
  }
}

async function exactly(world: World, reader: LineReader, octets: number, deadline: number): Promise<Uint8Array> {
  const out = new Uint8Array(octets);
  let have = 0;
  while (have < octets) {
    const chunk = await reader.chunk(octets - have, Math.max(0, deadline - world.monotonicMs()));
    if (chunk === 'timeout') throw new Error('no answer over TCP');
    if (chunk === null) throw new Error('TCP answer was cut');
    out.set(chunk, have);
    have += chunk.length;
  }
  return out;
}

const lot = (world: World): number => {
  const octets = world.random(4);
  return new DataView(octets.buffer, octets.byteOffset).getUint32(0);
};

/** `1.2.3.4`, `::1`, `[1.2.3.4]` or `[IPv6:::1]` (RFC 5321 §4.1.3) as the bare address, else null. */
export function ipLiteral(text: string): string | null {
  const bare = /^\[(?:IPv6:)?([^\]]*)\]$/i.exec(text)?.[1] ?? text;
  const v4 = bare.split('.');
  if (v4.length === 4 && v4.every((o) => /^(0|[1-9][0-9]{0,2})$/.test(o) && Number(o) < 256)) return bare;
  return /^[0-9a-fA-F:.]+$/.test(bare) && bare.includes(':') && URL.canParse(`http://[${bare}]/`) ? bare.toLowerCase() : null;
}
