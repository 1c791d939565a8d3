// Is a record published as it should be? A verdict for each wanted record (records.ts) from what DNS answers. Guarantees: it
// asks and decides, nothing else; what others rightly put in beside ours is no fault; what could not be asked is `unknown`,
// never right; each verdict that is not right tells why and what to do.

import type { Published } from './resolver.ts';
import { type Level, type WantedRecord, zoneLine } from './records.ts';
import { reverseName, sameAddress } from './reverse.ts';
import { isSpf, judgeSpf, type Lookup, mergedSpf } from './spf.ts';
import { dmarcFault, keyFault, onePolicy, stsFault, tlsrptFault } from './policies.ts';
import type { RecordType } from './packet.ts';

/** `unneeded`: it is not there, and need not be under the conditions of now. */
export type State = 'right' | 'missing' | 'wrong' | 'unneeded' | 'unknown';
export interface JudgedRecord {
  readonly domain: string;
  readonly name: string;
  readonly type: RecordType;
  /** What should be there, as in WantedRecord. */
  readonly values: readonly string[];
  readonly level: Level;
  readonly state: State;
  /** What is there. */
  readonly found: readonly string[];
  /** One line: why it is so, or what is worth knowing of a right one; may be empty. */
  readonly reason: string;
  /** One line: what to do; empty when there is nothing to do. */
  readonly fix: string;
}
export interface Host {
  readonly name: string;
  /** As far as they are known. */
  readonly addresses: readonly string[];
}

interface Verdict {
  readonly state: State;
  readonly found?: readonly string[];
  readonly reason?: string;
  readonly fix?: string;
}
interface Question {
  readonly wanted: WantedRecord;
  readonly host: Host;
  readonly lookup: Lookup;
}
type Judge = (question: Question, answer: Exclude<Published, { kind: 'failed' }>) => Verdict | Promise<Verdict>;

/** All of them at once. `lookup`: a resolver's `records`. */
export async function judgeRecords(wanted: readonly WantedRecord[], host: Host, lookup: Lookup): Promise<JudgedRecord[]> {
  return Promise.all(wanted.map((record) => judge({ wanted: record, host, lookup })));
}

/** Nothing required is other than right. */
export const allRight = (judged: readonly JudgedRecord[]): boolean => judged.every(({ level, state }) => level !== 'required' || state === 'right');

async function judge(question: Question): Promise<JudgedRecord> {
  const { domain, name, type, values, level, purpose } = question.wanted;
  const answer = await question.lookup(name, type);
  const verdict: Verdict =
    answer.kind === 'failed'
      ? { state: 'unknown', reason: `DNS could not be asked: ${answer.reason}`, fix: 'try again; name a resolver in network.resolvers if it stays so' }
      : await judges[purpose](question, answer);
  return {
    domain,
    name,
    type,
    values,
    level,
    state: verdict.state,
    found: verdict.found ?? valuesOf(answer),
    reason: verdict.reason ?? '',
    fix: verdict.fix ?? '',
  };
}

const valuesOf = (answer: Published): string[] =>
  answer.kind === 'found' ? answer.records.map((record) => (record.type === 'MX' ? `${record.preference} ${record.value}` : record.value)) : [];
const publish = ({ wanted: { name, type } }: Question, value: string): string => `publish  ${zoneLine(name, type, value)}`;
const publishAll = (q: Question): string => q.wanted.values.map((value) => publish(q, value)).join('; ');
const missing = (q: Question, reason = ''): Verdict => ({ state: 'missing', reason, fix: publishAll(q) });

/** A CNAME where nothing else may stand beside it (RFC 1034 §3.6.2), and nothing may lead on (RFC 2181 §10.3). */
function aliased({ wanted }: Question, { aliases }: { readonly aliases: readonly string[] }): Verdict | null {
  if (aliases.length === 0) return null;
  return {
    state: 'wrong',
    reason: `a CNAME stands at ${wanted.name} and leads to ${aliases[0]}: no other record counts beside it`,
    fix: `remove the CNAME of ${wanted.name}, then publish the records for it`,
  };
}
const by = ({ aliases }: { readonly aliases: readonly string[] }): string => (aliases.length === 0 ? '' : `by way of ${aliases.at(-1)}`);

