// fetchmail takes mail from our IMAP over TLS and hands it to our SMTP for another account: each message once.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messages, withImap } from './mailbox.ts';
import { type Ran, run } from './programs.ts';
import { installed, password, type Site, startSite } from './site.ts';

const done = 0;
const nothingThere = 1;

describe.skipIf(!installed('fetchmail'))('fetchmail', () => {
  let site: Site;
  let home: string;
  beforeAll(async () => {
    site = await startSite();
    home = join(site.data, '..', 'home');
    mkdirSync(home);
  });
  afterAll(() => site?.finish());

  const fetch = (port: number, tls: string): Promise<Ran> => {
    const file = join(home, 'fetchmailrc');
    writeFileSync(
      file,
      `poll ${site.address} protocol imap port ${port} no dns
  user "alice@example.test" there with password "${password}" is "bob@example.test" here
  ${tls} no sslcertck smtphost "${site.address}/${site.port('smtp')}" fetchall no rewrite
`,
      { mode: 0o600 },
    );
    return run(['fetchmail', '--fetchmailrc', file, '--pidfile', join(home, 'pid'), '--nosyslog', '--nodetach', '-v'], {
      env: { HOME: home, FETCHMAILHOME: home },
    });
  };

  test.each(['imaps', 'imap'] as const)('moves a mailbox over %s, then finds nothing', async (port) => {
    await withImap(site, 'alice', async (client) => {
      for (let i = 0; i < 10; i++) {
        await client.append(
          'INBOX',
          `From: x@elsewhere.test\r\nSubject: ${port}-${i}\r\nMessage-ID: <${port}-${i}@x>\r\n\r\nline\r\n.\r\n${'y'.repeat(900)}\r\n`,
        );
      }
    });
    const tls = port === 'imaps' ? 'ssl' : 'sslproto "TLS1.2+"';
    const first = await fetch(site.port(port), tls);
    expect(first.code, first.stdout + first.stderr).toBe(done);
    expect(await messages(site, 'alice')).toEqual([]);
    expect((await fetch(site.port(port), tls)).code).toBe(nothingThere);
    const got = (await messages(site, 'bob')).filter((message) => message.subject.startsWith(`${port}-`));
    expect(got.map((message) => message.subject).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `${port}-${i}`).sort());
    for (const message of got) expect(message.source).toContain(`line\r\n.\r\n${'y'.repeat(900)}\r\n`);
  });
});
