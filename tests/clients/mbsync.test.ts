// mbsync (isync): two stores made the same, both ways; and nothing to do the second time.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messages, withImap } from './mailbox.ts';
import { must } from './programs.ts';
import { certificateFile, installed, password, type Site, startSite } from './site.ts';

describe.skipIf(!installed('mbsync', 'script'))('mbsync', () => {
  let site: Site;
  let folder: string;
  let config: string;

  beforeAll(async () => {
    site = await startSite();
    folder = join(site.data, '..', 'maildir');
    mkdirSync(folder);
    config = join(site.data, '..', 'mbsyncrc');
    writeFileSync(
      config,
      `IMAPAccount site
Host ${site.address}
Port ${site.port('imaps')}
User alice@example.test
Pass "${password}"
SSLType IMAPS
CertificateFile ${await certificateFile(site)}

IMAPStore far
Account site

MaildirStore near
Path ${folder}/
Inbox ${folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
`,
    );
  });
  afterAll(() => site?.finish());

  /** What a run did, as mbsync counts it on a terminal: messages new, flagged, deleted on each side. */
  const sync = async (): Promise<{ far: string; near: string }> => {
    const { stdout } = await must(['script', '-qec', `mbsync --config ${config} all`, '/dev/null'], { env: { HOME: join(site.data, '..'), COLUMNS: '100' } });
    const last = [...stdout.matchAll(/F: (\+\S+ \*\S+ #\S+) +N: (\+\S+ \*\S+ #\S+)/g)].at(-1);
    if (last === undefined) throw new Error(`mbsync counts nothing: ${JSON.stringify(stdout.slice(-2_000))}`);
    return { far: last[1] as string, near: last[2] as string };
  };
  const nothing = { far: '+0/0 *0/0 #0/0', near: '+0/0 *0/0 #0/0' };
  const files = (mailbox: string): string[] =>
    ['cur', 'new'].flatMap((part) => readdirSync(join(folder, mailbox, part)).map((name) => join(folder, mailbox, part, name)));
  const append = (subject: string, flags: string[] = []): Promise<unknown> =>
    withImap(site, 'alice', (client) => client.append('INBOX', `Subject: ${subject}\r\nMessage-ID: <${subject}@x>\r\n\r\n${'text\r\n'.repeat(500)}`, flags));

  test('pulls everything, then nothing', async () => {
    for (let i = 0; i < 50; i++) await append(`far-${i}`, i % 2 ? ['\\Seen'] : []);
    expect(await sync()).toEqual({ far: '+0/0 *0/0 #0/0', near: '+50/50 *0/0 #0/0' });
    expect(files('INBOX')).toHaveLength(50);
    expect(files('INBOX').filter((name) => name.endsWith('S'))).toHaveLength(25);
    expect(await sync()).toEqual(nothing);
  });

  test('pushes everything, then nothing', async () => {
    for (let i = 0; i < 20; i++) {
      writeFileSync(join(folder, 'INBOX', 'new', `${1_700_000_000 + i}.near.test`), `Subject: near-${i}\nMessage-ID: <near-${i}@x>\n\nbody ${i}\n`);
    }
    await sync();
    const subjects = (await messages(site, 'alice')).map((message) => message.subject);
    for (let i = 0; i < 20; i++) expect(subjects.filter((subject) => subject === `near-${i}`)).toHaveLength(1);
    expect(subjects).toHaveLength(70);
    expect(await sync()).toEqual(nothing);
  });

  test('flags, deletions and folders go both ways', async () => {
    // not one of the messages that the other side changes below: a folder lists its files in any order
    const seen = files('INBOX').find((name) => name.endsWith('2,') && readFileSync(name, 'latin1').includes('Subject: far-10\n')) as string;
    renameSync(seen, `${seen.replace('/new/', '/cur/')}F`); // \Flagged
    const gone = files('INBOX').filter((name) => name.endsWith('S'))[0] as string;
    rmSync(gone);
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(folder, 'Made near', part), { recursive: true });
    writeFileSync(join(folder, 'Made near', 'new', '1700000100.near.test'), 'Subject: in a new folder\n\n\n');
    await withImap(site, 'alice', async (client) => {
      await client.mailboxCreate('Made far');
      await client.append('Made far', 'Subject: x\r\n\r\n\r\n');
      await client.mailboxOpen('INBOX');
      await client.messageFlagsAdd('1', ['\\Answered']);
      await client.messageDelete('3');
    });
    await sync();
    const after = await messages(site, 'alice');
    expect(after).toHaveLength(68);
    expect(files('INBOX')).toHaveLength(68);
    expect(after.filter((message) => message.flags.includes('\\Flagged'))).toHaveLength(1);
    expect(files('INBOX').filter((name) => /2,.*R/.test(name))).toHaveLength(1);
    expect(await messages(site, 'alice', 'Made near')).toHaveLength(1);
    expect(files('Made far')).toHaveLength(1);
    expect(await sync()).toEqual(nothing);
  });
});
