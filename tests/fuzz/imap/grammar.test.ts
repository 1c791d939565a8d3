// The IMAP parsers on any octets: they never throw and always end; what is rendered parses back to itself.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rows } from '../../../protocols/imap/commands.ts';
import { announcedLiteral, Parser, STAR } from '../../../protocols/imap/grammar.ts';
import { badName, canonicalName, decodeName, encodeName, matches } from '../../../protocols/imap/names.ts';
import { internalDate } from '../../../protocols/imap/render.ts';
import { addToPairs, countPairs, inPairs, merge, resolve, setText, uidPairs } from '../../../protocols/imap/sequence.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 2_000) };

/** Octets that look like IMAP more often than chance. */
const words = [
  ...rows.keys(),
  'UID ',
  ' ',
  '(',
  ')',
  '[',
  ']',
  '<',
  '>',
  '"',
  '\\',
  '{3}\r\nabc',
  '{3+}\r\nabc',
  '{99999999999}\r\n',
  '1:*',
  '*',
  '4294967295',
  '4294967296',
  ',',
  'BODY.PEEK[HEADER.FIELDS (',
  'BODY[1.2.MIME]<0.1>',
  'RFC822.SIZE',
  '\\Seen',
  '$Junk',
  'OR',
  'NOT',
  'CHARSET UTF-8',
  'RETURN (MIN',
  '1-Feb-1994',
  '"17-Jul-1996 02:44:25 -0700"',
  'MODSEQ',
  'CHANGEDSINCE',
  'NIL',
  'INBOX',
  '%',
  '&AOk-',
  '\0',
  '\r\n',
  'é',
];
const octets = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((parts) => new Uint8Array(Buffer.from(parts.join('')))),
  fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((parts) => new Uint8Array(Buffer.from(parts.join(' ')))),
);

describe('IMAP grammar', () => {
  test('no command parser throws, and each ends at or before the end of the octets', () => {
    fc.assert(
      fc.property(octets, fc.constantFrom(...rows.values()), fc.boolean(), (bytes, row, uid) => {
        const p = new Parser(bytes);
        row.parse(p, uid);
        p.end();
        expect(p.at).toBeLessThanOrEqual(bytes.length);
        expect(p.ok || (p.error ?? '').length > 0).toBe(true);
      }),
      runs,
    );
  });

  test('every primitive ends on any octets', () => {
    const primitives: readonly ((p: Parser) => unknown)[] = [
      (p) => p.tag(),
      (p) => p.word(),
      (p) => p.astring(),
      (p) => p.nstring(),
      (p) => p.listMailbox(),
      (p) => p.sequenceSet(),
      (p) => p.flags(),
      (p) => p.date(),
      (p) => p.dateTime(),
      (p) => p.modseq(),
      (p) => p.list(() => p.astring(), true),
    ];
    fc.assert(
      fc.property(octets, fc.constantFrom(...primitives), (bytes, primitive) => {
        primitive(new Parser(bytes));
        announcedLiteral(bytes);
      }),
      runs,
    );
  });

  test('strings of any octets come back, quoted or as literals', () => {
    const text = fc.uint8Array({ maxLength: 60 }).map((b) => b.filter((c) => c !== 0 && c !== 13 && c !== 10));
    fc.assert(
      fc.property(text, (bytes) => {
        const raw = Buffer.from(bytes);
        const quoted = `"${raw.toString('latin1').replace(/["\\]/g, '\\$&')}"`;
        for (const wire of [quoted, `{${raw.length}}\r\n${raw.toString('latin1')}`, `{${raw.length}+}\r\n${raw.toString('latin1')}`]) {
          const p = new Parser(Buffer.from(`${wire} x`, 'latin1'));
          expect(Buffer.from(p.astring())).toEqual(raw);
          expect(p.next(32)).toBe(true);
        }
      }),
      runs,
    );
  });

  test('a deep or endless command is refused, not a stack overflow', () => {
    for (const text of [`${'('.repeat(30_000)}ALL`, `${'NOT '.repeat(15_000)}ALL`, `${'OR '.repeat(15_000)}ALL ALL`, 'ALL '.repeat(15_000)]) {
      const p = new Parser(Buffer.from(` ${text}`));
      rows.get('SEARCH')?.parse(p, false);
      expect(p.error).toBe('The search is too complex');
    }
    const p = new Parser(Buffer.from(` 1 BODY[${'1.'.repeat(20_000)}1]`));
    rows.get('FETCH')?.parse(p, false);
    expect(p.error).toBe('The section is too deep');
  });

  test('internal dates come back to the second', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), (seconds) => {
        expect(new Parser(Buffer.from(internalDate(seconds * 1000))).dateTime()).toBe(seconds * 1000);
      }),
      runs,
    );
  });
});

