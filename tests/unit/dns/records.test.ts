// What should be published, and the verdicts on what is.

import dns from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeReply, encodeQuery } from '../../../protocols/dns/packet.ts';
import { allRight, type JudgedRecord, judgeRecords } from '../../../protocols/dns/judge.ts';
import { type SiteFacts, wantedRecords, zoneLine, zoneText } from '../../../protocols/dns/records.ts';
import { inNetwork, reverseName, sameAddress } from '../../../protocols/dns/reverse.ts';
import { validateDocument } from '../../../storage/document.ts';
import { selfSignedCertificate } from '../../../protocols/tls/certificate.ts';
import { dkimKeys } from '../../sim/dkimkeys.ts';
import { lookupIn, type Zone } from './zone.ts';

const documentOf = (more: object = {}): SiteFacts['document'] => {
  const found = validateDocument(JSON.stringify({ schema: 1, host: 'mail.our.test', domains: [{ name: 'our.test' }], accounts: [], ...more }));
  if (!found.ok) throw new Error(JSON.stringify(found.errors));
  return found.document as SiteFacts['document'];
};
const key = (selector: string, algorithm: 'rsa' | 'ed25519', state: 'current' | 'next' | 'old' = 'current') => ({
  selector,
  algorithm,
  state,
  privateKey: new Uint8Array(0),
  publicKey: algorithm === 'rsa' ? dkimKeys.rsaPublic : dkimKeys.ed25519Public,
  createdAt: 0,
});
const facts: SiteFacts = {
  document: documentOf(),
  addresses: ['192.0.2.1', '2001:db8::1'],
  published: [],
  keysOf: () => [key('s1', 'rsa'), key('s2', 'ed25519')],
  certificatePem: selfSignedCertificate('mail.our.test', new Uint8Array(16), 0, 1e12).certificatePem,
};
const host = { name: 'mail.our.test', addresses: facts.addresses };
/** The zone as wanted, each changed by what `change` says. */
const published = (change: Zone = {}, of: SiteFacts = facts): Zone => ({
  ...Object.fromEntries(wantedRecords(of).map(({ name, type, values }) => [`${name} ${type}`, values])),
  ...change,
});
const check = (change: Zone = {}, more: Parameters<typeof lookupIn>[1] = {}, of: SiteFacts = facts): Promise<JudgedRecord[]> =>
  judgeRecords(wantedRecords(of), { ...host, addresses: of.addresses }, lookupIn(published(change), more));
async function verdict(question: string, change: Zone, more: Parameters<typeof lookupIn>[1] = {}): Promise<JudgedRecord> {
  const found = (await check(change, more)).find(({ name, type }) => `${name} ${type}` === question);
  if (!found) throw new Error(question);
  return found;
}

describe('what to publish', () => {
  test('the records of a host and a domain, by level', () => {
    const rows = wantedRecords(facts).map(({ name, type, level }) => `${level} ${name} ${type}`);
    expect(rows.filter((row) => row.startsWith('required'))).toEqual([
      'required mail.our.test A',
      'required mail.our.test AAAA',
      'required 1.2.0.192.in-addr.arpa PTR',
      `required 1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa PTR`,
      'required mail.our.test TXT',
      'required our.test MX',
      'required our.test TXT',
      'required s1._domainkey.our.test TXT',
      'required _dmarc.our.test TXT',
    ]);
    expect(rows.filter((row) => row.startsWith('conditional')).length).toBe(5);
  });

  test('a key to come is published, an old one is not', () => {
    const keysOf = () => [key('s1', 'rsa', 'old'), key('s3', 'rsa'), key('s5', 'rsa', 'next')];
    const rows = wantedRecords({ ...facts, keysOf }).filter(({ purpose }) => purpose === 'dkim');
    expect(rows.map(({ name, level }) => [name, level])).toEqual([
      ['s3._domainkey.our.test', 'required'],
      ['s5._domainkey.our.test', 'recommended'],
    ]);
  });

  test('a host that is itself a domain has one SPF record, not two', () => {
    const document = documentOf({ domains: [{ name: 'mail.our.test' }] });
    expect(wantedRecords({ ...facts, document }).filter(({ purpose }) => purpose === 'spf')).toMatchObject([
      { name: 'mail.our.test', values: ['v=spf1 mx ~all'] },
    ]);
  });

  test('what a relay sends is told', () => {
    const document = documentOf({ outbound: { relays: [{ for: '*', host: 'smtp.relay.test' }] } });
    expect(wantedRecords({ ...facts, document }).find(({ type, name }) => type === 'TXT' && name === 'our.test')?.why).toContain('smtp.relay.test');
  });

  test('zone text: every line a comment or a record; conditions, and the zones of others, in comments', () => {
    const lines = zoneText(wantedRecords(facts)).split('\n').filter(Boolean);
    expect(lines.every((line) => /^(; |[\w.-]+\. 3600 IN [A-Z]+ \S)/.test(line))).toBe(true);
    expect(lines.filter((line) => !line.startsWith(';') && / (PTR|TLSA|CAA|CNAME) |_mta-sts/.test(line))).toEqual([]);
    expect(lines).toContain('our.test. 3600 IN MX 10 mail.our.test.');
    expect(lines).toContain('_imap._tcp.our.test. 3600 IN SRV 0 0 0 .');
  });

  test('RFC 1035 §3.3.14: any text is cut into strings of at most 255 octets, which make it up again', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', '"', '\\', ' ', ';', 'word'.repeat(40)), { maxLength: 20 }).map((parts) => parts.join('')),
        (text) => {
          const strings = [
            ...zoneLine('a.test', 'TXT', text)
              .slice('a.test. 3600 IN TXT '.length)
              .matchAll(/"((?:[^"\\]|\\.)*)"/g),
          ].map((m) => (m[1] ?? '').replace(/\\(.)/g, '$1'));
          expect(strings.join('')).toBe(text);
          expect(strings.every((part) => part.length <= 255)).toBe(true);
        },
      ),
    );
  });
});

