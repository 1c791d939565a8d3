// What strangers, and users with broken programs, do to IMAP: BAD, NO or BYE, never another session's trouble.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Imap } from '../bench/lib/conn.ts';
import { withImap } from '../clients/mailbox.ts';
import { sleep, tell } from '../clients/programs.ts';
import { password, type Site, sampleDocument, startSite } from '../clients/site.ts';
import { Raw } from './raw.ts';
import { Watch } from './watch.ts';

describe('hostile IMAP', () => {
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
    expect(watch.peakMiB).toBeLessThan(watch.baseMiB + 300);
  });

  const greeted = async (): Promise<Raw> => {
    const raw = await Raw.open(site.address, site.port('imap'));
    await raw.read(/^\* OK [^\n]*\n/);
    return raw;
  };
  const loggedIn = async (user = 'alice'): Promise<Raw> => {
    const raw = await greeted();
    expect(await raw.ask('STARTTLS', 's1')).toContain('s1 OK');
    await raw.startTls();
    expect(await raw.ask(`LOGIN ${user}@example.test "${password}"`, 'l1')).toContain('l1 OK');
    return raw;
  };

  test('unknown commands, no tag, binary: BAD, and after too many of them BYE', async () => {
    const raw = await greeted();
    expect(await raw.ask('XYZZY', 'a1')).toContain('a1 BAD');
    for (const line of ['', ' ', '\0', '\xff\xfe', 'a', '* OK', '+', '(((((', '"']) await raw.write(`${line}\r\n`);
    for (let i = 0; i < 50 && !raw.closed; i++) await raw.write(`b${i} NONSENSE\r\n`);
    expect(await raw.rest(15_000)).toContain('* BYE');
  });

  test('an overlong line, before and after login, is refused and never gathered', async () => {
    for (const raw of [await greeted(), await loggedIn()]) {
      for (let i = 0; i < 100 && !raw.closed; i++) await raw.write('a'.repeat(1 << 20));
      await raw.write('\r\n');
      await raw.write('z1 NOOP\r\n');
      const answer = await raw.read(/z1 OK|\* BYE|BAD/, 15_000).catch(() => 'closed');
      expect(answer).toMatch(/BAD|BYE|closed/);
      raw.close();
    }
  });

  test('literals: huge before login, unterminated, negative, in the wrong place', async () => {
    const raw = await greeted();
    expect(await raw.ask('LOGIN {99999999}', 'a1')).toMatch(/a1 (BAD|NO)/);
    raw.close();
    const other = await greeted();
    await other.write('a1 LOGIN {99999999+}\r\n');
    await other.write('x'.repeat(1 << 20));
    expect(await other.listen(1_000)).toMatch(/BAD|BYE|NO|^$/);
    other.close();
    const user = await loggedIn();
    expect(await user.ask('SELECT {-1}', 'b1')).toContain('b1 BAD');
    expect(await user.ask('SELECT {4294967296}', 'b2')).toMatch(/b2 (BAD|NO)/);
    expect(await user.ask('APPEND INBOX {99999999999}', 'b3')).toMatch(/b3 (BAD|NO)/);
    await user.write('b4 APPEND INBOX () "nonsense" {3}\r\nabc\r\n');
    expect(await user.reply('b4')).toContain('b4 BAD');
    user.close();
    const cut = await loggedIn();
    await cut.write('c1 APPEND INBOX {1000}\r\n');
    await cut.read(/^\+ [^\n]*\n/m);
    await cut.write('Subject: cut');
    cut.close();
    await sleep(300);
    await withImap(site, 'alice', async (client) => expect((await client.mailboxOpen('INBOX')).exists).toBe(0));
  });

  test('parentheses 100,000 deep, SEARCH 10,000 deep, sequence sets of 8,000 ranges', async () => {
    const raw = await loggedIn();
    await raw.ask('SELECT INBOX', 'a1');
    expect(await raw.ask(`FETCH 1 ${'('.repeat(50_000)}`, 'a2')).toMatch(/a2 BAD/);
    expect(await raw.ask(`SEARCH ${'NOT '.repeat(10_000)}ALL`, 'a3')).toMatch(/a3 (BAD|NO|OK)/);
    expect(await raw.ask(`SEARCH ${'('.repeat(20_000)}ALL${')'.repeat(20_000)}`, 'a4')).toMatch(/a4 (BAD|NO|OK)/);
    expect(await raw.ask(`UID FETCH ${Array.from({ length: 8_000 }, (_, i) => `${i + 1}:*`).join(',')} FLAGS`, 'a5')).toMatch(/a5 (BAD|NO|OK)/);
    expect(await raw.ask('UID FETCH 1:4294967295 FLAGS', 'a6')).toContain('a6 OK');
    expect(await raw.ask('FETCH 1:4294967296 FLAGS', 'a7')).toContain('a7 BAD');
    expect(await raw.ask('NOOP', 'a8')).toContain('a8 OK');
    raw.close();
  });

  test('what is pipelined after STARTTLS in clear is dropped, not obeyed', async () => {
    const raw = await greeted();
    await raw.write(`s1 STARTTLS\r\ni1 LOGIN alice@example.test "${password}"\r\ni2 SELECT INBOX\r\n`);
    expect(await raw.reply('s1')).toContain('s1 OK');
    try {
      await raw.startTls();
      expect(await raw.listen(300)).toBe('');
      expect(await raw.ask('SELECT INBOX', 's2')).toMatch(/s2 (BAD|NO)/);
    } catch {
      // it may end the connection instead
    }
    raw.close();
  });

  test('10,000 commands in one write are answered in order; one who never reads is no burden', async () => {
    const raw = await loggedIn();
    await raw.write(Array.from({ length: 10_000 }, (_, i) => `n${i} NOOP\r\n`).join(''));
    expect(await raw.reply('n9999', 20_000)).toMatch(/n0 OK[\s\S]*n5000 OK[\s\S]*n9999 OK/);
    raw.close();
    await withImap(site, 'bob', async (client) => {
      for (let i = 0; i < 20; i++) await client.append('INBOX', `Subject: big ${i}\r\n\r\n${'x'.repeat(76)}\r\n`.padEnd(1_000_000, 'line of text\r\n'));
    });
    const deaf = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const imap = await Imap.open(site.address, site.port('imaps'), true);
        await imap.login('bob@example.test', password);
        await imap.must('SELECT INBOX');
        imap.pause();
        for (let i = 0; i < 20; i++) imap.write(`d${i} FETCH 1:* BODY.PEEK[]\r\n`);
        return imap;
      }),
    );
    await sleep(4_000);
    for (const imap of deaf) imap.close();
  });

  test('one user cannot see or guess anything of another', async () => {
    const raw = await loggedIn('bob');
    for (const name of ['../alice/INBOX', '/INBOX', 'alice@example.test/INBOX', '#user/alice', 'Other Users/alice', '~alice/INBOX']) {
      expect(await raw.ask(`SELECT "${name}"`, 'x1'), name).toMatch(/x1 (NO|BAD)/);
    }
    expect(await raw.ask('LIST "" "*"', 'x2')).not.toContain('alice');
    raw.close();
  });

  test('guessing passwords is slowed down, and does not lock out another address', async () => {
    const raw = await greeted();
    await raw.ask('STARTTLS', 's1');
    await raw.startTls();
    let answers = 0;
    for (let i = 0; i < 30 && !raw.closed; i++) {
      await raw.write(`p${i} LOGIN bob@example.test wrong${i}\r\n`);
      const answer = await raw.reply(`p${i}`, 15_000).catch(() => '');
      if (answer !== '') answers++;
      expect(answer).not.toContain(`p${i} OK`);
    }
    expect(answers).toBeGreaterThan(0);
    raw.close();
  });
});
