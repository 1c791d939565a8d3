// What strangers do to SMTP: each thing gets a clear error or a close, leaves no message behind that it should not, and
// costs other sessions nothing.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrives, messages, withImap } from '../clients/mailbox.ts';
import { sleep, tell } from '../clients/programs.ts';
import { certificateFile, type Site, sampleDocument, startSite } from '../clients/site.ts';
import { Raw } from './raw.ts';
import { Watch } from './watch.ts';

describe('hostile SMTP', () => {
  let site: Site;
  let watch: Watch;
  beforeAll(async () => {
    site = await startSite({ document: sampleDocument(['alice', 'bob', 'good']) });
    watch = new Watch(site);
  });
  afterAll(async () => {
    await watch.end();
    tell(
      `  good sessions: ${watch.delivered}, slowest ${watch.slowestMs.toFixed(0)} ms (in: ${watch.slowest}); anonymous memory ${watch.baseMiB} → peak ${watch.peakMiB} MiB`,
    );
    await site?.finish();
    expect(watch.failures, 'the good session went on').toEqual([]);
    expect(watch.slowestMs, 'nobody is starved').toBeLessThan(5_000);
    expect(watch.peakMiB).toBeLessThan(watch.baseMiB + 400);
  });

  const greeted = async (): Promise<Raw> => {
    const raw = await Raw.open(site.address, site.port('smtp'));
    await raw.reply();
    return raw;
  };
  const ehlo = async (): Promise<Raw> => {
    const raw = await greeted();
    await raw.ask('EHLO stranger.elsewhere.test');
    return raw;
  };
  /** Ready for the message. */
  const data = async (to = 'alice'): Promise<Raw> => {
    const raw = await ehlo();
    await raw.ask('MAIL FROM:<x@elsewhere.test>');
    await raw.ask(`RCPT TO:<${to}@example.test>`);
    expect(await raw.ask('DATA')).toMatch(/^354/);
    return raw;
  };

  test('unknown verbs, empty and binary lines: 5xx, and after too many of them the end', async () => {
    const raw = await ehlo();
    for (const line of ['XYZZY', '', '\0\0\0', '\xff\xfe\xfd', 'MAIL', 'RCPT TO:<alice@example.test>'])
      expect(await raw.ask(line), line).toMatch(/^50[0-4] |^5\d\d /);
    for (let i = 0; i < 50 && !raw.closed; i++) await raw.write('NONSENSE\r\n');
    expect(await raw.rest()).toMatch(/(421|5\d\d) [^\n]*\r\n$/);
  });

  test('HTTP, TLS and Redis at the wrong door end soon', async () => {
    for (const first of [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(10),
      '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'.repeat(200),
      '*1\r\n$4\r\nPING\r\n'.repeat(20),
    ]) {
      const raw = await greeted();
      await raw.write(first);
      await raw.write('\r\n'.repeat(20));
      await raw.rest(15_000).catch(() => raw.close());
    }
  });

  test('RFC 5321 §4.5.3.1.4: a line too long is refused, and is never gathered', async () => {
    const raw = await ehlo();
    await raw.write(`MAIL FROM:<${'x'.repeat(5_000)}@elsewhere.test>\r\n`);
    expect(await raw.reply()).toMatch(/^500 |^552 |^553 |^501 /);
    for (let i = 0; i < 200 && !raw.closed; i++) await raw.write('y'.repeat(1 << 20));
    await raw.write('\r\n');
    if (!raw.closed) expect(await raw.reply(undefined, 20_000)).toMatch(/^(500|421) /);
    raw.close();
  });

  test('8-bit and NUL in addresses are refused without SMTPUTF8', async () => {
    const raw = await ehlo();
    expect(await raw.ask('MAIL FROM:<\xe4@elsewhere.test>')).toMatch(/^5\d\d /);
    expect(await raw.ask('MAIL FROM:<x\0y@elsewhere.test>')).toMatch(/^5\d\d /);
    expect(await raw.ask('MAIL FROM:<x@elsewhere.test>')).toMatch(/^250 /);
    expect(await raw.ask('RCPT TO:<alice\0@example.test>')).toMatch(/^5\d\d /);
    raw.close();
  });

  test.each([
    ['LF.LF', '\n.\n'],
    ['LF.CRLF', '\n.\r\n'],
    ['CRLF.LF', '\r\n.\n'],
    ['CR.CR', '\r.\r'],
    ['CRLF.CR', '\r\n.\r'],
    ['CR LF.CR LF with NUL', '\r\n\0.\r\n'],
  ])('RFC 5321 §4.1.1.4: %s ends no message and smuggles none in', async (name, ending) => {
    const raw = await data();
    const smuggled = 'MAIL FROM:<evil@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n';
    await raw.write(`Subject: carrier ${name}\r\n\r\nbody${ending}${smuggled}`);
    const answer = await raw.reply();
    expect(answer).toMatch(/^(250|5\d\d) /); // one message as it is, or refused whole
    expect(await raw.ask('NOOP')).toMatch(/^250 |^5\d\d /);
    raw.close();
    expect((await messages(site, 'bob')).filter((message) => message.subject === 'smuggled')).toEqual([]);
  });

  test('10,000 RCPTs: past the limit each is refused for now, and the message goes to those taken', async () => {
    const raw = await ehlo();
    await raw.ask('MAIL FROM:<x@elsewhere.test>');
    let last = '';
    for (let i = 0; i < 100 && !raw.closed; i++) {
      await raw.write('RCPT TO:<alice@example.test>\r\n'.repeat(100));
      for (let k = 0; k < 100; k++) last = await raw.reply();
      if (i === 0) expect(last).toMatch(/^250 /);
    }
    expect(last).toMatch(/^452 |^421 /);
    raw.close();
  });

  test('10,000 unknown RCPTs end the session', async () => {
    const raw = await ehlo();
    await raw.ask('MAIL FROM:<x@elsewhere.test>');
    for (let i = 0; i < 100 && !raw.closed; i++) await raw.write(Array.from({ length: 100 }, (_, k) => `RCPT TO:<nobody${i}-${k}@example.test>\r\n`).join(''));
    expect(await raw.rest(20_000).catch(() => 'still open')).toMatch(/421 |^$/);
  });

  test('MIME nested 10,000 deep is taken or refused, and read back in time', async () => {
    const raw = await data();
    const nested = Array.from({ length: 10_000 }, (_, i) => `Content-Type: multipart/mixed; boundary="b${i}"\r\n\r\n--b${i}\r\n`).join('');
    await raw.write(`Subject: deep\r\nMIME-Version: 1.0\r\n${nested}\r\nx\r\n.\r\n`);
    const answer = await raw.reply(undefined, 20_000);
    raw.close();
    expect(answer).toMatch(/^(250|55\d) /);
    if (!answer.startsWith('250')) return;
    await arrives(site, 'alice', 'deep');
    await withImap(site, 'alice', async (client) => {
      await client.mailboxOpen('INBOX');
      expect(await client.fetchAll('1:*', { bodyStructure: true, envelope: true })).not.toHaveLength(0);
    });
  });

  test('10,000 message/rfc822 in each other, 100,000 parts, a boundary of nothing', async () => {
    for (const [subject, body] of [
      ['dolls', `MIME-Version: 1.0\r\n${'Content-Type: message/rfc822\r\n\r\n'.repeat(10_000)}x`],
      ['parts', `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\n'.repeat(100_000)}--b--`],
      ['nothing', 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\n--\r\n----'],
    ]) {
      const raw = await data();
      await raw.write(`Subject: ${subject}\r\n${body}\r\n.\r\n`);
      expect(await raw.reply(undefined, 20_000), subject).toMatch(/^(250|55\d) /);
      raw.close();
    }
    await withImap(site, 'alice', async (client) => {
      await client.mailboxOpen('INBOX');
      expect(await client.fetchAll('1:*', { bodyStructure: true })).not.toHaveLength(0);
    });
  });

  test('a header of 10 MB is refused (one field, and many)', async () => {
    for (const block of [`X-Long: ${'x'.repeat(900)}\r\n`, ` ${'y'.repeat(900)}\r\n`]) {
      const raw = await data();
      await raw.write('Subject: big header\r\n');
      for (let i = 0; i < 11 && !raw.closed; i++) await raw.write(block.repeat(1_100));
      await raw.write('\r\nbody\r\n.\r\n');
      expect(await raw.reply(undefined, 20_000)).toMatch(/^55[24] /);
      raw.close();
    }
  });

  test('a body line of 10 MB, NULs and 8-bit are kept as they are or refused, never changed', async () => {
    const raw = await data();
    await raw.write(`Subject: odd octets\r\n\r\n${'z'.repeat(10 << 20)}\r\n\0\x80\xff\r\n.\r\n`);
    const answer = await raw.reply(undefined, 20_000);
    expect(answer).toMatch(/^(250|55\d) /);
    if (answer.startsWith('250')) expect((await arrives(site, 'alice', 'odd octets')).source).toContain('zz\r\n\0\x80\xff\r\n');
    raw.close();
  });

  test('SIZE: too large is refused at MAIL, and while it comes', async () => {
    const raw = await ehlo();
    expect(await raw.ask('MAIL FROM:<x@elsewhere.test> SIZE=99999999999')).toMatch(/^552 /);
    raw.close();
    const liar = await data();
    for (let i = 0; i < 60 && !liar.closed; i++) await liar.write(`${'x'.repeat(998)}\r\n`.repeat(1_049));
    await liar.write('\r\n.\r\n');
    expect(await liar.reply(undefined, 30_000)).toMatch(/^552 /);
    liar.close();
  });

  test('what is pipelined after STARTTLS in clear is dropped, not obeyed', async () => {
    const raw = await ehlo();
    await raw.write('STARTTLS\r\nMAIL FROM:<injected@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nNOOP\r\n');
    expect(await raw.reply()).toMatch(/^220 /);
    try {
      await raw.startTls();
      expect(await raw.listen(300)).toBe('');
      expect(await raw.ask('RCPT TO:<alice@example.test>')).toMatch(/^503 /);
    } catch {
      // it may end the connection instead: the octets in clear were no handshake
    }
    raw.close();
  });

  test.each(['nonsense', '-1', '99999999999999999999 LAST', '1 FIRST', ''])('BDAT %s is refused; what follows is not taken for mail', async (size) => {
    const raw = await ehlo();
    await raw.ask('MAIL FROM:<x@elsewhere.test>');
    await raw.ask('RCPT TO:<alice@example.test>');
    expect(await raw.ask(`BDAT ${size}`)).toMatch(/^5\d\d |^421 /);
    if (!raw.closed) await raw.write('Subject: lie\r\n\r\nx\r\n');
    await sleep(100);
    raw.close();
    expect((await messages(site, 'alice')).filter((message) => message.subject === 'lie')).toEqual([]);
  });

  test('BDAT: octets that look like commands are octets', async () => {
    const raw = await ehlo();
    await raw.ask('MAIL FROM:<x@elsewhere.test>');
    await raw.ask('RCPT TO:<alice@example.test>');
    const chunk = 'Subject: bdat\r\n\r\n\r\n.\r\nQUIT\r\n';
    await raw.write(`BDAT ${chunk.length}\r\n${chunk}BDAT 0 LAST\r\n`);
    expect(await raw.reply()).toMatch(/^250 /);
    expect(await raw.reply()).toMatch(/^250 /);
    expect((await arrives(site, 'alice', 'bdat')).source).toContain('\r\n.\r\nQUIT\r\n');
    raw.close();
  });

  test('a connection cut in the middle of a message leaves nothing', async () => {
    for (const part of ['Subject: cut\r\n', 'Subject: cut\r\n\r\nbody\r\n', 'Subject: cut\r\n\r\nbody\r\n.', 'Subject: cut\r\n\r\nbody\r\n.\r']) {
      const raw = await data();
      await raw.write(part);
      raw.close();
    }
    await sleep(500);
    expect((await messages(site, 'alice')).filter((message) => message.subject === 'cut')).toEqual([]);
  });

  test('B1: eight messages of 50 MB at once are streamed in bounded memory', async () => {
    const before = watch.peakMiB;
    const line = `${'0123456789'.repeat(7)}\r\n`;
    const block = Buffer.from(line.repeat(14_000)); // about 1 MB
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const raw = await data('bob');
        await raw.write(`Subject: huge ${i}\r\n\r\n`);
        for (let k = 0; k < 49; k++) await raw.write(block);
        await raw.write('.\r\n');
        const answer = await raw.reply(undefined, 120_000);
        raw.close();
        return answer;
      }),
    );
    for (const answer of answers) expect(answer).toMatch(/^250 /);
    tell(`  eight messages of 50 MB: anonymous memory peak ${before} → ${watch.peakMiB} MiB`);
    expect(watch.peakMiB).toBeLessThan(watch.baseMiB + 300);
  });

  test('authentication: garbage in base64, an endless line, and guessing is slowed down', async () => {
    await certificateFile(site); // TLS is there
    const open = async (): Promise<Raw> => {
      const raw = await Raw.open(site.address, site.port('submission'));
      await raw.reply();
      await raw.ask('EHLO x');
      expect(await raw.ask('STARTTLS')).toMatch(/^220 /);
      await raw.startTls();
      await raw.ask('EHLO x');
      return raw;
    };
    const raw = await open();
    expect(await raw.ask('AUTH PLAIN !!!!')).toMatch(/^5\d\d /);
    expect(await raw.ask('AUTH XYZ abc')).toMatch(/^504 /);
    expect(await raw.ask('AUTH PLAIN =')).toMatch(/^5\d\d /);
    expect(await raw.ask('AUTH LOGIN')).toMatch(/^334 /);
    expect(await raw.ask('*')).toMatch(/^501 /);
    expect(await raw.ask(`AUTH PLAIN ${'A'.repeat(20_000)}`)).toMatch(/^5\d\d /);
    raw.close();
  });
});
