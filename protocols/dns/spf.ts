// Does a domain's SPF record let a host send (RFC 7208)? For judging one's own records, not mail that comes in: what depends
// on a message (macros) counts as no match. Guarantees: at most 10 further lookups and 2 of them in vain (§4.6.4), as every
// receiver counts; nothing is thrown at any text.

import type { Published } from './resolver.ts';
import { inNetwork } from './reverse.ts';
import { dnsName, type RecordType } from './packet.ts';

export type Lookup = (name: string, type: RecordType) => Promise<Published>;
export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'permerror' | 'temperror';
export interface SpfJudgement {
  readonly result: SpfResult;
  /** What matched, or what is wrong with the record. */
  readonly why: string;
  /** Lookups that this took; another address may take more. */
  readonly lookups: number;
}

const MOST_LOOKUPS = 10;
const MOST_VOIDS = 2;

export const isSpf = (text: string): boolean => /^v=spf1( |$)/i.test(text);

interface Walk {
  readonly lookup: Lookup;
  readonly address: string;
  lookups: number;
  voids: number;
}
class Stop extends Error {
  readonly result: SpfResult;
  constructor(result: SpfResult, why: string) {
    super(why);
    this.result = result;
  }
}
interface Term {
  readonly sign: string;
  readonly name: string;
  readonly domain: string;
  /** CIDR lengths, null: none said. */
  readonly v4: number | null;
  readonly v6: number | null;
}

/** check_host() of §4 for a record that was read already. `address`: the sending host. */
export async function judgeSpf(lookup: Lookup, domain: string, record: string, address: string): Promise<SpfJudgement> {
  const walk: Walk = { lookup, address, lookups: 0, voids: 0 };
  try {
    const { result, why } = await evaluate(walk, domain, record);
    return { result, why, lookups: walk.lookups };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return { result: error.result, why: error.message, lookups: walk.lookups };
  }
}

