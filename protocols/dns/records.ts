// What a site's domains should publish, from its document and its keys. Pure. Guarantees: the values are exactly what this
// program does and serves now; the zone text can be pasted into a zone as it is: what has a condition stands in comments.

import { X509Certificate, createHash } from 'node:crypto';
import type { ConfigView, DkimKey } from '../../storage/views.ts';
import type { RecordType } from './packet.ts';
import { reverseName } from './reverse.ts';

type Document = ConfigView['document'];

/** required: mail suffers without it. conditional: right only under the condition that `why` tells. */
export type Level = 'required' | 'recommended' | 'conditional' | 'optional';
/** What a record is for, and so how it is judged (judge.ts). */
export type Purpose = 'address' | 'ptr' | 'mx' | 'spf' | 'dkim' | 'dmarc' | 'mtasts' | 'tlsrpt' | 'web' | 'srv' | 'tlsa' | 'caa';

export interface WantedRecord {
  /** The domain it is published for; the host itself has its own group. */
  readonly domain: string;
  readonly purpose: Purpose;
  /** Without a final dot. */
  readonly name: string;
  readonly type: RecordType;
  /** As in a zone file, but TXT as one plain text; names without a final dot. Empty: not known yet, see `why`. */
  readonly values: readonly string[];
  readonly level: Level;
  /** One line for people. */
  readonly why: string;
}

export interface SiteFacts {
  readonly document: Document;
  /** The public addresses of the host; empty: not known. */
  readonly addresses: readonly string[];
  /** Those that DNS has for it now: what their owner must name, where the host cannot see its own. */
  readonly published: readonly string[];
  readonly keysOf: (domain: string) => readonly DkimKey[];
  /** Of the host, or null before there is one. */
  readonly certificatePem: string | null;
}

/** The host's own records, then those of each domain in the order of the document. */
export function wantedRecords(facts: SiteFacts): WantedRecord[] {
  return [...hostRecords(facts), ...facts.document.domains.flatMap(({ name }) => domainRecords(facts, name))];
}

function hostRecords({ document, addresses, published, certificatePem }: SiteFacts): WantedRecord[] {
  const { host } = document;
  const row = (purpose: Purpose, name: string, type: RecordType, values: readonly string[], level: Level, why: string): WantedRecord => ({
    domain: host,
    purpose,
    name,
    type,
    values,
    level,
    why,
  });
  const v4 = addresses.filter((address) => !address.includes(':'));
  const v6 = addresses.filter((address) => address.includes(':'));
  const out: WantedRecord[] = [];
  if (v4.length > 0 || v6.length === 0)
    out.push(
      row(
        'address',
        host,
        'A',
        v4,
        'required',
        v4.length > 0 ? 'where this host is' : 'where this host is: the public address could not be told here, give it with --address',
      ),
    );
  if (v6.length > 0) out.push(row('address', host, 'AAAA', v6, 'required', 'where this host is; leave it out while its address has no PTR record'));
  for (const address of addresses.length > 0 ? addresses : published)
    out.push(
      row('ptr', reverseName(address), 'PTR', [host], 'required', `many hosts refuse mail from an address without a name; whoever gave you ${address} sets it`),
    );
  if (!document.domains.some(({ name }) => name === host))
    out.push(row('spf', host, 'TXT', ['v=spf1 a -all'], 'required', 'the host greets, and sends bounces, by its own name'));
  const tlsa =
    certificatePem === null
      ? []
      : [
          `3 1 1 ${createHash('sha256')
            .update(new X509Certificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' }))
            .digest('hex')}`,
        ];
  out.push(
    row('tlsa', `_25._tcp.${host}`, 'TLSA', tlsa, 'conditional', 'only where DNSSEC signs the name of the host: senders then insist on this key (DANE)'),
  );
  out.push(
    row('caa', host, 'CAA', ['0 issue "letsencrypt.org"'], 'optional', 'which authorities may issue certificates for the host; name every one that you use'),
  );
  return out;
}