describe('verdicts', () => {
  test('as wanted, all is right', async () => {
    const found = await check();
    expect(found.filter(({ state }) => state !== 'right')).toEqual([]);
    expect(allRight(found)).toBe(true);
  });

  test('with nothing published nothing is right, and each has a fix where there is one', async () => {
    const found = await judgeRecords(wantedRecords(facts), host, lookupIn({}));
    expect(found.filter(({ state }) => state === 'right' || state === 'wrong')).toEqual([]);
    expect(found.filter(({ state, fix }) => state === 'missing' && fix === '')).toEqual([]);
    expect(allRight(found)).toBe(false);
  });

  test('only what is required counts', async () =>
    expect(allRight(await check({ 's2._domainkey.our.test TXT': [], '_imaps._tcp.our.test SRV': [] }))).toBe(true));

  test('what cannot be asked is unknown', async () => {
    expect(await verdict('our.test MX', {}, { failing: ['our.test MX'] })).toMatchObject({ state: 'unknown', reason: expect.stringContaining('SERVFAIL') });
    expect(allRight(await check({}, { failing: ['our.test MX'] }))).toBe(false);
  });

  const rsa = Buffer.from(dkimKeys.rsaPublic).toString('base64');
  test.each<[string, string, Zone, string, RegExp]>([
    [
      'a key with spaces in it, without v=',
      's1._domainkey.our.test TXT',
      { 's1._domainkey.our.test TXT': [`k=rsa; p=${rsa.slice(0, 99)} ${rsa.slice(99)};`] },
      'right',
      /^$/,
    ],
    [
      'a key by CNAME',
      's1._domainkey.our.test TXT',
      { 's1._domainkey.our.test CNAME': ['s1.keys.test'], 's1.keys.test TXT': [`v=DKIM1; p=${rsa}`] },
      'right',
      /by way of s1\.keys\.test/,
    ],
    ['another key', 's1._domainkey.our.test TXT', { 's1._domainkey.our.test TXT': [`v=DKIM1; k=rsa; p=${rsa.replace('A', 'B')}`] }, 'wrong', /another key/],
    [
      'quotes in a key',
      's1._domainkey.our.test TXT',
      { 's1._domainkey.our.test TXT': [`v=DKIM1; k=rsa; p=${rsa.slice(0, 200)}" "${rsa.slice(200)}`] },
      'wrong',
      /quotes/,
    ],
    ['two keys', 's1._domainkey.our.test TXT', { 's1._domainkey.our.test TXT': [`v=DKIM1; p=${rsa}`, 'v=DKIM1; p=x'] }, 'wrong', /several/],
    ['a test key', 's1._domainkey.our.test TXT', { 's1._domainkey.our.test TXT': [`v=DKIM1; t=y:s; p=${rsa}`] }, 'wrong', /t=y/],
    ['no key but a text', 's1._domainkey.our.test TXT', { 's1._domainkey.our.test TXT': ['hello'] }, 'wrong', /no DKIM key/],
    ['the policy of the domain above', '_dmarc.our.test TXT', { '_dmarc.our.test TXT': [] }, 'missing', /^$/],
    ['two policies', '_dmarc.our.test TXT', { '_dmarc.our.test TXT': ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] }, 'wrong', /follow none/],
    ['a policy that reports to nowhere', '_dmarc.our.test TXT', { '_dmarc.our.test TXT': ['v=DMARC1; p=none; rua=postmaster@our.test'] }, 'wrong', /mailto/],
    ['other texts beside SPF', 'our.test TXT', { 'our.test TXT': ['google-site-verification=x', 'v=spf1 mx -all'] }, 'right', /1 of 10/],
    ['SPF for everybody', 'our.test TXT', { 'our.test TXT': ['v=spf1 mx +all'] }, 'wrong', /everybody/],
    ['SPF for one address family', 'our.test TXT', { 'our.test TXT': ['v=spf1 ip4:192.0.2.1 -all'] }, 'wrong', /does not let 2001:db8::1/],
    ['an alias at the domain', 'our.test MX', { 'our.test CNAME': ['web.test'] }, 'wrong', /a CNAME stands at our\.test/],
    ['a null MX', 'our.test MX', { 'our.test MX': ['0 .'] }, 'wrong', /nowhere/],
    ['the host by another name', 'our.test MX', { 'our.test MX': ['5 mx.our.test'], 'mx.our.test A': ['192.0.2.1'] }, 'right', /this machine by another name/],
    ['STARTTLS where it is served', '_imap._tcp.our.test SRV', { '_imap._tcp.our.test SRV': ['0 1 143 mail.our.test'] }, 'right', /STARTTLS/],
    [
      'a web page of another host',
      'autoconfig.our.test CNAME',
      { 'autoconfig.our.test CNAME': [], 'autoconfig.our.test A': ['198.51.100.1'] },
      'right',
      /198\.51\.100\.1/,
    ],
    ['another spelling of an address', 'mail.our.test AAAA', { 'mail.our.test AAAA': ['2001:0db8:0:0::1'] }, 'right', /^$/],
    [
      'a name that leads back but is not the host',
      '1.2.0.192.in-addr.arpa PTR',
      { '1.2.0.192.in-addr.arpa PTR': ['v1.host.test'], 'v1.host.test A': ['192.0.2.1'] },
      'right',
      /mail\.our\.test would be better/,
    ],
    ['an STS id that is none', '_mta-sts.our.test TXT', { '_mta-sts.our.test TXT': ['v=STSv1; id=2026-01-01'] }, 'wrong', /id=/],
    ['TLS reports to nowhere', '_smtp._tls.our.test TXT', { '_smtp._tls.our.test TXT': ['v=TLSRPTv1; rua=x'] }, 'wrong', /mailto/],
    ['an address that is not ours', 'mail.our.test A', { 'mail.our.test A': ['192.0.2.1', '198.51.100.1'] }, 'wrong', /198\.51\.100\.1 is not this machine/],
    ['another host as early', 'our.test MX', { 'our.test MX': ['10 mail.our.test', '10 mx.other.test'] }, 'wrong', /as early/],
    ['another host later', 'our.test MX', { 'our.test MX': ['10 mail.our.test', '20 mx.other.test'] }, 'right', /when this host is away/],
    [
      'a name that does not lead back',
      '1.2.0.192.in-addr.arpa PTR',
      { '1.2.0.192.in-addr.arpa PTR': ['v1.host.test'], 'v1.host.test A': ['192.0.2.2'] },
      'wrong',
      /does not lead back/,
    ],
    ['two SPF records', 'our.test TXT', { 'our.test TXT': ['v=spf1 mx ~all', 'v=spf1 mx ~all'] }, 'wrong', /several/],
    ['TLSA of another key', '_25._tcp.mail.our.test TLSA', { '_25._tcp.mail.our.test TLSA': ['3 1 1 00'] }, 'wrong', /another key$/],
  ])('%s', async (_what, question, change, state, reason) =>
    expect(await verdict(question, change)).toMatchObject({ state, reason: expect.stringMatching(reason) }),
  );

  test('RFC 7489 §6.6.3: a domain below another has its policy', async () => {
    const wanted = wantedRecords({ ...facts, document: documentOf({ domains: [{ name: 'a.b.our.test' }] }) });
    const found = await judgeRecords(wanted, host, lookupIn({ '_dmarc.our.test TXT': ['v=DMARC1; p=reject'] }));
    expect(found.find(({ name }) => name === '_dmarc.a.b.our.test')).toMatchObject({ state: 'right', reason: 'the policy of our.test counts here' });
  });

  test('TLSA counts where DNSSEC signs', async () => {
    const tlsa = '_25._tcp.mail.our.test TLSA';
    expect(await verdict(tlsa, { [tlsa]: [] })).toMatchObject({ state: 'unneeded' });
    expect(await verdict(tlsa, { [tlsa]: [] }, { signed: true })).toMatchObject({ state: 'missing', fix: expect.stringContaining('TLSA 3 1 1 ') });
    expect(await verdict(tlsa, { [tlsa]: ['3 1 1 00'] }, { signed: true })).toMatchObject({
      state: 'wrong',
      reason: expect.stringContaining('do not deliver'),
    });
  });

  test('addresses that are not known are not judged, but the name of what DNS has is', async () => {
    const of = { ...facts, addresses: [], published: ['192.0.2.1'] };
    const found = await judgeRecords(wantedRecords(of), { ...host, addresses: of.published }, lookupIn(published()));
    expect(found.find(({ type }) => type === 'A')).toMatchObject({ state: 'right', reason: expect.stringContaining('--address') });
    expect(found.find(({ type }) => type === 'PTR')).toMatchObject({ name: '1.2.0.192.in-addr.arpa', state: 'right' });
  });

  test('any answers give a verdict', async () => {
    const text = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.constantFrom('v=spf1', 'v=DMARC1', 'v=DKIM1; p', 'v=DKIM1; p=', '0 0 0 .', '0', '', '3 1 1', 'v=STSv1;', '10 '),
    );
    const questions = wantedRecords(facts).map(({ name, type }) => `${name} ${type}`);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...questions), fc.array(text, { maxLength: 3 })), { maxLength: 10 }), async (changes) => {
        // addresses are what the resolver makes of four or sixteen octets
        const change = Object.fromEntries(changes.filter(([question]) => !/ (A|AAAA)$/.test(question)));
        expect(await check(change)).toHaveLength(questions.length);
      }),
      { numRuns: 300 },
    );
  });
});

