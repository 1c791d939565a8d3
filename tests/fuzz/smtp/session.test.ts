// A whole session on anything a stranger may say: it never crashes, says nothing but replies, and stores nothing that was not
// acknowledged.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { alice, bob, house, plain } from '../../unit/smtp/house.ts';

const begun = `MAIL FROM:<x@y.test>\r\nRCPT TO:<${alice}>\r\n`;
const piece = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(begun, `${begun}DATA\r\n`, `${begun}BDAT 4 LAST\r\nab\r\n`, `RSET\r\n${begun}DATA\r\nSubject: x\r\n\r\ntext\r\n.\r\n`),
  },
  {
    weight: 12,
    arbitrary: fc.constantFrom(
      'EHLO a\r\n',
      'MAIL FROM:<x@y.test>\r\n',
      `RCPT TO:<${alice}>\r\n`,
      'DATA\r\n',
      '.\r\n',
      'Subject: x\r\n\r\ntext\r\n.\r\n',
      'RSET\r\n',
    ),
  },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      `MAIL FROM:<${alice}> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x\r\n`,
      'RCPT TO:<far@remote.test> NOTIFY=SUCCESS ORCPT=rfc822;a@b\r\n',
      'BDAT 3\r\na\r\n',
      'BDAT 4 LAST\r\nab\r\n',
      'BDAT 0 LAST\r\n',
      'BDAT 9999999\r\n',
      'STARTTLS\r\n',
      `AUTH PLAIN ${plain(alice, 'wonder')}\r\n`,
      `AUTH PLAIN ${plain(alice, 'x')}\r\n`,
      'AUTH LOGIN\r\n',
      '*\r\n',
      'VRFY x\r\n',
      'QUIT\r\n',
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom('\n', '\r', '\r\n', '\n.\n', '\0', '\xff', '..\r\n', ' ', '<', 'MAIL FROM:') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
);

test('no octets crash a session, and 250 means stored', { timeout: 60_000 }, async () => {
  const h = await house();
  h.site.plaintextOnLoopback = true;
  let acknowledged = 0;
  const session = fc.record({
    listener: fc.constantFrom('smtp', 'submission', 'submissions'),
    octets: fc.array(piece, { maxLength: 25 }).map((parts) => Buffer.from(`EHLO a\r\n${parts.join('')}`)),
    cuts: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(session, async ({ listener, octets, cuts }) => {
      const c = h.dial(listener as 'smtp', '127.0.0.1');
      for (let at = 0, i = 0; at < octets.length; i++) {
        const size = cuts[i % cuts.length] as number;
        c.end.write(new Uint8Array(octets.subarray(at, at + size)));
        at += size;
      }
      let heard = '';
      for (let silent = 0; silent < 3; ) {
        const more = await c.heardNow();
        heard += more;
        silent = more === '' ? silent + 1 : 0;
      }
      c.end.destroy();
      await c.session;
      for (const line of heard.split('\r\n').slice(0, -1)) expect(line).toMatch(/^(?:[245]\d\d[ -]|3[35]4 )/);
      acknowledged += (heard.match(/^250 2\.6\.0/gm) ?? []).length;
    }),
    { numRuns: 400 },
  );
  expect(h.world.logged('actor.crash')).toEqual([]);
  // one recipient account each, or the queue: nothing is stored that nobody was told of
  const stored = new Set([...h.folder(alice), ...h.folder(bob)].map((text) => / id ([0-9a-f]{12}\.\d+)/.exec(text)?.[1] ?? text));
  expect(h.world.logged('smtp.accepted')).toHaveLength(acknowledged);
  expect(stored.size).toBeLessThanOrEqual(acknowledged);
  expect(acknowledged).toBeGreaterThan(5);
});
