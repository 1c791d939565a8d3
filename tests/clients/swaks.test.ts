// swaks in each form of authentication and TLS: who may hand us mail, for whom, as whom.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrives, messages } from './mailbox.ts';
import { type Ran, run } from './programs.ts';
import { installed, type PortName, password, type Site, sampleDocument, startSite } from './site.ts';

// swaks's exit codes
const accepted = 0;
const senderRefused = 23;
const recipientRefused = 24;
const notAuthenticated = 28;

describe.skipIf(!installed('swaks'))('swaks', () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite({
      document: sampleDocument(['alice', 'bob'], {
        domains: [
          { name: 'example.test', catchAll: null },
          { name: 'caught.test', catchAll: 'bob@example.test' },
          { name: 'alias.test', aliasOf: 'example.test' },
        ],
        aliases: [
          { address: 'info@example.test', to: ['alice@example.test', 'bob@example.test'] },
          { address: 'me@example.test', to: ['alice@example.test'] },
        ],
      }),
    });
  });
  afterAll(() => site?.finish());

  let count = 0;
  interface Sent extends Ran {
    readonly subject: string;
  }
  const swaks = async (port: PortName, from: string, to: string, ...more: readonly string[]): Promise<Sent> => {
    const subject = `swaks ${++count}`;
    const base = ['swaks', '--server', site.address, '--port', String(site.port(port)), '--from', from, '--to', to, '--helo', 'client.elsewhere.test'];
    const ran = await run([...base, '--header', `Subject: ${subject}`, '--body', 'Hello', '--timeout', '15', ...more]);
    return { ...ran, subject };
  };
  const auth = (mechanism: string, user = 'alice@example.test', secret = password): string[] => [
    '--auth',
    mechanism,
    '--auth-user',
    user,
    '--auth-password',
    secret,
  ];
  const outcome = (sent: Sent, code: number): void => expect(sent.code, sent.stdout + sent.stderr).toBe(code);

  test('a stranger reaches a local account without authentication, with and without STARTTLS', async () => {
    for (const tls of [[], ['--tls']]) {
      const sent = await swaks('smtp', 'x@elsewhere.test', 'bob@example.test', ...tls);
      outcome(sent, accepted);
      const { source } = await arrives(site, 'bob', sent.subject);
      expect(source).toMatch(/^Return-Path: <x@elsewhere\.test>\r\n/);
      expect(source).toContain(tls.length > 0 ? 'with ESMTPS' : 'with ESMTP');
    }
  });

  test.each([
    ['submission', '--tls', 'PLAIN'],
    ['submission', '--tls', 'LOGIN'],
    ['submissions', '--tlsc', 'PLAIN'],
    ['submissions', '--tlsc', 'LOGIN'],
  ] as const)('%s with %s, AUTH %s', async (port, tls, mechanism) => {
    const sent = await swaks(port, 'alice@example.test', 'bob@example.test', tls, ...auth(mechanism));
    outcome(sent, accepted);
    expect((await arrives(site, 'bob', sent.subject)).source).toContain('ESMTPSA');
  });

  test('no authentication without TLS: neither offered nor taken', async () => {
    const sent = await swaks('submission', 'alice@example.test', 'bob@example.test', ...auth('PLAIN'));
    outcome(sent, notAuthenticated);
    expect(sent.stdout).not.toMatch(/250[ -]AUTH/);
  });

  test('port 25 takes a login under TLS, as old clients are set up; without TLS it does not', async () => {
    const sent = await swaks('smtp', 'alice@example.test', 'bob@example.test', '--tls', ...auth('PLAIN'));
    outcome(sent, accepted);
    expect((await arrives(site, 'bob', sent.subject)).source).toContain('ESMTPSA');
    outcome(await swaks('smtp', 'alice@example.test', 'bob@example.test', ...auth('PLAIN')), notAuthenticated);
  });

  test('a wrong password and an unknown user get the same refusal', async () => {
    const wrong = await swaks('submission', 'alice@example.test', 'bob@example.test', '--tls', ...auth('PLAIN', 'alice@example.test', 'wrong'));
    const unknown = await swaks('submission', 'alice@example.test', 'bob@example.test', '--tls', ...auth('PLAIN', 'nobody@example.test', 'wrong'));
    outcome(wrong, notAuthenticated);
    outcome(unknown, notAuthenticated);
    const refusal = (sent: Sent): string[] => /5\d\d 5\.7\.8.*/.exec(sent.stdout)?.slice(0, 1) ?? [];
    expect(refusal(wrong)).toEqual(refusal(unknown));
    expect(refusal(wrong)).toHaveLength(1);
  });

  test('submission wants authentication before MAIL', async () => {
    outcome(await swaks('submission', 'alice@example.test', 'bob@example.test', '--tls'), senderRefused);
  });

  test('no open relay, in any spelling', async () => {
    for (const to of ['x@elsewhere.test', 'x%elsewhere.test@example.test', '"x@elsewhere.test"@example.test', 'x@elsewhere.test@example.test']) {
      const sent = await swaks('smtp', 'alice@example.test', to, '--tls');
      outcome(sent, recipientRefused);
    }
  });

  test('an unknown local part is refused at RCPT; a catch-all, an alias, an alias domain and a subaddress are taken', async () => {
    outcome(await swaks('smtp', 'x@elsewhere.test', 'nobody@example.test'), recipientRefused);
    const caught = await swaks('smtp', 'x@elsewhere.test', 'whoever@caught.test');
    outcome(caught, accepted);
    await arrives(site, 'bob', caught.subject);
    const both = await swaks('smtp', 'x@elsewhere.test', 'info@example.test');
    outcome(both, accepted);
    await arrives(site, 'alice', both.subject);
    await arrives(site, 'bob', both.subject);
    const aliased = await swaks('smtp', 'x@elsewhere.test', 'alice@alias.test');
    outcome(aliased, accepted);
    await arrives(site, 'alice', aliased.subject);
    const folder = await swaks('smtp', 'x@elsewhere.test', 'alice+Sent@example.test');
    outcome(folder, accepted);
    await arrives(site, 'alice', folder.subject, 'Sent');
    outcome(await swaks('smtp', 'x@elsewhere.test', 'Postmaster@example.test'), accepted);
  });

  test('the sender is one of the own addresses of who is logged in', async () => {
    const as = (from: string): Promise<Sent> => swaks('submissions', from, 'bob@example.test', '--tlsc', ...auth('PLAIN'));
    for (const own of ['alice@example.test', 'me@example.test', 'alice+tag@example.test', 'ALICE@Example.Test']) outcome(await as(own), accepted);
    for (const other of ['bob@example.test', 'alice@elsewhere.test', 'nobody@example.test']) outcome(await as(other), senderRefused);
  });

  test('two recipients of one message get one copy each', async () => {
    const sent = await swaks('smtp', 'x@elsewhere.test', 'alice@example.test,bob@example.test,alice@example.test');
    outcome(sent, accepted);
    for (const user of ['alice', 'bob']) {
      await arrives(site, user, sent.subject);
      expect((await messages(site, user)).filter((message) => message.subject === sent.subject)).toHaveLength(1);
    }
  });

  test('XCLIENT, PROXY, VRFY, EXPN and LMTP give nothing away', async () => {
    const ran = await run([
      'swaks',
      '--server',
      site.address,
      '--port',
      String(site.port('smtp')),
      '--protocol',
      'LMTP',
      '--to',
      'bob@example.test',
      '--timeout',
      '10',
    ]);
    expect(ran.code).not.toBe(accepted);
  });
});
