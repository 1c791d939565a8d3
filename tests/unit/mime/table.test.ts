// Header values against tables of another parser. What we read otherwise stands in a list with its reason.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Address, addressText, displayName, parseAddresses } from '../../../protocols/mime/address.ts';
import { parseDateTime } from '../../../protocols/mime/date.ts';
import { contentType } from '../../../protocols/mime/entity.ts';
import { decodeHeader, unfold } from '../../../protocols/mime/header.ts';
import { parameter, parseParameters } from '../../../protocols/mime/parameters.ts';
import { messageIdOf, messageIds } from '../../../protocols/mime/thread.ts';

const tables = '../shared/corpus/mail-parser/resources';
const present = existsSync(tables);
const unless = present ? '' : ' (skipped: ../shared/corpus is not here)';

interface Row<T> {
  readonly header: string;
  readonly expected: T | null;
}
const rows = <T>(name: string): readonly Row<T>[] => JSON.parse(readFileSync(`${tables}/${name}.json`, 'utf8')) as readonly Row<T>[];
/** A value as it comes out of a header: octets, unfolded. */
const raw = (header: string): string => unfold(Buffer.from(header).toString('latin1'));

/** Compares each row; `differs` maps a value (if it ends in LF) or the beginning of one to the reason why ours is another answer. */
function compare<T>(name: string, differs: Readonly<Record<string, string>>, ours: (row: Row<T>) => unknown, theirs: (row: Row<T>) => unknown): void {
  const used = new Set<string>();
  for (const row of rows<T>(name)) {
    const why = Object.keys(differs).find((start) => row.header === start || (!start.endsWith('\n') && row.header.startsWith(start)));
    if (why === undefined) expect(ours(row), JSON.stringify(row.header)).toEqual(theirs(row));
    else {
      used.add(why);
      expect(ours(row), `${JSON.stringify(row.header)} agrees, strike its row`).not.toEqual(theirs(row));
    }
  }
  expect([...used].sort()).toEqual(Object.keys(differs).sort());
}

interface TheirAddresses {
  readonly List?: readonly { readonly name: string | null; readonly address: string | null }[];
  readonly Group?: readonly { readonly name: string | null; readonly addresses: NonNullable<TheirAddresses['List']> }[];
}
const comments = 'a comment is no part of a name, an address or a group, unless there is no other name';
const flat = (a: Address): unknown =>
  a.kind === 'mailbox' ? { name: displayName(a) || null, address: addressText(a) || null } : a.kind === 'end' ? 'end' : { group: displayName(a) };

