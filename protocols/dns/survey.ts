// What a site should have published, and what of it is: the records of its document, keys and addresses, judged by what
// DNS answers. It changes nothing.

import { networkInterfaces } from 'node:os';
import type { Endpoint, World } from '../../actors/world.ts';
import type { Reader } from '../../storage/engine.ts';
import { certificate, config, dkimKeys, resolvers } from '../../storage/views.ts';
import { type Host, type JudgedRecord, judgeRecords } from './judge.ts';
import { wantedRecords, type WantedRecord } from './records.ts';
import { resolver } from './resolver.ts';
import type { Lookup } from './spf.ts';

export interface Survey {
  readonly wanted: readonly WantedRecord[];
  judge(): Promise<readonly JudgedRecord[]>;
}
export interface SurveyOptions {
  /** The public addresses of the host; null: those that the machine sees itself. */
  readonly addresses: readonly string[] | null;
  /** Only this one, and the host's own records where its name is in it. null: all. */
  readonly domain: string | null;
  /** Where the document names no resolvers. */
  readonly systemResolvers: () => readonly Endpoint[];
  /** Will it be judged? Then DNS is asked for the addresses of a host that cannot see its own. */
  readonly judged: boolean;
  /** What DNS has not answered by then is not known. */
  readonly withinMs: number;
}

/** Null: the site has no document yet. No records: it has no such domain. */
export async function survey(world: World, view: Reader, options: SurveyOptions): Promise<Survey | null> {
  view.refresh();
  const document = config(view)?.document;
  if (document === undefined) return null;
  const addresses = options.addresses ?? publicAddresses();
  const certificatePem = certificate(view, document.host)?.certificatePem ?? null;
  const named = resolvers(view);
  const { records, addresses: addressesOf } = resolver(world, () => (named.length > 0 ? named : options.systemResolvers()));
  const until = world.monotonicMs() + options.withinMs;
  const patient: Lookup = (name, type) => Promise.race([records(name, type), late(world, until)]);
  const known = options.judged && addresses.length === 0 ? await Promise.race([addressesOf(document.host), late(world, until)]) : null;
  const published = known?.kind === 'found' ? known.addresses : [];
  const all = wantedRecords({ document, addresses, published, keysOf: (domain) => dkimKeys(view, domain), certificatePem });
  const wanted = options.domain === null ? all : ofDomain(all, options.domain, document.host);
  return { wanted, judge: () => judgeAll(wanted, { name: document.host, addresses: addresses.length > 0 ? addresses : published }, patient) };
}

async function late(world: World, until: number): Promise<{ readonly kind: 'failed'; readonly reason: string }> {
  await world.sleep(Math.max(0, until - world.monotonicMs()));
  return { kind: 'failed', reason: 'no name server has answered in time' };
}

/** A domain at a time: a site may have thousands, and a resolver only so much patience. */
async function judgeAll(wanted: readonly WantedRecord[], host: Host, lookup: Lookup): Promise<JudgedRecord[]> {
  const judged: JudgedRecord[] = [];
  let ask = lookup;
  for (const domain of new Set(wanted.map((record) => record.domain))) {
    const own = wanted.filter((record) => record.domain === domain);
    const found = await judgeRecords(own, host, ask);
    judged.push(...found);
    // nobody answers: the others need not wait for that again
    if (found.every(({ state }) => state === 'unknown')) ask = async () => ({ kind: 'failed', reason: 'no name server answers' });
  }
  return judged;
}

function ofDomain(all: readonly WantedRecord[], domain: string, host: string): WantedRecord[] {
  if (!all.some((record) => record.domain === domain)) return [];
  return all.filter((record) => record.domain === domain || (record.domain === host && host.endsWith(`.${domain}`)));
}

/** Addresses of this machine that the world can reach: none behind NAT. */
function publicAddresses(): string[] {
  const found = Object.values(networkInterfaces()).flatMap((rows) => rows ?? []);
  return found.filter(({ address, internal }) => !internal && !isPrivate(address)).map(({ address }) => address.toLowerCase());
}

/** RFC 6890: private, shared, link-local, documentation and reserved ones. */
const isPrivate = (address: string): boolean =>
  address.includes(':')
    ? !/^[23]/.test(address) || /^2001:(0?db8|0{0,4}):/i.test(address)
    : /^(0|10|127|169\.254|192\.168|192\.0\.[02]|198\.1[89]|198\.51\.100|203\.0\.113|22[4-9]|2[3-5]\d)\./.test(address) ||
      /^172\.(1[6-9]|2\d|3[01])\./.test(address) ||
      /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(address);