const judges: Readonly<Record<WantedRecord['purpose'], Judge>> = {
  address: (q, answer) => {
    const alias = aliased(q, answer);
    if (alias) return alias;
    if (answer.kind === 'none')
      return q.wanted.values.length > 0
        ? missing(q)
        : {
            state: 'missing',
            reason: 'the host has no address',
            fix: `publish an ${q.wanted.type} record for ${q.wanted.name} with the public address of this machine`,
          };
    const found = valuesOf(answer);
    if (q.wanted.values.length === 0)
      return { state: 'right', reason: 'whether it leads here could not be told: --address names the public addresses of this machine' };
    const absent = q.wanted.values.filter((value) => !found.some((each) => sameAddress(each, value)));
    const foreign = found.filter((each) => !q.wanted.values.some((value) => sameAddress(each, value)));
    if (absent.length === 0 && foreign.length === 0) return { state: 'right' };
    const reason = [
      ...(absent.length > 0 ? [`${absent.join(', ')} is not there`] : []),
      ...(foreign.length > 0 ? [`${foreign.join(', ')} is not this machine`] : []),
    ].join('; ');
    const fix = [...absent.map((value) => publish(q, value)), ...(foreign.length > 0 ? [`remove ${foreign.join(', ')}`] : [])].join('; ');
    return { state: 'wrong', reason, fix: `${fix}; behind NAT, name the public addresses with --address` };
  },
  ptr: async (q, answer) => {
    const address = q.host.addresses.find((each) => reverseName(each) === q.wanted.name) ?? '';
    const fix = `ask whoever gave you ${address} to let its PTR record name ${q.host.name}`;
    if (answer.kind === 'none') return { state: 'missing', reason: `${address} has no name`, fix };
    const names = valuesOf(answer);
    for (const name of names) {
      const forward = await q.lookup(name, address.includes(':') ? 'AAAA' : 'A');
      if (forward.kind === 'failed') return { state: 'unknown', reason: `DNS could not be asked: ${forward.reason}`, fix: 'try again' };
      if (!valuesOf(forward).some((each) => sameAddress(each, address))) continue;
      return { state: 'right', reason: name === q.host.name ? '' : `it names ${name}, which leads back to ${address}; ${q.host.name} would be better` };
    }
    return { state: 'wrong', reason: `it names ${names.join(', ')}, which does not lead back to ${address}`, fix };
  },
  mx: judgeMx,
  spf: judgeDomainSpf,
  dkim: (q, answer) => {
    if (answer.kind === 'none')
      return q.wanted.values.length > 0 ? missing(q, 'what is signed with it counts as unsigned') : { state: 'missing', reason: q.wanted.why };
    if (q.wanted.values.length === 0) return { state: 'unknown', reason: q.wanted.why };
    const fault = keyFault(valuesOf(answer), q.wanted.values[0] as string);
    return fault === null ? { state: 'right', reason: by(answer) } : { state: 'wrong', reason: fault, fix: publishAll(q) };
  },
  dmarc: async (q, answer) => {
    const own = onePolicy(valuesOf(answer), /^v=DMARC1\s*(;|$)/i);
    if (own.kind === 'none') return (await inheritedPolicy(q)) ?? missing(q);
    if (own.kind === 'several') return { state: 'wrong', reason: 'there are several policies: receivers follow none', fix: 'leave one of them' };
    const fault = dmarcFault(own.text);
    if (fault !== null) return { state: 'wrong', reason: fault, fix: publishAll(q) };
    const open = /;\s*p\s*=\s*none/i.test(own.text) ? 'forgeries are only reported: when the reports are clean, go on to p=quarantine' : '';
    return { state: 'right', reason: [open, by(answer)].filter(Boolean).join('; ') };
  },
  tlsrpt: (q, answer) => policyVerdict(q, answer, /^v=TLSRPTv1\s*;/i, tlsrptFault),
  mtasts: (q, answer) => {
    const verdict = policyVerdict(q, answer, /^v=STSv1\s*;/i, stsFault);
    return verdict.state === 'missing' ? { state: 'unneeded', reason: q.wanted.why } : verdict;
  },
  web: async (q, answer) => {
    const leads = answer.kind === 'found' ? valuesOf(answer) : [];
    if (leads.includes(q.host.name)) return { state: 'right' };
    const found = [...leads, ...(await addressesOf(q, q.wanted.name))];
    if (found.length === 0) return { state: 'unneeded', reason: q.wanted.why };
    return { state: 'right', found, reason: `it leads to ${found.join(', ')}, not to this host: what is said there counts` };
  },
  srv: judgeSrv,
  tlsa: (q, answer) => {
    const value = q.wanted.values[0];
    if (answer.kind === 'none') {
      if (!answer.authentic || value === undefined) return { state: 'unneeded', reason: 'DNSSEC does not sign the name, or the resolver does not tell' };
      return missing(q, 'DNSSEC signs the name: senders could be sure of TLS');
    }
    if (value !== undefined && valuesOf(answer).includes(value))
      return { state: 'right', reason: answer.authentic ? '' : 'it counts only once DNSSEC signs it' };
    return {
      state: 'wrong',
      reason: `it names another key${answer.authentic ? ': senders which know DANE do not deliver' : ''}`,
      fix: value === undefined ? 'remove it' : publishAll(q),
    };
  },
  caa: (_q, answer) =>
    answer.kind === 'none'
      ? { state: 'unneeded', reason: 'any authority may issue certificates' }
      : { state: 'right', reason: `only these may issue certificates: ${valuesOf(answer).join(', ')}` },
};

