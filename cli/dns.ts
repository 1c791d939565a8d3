// `mailsite dns records|check`: what to publish, and whether it is published. It reads the site and asks DNS, and changes
// nothing. Exit code of check: 0 when all that is required is right, 1 otherwise.

import { networkInterfaces } from 'node:os';
import { realWorld, systemResolvers } from '../actors/platform.ts';
import { allRight, type Host, type JudgedRecord, judgeRecords } from '../protocols/dns/judge.ts';
import { wantedRecords, type WantedRecord, zoneText } from '../protocols/dns/records.ts';
import { resolver } from '../protocols/dns/resolver.ts';
import type { Lookup } from '../protocols/dns/spf.ts';
import { isIpAddress, normalizeDomain } from '../storage/addresses.ts';
import { certificate, config, dkimKeys, resolvers } from '../storage/views.ts';
import type { Arguments } from './arguments.ts';
import { bold, count, Failure, print, printJson, table, UsageError } from './output.ts';
import { enterSite } from './site.ts';

export async function dns(given: Arguments): Promise<number> {
  const verb = given.operands[0];
  if (verb !== 'records' && verb !== 'check') throw new UsageError(`dns takes records or check, not ${JSON.stringify(verb)}`);
  const world = realWorld(() => {});
  const { data, view } = await enterSite(world, given.data);
  view.refresh();
  const document = config(view)?.document;
  if (document === undefined) throw new Failure(`${data} has no document yet: give it one with mailsite apply`);
  const addresses = given.address === undefined ? publicAddresses() : addressList(given.address);
  const certificatePem = certificate(view, document.host)?.certificatePem ?? null;
  const named = resolvers(view);
  const { records, addresses: addressesOf } = resolver(world, () => (named.length > 0 ? named : systemResolvers()));
  const known = verb === 'check' && addresses.length === 0 ? await addressesOf(document.host) : null;
  const published = known?.kind === 'found' ? known.addresses : [];
  const all = wantedRecords({ document, addresses, published, keysOf: (domain) => dkimKeys(view, domain), certificatePem });
  const wanted = given.domain === undefined ? all : ofDomain(all, given.domain, document.host);
  if (verb === 'records') {
    if (given.json) printJson(wanted.map(({ domain, name, type, values, level, why }) => ({ domain, name, type, values, level, why })));
    else print(zoneText(wanted));
    return 0;
  }
  const judged = await judgeAll(wanted, { name: document.host, addresses: addresses.length > 0 ? addresses : published }, records);
  const right = allRight(judged);
  if (given.json) printJson({ ok: right, records: judged });
  else print(draw(judged));
  return right ? 0 : 1;
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

/** The records of one domain, and the host's own where its name is in that domain. */
function ofDomain(all: readonly WantedRecord[], option: string, host: string): WantedRecord[] {
  const domain = normalizeDomain(option);
  const found = all.filter((record) => record.domain === domain || (record.domain === host && host.endsWith(`.${domain}`)));
  if (!found.some((record) => record.domain === domain))
    throw new Failure(`${option} is no domain of this site: mailsite dns records without --domain shows them all`);
  return found;
}

function addressList(option: string): string[] {
  const addresses = option.split(',').map((address) => address.trim().toLowerCase());
  const bad = addresses.find((address) => !isIpAddress(address));
  if (bad !== undefined) throw new UsageError(`--address takes IP addresses with commas between, not ${JSON.stringify(bad)}`);
  return addresses;
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

function draw(judged: readonly JudgedRecord[]): string {
  const parts: string[] = [];
  for (const domain of new Set(judged.map((record) => record.domain))) {
    const own = judged.filter((record) => record.domain === domain);
    const lines = table(own.map(({ state, type, name, level, reason }) => [state, type, name, level, reason])).split('\n');
    const fixes = own.flatMap(({ fix }, i) => [lines[i] ?? '', ...(fix === '' ? [] : [`            ${fix}`])]);
    parts.push(`${bold(domain)}\n${fixes.join('\n')}`);
  }
  const bad = judged.filter(({ level, state }) => level === 'required' && state !== 'right').length;
  const open = judged.filter(({ level, state }) => level !== 'required' && (state === 'missing' || state === 'wrong')).length;
  const rest = open === 0 ? '' : `; ${count(open, 'other record')} could be better`;
  parts.push(bad === 0 ? `All that is required is right${rest}.` : `${count(bad, 'required record')} ${bad === 1 ? 'is' : 'are'} not right${rest}.`);
  return parts.join('\n\n');
}
