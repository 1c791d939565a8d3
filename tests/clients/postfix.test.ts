// Q1: mail between us and a real peer, found through a real DNS server: both ways, refused, deferred and retried.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrives, messages } from './mailbox.ts';
import { type Knot, Postfix, startKnot } from './postfix.ts';
import { until } from './programs.ts';
import { installed, isolated, password, type Site, sampleDocument, startSite, temporaryFolder } from './site.ts';

const nameServer = '127.0.0.53';
const here = '127.0.0.2';
const there = '127.0.0.3';

describe.skipIf(!isolated || !installed('postfix', 'knotd'))('Postfix, with DNS', () => {
  let site: Site;
  let postfix: Postfix;
  let knot: Knot;

  beforeAll(async () => {
    const folder = temporaryFolder();
    knot = await startKnot(join(folder, 'knot'), nameServer, [
      { name: 'example.test', records: ['@ MX 10 mail', `mail A ${here}`] },
      { name: 'peer.test', records: ['@ MX 10 dead', '@ MX 20 mx', 'dead A 127.0.0.99', `mx A ${there}`] },
      { name: 'plain.test', records: [`@ A ${there}`] },
      { name: 'test', records: [] }, // any other name under it does not exist
      { name: 'null.test', records: ['@ MX 0 .'] },
    ]);
    writeFileSync('/etc/resolv.conf', `nameserver ${nameServer}\n`); // ours only: tests/long.sh mounts it
    postfix = new Postfix(join(folder, 'postfix'), there, 'mx.peer.test', 'peer.test');
    postfix.configure(
      ['pat', 'full'],
      [
        'virtual_alias_domains = plain.test',
        'virtual_alias_maps = inline:{ { pat@plain.test = pat@peer.test } }',
        'smtpd_recipient_restrictions = check_recipient_access inline:{ { full@peer.test = 452 4.2.2 mailbox full } }',
      ],
    );
    await postfix.start();
    site = await startSite({
      listen: here,
      portOffset: 0,
      document: sampleDocument(['alice', 'bob'], {
        network: { resolvers: [`${nameServer}:53`] },
        aliases: [{ address: 'list@example.test', to: ['bob@example.test', 'pat@peer.test'] }],
      }),
    });
  });
  afterAll(async () => {
    await site?.finish();
    await postfix?.stop();
    await knot?.stop();
  });

  const send = (to: string | readonly string[], subject: string, text = 'Hello', more: object = {}): Promise<unknown> =>
    createTransport({
      host: here,
      port: site.port('submissions'),
      secure: true,
      auth: { user: 'alice@example.test', pass: password },
      tls: { rejectUnauthorized: false },
    }).sendMail({ from: 'Alice <alice@example.test>', to: [...(typeof to === 'string' ? [to] : to)], subject, text, ...more });
  const delivered = (user: string, subject: string, timeoutMs = 30_000): Promise<string> =>
    withLogs(() =>
      until(`${subject} at ${user}@peer.test`, async () => (await postfix.mail(user)).find((source) => source.includes(`Subject: ${subject}`)), timeoutMs, 200),
    );
  /** Whoever reads of a message that did not come wants to know what both hosts said of it. */
  const withLogs = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const queue = JSON.stringify((await site.status()).queue);
      throw new Error(`${String(error)}\nqueue: ${queue}\nours:\n${site.log.slice(-6_000)}\nPostfix:\n${postfix.log.slice(-6_000)}`);
    }
  };
  const queueIsEmpty = (): Promise<unknown> => until('the queue is empty', async () => (await site.status()).queue.length === 0, 30_000, 300);

  test('Postfix finds us by MX and delivers over TLS', async () => {
    await postfix.send('pat@peer.test', 'alice@example.test', 'Subject: from Postfix\nFrom: pat@peer.test\n\nHello\n.\n..\n');
    const { source } = await arrives(site, 'alice', 'from Postfix');
    expect(source).toContain('Hello\r\n.\r\n..\r\n');
    expect(source).toMatch(/^Return-Path: <pat@peer\.test>\r\nReceived: from mx\.peer\.test/);
    expect(source).toContain('with ESMTPS');
    expect(postfix.log).toMatch(/TLS connection established to mail\.example\.test\[127\.0\.0\.2\]:25: TLSv1\.[23]/);
  });

  test('we find Postfix by MX, past a dead first choice, and deliver over TLS', async () => {
    await send('pat@peer.test', 'to Postfix', 'line\n.\n..two dots\n');
    const source = await delivered('pat', 'to Postfix');
    expect(source).toContain('line\n.\n..two dots\n');
    expect(source).toMatch(/^Return-Path: <alice@example\.test>/);
    expect(postfix.log).toContain('Anonymous TLS connection established from');
    await queueIsEmpty();
  });

  test('a domain without MX is reached by its address', async () => {
    await send('pat@plain.test', 'by address');
    await delivered('pat', 'by address');
  });

  test('an alias leads here and elsewhere', async () => {
    await postfix.send('pat@peer.test', 'list@example.test', 'Subject: to the list\nFrom: pat@peer.test\n\nHello\n');
    await arrives(site, 'bob', 'to the list');
    await delivered('pat', 'to the list');
  });

  test('one message for many of both sites: each once', async () => {
    await send(['bob@example.test', 'pat@peer.test'], 'to both');
    await Promise.all([arrives(site, 'bob', 'to both'), delivered('pat', 'to both')]);
    await queueIsEmpty();
    expect((await postfix.mail('pat')).filter((source) => source.includes('Subject: to both'))).toHaveLength(1);
    expect((await messages(site, 'bob')).filter((message) => message.subject === 'to both')).toHaveLength(1);
  });

  test.each([
    ['nobody@peer.test', /5\.1\.1/],
    ['x@null.test', /5\.1\.10/],
    ['x@does-not-exist.test', /5\.1\.2|5\.4\.4/],
  ])('%s bounces: a DSN comes into the mailbox of the sender', async (to, status) => {
    await send(to, `bounce of ${to}`, 'Hello', { dsn: { notify: ['failure'], return: 'headers', id: 'my-envelope-id' } });
    const source = await until(
      `a report about ${to}`,
      async () =>
        (await messages(site, 'alice')).map((message) => message.source).find((text) => text.includes('message/delivery-status') && text.includes(to)),
      30_000,
      300,
    );
    expect(source).toMatch(/^Return-Path: <>\r\n/);
    expect(source).toMatch(/Content-Type: multipart\/report;\s+report-type="?delivery-status"?/i);
    expect(source).toMatch(/Action: failed/);
    expect(source).toMatch(new RegExp(`Final-Recipient: rfc822; ?${to.replaceAll('.', '\\.')}`, 'i'));
    expect(/Status: (\S+)/.exec(source)?.[1]).toMatch(status);
    expect(source).toContain('Original-Envelope-Id: my-envelope-id');
    expect(source).toContain(`Subject: bounce of ${to}`);
    await queueIsEmpty();
  });

  test('Postfix is down: the queue keeps the mail and status shows why; Postfix is up: it is delivered, once', async () => {
    await postfix.stop();
    await send('pat@peer.test', 'patience');
    const waiting = await until(
      'a deferred recipient',
      async () => (await site.status()).queue.find((row) => row.domain === 'peer.test' && row.attempts > 0),
      40_000,
      300,
    );
    expect(waiting.recipients).toBe(1);
    expect(waiting.lastError).not.toBe('');
    await site.kill(); // the queue is in the store
    await postfix.start();
    await site.start();
    await delivered('pat', 'patience', 180_000);
    await queueIsEmpty();
    expect((await postfix.mail('pat')).filter((source) => source.includes('Subject: patience'))).toHaveLength(1);
  });

  test('a 4xx for one recipient defers that one only', async () => {
    await send(['full@peer.test', 'pat@peer.test'], 'half');
    await delivered('pat', 'half');
    const waiting = await until(
      'full@peer.test waits',
      async () => (await site.status()).queue.find((row) => row.domain === 'peer.test' && row.attempts > 0),
      20_000,
      300,
    );
    expect(waiting.recipients).toBe(1);
    expect(waiting.lastError).toContain('mailbox full');
  });

  test('mail that follows a refused one over the same connection is delivered', async () => {
    const many = Array.from({ length: 12 }, (_, i) => i);
    await Promise.all(many.flatMap((i) => [send('full@peer.test', `refused-${i}.`), send('pat@peer.test', `follows-${i}.`)]));
    for (const i of many) await delivered('pat', `follows-${i}.`, 180_000);
    expect((await messages(site, 'alice')).filter(({ source }) => source.includes('Subject: follows'))).toEqual([]);
    // by one connection that Postfix had refused somebody on before
    expect(postfix.log).toMatch(/disconnect from .* mail=(?:[2-9]|[1-9]\d+) rcpt=[1-9]\d*\/\d+ data=[1-9]/);
  });

  // what is put off on a busy machine comes with the next try
  test('10 MB both ways, octet for octet', async () => {
    const blob = Buffer.from(Array.from({ length: 7_000_000 }, (_, i) => (i * 31 + (i >> 8)) % 256));
    await send('pat@peer.test', 'large', 'see attachment', { attachments: [{ filename: 'large.bin', content: blob }] });
    const there = await delivered('pat', 'large', 300_000);
    const encoded = blob.toString('base64').replace(/.{76}/g, '$&\n');
    expect(there).toContain(encoded.slice(0, 8_000_000));
    await postfix.send('pat@peer.test', 'bob@example.test', `Subject: large back\nFrom: pat@peer.test\n\n${encoded}\n`);
    const back = await withLogs(() => arrives(site, 'bob', 'large back', 'INBOX', 300_000));
    expect(back.source).toContain(encoded.slice(0, 8_000_000).replaceAll('\n', '\r\n'));
  });

  test('no word of a password in the log', () => {
    expect(readFileSync(join(site.data, '..', 'log'), 'utf8')).not.toContain(password);
  });
});