describe('header tables', () => {
  test.skipIf(!present)(`addresses${unless}`, () => {
    compare<TheirAddresses>(
      'address',
      {
        'Pete(A nice': comments,
        'A Group(Some people)': comments,
        '(Empty list)(start)': comments,
        'John Doe <jdoe@machine(comment).': comments,
        'Nathaniel Borenstein <nsb@thumper.bellcore.com>\n    (': comments,
        'Name (comment) =?utf-8?q?Doe?=': comments,
        'Mary Smith <@node.test:mary@example.net>': 'a source route is no part of the address, nor is white space in a domain (RFC 5322 §4.4)',
        'test@test.com\ninvalid@address.com': 'the table holds two fields, we were given one value',
        '"=?ISO-8859-1?Q =?ISO-8859-1?Q?a?=': 'the table holds a header with its body, we were given one value',
      },
      ({ header }) => parseAddresses(raw(header)).map(flat),
      ({ expected }): readonly unknown[] => {
        if (expected?.List) return expected.List;
        return (expected?.Group ?? []).flatMap((g): readonly unknown[] => (g.name === null ? g.addresses : [{ group: g.name }, ...g.addresses, 'end']));
      },
    );
  });

  test.skipIf(!present)(`dates${unless}`, () => {
    interface Their {
      readonly year: number;
      readonly month: number;
      readonly day: number;
      readonly hour: number;
      readonly minute: number;
      readonly second: number;
      readonly tz_before_gmt: boolean;
      readonly tz_hour: number;
      readonly tz_minute: number;
    }
    compare<Their>(
      'date',
      {
        '20 11 (some': 'a date without the name of its month is none',
        ' 4 8 15 16 23 42': 'a date without the name of its month is none',
        'Tue, 1 Jul 2003 ((invalid)\ncomment)': 'nested comments are allowed (RFC 5322 §3.2.2)',
        'Thu, 10 Jul 1997 14:53:31 EST5EDT': 'an unknown zone is -0000 (RFC 5322 §4.3)',
      },
      ({ header }) => {
        const date = parseDateTime(header);
        return date && [date.ms, date.zoneMinutes];
      },
      ({ expected: e }) => {
        if (!e) return null;
        const zone = (e.tz_hour * 60 + e.tz_minute) * (e.tz_before_gmt ? -1 : 1) || 0;
        return [Date.UTC(e.year, e.month - 1, e.day, e.hour, e.minute, e.second) - zone * 60_000, zone];
      },
    );
  });

  test.skipIf(!present)(`unstructured text, encoded-words${unless}`, () => {
    // They collapse white space and put a space before an encoded-word that stands inside a word.
    const spaces = (text: string): string => text.replace(/\s+/g, '');
    compare<string>(
      'unstructured',
      {
        ' FWD: \n Saying Hello \nX-Mailer: 123': 'the table holds two fields, we were given one value',
        '=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=\nFrom:': 'the table holds two fields, we were given one value',
      },
      ({ header }) => spaces(decodeHeader(raw(header))),
      ({ expected }) => spaces(expected ?? ''),
    );
  });

  test.skipIf(!present)(`message ids${unless}`, () => {
    compare<readonly string[]>(
      'id',
      {
        '<1234@local.machine.example>\n\n <3456@example.net>\n': 'the table holds a header with its body, we were given one value',
        '<1234   @   local(blah)': 'white space in an id means nothing (RFC 5322 §4.5.4)',
      },
      ({ header }) => {
        const found = messageIds(raw(header), 100);
        return found.length > 0 ? found : [messageIdOf(raw(header))].filter((id) => id !== '');
      },
      ({ expected }) => expected ?? [],
    );
  });

  test.skipIf(!present)(`types and parameters${unless}`, () => {
    interface Their {
      readonly c_type: string;
      readonly c_subtype: string | null;
      readonly attributes: readonly (readonly [string, string])[] | null;
    }
    compare<Their>(
      'content_type',
      {
        'application/pdf\n   filename*0*': 'the charset stands in the first segment only (RFC 2231 §4.1)',
        'image/jpeg;\n   name="=?iso-8859-1?B?4Q==?= =?utf-8': 'white space between encoded-words vanishes (RFC 2047 §6.2)',
        'text/plain; name=  \n': 'an empty value is a value',
        'á/é; á=é': 'names are US-ASCII: other octets of them stay as they are',
        'inva/lid; name="   \n': 'white space at the end of a field is cut before its quotes are looked at',
        'text/plain/format': 'a subtype ends at a slash, which is no token (RFC 2045 §5.1)',
        'test/encoded; key4*': 'a nameless parameter is none; segments stand where the first one stood',
        'malicious/attempt; 1*2*=a': 'names beyond RFC 2231 stay as they are',
        'inva/lid; name="   \n    \n': 'white space at the end of a field is cut before its quotes are looked at',
      },
      ({ header, expected }) => {
        const { value, parameters } = parseParameters(raw(header));
        const { type, subtype } = value.includes('/') ? contentType(value, false) : { type: value.toLowerCase(), subtype: null };
        const names = [...new Set(parameters.map(([name]) => name.replace(/\*$/, '')))];
        return { type, subtype, names: expected === null ? null : names.map((name) => [name, parameter(parameters, name)]) };
      },
      ({ header, expected: e }) => {
        // RFC 2045 §5.2: what is no type is text/plain; they have nothing there.
        const malformed = (e?.c_subtype ?? null) === null && header.includes('/');
        // A language is told as a parameter of its own there.
        const names = e && (e.attributes ?? []).filter(([name]) => !name.endsWith('-language'));
        return malformed ? { type: 'text', subtype: 'plain', names } : { type: e?.c_type ?? '', subtype: e?.c_subtype ?? null, names };
      },
    );
  });
});
