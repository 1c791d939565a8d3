// A whole IMAP session on hostile octets: it answers or ends, it never crashes, and another session never notices.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deliver, house, message } from '../../unit/imap/house.ts';

const pieces = [
  'a NOOP\r\n',
  'b FETCH 1:* (FLAGS BODY.PEEK[])\r\n',
  'c IDLE\r\n',
  'DONE\r\n',
  'd APPEND INBOX {10+}\r\nabc',
  'e APPEND INBOX (\\Seen) {5}\r\n',
  'f SEARCH TEXT {3+}\r\nabc\r\n',
  'g LOGIN {100000+}\r\n',
  'h UID STORE 1:* +FLAGS ($X',
  ')\r\n',
  '\r\n',
  '\n',
  '{4}\r\n',
  '"',
  '\0\r\n',
  'i SELECT INBOX\r\n',
  'j UNSELECT\r\n',
  'k AUTHENTICATE PLAIN\r\n',
  'l LIST (SUBSCRIBED) "" "%" RETURN (STATUS (MESSAGES))\r\n',
  'm COPY 1 INBOX\r\n',
  'n EXPUNGE\r\n',
  'x'.repeat(70_000),
];
const input = fc.array(
  fc.oneof(
    fc.constantFrom(...pieces).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b)),
  ),
  { maxLength: 25 },
);

test('any octets, before and after login', async () => {
  const h = await house();
  await deliver(h, [message('one'), message('two')]);
  const good = await h.dial().login('bob');
  await fc.assert(
    fc.asyncProperty(input, fc.boolean(), async (chunks, loggedIn) => {
      const c = h.dial();
      if (loggedIn) {
        await c.login();
        await c.say('SELECT INBOX');
      }
      for (const chunk of chunks) {
        c.write(new Uint8Array(chunk));
        if (chunk.length % 3 === 0) await new Promise((done) => setImmediate(done));
      }
      c.end.end();
      await Promise.race([c.session, new Promise((_done, fail) => setTimeout(() => fail(new Error('the session hangs')), 5_000))]);
      expect(h.crashed).toEqual([]);
      expect(await good.say('NOOP')).toMatch(/^t\d+ OK /);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 300) },
  );
});
