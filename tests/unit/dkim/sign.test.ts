// Signatures of our own before somebody else's verifier.

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { makeDkimKeys } from '../../../protocols/dkim/keys.ts';
import { type Signing, signatureOf } from '../../../protocols/dkim/sign.ts';
import { type Verified, verify } from './verifier.ts';

let made: Awaited<ReturnType<typeof makeDkimKeys>>;
let signing: Signing;
beforeAll(async () => {
  made = await makeDkimKeys();
  signing = {
    domain: 'our.test',
    keys: [
      { selector: 's1', algorithm: 'rsa', privateKey: made.rsaPrivate },
      { selector: 's2', algorithm: 'ed25519', privateKey: made.ed25519Private },
    ],
  };
});

const now = 1_790_000_000_000;
const chunks = (octets: Uint8Array, size: number) => {
  let at = 0;
  return () => {
    if (at >= octets.length) return null;
    at += size;
    return octets.subarray(at - size, at);
  };
};
async function signed(message: string, size = 4_071): Promise<string> {
  const octets = Buffer.from(message, 'latin1');
  return Buffer.from(await signatureOf(chunks(octets, size), signing, now, async () => {})).toString('latin1') + message;
}
const check = (message: string): Promise<Verified[]> => verify(message, { rsa: made.rsaPublic, ed25519: made.ed25519Public });
const results = async (message: string): Promise<string[]> => (await check(message)).map((s) => s.result);
const header = 'From: Alice <alice@our.test>\r\nTo: bob@remote.test\r\nSubject: hello\r\nDate: Sat, 01 Aug 2026 00:00:00 +0000\r\nMessage-ID: <1@our.test>\r\n';

describe('RFC 6376, RFC 8463', () => {
  test('both signatures are good', async () => {
    expect(await check(await signed(`${header}\r\nhello  \t world \r\n\r\n\r\n`))).toEqual([
      { domain: 'our.test', selector: 's1', algorithm: 'rsa-sha256', result: 'pass' },
      { domain: 'our.test', selector: 's2', algorithm: 'ed25519-sha256', result: 'pass' },
    ]);
  });

  test.each([
    ['no body', header],
    ['an empty body', `${header}\r\n`],
    ['no header but From', 'From: alice@our.test\r\n\r\nx\r\n'],
    ['no line ending at the end', `${header}\r\nx`],
    [
      'folded and doubled fields',
      `Received: a\r\n\tb\r\nSubject: one\r\n two\r\n\tthree\r\nFrom: <alice@our.test>\r\nComments: c\r\nSubject :  four \r\n\r\nx\r\n`,
    ],
    ['8-bit octets', `${header}X: ä\r\n\r\n\xff\xfe \x80\r\n`],
  ])('%s', async (_what, message) => expect(await results(await signed(message))).toEqual(['pass', 'pass']));

  test('any message that grammar allows, cut anywhere', async () => {
    const line = fc.array(fc.constantFrom('a', ' ', '\t', '=', ';', ':', '\xe4', 'word', '  '), { maxLength: 12 }).map((parts) => parts.join(''));
    const name = fc.constantFrom('Subject', 'To', 'cc', 'X-Other', 'Received', 'Content-Type', 'List-Unsubscribe', 'Reply-To', 'DATE');
    const field = fc.tuple(name, fc.array(line, { minLength: 1, maxLength: 3 })).map(([n, lines]) => `${n}: ${lines.map((l) => `v${l}`).join('\r\n ')}\r\n`);
    const message = fc
      .tuple(fc.array(field, { maxLength: 8 }), fc.array(line, { maxLength: 8 }))
      .map(([fields, lines]) => `From: alice@our.test\r\n${fields.join('')}\r\n${lines.map((l) => `${l}\r\n`).join('')}`);
    await fc.assert(
      fc.asyncProperty(message, fc.integer({ min: 1, max: 50 }), async (text, size) => {
        expect(await results(await signed(text, size))).toEqual(['pass', 'pass']);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  test('3 MiB, and the pause between slices', async () => {
    const message = `${header}\r\n${`${'0123456789 '.repeat(6)}\r\n`.repeat(46_000)}`;
    let pauses = 0;
    const octets = Buffer.from(message, 'latin1');
    const signature = await signatureOf(chunks(octets, 4_071), signing, now, async () => void pauses++);
    expect(pauses).toBe(Math.floor(octets.length / (4_071 * Math.ceil(limits.dkimSlice / 4_071))));
    expect(await results(Buffer.from(signature).toString('latin1') + message)).toEqual(['pass', 'pass']);
  }, 60_000);

  test('lines of the fields are short, and the tags are what they must be', async () => {
    const field = (await signed(`${header}\r\nx\r\n`)).split('From:')[0] as string;
    expect(field.split('\r\n').every((l) => l.length <= 78)).toBe(true);
    expect(field).toContain('v=1; a=rsa-sha256; c=relaxed/relaxed; d=our.test;\r\n\ts=s1; t=1790000000;');
    expect(field).toContain('v=1; a=ed25519-sha256;');
  });
});

describe('what breaks a signature', () => {
  test.each([
    ['a body that was changed', (m: string) => m.replace('hello world', 'hello World')],
    ['a subject that was changed', (m: string) => m.replace('Subject: hello', 'Subject: hullo')],
    ['RFC 6376 §8.15: a second From', (m: string) => `From: mallory@evil.test\r\n${m}`],
    ['a second Subject', (m: string) => `Subject: pay now\r\n${m}`],
    ['a Reply-To that was not there', (m: string) => `Reply-To: mallory@evil.test\r\n${m}`],
    ['another Content-Type', (m: string) => `Content-Type: text/html\r\n${m}`],
  ])('%s', async (_what, change) => {
    const good = await signed(`${header}\r\nhello world\r\n`);
    expect(await results(good)).toEqual(['pass', 'pass']);
    const bad = await results(change(good));
    expect(bad).toHaveLength(2);
    expect(bad).not.toContain('pass');
  });

  test('trace fields and white space do not', async () => {
    const good = await signed(`${header}\r\nhello world\r\n`);
    expect(await results(`Received: from a by b; now\r\n${good.replace('hello world\r\n', 'hello \t world  \r\n\r\n')}`)).toEqual(['pass', 'pass']);
  });
});

test('a header of thousands of equal fields, or without an end, is not signed', async () => {
  expect(await signatureOf(chunks(Buffer.from('To: a@b\r\n'.repeat(5_000)), 4_071), signing, now, async () => {})).toHaveLength(0);
  expect(await signatureOf(chunks(Buffer.alloc(3 * limits.header, 'a'), 4_071), signing, now, async () => {})).toHaveLength(0);
});
