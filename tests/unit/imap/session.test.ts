// What a session does besides its dialogs: TLS, limits, slow clients, a store that refuses, dies or is full.

import { expect, test } from 'vitest';
import { LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { deliver, fakeHash, type House, house, message } from './house.ts';

const soon = (ms = 20): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Answers one kind of question instead of the store. */
function instead(h: House, kind: string, answer: () => Promise<object>): void {
  h.ask = ((asked: string, question: object) => (asked === kind ? answer() : h.store.ask(asked as 'stats', question))) as House['ask'];
}

test('from elsewhere there is no login without TLS, and what was pipelined behind STARTTLS is dropped', async () => {
  const h = await house();
  const c = h.dial('192.0.2.9');
  expect(await c.until(/\r$/m)).toContain('STARTTLS LOGINDISABLED');
  expect(await c.say('LOGIN alice@our.test alice')).toContain('NO [PRIVACYREQUIRED]');
  expect(await c.say('AUTHENTICATE PLAIN AGFsaWNlQG91ci50ZXN0AGFsaWNl')).toContain('NO [PRIVACYREQUIRED]');
  c.write('s STARTTLS\r\nx LOGIN alice@our.test alice\r\n');
  expect(await c.until(/^s .*\r$/m)).toContain('s OK');
  expect(await c.heard()).toBe('');
  expect(await c.say('CAPABILITY')).toContain('SASL-IR AUTH=PLAIN AUTH=LOGIN\r\n');
  expect(await c.say('STARTTLS')).toContain('BAD');
  expect(await c.say('AUTHENTICATE PLAIN AGFsaWNlQG91ci50ZXN0AGFsaWNl')).toContain('OK [CAPABILITY IMAP4rev1');
});

test('wrong passwords end the session after a few', async () => {
  const h = await house();
  const c = h.dial();
  await c.until(/\r$/m);
  for (let i = 1; i < limits.imapAuthTries; i++) expect(await c.say('LOGIN alice@our.test wrong')).toContain('NO [AUTHENTICATIONFAILED]');
  expect(await c.say('LOGIN alice@our.test wrong')).toMatch(/\* BYE \[LIMIT\].*\r\nt5 NO/);
  await c.session;
});

test('M1: success is said only after the store has answered', async () => {
  const h = await house();
  await deliver(h, [message('one')]);
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  const held: (() => void)[] = [];
  for (const [kind, command] of [
    ['append', 'APPEND INBOX {3+}\r\nabc'],
    ['store', 'STORE 1 +FLAGS.SILENT (\\Flagged)'],
    ['copy', 'COPY 1 Archive'],
    ['createMailbox', 'CREATE new'],
    ['renameMailbox', 'RENAME new newer'],
    ['deleteMailbox', 'DELETE newer'],
    ['subscribeMailbox', 'SUBSCRIBE Archive'],
    ['store', 'STORE 1 +FLAGS.SILENT (\\Deleted)'],
    ['expunge', 'EXPUNGE'],
  ] as const) {
    h.ask = ((asked: string, question: object) => {
      if (asked !== kind) return h.store.ask(asked as 'stats', question);
      return new Promise((resolve, reject) => held.push(() => void h.store.ask(asked as 'stats', question).then(resolve as never, reject)));
    }) as House['ask'];
    c.write(`m ${command}\r\n`);
    expect(await c.heard(), command).not.toMatch(/^m OK/m);
    expect(held.length, command).toBe(1);
    held.pop()?.();
    expect(await c.until(/^m .*\r$/m), command).toMatch(/^m OK/m);
  }
});

test('a lost link: NO where it may be done again, BYE where nobody can tell', async () => {
  const h = await house();
  await deliver(h, [message('one')]);
  const lost = (): Promise<never> => Promise.reject(new LinkLost('store'));
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  instead(h, 'store', lost);
  expect(await c.say('STORE 1 +FLAGS (\\Seen)')).toContain('NO [UNAVAILABLE]');
  expect(await c.say('NOOP')).toContain('OK');
  instead(h, 'append', lost);
  c.write('a APPEND INBOX {3+}\r\nabc\r\n');
  expect(await c.until(/BYE.*\r$/m)).toContain('* BYE [UNAVAILABLE]');
  await c.session;
  expect(h.crashed).toEqual([]);
});

test('a full disk refuses writes with LIMIT, and reading goes on', async () => {
  const h = await house();
  await deliver(h, [message('one')]);
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  h.ask = (async (asked: string, question: object) =>
    /append|store|copy|createMailbox|claimRecent|expunge/.test(asked)
      ? { refused: 'full', detail: '' }
      : h.store.ask(asked as 'stats', question)) as House['ask'];
  for (const command of ['APPEND INBOX {3+}\r\nabc', 'STORE 1 +FLAGS (\\Seen)', 'COPY 1 Archive', 'CREATE x', 'EXPUNGE']) {
    expect(await c.say(command), command).toMatch(/^t\d+ NO \[LIMIT\]/m);
  }
  const heard = await c.say('FETCH 1 (FLAGS BODY[TEXT])');
  expect(heard).toContain('Hello');
  expect(heard).not.toContain('\\Seen');
  h.ask = null;
  expect(await c.say('STORE 1 +FLAGS (\\Seen)')).toContain('OK');
});

test('quota and size are refused before the octets are asked for', async () => {
  const h = await house();
  const c = await h.dial().login('small');
  expect(await c.say('APPEND INBOX {5000}')).toMatch(/^t\d+ NO \[OVERQUOTA\]/m);
  expect(await c.say(`APPEND INBOX {${limits.message + 1}}`)).toMatch(/^t\d+ NO \[TOOBIG\]/m);
  expect(await c.append('INBOX', 'Subject: x\r\n\r\n')).toContain('OK');
});

test('an account that is taken away: BYE at the next command', async () => {
  const h = await house();
  const c = await h.dial().login('bob');
  await h.apply({ accounts: [{ address: 'alice@our.test', name: '', password: fakeHash('alice'), quotaBytes: 0, enabled: true }] });
  c.write('a NOOP\r\n');
  expect(await c.until(/BYE.*\r$/m)).toContain('* BYE');
  const other = await h.dial().login('alice');
  expect(await other.say('NOOP')).toContain('OK');
});

test('a client that stops reading does not grow memory, and others go on', async () => {
  const h = await house();
  const big = message('big', `${'x'.repeat(70)}\r\n`.repeat(14_000));
  const c = await h.dial().login();
  for (let i = 0; i < 12; i++) await c.append('INBOX', big.replace('big', `big ${i}`));
  await c.say('SELECT INBOX');
  c.paused = true;
  await soon();
  c.write('a FETCH 1:* (BODY.PEEK[])\r\n');
  await soon(100);
  expect(c.server.mostUnsent).toBeLessThan(limits.imapUnsent + 3 * 65_536);
  const other = await h.dial().login();
  expect(await other.say('SELECT INBOX')).toContain('OK');
  c.paused = false;
  const heard = await c.until(/^a OK.*\r$/m);
  expect(heard.length).toBeGreaterThan(12 * 1_000_000);
  expect(c.server.mostUnsent).toBeLessThan(limits.imapUnsent + 3 * 65_536);
});

test('a message that is expunged and collected while it is told is never told wrong', async () => {
  const h = await house();
  const big = message('big', `${'y'.repeat(70)}\r\n`.repeat(14_000));
  const c = await h.dial().login();
  for (let i = 0; i < 4; i++) await c.append('INBOX', big.replace('big', `big ${i}`));
  await c.say('SELECT INBOX');
  c.paused = true;
  await soon();
  c.write('a FETCH 1:* (UID BODY.PEEK[])\r\n');
  await soon(50);
  const other = await h.dial().login();
  await other.say('SELECT INBOX');
  await other.say('STORE 1:* +FLAGS.SILENT (\\Deleted)');
  await other.say('EXPUNGE');
  for (let more = true; more; ) {
    const answer = await h.store.ask('collect', { now: h.site.world.now(), transferAgeMs: 0 });
    more = !('refused' in answer) && answer.more;
  }
  c.paused = false;
  await c.session;
  await soon();
  expect(h.crashed).toEqual([]);
  expect(c.closed).toBe(true);
  expect(await other.say('NOOP')).toContain('OK');
});

test('two hundred sessions in IDLE hear of a message at once', async () => {
  const h = await house();
  const idlers = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const c = await h.dial().login();
      await c.say('SELECT INBOX');
      c.write('i IDLE\r\n');
      await c.until(/^\+.*\r$/m);
      return c;
    }),
  );
  const heard = idlers.map((c) => c.until(/^\* 1 EXISTS\r$/m));
  const before = performance.now();
  await deliver(h, [message('news')]);
  await Promise.all(heard);
  expect(performance.now() - before).toBeLessThan(1_000);
  // \Recent is for one of them
  await soon(50);
  const recent = await Promise.all(idlers.map((c) => c.heard(0)));
  expect(recent.filter((text) => text.includes('* 1 RECENT')).length).toBe(1);
});