function policyVerdict(q: Question, answer: Exclude<Published, { kind: 'failed' }>, form: RegExp, faultOf: (text: string) => string | null): Verdict {
  const own = onePolicy(valuesOf(answer), form);
  if (own.kind === 'none') return missing(q, answer.kind === 'found' ? 'what is there is something else' : '');
  if (own.kind === 'several') return { state: 'wrong', reason: 'there are several: none counts', fix: 'leave one of them' };
  const fault = faultOf(own.text);
  return fault === null ? { state: 'right', reason: by(answer) } : { state: 'wrong', reason: fault, fix: publishAll(q) };
}

async function addressesOf(q: Question, name: string): Promise<string[]> {
  const answers = await Promise.all([q.lookup(name, 'A'), q.lookup(name, 'AAAA')]);
  return answers.flatMap(valuesOf);
}

async function judgeMx(q: Question, answer: Exclude<Published, { kind: 'failed' }>): Promise<Verdict> {
  const alias = aliased(q, answer);
  if (alias) return alias;
  if (answer.kind === 'none') return missing(q, 'mail for the domain has nowhere to go');
  const hosts = answer.records.flatMap((record) => (record.type === 'MX' ? [{ preference: record.preference, name: record.value }] : []));
  const here = await ourAddresses(q);
  const ours = new Set<string>();
  for (const { name } of hosts) {
    if (name === q.host.name) ours.add(name);
    else if (name !== '' && name !== '.' && here.length > 0) {
      const found = await addressesOf(q, name);
      if (found.length > 0 && found.every((each) => here.some((own) => sameAddress(each, own)))) ours.add(name);
    }
  }
  const best = (kind: (name: string) => boolean): number => Math.min(...hosts.filter(({ name }) => kind(name)).map(({ preference }) => preference));
  const foreign = hosts.filter(({ name }) => !ours.has(name)).map(({ name }) => (name === '' ? '.' : name));
  if (ours.size === 0)
    return {
      state: 'wrong',
      reason: `mail goes to ${foreign.join(', ')}${foreign.includes('.') ? ' (nowhere)' : ''}`,
      fix: `${publishAll(q)}; remove the others once mail should come here`,
    };
  if (best((name) => !ours.has(name)) <= best((name) => ours.has(name)))
    return {
      state: 'wrong',
      reason: `${foreign.join(', ')} is asked as early as this host, or earlier: mail may go there`,
      fix: `remove ${foreign.join(', ')}, or give it a higher number`,
    };
  const notes = [
    foreign.length > 0 ? `when this host is away, mail goes to ${foreign.join(', ')}` : '',
    ours.has(q.host.name) ? '' : `${[...ours].join(', ')} is this machine by another name`,
  ];
  return { state: 'right', reason: notes.filter(Boolean).join('; ') };
}

