// NeoMutt in batch: sends with an attachment by SMTP, stores its copy in Sent by IMAP, and tags, saves and deletes by IMAP.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrives, messages, withImap } from './mailbox.ts';
import { must, type Ran } from './programs.ts';
import { certificateFile, installed, password, type Site, startSite } from './site.ts';

describe.skipIf(!installed('neomutt', 'script'))('NeoMutt', () => {
  let site: Site;
  let home: string;
  beforeAll(async () => {
    site = await startSite();
    home = join(site.data, '..', 'home');
    mkdirSync(home);
    writeFileSync(
      join(home, '.neomuttrc'),
      `set from="alice@example.test" realname="Alice" use_from=yes use_envelope_from=yes hostname="example.test"
set smtp_url="smtps://alice@example.test@${site.endpoint('submissions')}" smtp_pass="${password}"
set folder="imaps://${site.endpoint('imaps')}" imap_user="alice@example.test" imap_pass="${password}"
set spoolfile="+INBOX" record="+Sent" copy=yes
set certificate_file="${await certificateFile(site)}" ssl_verify_host=no ssl_verify_dates=no
set header_cache="" imap_idle=no sleep_time=0 delete=yes move=no confirmappend=no confirmcreate=no quit=yes wait_key=no editor=true abort_unmodified=no
`,
    );
  });
  afterAll(() => site?.finish());

  const neomutt = (args: readonly string[], input = ''): Promise<Ran> => must(['neomutt', ...args], { input, env: { HOME: home, TERM: 'xterm' } });
  /** With a terminal: keys are pushed, the last of them quits. Put into a background process group, as `timeout` does
   *  without --foreground, it would be stopped at its first look at the terminal. */
  const press = (keys: string): Promise<Ran> =>
    must(['script', '-qec', `timeout --foreground -s KILL 40 neomutt -f '+INBOX' -e 'push "${keys}"'`, '/dev/null'], { env: { HOME: home, TERM: 'xterm' } });

  test('sends an attachment in batch', async () => {
    const file = join(home, 'übersicht.bin');
    writeFileSync(file, Buffer.from(Array.from({ length: 5_000 }, (_, i) => i % 256)));
    await neomutt(['-e', 'unset record', '-s', 'Grüße from NeoMutt', '-a', file, '--', 'bob@example.test'], 'Hello Bob\n');
    const { source } = await arrives(site, 'bob', 'Grüße from NeoMutt');
    expect(source).toContain('Content-Transfer-Encoding: base64');
    expect(source).toMatch(/^Return-Path: <alice@example\.test>/);
  });

  test('sends in a real session and keeps a copy in Sent', async () => {
    await press('<mail>bob@example.test<enter>by hand<enter><send-message><quit>');
    await arrives(site, 'bob', 'by hand');
    expect((await arrives(site, 'alice', 'by hand', 'Sent')).flags).toContain('\\Seen');
  });

  test('deletes, flags and saves in a real session', async () => {
    await withImap(site, 'alice', async (client) => {
      for (const subject of ['delete me', 'flag me', 'save me', 'leave me']) await client.append('INBOX', `Subject: ${subject}\r\nFrom: a@b.test\r\n\r\nx\r\n`);
    });
    await press(
      '<tag-pattern>~s delete<enter><tag-prefix><delete-message><untag-pattern>.<enter><limit>~s flag<enter><flag-message><limit>~s save<enter><save-message>+Archive<enter><limit>.<enter><quit>',
    );
    const left = await messages(site, 'alice');
    expect(left.map((message) => message.subject)).toEqual(['flag me', 'leave me']);
    expect(left[0]?.flags).toContain('\\Flagged');
    expect((await messages(site, 'alice', 'Archive')).map((message) => message.subject)).toEqual(['save me']);
  });
});