function domainRecords({ document, keysOf }: SiteFacts, domain: string): WantedRecord[] {
  const { host } = document;
  const row = (purpose: Purpose, name: string, type: RecordType, values: readonly string[], level: Level, why: string): WantedRecord => ({
    domain,
    purpose,
    name: name === '@' ? domain : `${name}.${domain}`,
    type,
    values,
    level,
    why,
  });
  const reports = `mailto:postmaster@${domain}`;
  const relayed = document.outbound.relays.find((relay) => relay.for === '*');
  const sends =
    relayed === undefined
      ? 'the hosts that take mail are those that send it'
      : `the hosts that send; add what the operator of ${relayed.host} tells, since your mail leaves there`;
  const secured = 'its address is found by name; TLS from the first octet (RFC 8314)';
  const web = 'only where something answers at https:// under that name: this site serves no web pages yet';
  const none = (what: string): string => `${what}, so clients do not look for it`;
  return [
    row('mx', '@', 'MX', [`10 ${host}`], 'required', 'where mail for the domain goes'),
    row('spf', '@', 'TXT', ['v=spf1 mx ~all'], 'required', sends),
    ...signingRecords(keysOf(domain), row),
    row(
      'dmarc',
      '_dmarc',
      'TXT',
      [`v=DMARC1; p=none; rua=${reports}`],
      'required',
      'what to do with forgeries; begin with none, go on to quarantine when reports are clean',
    ),
    row('tlsrpt', '_smtp._tls', 'TXT', [`v=TLSRPTv1; rua=${reports}`], 'recommended', 'other hosts report where TLS with you failed'),
    row('srv', '_imaps._tcp', 'SRV', [`0 1 993 ${host}`], 'recommended', `reading mail: ${secured}`),
    row('srv', '_submissions._tcp', 'SRV', [`0 1 465 ${host}`], 'recommended', `sending mail: ${secured}`),
    row('srv', '_imap._tcp', 'SRV', ['0 0 0 .'], 'recommended', none('clients should use _imaps')),
    row('srv', '_submission._tcp', 'SRV', ['0 0 0 .'], 'recommended', none('clients should use _submissions')),
    row('srv', '_pop3._tcp', 'SRV', ['0 0 0 .'], 'recommended', none('there is no POP3 here')),
    row('srv', '_pop3s._tcp', 'SRV', ['0 0 0 .'], 'recommended', none('there is no POP3 here')),
    row('mtasts', '_mta-sts', 'TXT', [`v=STSv1; id=${policyId(host)}`], 'conditional', `other hosts insist on TLS; ${web}`),
    row('web', 'mta-sts', 'CNAME', [host], 'conditional', `where the policy of _mta-sts is read; ${web}`),
    row('web', 'autoconfig', 'CNAME', [host], 'conditional', `clients configure themselves; ${web}`),
    row('srv', '_autodiscover._tcp', 'SRV', [`0 1 443 ${host}`], 'conditional', `clients configure themselves; ${web}`),
  ];
}

type Row = (purpose: Purpose, name: string, type: RecordType, values: readonly string[], level: Level, why: string) => WantedRecord;

function signingRecords(keys: readonly DkimKey[], row: Row): WantedRecord[] {
  if (keys.length === 0) return [row('dkim', 's1._domainkey', 'TXT', [], 'required', 'its keys are made when the site runs: start it, and ask again')];
  return keys
    .filter((key) => key.state !== 'old')
    .map((key) => {
      // RFC 8463 §6: those who do not know it skip its signature
      const level = key.algorithm === 'rsa' && key.state === 'current' ? 'required' : 'recommended';
      const use =
        key.state === 'next'
          ? 'published before it signs'
          : key.algorithm === 'rsa'
            ? 'mail is signed with it'
            : 'mail is signed with it as well; smaller and newer';
      return row('dkim', `${key.selector}._domainkey`, 'TXT', [`v=DKIM1; k=${key.algorithm}; p=${Buffer.from(key.publicKey).toString('base64')}`], level, use);
    });
}

/** RFC 8461 §3.2: another policy needs another id, and the same one the same. */
const policyId = (host: string): string => createHash('sha256').update(`mode: testing\nmx: ${host}\n`).digest('hex').slice(0, 20);

const TTL = 3_600;

/** A line of a zone file: absolute names, so that it means the same in every zone. */
export function zoneLine(name: string, type: RecordType, value: string): string {
  return `${name}. ${TTL} IN ${type} ${type === 'TXT' ? quoted(value) : absolute(type, value)}`;
}

function absolute(type: RecordType, value: string): string {
  if (type !== 'MX' && type !== 'SRV' && type !== 'CNAME' && type !== 'PTR') return value;
  return value.endsWith('.') ? value : `${value}.`;
}

/** RFC 1035 §3.3.14, §5.1: strings of at most 255 octets. A verifier joins them (RFC 6376 §3.6.2.2, RFC 7208 §3.3). */
function quoted(text: string): string {
  const strings = text.match(/[\s\S]{1,255}/g) ?? [''];
  return strings.map((part) => `"${part.replace(/["\\]/g, '\\$&')}"`).join(' ');
}

/** All of it as zone-file text. Only lines that are to be published as they are stand outside comments. */
export function zoneText(records: readonly WantedRecord[]): string {
  const out: string[] = [];
  let domain = '';
  for (const record of records) {
    if (record.domain !== domain) out.push(...(domain === '' ? [] : ['']), `; ---- ${record.domain}`);
    domain = record.domain;
    out.push(`; ${record.level}: ${record.why}`);
    const later = record.level === 'conditional' || record.level === 'optional' || record.type === 'PTR';
    if (record.values.length === 0) out.push(`; ${record.name}. ${TTL} IN ${record.type} …`);
    for (const value of record.values) out.push(`${later ? '; ' : ''}${zoneLine(record.name, record.type, value)}`);
  }
  return `${out.join('\n')}\n`;
}
