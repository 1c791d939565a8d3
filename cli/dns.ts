// `mailsite dns records|check`: what to publish, and whether it is published. It reads the site and asks DNS, and changes
// nothing. Exit code of check: 0 when all that is required is right, 1 otherwise.

import { limits } from '../actors/limits.ts';
import { realWorld, systemResolvers } from '../actors/platform.ts';
import { allRight, type JudgedRecord } from '../protocols/dns/judge.ts';
import { zoneText } from '../protocols/dns/records.ts';
import { survey } from '../protocols/dns/survey.ts';
import { isIpAddress, normalizeDomain } from '../storage/addresses.ts';
import type { Arguments } from './arguments.ts';
import { bold, count, Failure, print, printJson, table, UsageError } from './output.ts';
import { enterSite } from './site.ts';

export async function dns(given: Arguments): Promise<number> {
  const verb = given.operands[0];
  if (verb !== 'records' && verb !== 'check') throw new UsageError(`dns takes records or check, not ${JSON.stringify(verb)}`);
  const world = realWorld(() => {});
  const { data, view } = await enterSite(world, given.data);
  const addresses = given.address === undefined ? null : addressList(given.address);
  const domain = given.domain === undefined ? null : (normalizeDomain(given.domain) ?? given.domain);
  const found = await survey(world, view, { addresses, domain, systemResolvers, judged: verb === 'check', withinMs: limits.surveyMs });
  if (found === null) throw new Failure(`${data} has no document yet: give it one with mailsite apply`);
  const { wanted } = found;
  if (wanted.length === 0) throw new Failure(`${given.domain} is no domain of this site: mailsite dns records without --domain shows them all`);
  if (verb === 'records') {
    if (given.json) printJson(wanted.map(({ domain, name, type, values, level, why }) => ({ domain, name, type, values, level, why })));
    else print(zoneText(wanted));
    return 0;
  }
  const judged = await found.judge();
  const right = allRight(judged);
  if (given.json) printJson({ ok: right, records: judged });
  else print(draw(judged));
  return right ? 0 : 1;
}

function addressList(option: string): string[] {
  const addresses = option.split(',').map((address) => address.trim().toLowerCase());
  const bad = addresses.find((address) => !isIpAddress(address));
  if (bad !== undefined) throw new UsageError(`--address takes IP addresses with commas between, not ${JSON.stringify(bad)}`);
  return addresses;
}

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
