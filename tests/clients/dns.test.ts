// What `mailsite dns records` prints, published by a real name server as it is, satisfies `mailsite dns check` and somebody
// else's DKIM verifier (dkimpy); what is broken in it is found, with the reason.

import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Knot, startKnot } from './postfix.ts';
import { must, until } from './programs.ts';
import { installed, isolated, password, type Site, sampleDocument, startSite, temporaryFolder } from './site.ts';

const nameServer = '127.0.0.53';
const here = '127.0.0.2';
const there = '127.0.0.3';
const old = '127.0.0.4';

interface Judged {
  readonly name: string;
  readonly type: string;
  readonly level: string;
  readonly state: string;
  readonly found: readonly string[];
  readonly reason: string;
  readonly fix: string;
}

describe.skipIf(!isolated || !installed('knotd', 'dkimverify'))('DNS and DKIM, published', () => {
  let site: Site;
  let knot: Knot;
  let folder: string;
  const sinks: Server[] = [];
  /** By the host that took it, oldest first. */
  const taken = new Map<string, Buffer[]>();
  /** The zones as printed. */
  const printed = new Map<string, string[]>();

  beforeAll(async () => {
    folder = temporaryFolder();
    knot = await startKnot(join(folder, 'knot'), nameServer, [
      { name: 'example.test', records: [] },
      { name: 'second.test', records: [] },
      { name: 'peer.test', records: ['@ MX 10 mx', `mx A ${there}`, '_spf TXT "v=spf1 ip4:192.0.2.0/24 -all"'] },
      { name: 'old.test', records: ['@ MX 10 mx', `mx A ${old}`] },
      { name: 'test', records: [] },
      { name: '0.0.127.in-addr.arpa', records: ['2 PTR mail.example.test.', '9 PTR other.example.test.'] },
    ]);
    writeFileSync('/etc/resolv.conf', `nameserver ${nameServer}\n`); // ours only: tests/long.sh mounts it
    sinks.push(await sink(there, ['PIPELINING', '8BITMIME', 'SIZE 60000000']), await sink(old, []));
    site = await startSite({
      listen: here,
      portOffset: 0,
      document: sampleDocument(['alice'], { domains: [{ name: 'example.test' }, { name: 'second.test', aliasOf: 'example.test' }] }),
    });
    await until('every domain has its keys', async () => !(await site.cli('dns', 'records')).stdout.includes('_domainkey.second.test. 3600 IN TXT …'));
    for (const domain of ['example.test', 'second.test']) {
      const zone = await site.cli('dns', 'records', '--domain', domain, '--address', here);
      expect(zone.code, zone.stderr).toBe(0);
      printed.set(domain, zone.stdout.split('\n'));
    }
    await whole();
  });
  afterEach(() => whole());
  afterAll(async () => {
    await site?.finish();
    for (const server of sinks) server.close();
    await knot?.stop();
  });

  const whole = async (): Promise<void> => {
    for (const [name, records] of printed) await knot.publish({ name, records });
    await knot.publish({ name: '0.0.127.in-addr.arpa', records: ['2 PTR mail.example.test.'] });
  };

  /** A mail host that remembers what it takes, dots removed. */
  function sink(address: string, extensions: readonly string[]): Promise<Server> {
    const mails: Buffer[] = [];
    taken.set(address, mails);
    const server = createServer((socket) => {
      let rest: Uint8Array = new Uint8Array(0);
      let body = false;
      const end = Buffer.from('\r\n.\r\n');
      const say = (line: string): void => void socket.write(`${line}\r\n`);
      say('220 sink ESMTP');
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        rest = Buffer.concat([rest, typeof chunk === 'string' ? Buffer.from(chunk) : chunk]);
        for (;;) {
          const at = Buffer.from(rest).indexOf(body ? end : '\r\n');
          if (at < 0) return;
          const line = Buffer.from(rest.subarray(0, at));
          rest = rest.subarray(at + (body ? end.length : 2));
          if (body) {
            mails.push(Buffer.from(`${line.toString('latin1')}\r\n`.replace(/^\.\./gm, '.'), 'latin1'));
            body = false;
            say('250 taken');
            continue;
          }
          const verb = line.toString('latin1').slice(0, 4).toUpperCase();
          if (verb === 'EHLO') say(['250-sink', ...extensions.map((e) => `250-${e}`), '250 HELP'].join('\r\n'));
          else if (verb === 'DATA') say('354 go on');
          else if (verb === 'QUIT') socket.end('221 bye\r\n');
          else say('250 ok');
          body = verb === 'DATA';
        }
      });
    });
    return new Promise((done) => server.listen(25, address, () => done(server)));
  }

  const check = async (domain = 'example.test', ...more: string[]): Promise<{ code: number; ok: boolean; records: Judged[] }> => {
    const ran = await site.cli('dns', 'check', '--json', '--domain', domain, ...(more.length > 0 ? more : ['--address', here]));
    expect(ran.stderr).toBe('');
    return { code: ran.code, ...(JSON.parse(ran.stdout) as { ok: boolean; records: Judged[] }) };
  };
  /** The zone of example.test with one record changed, where `line` of it matches. */
  const publish = async (line: RegExp, ...instead: string[]): Promise<void> => {
    const records = printed.get('example.test') ?? [];
    expect(records.filter((each) => !each.startsWith(';') && line.test(each)).length).toBeGreaterThan(0);
    await knot.publish({ name: 'example.test', records: [...records.filter((each) => each.startsWith(';') || !line.test(each)), ...instead] });
  };
  const judged = async (name: string, type: string): Promise<Judged & { code: number }> => {
    const { code, records } = await check();
    const found = records.find((record) => record.name === name && record.type === type);
    expect(found, `${type} ${name}`).toBeDefined();
    return { code, ...(found as Judged) };
  };

  test('published as printed, all is right, for an alias domain too; the answer for people says so', async () => {
    for (const domain of ['example.test', 'second.test']) {
      const { code, ok, records } = await check(domain);
      expect(records.filter((record) => record.state !== 'right' && record.state !== 'unneeded')).toEqual([]);
      expect(records.filter((record) => record.state === 'unneeded').every((record) => ['conditional', 'optional'].includes(record.level))).toBe(true);
      expect([code, ok]).toEqual([0, true]);
    }
    const ran = await site.cli('dns', 'check', '--address', here);
    expect(ran.stdout).toContain('All that is required is right.');
  });

  test.each<[what: string, line: RegExp, instead: string[], name: string, type: string, state: string, reason: RegExp, fix: RegExp, code: number]>([
    [
      'no key',
      /^s1\._domainkey/,
      [],
      's1._domainkey.example.test',
      'TXT',
      'missing',
      /unsigned/,
      /^publish {2}s1\._domainkey\.example\.test\. 3600 IN TXT "v=DKIM1; k=rsa; p=MII/,
      1,
    ],
    [
      'a key that is cut off',
      /^s1\._domainkey/,
      ['s1._domainkey TXT "v=DKIM1; k=rsa; p=MIIBIjAN"'],
      's1._domainkey.example.test',
      'TXT',
      'wrong',
      /cut off: 8 of 392 characters/,
      /^publish/,
      1,
    ],
    [
      'a revoked key',
      /^s2\._domainkey/,
      ['s2._domainkey TXT "v=DKIM1; k=ed25519; p="'],
      's2._domainkey.example.test',
      'TXT',
      'wrong',
      /revoked/,
      /^publish/,
      0,
    ],
    [
      'two SPF records',
      /^no such line|^example\.test\. 3600 IN TXT/,
      ['@ TXT "v=spf1 include:_spf.peer.test -all"', '@ TXT "v=spf1 a ~all"'],
      'example.test',
      'TXT',
      'wrong',
      /several SPF/,
      /"v=spf1 a include:_spf\.peer\.test mx -all" {2}and remove/,
      1,
    ],
    [
      'an SPF record without us',
      /^example\.test\. 3600 IN TXT/,
      ['@ TXT "v=spf1 include:_spf.peer.test -all"'],
      'example.test',
      'TXT',
      'wrong',
      /does not let 127\.0\.0\.2 send: fail/,
      /"v=spf1 include:_spf\.peer\.test mx -all"/,
      1,
    ],
    [
      'an SPF record that lets us by another way',
      /^example\.test\. 3600 IN TXT/,
      ['@ TXT "v=spf1 include:_spf.peer.test a:mail.example.test -all"'],
      'example.test',
      'TXT',
      'right',
      /2 of 10 lookups/,
      /^$/,
      0,
    ],
    [
      'an SPF record that is none',
      /^example\.test\. 3600 IN TXT/,
      ['@ TXT "v=spf1 mx ipv4:192.0.2.1 ~all"'],
      'example.test',
      'TXT',
      'wrong',
      /error: "ipv4:192\.0\.2\.1" is no part of SPF/,
      /./,
      1,
    ],
    [
      'mail goes elsewhere',
      /IN MX/,
      ['@ MX 10 mx.peer.test.'],
      'example.test',
      'MX',
      'wrong',
      /mail goes to mx\.peer\.test/,
      /IN MX 10 mail\.example\.test\./,
      1,
    ],
    [
      'another host is as good',
      /^no such line|IN MX/,
      ['@ MX 10 mail', '@ MX 10 mx.peer.test.'],
      'example.test',
      'MX',
      'wrong',
      /as early as this host/,
      /remove mx\.peer\.test/,
      1,
    ],
    ['another host stands by', /IN MX/, ['@ MX 10 mail', '@ MX 20 mx.peer.test.'], 'example.test', 'MX', 'right', /when this host is away/, /^$/, 0],
    ['no DMARC', /^_dmarc/, [], '_dmarc.example.test', 'TXT', 'missing', /^$/, /v=DMARC1; p=none; rua=mailto:postmaster@example\.test/, 1],
    [
      "a DMARC policy of one's own",
      /^_dmarc/,
      ['_dmarc TXT "v=DMARC1;p=reject; rua=mailto:a@peer.test,mailto:b@peer.test; pct=100"'],
      '_dmarc.example.test',
      'TXT',
      'right',
      /^$/,
      /^$/,
      0,
    ],
    ['a DMARC policy that is none', /^_dmarc/, ['_dmarc TXT "v=DMARC1; p=nothing"'], '_dmarc.example.test', 'TXT', 'wrong', /no policy/, /^publish/, 1],
    [
      'an alias for the host',
      /^mail\.example\.test\. 3600 IN (A|TXT)/,
      ['mail CNAME mx.peer.test.'],
      'mail.example.test',
      'A',
      'wrong',
      /a CNAME stands at mail\.example\.test and leads to mx\.peer\.test/,
      /remove the CNAME/,
      1,
    ],
    [
      'the host elsewhere',
      /^mail\.example\.test\. 3600 IN A/,
      ['mail A 127.0.0.9'],
      'mail.example.test',
      'A',
      'wrong',
      /127\.0\.0\.2 is not there; 127\.0\.0\.9 is not this machine/,
      /publish {2}mail\.example\.test\. 3600 IN A 127\.0\.0\.2/,
      1,
    ],
    ['a service that is not there', /^_pop3s/, ['_pop3s._tcp SRV 0 1 995 mail'], '_pop3s._tcp.example.test', 'SRV', 'wrong', /not there/, /0 0 0 \./, 0],
    ['no service', /^_imaps/, [], '_imaps._tcp.example.test', 'SRV', 'missing', /^$/, /0 1 993 mail\.example\.test\./, 0],
    ['no reports on TLS', /^_smtp\._tls/, [], '_smtp._tls.example.test', 'TXT', 'missing', /^$/, /TLSRPTv1/, 0],
  ])('%s', async (_what, line, instead, name, type, state, reason, fix, code) => {
    await publish(line, ...instead);
    const verdict = await judged(name, type);
    expect([verdict.state, verdict.reason, verdict.fix, verdict.code]).toEqual([state, expect.stringMatching(reason), expect.stringMatching(fix), code]);
    await whole();
    expect((await judged(name, type)).state).toBe('right');
  });

  test('an address without a name, or with one that does not lead back', async () => {
    const ptr = '2.0.0.127.in-addr.arpa';
    await knot.publish({ name: '0.0.127.in-addr.arpa', records: [] });
    expect(await judged(ptr, 'PTR')).toMatchObject({ state: 'missing', reason: '127.0.0.2 has no name', code: 1 });
    await knot.publish({ name: '0.0.127.in-addr.arpa', records: ['2 PTR mx.peer.test.'] });
    expect(await judged(ptr, 'PTR')).toMatchObject({ state: 'wrong', reason: 'it names mx.peer.test, which does not lead back to 127.0.0.2', code: 1 });
  });

  test('a name server that does not answer makes nothing right', async () => {
    await site.apply(
      sampleDocument(['alice'], {
        domains: [{ name: 'example.test' }, { name: 'second.test', aliasOf: 'example.test' }],
        network: { resolvers: ['127.0.0.77:53'] },
      }),
    );
    const { code, records } = await check();
    expect(code).toBe(1);
    expect(records.every((record) => record.state === 'unknown')).toBe(true);
    await site.apply(sampleDocument(['alice'], { domains: [{ name: 'example.test' }, { name: 'second.test', aliasOf: 'example.test' }] }));
  });

  const send = (to: string, more: object): Promise<unknown> =>
    createTransport({
      host: here,
      port: site.port('submissions'),
      secure: true,
      auth: { user: 'alice@example.test', pass: password },
      tls: { rejectUnauthorized: false },
    }).sendMail({ from: 'Alice <alice@example.test>', to, envelope: { from: 'alice@example.test', to }, ...more });

  /** Both signatures, judged by dkimpy with the keys that Knot publishes. */
  async function verified(address: string, n: number): Promise<{ message: string; results: string }> {
    const message = await until(`message ${n} at ${address}`, () => taken.get(address)?.[n], 60_000, 100);
    const file = join(folder, 'message');
    writeFileSync(file, message);
    const script = `import dkim
octets = open(${JSON.stringify(file)}, 'rb').read()
for index in (0, 1):
    signed = dkim.DKIM(octets)
    good = signed.verify(idx=index)
    print(signed.domain.decode(), signed.selector.decode(), good)`;
    return { message: message.toString('latin1'), results: (await must(['/usr/bin/python3', '-c', script])).stdout };
  }
  const good = (domain: string): string => `${domain} s1 True\n${domain} s2 True\n`;

  test('a message as it is, with lines that begin with a dot, spaces at ends, empty lines', async () => {
    await send('bob@peer.test', { subject: 'plain', text: 'one\n.\n..two  \n\tthree \t\n\n\n' });
    const { message, results } = await verified(there, 0);
    expect(message).toContain('Subject: plain');
    expect(results).toBe(good('example.test'));
  });

  test('from an alias domain', async () => {
    await send('bob@peer.test', { from: 'alice@second.test', subject: 'alias', text: 'Hello' });
    expect((await verified(there, 1)).results).toBe(good('second.test'));
  });

  test('more than a megabyte', async () => {
    await send('bob@peer.test', {
      subject: 'large',
      text: 'see attachment',
      attachments: [{ filename: 'large.bin', content: Buffer.alloc(3_000_000, 'abc \t d') }],
    });
    const { message, results } = await verified(there, 2);
    expect(message.length).toBeGreaterThan(4_000_000);
    expect(results).toBe(good('example.test'));
  });

  test('converted to 7 bits on its way', async () => {
    const raw =
      'From: alice@example.test\r\nTo: bob@old.test\r\nSubject: wide\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrün  \r\n.\r\n';
    await send('bob@old.test', { raw });
    const { message, results } = await verified(old, 0);
    expect(message).toContain('gr=C3=BCn');
    expect(results).toBe(good('example.test'));
  });

  test('one octet changed, and neither is good', async () => {
    const message = taken.get(there)?.[0]?.toString('latin1') ?? '';
    taken.get(there)?.push(Buffer.from(message.replace('Subject: plain', 'Subject: Plain'), 'latin1'));
    expect((await verified(there, 3)).results).toBe('example.test s1 False\nexample.test s2 False\n');
  });
});