describe('mailbox names', () => {
  const name = fc.string({ unit: 'binary', maxLength: 40 }).filter((s) => s.isWellFormed());

  test('every name comes back from modified UTF-7 (RFC 3501 §5.1.3), which is printable ASCII', () => {
    fc.assert(
      fc.property(name, (text) => {
        const wire = encodeName(text);
        expect(wire).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeName(wire)).toBe(text);
      }),
      runs,
    );
  });

  test('any wire form decodes to something well-formed or is refused', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (wire) => {
        const inside = canonicalName(wire);
        if (badName(inside) === null) expect(canonicalName(encodeName(inside))).toBe(inside);
      }),
      runs,
    );
  });

  test('patterns match as the regular expression does', () => {
    const part = fc.constantFrom('a', 'b', '/', '%', '*', 'INBOX', 'inbox');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 10 }), (pattern, letters) => {
        const text = letters.join('');
        const expression = pattern.map((c) => (c === '*' ? '.*' : c === '%' ? '[^/]*' : c)).join('');
        expect(matches(pattern.join(''), text)).toBe(new RegExp(`^${expression}$`).test(text));
      }),
      runs,
    );
  });

  test('a pattern of wildcards costs no more than name times pattern', () => {
    expect(matches('*a'.repeat(400), 'a'.repeat(900))).toBe(true);
    expect(matches(`${'%*'.repeat(400)}b`, 'a'.repeat(900))).toBe(false);
  });
});

describe('sequence sets', () => {
  const end = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(STAR));
  const set = fc.array(fc.tuple(end, end), { minLength: 1, maxLength: 8 }).map((pairs) => pairs.flat());
  const box = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 }).map((uids) => Uint32Array.from(uids.sort((a, b) => a - b)));

  test('UID sets name what RFC 3501 §6.4.8 says', () => {
    fc.assert(
      fc.property(set, box, (pairs, uids) => {
        const last = uids.at(-1) ?? 0;
        const wanted = [...uids].filter((uid) => {
          for (let i = 0; i < pairs.length; i += 2) {
            const a = pairs[i] === STAR ? last : (pairs[i] as number);
            const b = pairs[i + 1] === STAR ? last : (pairs[i + 1] as number);
            if (uid >= Math.min(a, b) && uid <= Math.max(a, b)) return true;
          }
          return false;
        });
        const ranges = resolve(pairs, uids, uids.length, true);
        const got: number[] = [];
        for (let i = 0; i < (ranges ?? []).length; i += 2) got.push(...uids.subarray(ranges?.[i], ranges?.[i + 1]));
        expect(got).toEqual(wanted);
        const uidRanges = uidPairs(ranges ?? [], uids);
        for (const uid of uids) expect(inPairs(uidRanges, uid)).toBe(wanted.includes(uid));
      }),
      runs,
    );
  });

  test('sets are written as they are read', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 1 }), (numbers) => {
        const pairs: number[] = [];
        for (const n of numbers.sort((a, b) => a - b)) addToPairs(pairs, n);
        expect(countPairs(pairs)).toBe(numbers.length);
        const p = new Parser(Buffer.from(setText(pairs)));
        expect(p.sequenceSet()).toEqual(pairs);
        expect(p.ended).toBe(true);
      }),
      runs,
    );
  });

  test('merged ranges ascend and do not touch', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 20 }), (numbers) => {
        const pairs = numbers.length % 2 === 0 ? numbers : numbers.slice(1);
        const merged = merge(pairs);
        for (let i = 0; i + 1 < merged.length; i++) expect(merged[i] as number).toBeLessThan(merged[i + 1] as number);
        for (let n = 0; n < 31; n++) {
          const inside = (list: readonly number[]): boolean => list.some((from, i) => i % 2 === 0 && from <= n && n < (list[i + 1] as number));
          expect(inside(merged)).toBe(inside(pairs));
        }
      }),
      runs,
    );
  });
});
