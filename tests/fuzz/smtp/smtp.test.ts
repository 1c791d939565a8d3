// SMTP and SASL on any octets: the rule of DATA said twice and compared, and no parser that throws or takes its time.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, mechanisms } from '../../../protocols/sasl/mechanism.ts';
import { originPrefix } from '../../../protocols/sasl/origin.ts';
import { DataDecoder, LineEndings } from '../../../protocols/smtp/data.ts';
import { parseBdat, parseCommandLine, parseOrcpt, parseParameters, parsePath } from '../../../protocols/smtp/grammar.ts';
import { mailParameters, rcptParameters } from '../../../protocols/smtp/parameters.ts';
import { examineHeader, headerEnd } from '../../../protocols/smtp/trace.ts';

/** Octets that matter to DATA, far more often than chance would bring them. */
const stream = fc
  .array(fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '\r\n.\r\n', 'a', '\0', 'text'), { maxLength: 30 })
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));

/** The rule of RFC 5321 §4.5.2 said once more, an octet at a time over the whole. */
function reference(bytes: Buffer): { message: string; taken: number; ended: boolean; bare: boolean } {
  const text = `\r\n${bytes.toString('latin1')}`;
  const end = text.indexOf('\r\n.\r\n');
  const body = end < 0 ? text : text.slice(0, end + 2);
  const held = end < 0 ? (/(?:^|\r\n)(\.\r?)$/.exec(body)?.[1]?.length ?? 0) : 0;
  const shown = body.slice(0, body.length - held);
  // a CR at the very end may yet get its LF
  const judged = end < 0 && shown.endsWith('\r') ? shown.slice(0, -1) : shown;
  return {
    message: shown.replaceAll('\r\n.', '\r\n').slice(2),
    taken: end < 0 ? bytes.length : end + 3,
    ended: end >= 0,
    bare: /(?<!\r)\n|\r(?!\n)/.test(judged),
  };
}

function decode(bytes: Buffer, sizes: readonly number[]): { message: string; taken: number; ended: boolean; bare: boolean } {
  const decoder = new DataDecoder();
  let message = '';
  let at = 0;
  for (let i = 0; at < bytes.length && !decoder.ended; i++) {
    const chunk = new Uint8Array(bytes.subarray(at, at + (sizes[i % sizes.length] ?? bytes.length)));
    const { message: part, taken } = decoder.push(chunk);
    message += Buffer.from(part).toString('latin1');
    at += taken;
  }
  return { message, taken: at, ended: decoder.ended, bare: decoder.bare };
}

test('DATA: any chunking gives the same message, end and verdict, and it is the right one', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 8 }), (bytes, sizes) => {
      const want = reference(bytes);
      expect(decode(bytes, sizes)).toEqual(want);
      expect(decode(bytes, [bytes.length || 1])).toEqual(want);
    }),
    { numRuns: 20_000 },
  );
});

test('BDAT: any chunking finds the same bare endings', () => {
  fc.assert(
    fc.property(stream, fc.integer({ min: 1, max: 5 }), (bytes, size) => {
      const endings = new LineEndings();
      for (let at = 0; at < bytes.length; at += size) endings.push(bytes.subarray(at, at + size));
      endings.finish();
      expect(endings.bare).toBe(/(?<!\r)\n|\r(?!\n)/.test(bytes.toString('latin1')));
    }),
    { numRuns: 5_000 },
  );
});

const anything = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc
    .array(fc.constantFrom('<', '>', '@', '"', '\\', '.', ':', ',', '[', ']', ' ', '=', ';', '+', '+2B', 'a', 'é', 'IPv6:::1', 'SIZE', 'ORCPT', 'postmaster'), {
      maxLength: 25,
    })
    .map((parts) => parts.join('')),
);

test('the grammar answers for anything', () => {
  fc.assert(
    fc.property(anything, (text) => {
      for (const parse of [parsePath, parseParameters, parseBdat, mailParameters, (t: string) => rcptParameters(t, true), (t: string) => parseOrcpt(t, true)])
        parse(text);
      parseCommandLine(Buffer.from(text));
      const path = parsePath(text);
      if (path.ok && path.mailbox !== null) {
        // what is taken is taken again as itself, and can do no harm in a header or a command
        const again = parsePath(`<${path.mailbox.address}>`);
        expect(again).toMatchObject({ ok: true, mailbox: { address: path.mailbox.address, local: path.mailbox.local }, rest: '' });
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
        expect(path.mailbox.address).not.toMatch(/[\x00-\x1f\x7f]/);
      }
    }),
    { numRuns: 10_000 },
  );
});

test('octets of any kind are no trouble to the rest', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseCommandLine(bytes);
      examineHeader(bytes);
      headerEnd(bytes, 0);
      mechanisms.PLAIN.start.next(bytes);
      mechanisms.LOGIN.start.next(bytes);
      const base64 = Buffer.from(bytes).toString('base64');
      expect(Buffer.from(decodeBase64(base64) ?? 'x')).toEqual(Buffer.from(bytes));
      originPrefix({ address: Buffer.from(bytes).toString('latin1'), port: 0 });
    }),
    { numRuns: 5_000 },
  );
});

test('no pattern of the grammar takes more than linear time', () => {
  const long = 4_000;
  const evil = [
    `<${'a.'.repeat(long)}`,
    `<"${'\\a'.repeat(long)}`,
    `<a@${'a-'.repeat(long)}`,
    `<${'@a,'.repeat(long)}`,
    `<@${'a.'.repeat(long)}:x`,
    ` ${'A'.repeat(long)}=`,
    `<a@${'a'.repeat(long)}.`,
  ];
  const started = performance.now();
  for (const text of evil) {
    parsePath(text);
    mailParameters(text);
    parseOrcpt(text, true);
  }
  expect(performance.now() - started).toBeLessThan(200);
});