const results = { '+': 'pass', '-': 'fail', '~': 'softfail', '?': 'neutral' } as const;
const mechanism = /^([-+~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?:[:=](.*?))?$/i;

async function evaluate(walk: Walk, domain: string, record: string): Promise<{ result: SpfResult; why: string }> {
  const words = record.trim().split(/ +/).slice(1);
  const modifiers = new Map<string, string>();
  const terms: Term[] = [];
  for (const word of words) {
    const modifier = /^([a-z][a-z0-9_.-]*)=(.*)$/i.exec(word);
    if (modifier) {
      const name = (modifier[1] ?? '').toLowerCase();
      if (modifiers.has(name) && (name === 'redirect' || name === 'exp')) throw new Stop('permerror', `${name}= stands there twice`);
      modifiers.set(name, modifier[2] ?? '');
    } else terms.push(termOf(word));
  }
  for (const term of terms) {
    if (await matches(walk, domain, term))
      return {
        result: results[term.sign as keyof typeof results],
        why: `${term.sign === '+' ? '' : term.sign}${term.name}${term.domain === '' ? '' : `:${term.domain}`}`,
      };
  }
  const redirect = modifiers.get('redirect');
  if (redirect === undefined) return { result: 'neutral', why: 'nothing in it matches' };
  const next = await included(walk, redirect);
  return { result: next.result, why: `redirect=${redirect}: ${next.why}` };
}

/** One mechanism, read; what is none is an error that every receiver sees (§4.6). */
function termOf(word: string): Term {
  const bad = (): Stop => new Stop('permerror', `${JSON.stringify(word.slice(0, 100))} is no part of SPF`);
  const cut = /^(.*?)(?:\/(\d{1,2}))?(?:\/\/(\d{1,3}))?$/.exec(word);
  const plain = /^[-+~?]?ip[46]:/i.test(word) ? /^(.*?)(?:\/(\d{1,3}))?()$/.exec(word) : cut;
  const found = mechanism.exec(plain?.[1] ?? '');
  if (!found) throw bad();
  const name = (found[2] as string).toLowerCase();
  const domain = found[3] ?? '';
  const length = (text: string | undefined, most: number): number | null => {
    if (text === undefined || text === '') return null;
    if (Number(text) > most) throw bad();
    return Number(text);
  };
  const needs = name === 'include' || name === 'exists' || name === 'ip4' || name === 'ip6';
  if ((needs && domain === '') || (name === 'all' && (domain !== '' || plain?.[2] !== undefined))) throw bad();
  return { sign: found[1] || '+', name, domain, v4: length(plain?.[2], name === 'ip6' ? 128 : 32), v6: length(plain?.[3], 128) };
}

async function matches(walk: Walk, domain: string, term: Term): Promise<boolean> {
  const { address } = walk;
  if (term.name === 'all') return true;
  if (term.name === 'ip4' || term.name === 'ip6') return inNetwork(address, term.domain, term.v4);
  if (term.name === 'include') return (await included(walk, term.domain)).result === 'pass';
  count(walk);
  const target = term.domain === '' ? domain : term.domain;
  // macros depend on the message, and ptr on nothing that one should use (§5.5)
  if (target.includes('%') || term.name === 'ptr') return false;
  if (term.name === 'exists') return (await ask(walk, target, 'A')).length > 0;
  const hosts = term.name === 'a' ? [target] : (await ask(walk, target, 'MX')).slice(0, MOST_LOOKUPS);
  for (const host of hosts) {
    const found = await addressesOf(walk, host, term.name === 'a');
    if (found.some((each) => inNetwork(address, each, address.includes(':') ? term.v6 : term.v4))) return true;
  }
  return false;
}

/** §5.2, §6.1: the record of another domain. */
async function included(walk: Walk, domain: string): Promise<{ result: SpfResult; why: string }> {
  count(walk);
  if (domain.includes('%')) return { result: 'neutral', why: 'it depends on the message' };
  const found = (await ask(walk, domain, 'TXT')).filter(isSpf);
  const [record] = found;
  if (record === undefined || found.length > 1) throw new Stop('permerror', `${domain} has ${found.length === 0 ? 'no SPF record' : 'several SPF records'}`);
  const inner = await evaluate(walk, domain, record);
  return { result: inner.result, why: inner.why };
}

function count(walk: Walk): void {
  if (++walk.lookups > MOST_LOOKUPS) throw new Stop('permerror', `it takes more than ${MOST_LOOKUPS} lookups: receivers stop there`);
}

const addressesOf = (walk: Walk, host: string, counts: boolean): Promise<string[]> => ask(walk, host, walk.address.includes(':') ? 'AAAA' : 'A', counts);

/** Values of the records; a question in vain counts (§4.6.4), but not for each host of an MX. */
async function ask(walk: Walk, name: string, type: RecordType, counts = true): Promise<string[]> {
  const found = dnsName(name) === null ? null : await walk.lookup(name, type);
  if (found?.kind === 'failed') throw new Stop('temperror', found.reason);
  if (found?.kind === 'found') return found.records.map((record) => record.value);
  if (counts && ++walk.voids > MOST_VOIDS) throw new Stop('permerror', `more than ${MOST_VOIDS} of its lookups find nothing: receivers stop there`);
  return [];
}

/**
 * One record out of those that are there, with `ours` before the end: all that others put in stays, in its order, and of
 * several ends the strictest.
 */
export function mergedSpf(records: readonly string[], ours: string): string {
  const terms: string[] = [];
  const ends: string[] = [];
  let redirect = '';
  for (const word of records.flatMap((record) => record.trim().split(/ +/).slice(1))) {
    if (/^[-+~?]?all$/i.test(word)) ends.push(word.length === 3 ? '+all' : word.toLowerCase());
    else if (/^redirect=/i.test(word)) redirect ||= word;
    else if (!terms.some((term) => term.toLowerCase() === word.toLowerCase())) terms.push(word);
  }
  const strictness = ['-all', '~all', '?all', '+all'];
  const end = strictness.find((each) => ends.includes(each)) ?? (redirect === '' ? '~all' : redirect);
  const own = terms.some((term) => term.toLowerCase() === ours.toLowerCase()) ? [] : [ours];
  return ['v=spf1', ...terms, ...own, end].join(' ');
}