test('a long FETCH lets others have their turn', async () => {
  const h = await house();
  await deliver(
    h,
    Array.from({ length: 600 }, (_, i) => message(`m ${i}`)),
  );
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  const other = await h.dial().login();
  const order: string[] = [];
  const long = c.say(`SEARCH ${'TEXT nowhere '.repeat(40).trim()}`).then(() => order.push('long'));
  await soon(1);
  await other.say('NOOP').then(() => order.push('short'));
  await long;
  expect(order).toEqual(['short', 'long']);
});

test('nobody logs in: BYE; a literal that does not come: BYE', async () => {
  const h = await house();
  const { after } = h.site.world;
  (h.site.world as { after: typeof after }).after = (ms, run) => after(ms === limits.imapLoginTimeoutMs ? 60 : ms, run);
  const c = h.dial();
  expect(await c.until(/BYE.*\r$/m)).toContain('* BYE [UNAVAILABLE]');
  const d = await h.dial().login();
  d.write('a APPEND INBOX {100}\r\nabc');
  expect(await d.until(/BYE.*\r$/m)).toContain('does not come');
});

test('what a client says is never more than its limits: lines, literals, commands', async () => {
  const h = await house();
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  // RFC 7162 §4 asks for lines of 8,192 octets; real clients send 64 KiB
  const uids = Array.from({ length: 9_000 }, (_, i) => 2 * i + 1).join(',');
  expect(uids.length).toBeLessThan(limits.imapLine);
  expect(await c.say(`UID FETCH ${uids} (FLAGS)`)).toContain('OK');
  c.write(`a NOOP ${'x'.repeat(limits.imapLine)}\r\n`);
  expect(await c.until(/\r$/m)).toContain('BAD [TOOBIG]');
  const literal = `{${limits.imapLiteral}+}\r\n${'x'.repeat(limits.imapLiteral)} `;
  c.write(`b SEARCH ${`TEXT ${literal}`.repeat(5)}ALL\r\n`);
  expect(await c.until(/^b .*\r$/m)).toContain('b BAD [TOOBIG]');
  expect(await c.heard()).toBe('');
  expect(await c.say('NOOP')).toContain('OK');
  c.write(`c LOGIN {${limits.message + 1}+}\r\n`);
  expect(await c.until(/BYE.*\r$/m)).toContain('[TOOBIG]');
});