describe('octets and names', () => {
  test('SRV, TLSA and CAA as a zone file has them; AD is asked for and told', () => {
    const query = encodeQuery(7, 'a.test', 'SRV', true);
    expect(dns.decode(Buffer.from(query)).flag_ad).toBe(true);
    const packet = dns.encode({
      type: 'response',
      id: 7,
      flags: dns.AUTHENTIC_DATA,
      questions: [{ type: 'SRV', name: 'a.test' }],
      answers: [
        { type: 'SRV', name: 'A.test', ttl: 60, data: { priority: 0, weight: 1, port: 993, target: 'Mail.a.test' } },
        { type: 'SRV', name: 'a.test', ttl: 60, data: { priority: 0, weight: 0, port: 0, target: '.' } },
        { type: 'TLSA', name: 'a.test', ttl: 60, data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('00ff', 'hex') } },
        { type: 'CAA', name: 'a.test', ttl: 60, data: { flags: 0, tag: 'issue', value: 'ca.test' } },
      ],
    });
    const reply = decodeReply(packet);
    expect(reply?.authentic).toBe(true);
    expect(reply?.records.map(({ value }) => value)).toEqual(['0 1 993 mail.a.test', '0 0 0 .', '3 1 1 00ff', '0 issue "ca.test"']);
  });

  test('addresses as names, networks and spellings', () => {
    expect(reverseName('192.0.2.1')).toBe('1.2.0.192.in-addr.arpa');
    expect(reverseName('::ffff:192.0.2.1')).toBe(`1.0.2.0.0.0.0.c.f.f.f.f.${'0.'.repeat(20)}ip6.arpa`);
    expect(reverseName('2001:db8::1:0:0:1')).toBe('1.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa');
    expect(sameAddress('2001:db8::1', '2001:DB8:0:0:0:0:0:1')).toBe(true);
    expect(inNetwork('192.0.2.1', '192.0.2.0', 31)).toBe(true);
    expect(inNetwork('192.0.2.1', '192.0.2.0', null)).toBe(false);
    expect(inNetwork('192.0.2.1', '::', 0)).toBe(false);
    expect(inNetwork('192.0.2.1', 'nonsense', 8)).toBe(false);
  });
});
