// nodemailer and imapflow: what a program of today does with a mail server, over each port.

import { ImapFlow } from 'imapflow';
import { createTransport, type Transporter } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrives, messages, withImap } from './mailbox.ts';
import { must, until } from './programs.ts';
import { executable, type PortName, password, type Site, sampleDocument, startSite } from './site.ts';

describe('nodemailer and imapflow', () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site?.finish());

  const transport = (port: PortName, user = 'alice'): Transporter =>
    createTransport({
      host: site.address,
      port: site.port(port),
      secure: port === 'submissions',
      requireTLS: port !== 'submissions',
      auth: { user: `${user}@example.test`, pass: password },
      tls: { rejectUnauthorized: false },
    });

  test.each(['submissions', 'submission'] as const)('sends through %s: text, HTML, attachment, 8-bit, long lines', async (port) => {
    const subject = `Übung über ${port} hinweg`;
    const blob = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 256));
    const sent = await transport(port).sendMail({
      from: 'Alice <alice@example.test>',
      to: ['bob@example.test'],
      subject,
      text: `Grüße\n.\n..\n${'x'.repeat(990)}\n`,
      html: '<p>Grüße</p>',
      attachments: [{ filename: 'zahlen.bin', content: blob }],
    });
    expect(sent.accepted).toEqual(['bob@example.test']);
    await arrives(site, 'bob', subject);
    await withImap(site, 'bob', async (client) => {
      await client.mailboxOpen('INBOX');
      const found = await client.search({ subject: `über ${port} hinweg` }, { uid: true });
      expect(found).toHaveLength(1);
      const message = await client.fetchOne(String((found || [])[0]), { bodyStructure: true, envelope: true, size: true, source: true }, { uid: true });
      if (message === false) throw new Error('not there');
      expect(message.size).toBe(message.source?.length);
      expect(message.envelope?.subject).toBe(subject);
      expect(message.bodyStructure?.type).toBe('multipart/mixed');
      const content = (await client.download(String((found || [])[0]), '2', { uid: true }))?.content;
      if (content === undefined) throw new Error('no content');
      const parts: Buffer[] = [];
      for await (const part of content) parts.push(part as Buffer);
      expect(Buffer.concat(parts).equals(blob)).toBe(true);
    });
  });

  test('a pool sends 100 messages at once; each is there once', async () => {
    const pool = createTransport({
      pool: true,
      maxConnections: 5,
      host: site.address,
      port: site.port('submissions'),
      secure: true,
      auth: { user: 'alice@example.test', pass: password },
      tls: { rejectUnauthorized: false },
    });
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => pool.sendMail({ from: 'alice@example.test', to: 'bob@example.test', subject: `pool ${i}`, text: 'x' })),
    );
    pool.close();
    const subjects = (await messages(site, 'bob')).map((message) => message.subject).filter((subject) => subject.startsWith('pool '));
    expect(subjects.sort()).toEqual(Array.from({ length: 100 }, (_, i) => `pool ${i}`).sort());
  });

  test('the folders of a new account have their special uses; folders are made, renamed, deleted', async () => {
    await withImap(site, 'alice', async (client) => {
      const uses = (await client.list()).map((folder) => folder.specialUse).filter(Boolean);
      for (const use of ['\\Inbox', '\\Sent', '\\Drafts', '\\Trash', '\\Junk']) expect(uses).toContain(use);
      await client.mailboxCreate(['Projekte', 'Größe']);
      await client.mailboxRename(['Projekte', 'Größe'], ['Projekte', 'Höhe']);
      expect((await client.list()).map((folder) => folder.path)).toContain('Projekte/Höhe');
      await client.mailboxDelete(['Projekte', 'Höhe']);
      expect((await client.list()).map((folder) => folder.path)).not.toContain('Projekte/Höhe');
    });
  });

  test('flags, copies, moves and deletions; a second client sees them as they happen', async () => {
    const watcher = new ImapFlow({
      host: site.address,
      port: site.port('imap'),
      secure: false,
      doSTARTTLS: true,
      auth: { user: 'alice@example.test', pass: password },
      tls: { rejectUnauthorized: false },
      logger: false,
    });
    watcher.on('error', () => {});
    await watcher.connect();
    await watcher.mailboxOpen('Drafts');
    const heard: string[] = [];
    watcher.on('exists', (event: { count: number }) => heard.push(`exists ${event.count}`));
    watcher.on('flags', (event: { seq: number; flags: Set<string> }) =>
      heard.push(`flags ${event.seq} ${[...event.flags].filter((flag) => flag !== '\\Recent').join(' ')}`),
    );
    watcher.on('expunge', (event: { seq?: number; uid?: number }) => heard.push(`expunge ${event.seq ?? event.uid}`));
    void watcher.idle();
    await withImap(site, 'alice', async (client) => {
      for (let i = 1; i <= 3; i++) await client.append('Drafts', `Subject: d${i}\r\n\r\nx\r\n`);
      await client.mailboxOpen('Drafts');
      await client.messageFlagsAdd('1:3', ['\\Flagged', 'mine']);
      expect(await client.messageCopy('1', 'Archive')).toMatchObject({ destination: 'Archive' });
      await client.messageMove('2', 'Archive');
      await client.messageDelete('1');
    });
    await until('the watcher hears of it', () => heard.filter((line) => line.startsWith('expunge')).length === 2 && heard.includes('exists 3'), 5_000);
    expect(heard.some((line) => line.startsWith('flags 3') && line.includes('mine'))).toBe(true);
    watcher.close();
    expect((await messages(site, 'alice', 'Archive')).map((message) => message.subject)).toEqual(['d1', 'd2']);
    expect((await messages(site, 'alice', 'Drafts')).map((message) => message.subject)).toEqual(['d3']);
  });

  test('CONDSTORE: changes since a modseq', async () => {
    await withImap(site, 'alice', async (client) => {
      for (let i = 1; i <= 5; i++) await client.append('Junk', `Subject: j${i}\r\n\r\nx\r\n`);
      const { highestModseq } = await client.mailboxOpen('Junk'); // later it is changed in place
      expect(highestModseq).toBeDefined();
      await client.messageFlagsAdd('4', ['\\Seen']);
      const changed = await client.fetchAll('1:*', { flags: true, uid: true }, { changedSince: highestModseq as bigint });
      expect(changed.map((message) => message.seq)).toEqual([4]);
    });
  });

  test('DESIGN §7: a new document is followed at once, and no session is dropped', async () => {
    await withImap(site, 'alice', async (client) => {
      await client.mailboxOpen('INBOX');
      await site.apply(sampleDocument(['alice', 'bob', 'carol']));
      await until('carol can log in', () => withImap(site, 'carol', async (carol) => (await carol.mailboxOpen('INBOX')).exists === 0), 5_000);
      await client.noop();
      expect(client.usable).toBe(true);
      const wrong = await must([
        'bash',
        '-c',
        `echo '{"schema":1,"host":"mail.example.test","domains":[{"name":"example.test"}],"accounts":[{"address":"x"}]}' | ${executable} apply - --data ${site.data}; test $? = 1`,
      ]);
      expect(wrong.stderr).toContain('accounts[0].address');
      await client.noop();
      await site.apply(sampleDocument(['alice', 'bob']));
    });
  });
});