/** The addresses of the host: those that are known, else those that DNS has. */
async function ourAddresses(q: Question): Promise<readonly string[]> {
  return q.host.addresses.length > 0 ? q.host.addresses : addressesOf(q, q.host.name);
}

async function judgeDomainSpf(q: Question, answer: Exclude<Published, { kind: 'failed' }>): Promise<Verdict> {
  const alias = aliased(q, answer);
  if (alias) return alias;
  // in one order, so that the same records get the same advice
  const found = valuesOf(answer).filter(isSpf).sort();
  const own = (q.wanted.values[0] ?? '').split(' ')[1] ?? 'mx';
  const [record] = found;
  if (record === undefined) return { ...missing(q), found };
  // RFC 7208 §4.5
  if (found.length > 1)
    return {
      state: 'wrong',
      found,
      reason: 'there are several SPF records: receivers take that for an error',
      fix: `${publish(q, mergedSpf(found, own))}  and remove the others`,
    };
  const addresses = await ourAddresses(q);
  if (addresses.length === 0)
    return {
      state: 'unknown',
      found,
      reason: `${q.host.name} has no address yet: whether it may send cannot be told`,
      fix: `publish the address of ${q.host.name}`,
    };
  const merged = publish(q, mergedSpf(found, own));
  let most = 0;
  for (const address of addresses) {
    const { result, why, lookups } = await judgeSpf(q.lookup, q.wanted.name, record, address);
    most = Math.max(most, lookups);
    if (result === 'temperror') return { state: 'unknown', found, reason: `DNS could not be asked: ${why}`, fix: 'try again' };
    if (result === 'permerror')
      return {
        state: 'wrong',
        found,
        reason: `receivers take it for an error: ${why}`,
        fix: /lookups/.test(why) ? 'remove what sends no mail for you any more' : merged,
      };
    if (result !== 'pass') return { state: 'wrong', found, reason: `it does not let ${address} send: ${result} (${why})`, fix: `${merged}  in its place` };
  }
  const open = /(^| )\+?all( |$)/i.test(record) ? 'it lets everybody send: end it with ~all; ' : '';
  return {
    state: open === '' ? 'right' : 'wrong',
    found,
    reason: `${open}${most} of 10 lookups`,
    fix: open === '' ? '' : `${publish(q, record.replace(/(^| )\+?all( |$)/i, '$1~all$2'))}  in its place`,
  };
}

/** RFC 7489 §6.6.3, RFC 9989 §4.10: without one of its own a domain has the policy of one above it. */
async function inheritedPolicy(q: Question): Promise<Verdict | null> {
  const labels = q.wanted.domain.split('.');
  for (let n = 1; n < labels.length - 1 && n <= 7; n++) {
    const above = labels.slice(n).join('.');
    const answer = await q.lookup(`_dmarc.${above}`, 'TXT');
    const policy = onePolicy(valuesOf(answer), /^v=DMARC1\s*(;|$)/i);
    if (policy.kind === 'one' && dmarcFault(policy.text) === null)
      return { state: 'right', found: [policy.text], reason: `the policy of ${above} counts here` };
  }
  return null;
}

function judgeSrv(q: Question, answer: Exclude<Published, { kind: 'failed' }>): Verdict {
  const [value = ''] = q.wanted.values;
  const place = (text: string): string =>
    text
      .split(' ')
      .slice(2)
      .join(' ')
      .replace(/^0 \.?$/, 'none');
  if (answer.kind === 'none') return q.wanted.level === 'conditional' ? { state: 'unneeded', reason: q.wanted.why } : missing(q);
  const found = valuesOf(answer);
  const places = found.map(place);
  if (places.every((each) => each === place(value))) return { state: 'right', reason: by(answer) };
  const served: Readonly<Record<string, string>> = { _imap: `143 ${q.host.name}`, _submission: `587 ${q.host.name}` };
  if (places.every((each) => each === served[q.wanted.name.split('.')[0] ?? '']))
    return { state: 'right', reason: 'it is served, with STARTTLS; TLS from the first octet is better' };
  const elsewhere =
    place(value) === 'none'
      ? 'clients are sent to a service that is not there'
      : `clients are sent to ${places.filter((each) => each !== place(value)).join(', ')}`;
  return { state: 'wrong', reason: elsewhere, fix: `${publishAll(q)}  and nothing else there` };
}
