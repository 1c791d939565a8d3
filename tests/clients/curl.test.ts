// curl over SMTP and IMAP, in clear with STARTTLS and with TLS from the first octet.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrives, messages } from './mailbox.ts';
import { must, run } from './programs.ts';
import { installed, password, type Site, startSite } from './site.ts';

describe.skipIf(!installed('curl'))('curl', () => {
  let site: Site;
  let file: string;
  const source = (subject: string, text = 'Hello'): string =>
    `From: Alice <alice@example.test>\r\nTo: Bob <bob@example.test>\r\nSubject: ${subject}\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${subject}@example.test>\r\n\r\n${text}\r\n.\r\n..dots\r\n`;
  beforeAll(async () => {
    site = await startSite();
    file = join(site.data, '..', 'message.eml');
  });
  afterAll(() => site?.finish());

  const curl = (...args: readonly string[]) => ['curl', '--silent', '--show-error', '--insecure', '--max-time', '30', ...args];
  const login = ['--user', `alice@example.test:${password}`];
  const envelope = ['--mail-from', 'alice@example.test', '--mail-rcpt', 'bob@example.test'];

  test('sends by smtps, and by smtp with STARTTLS; dots arrive as they were', async () => {
    writeFileSync(file, source('curl-smtps'));
    await must(curl('--url', `smtps://${site.endpoint('submissions')}`, ...login, ...envelope, '--upload-file', file));
    writeFileSync(file, source('curl-starttls'));
    await must(curl('--url', `smtp://${site.endpoint('submission')}`, '--ssl-reqd', ...login, ...envelope, '--upload-file', file));
    for (const subject of ['curl-smtps', 'curl-starttls']) expect((await arrives(site, 'bob', subject)).source).toContain('Hello\r\n.\r\n..dots\r\n');
  });

  test('sends without login to a local account, and may not to others', async () => {
    writeFileSync(file, source('curl-plain'));
    await must(curl('--url', `smtp://${site.endpoint('smtp')}`, '--mail-from', 'x@elsewhere.test', '--mail-rcpt', 'bob@example.test', '--upload-file', file));
    await arrives(site, 'bob', 'curl-plain');
    const refused = await run(
      curl('--url', `smtp://${site.endpoint('smtp')}`, '--mail-from', 'x@elsewhere.test', '--mail-rcpt', 'x@other.test', '--upload-file', file),
    );
    expect(refused.code).toBe(55); // CURLE_SEND_ERROR: RCPT failed
  });

  test('lists, uploads, searches, fetches and changes by imap', async () => {
    for (const [url, ...tls] of [[`imaps://${site.endpoint('imaps')}`], [`imap://${site.endpoint('imap')}`, '--ssl-reqd']] as const) {
      const subject = `curl-append-${tls.length}`;
      writeFileSync(file, source(subject));
      expect((await must(curl(...tls, ...login, '--url', url))).stdout).toMatch(/\* LIST \([^)]*\) "\/" "?INBOX"?/);
      await must(curl(...tls, ...login, '--url', `${url}/Drafts`, '--upload-file', file));
      const found = await must(curl(...tls, ...login, '--url', `${url}/Drafts?SUBJECT ${subject}`.replaceAll(' ', '%20')));
      expect(found.stdout).toMatch(/^\* SEARCH \d+/);
      const uid = /\d+/.exec(found.stdout)?.[0] ?? '';
      expect((await must(curl(...tls, ...login, '--url', `${url}/Drafts;MAILINDEX=${uid}`))).stdout).toBe(source(subject));
      await must(curl(...tls, ...login, '--url', `${url}/Drafts`, '--request', `STORE ${uid} +FLAGS (\\Flagged)`));
      expect((await messages(site, 'alice', 'Drafts')).find((message) => message.subject === subject)?.flags).toContain('\\Flagged');
    }
  });

  test('a login in clear is refused', async () => {
    expect((await run(curl(...login, '--url', `imap://${site.endpoint('imap')}`))).code).toBe(67); // CURLE_LOGIN_DENIED
  });
});
