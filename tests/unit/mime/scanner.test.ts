// The scanner and its renderings on chosen messages, and on hostile ones with a watch in hand.

import { describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { enclosedMessage, findPart, packParts, unpackParts } from '../../../protocols/mime/parts.ts';
import { Scanner, type Scanned, scan } from '../../../protocols/mime/scanner.ts';
import { readEnvelope, readStructure } from '../../fuzz/mime/grammar.ts';

const crlf = (text: string): Buffer => Buffer.from(text.replace(/\n/g, '\r\n'));
const text = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');
const envelopeOf = (header: string): string => text(scan(crlf(`${header}\n\nbody\n`)).info.envelope);
const bodyOf = (message: string): string => text(scan(crlf(message)).info.body);

describe('ENVELOPE (RFC 3501 §7.4.2)', () => {
  test('all fields', () => {
    const header = `Message-ID: <msg@id>
In-Reply-To: <reply@to.id>
Date: Sat, 01 Feb 2007 01:02:03 +0200
Subject: subject
 header
From: From Real <fromuser@fromdomain.org>
To: "To \\"R\\" eal" <touser@todomain.org>, second@b.org
Cc: =?utf-8?q?C=C3=A9?= <ccuser@ccdomain.org>
Bcc: bccuser@bccdomain.org (Bcc Real)
Sender: Sender Real <senderuser@senderdomain.org>
Reply-To: ReplyTo Real <replytouser@replytodomain.org>`;
    expect(envelopeOf(header)).toBe(
      '("Sat, 01 Feb 2007 01:02:03 +0200" "subject header" (("From Real" NIL "fromuser" "fromdomain.org")) (("Sender Real" NIL "senderuser" "senderdomain.org")) (("ReplyTo Real" NIL "replytouser" "replytodomain.org")) (("To \\"R\\" eal" NIL "touser" "todomain.org")(NIL NIL "second" "b.org")) (("=?utf-8?q?C=C3=A9?=" NIL "ccuser" "ccdomain.org")) (("Bcc Real" NIL "bccuser" "bccdomain.org")) "<reply@to.id>" "<msg@id>")',
    );
  });

  test('absent is NIL, empty is a string; Sender and Reply-To come from From', () => {
    expect(envelopeOf('Subject:\nFrom: a@b\nSender:\nReply-To: ')).toBe(
      '(NIL "" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)',
    );
    expect(envelopeOf('X: y')).toBe('(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)');
  });

  test('groups, routes, a missing host', () => {
    expect(envelopeOf('To: group: g1@d1.org, g2@d2.org;, nobody:;\nFrom: <@route:user@domain>\nCc: local')).toBe(
      '(NIL NIL ((NIL "@route" "user" "domain")) ((NIL "@route" "user" "domain")) ((NIL "@route" "user" "domain")) ((NIL NIL "group" NIL)(NIL NIL "g1" "d1.org")(NIL NIL "g2" "d2.org")(NIL NIL NIL NIL)(NIL NIL "nobody" NIL)(NIL NIL NIL NIL)) ((NIL NIL "local" "")) NIL NIL NIL)',
    );
  });

  test('octets beyond US-ASCII travel as a literal; NUL does not travel', () => {
    const octets = Buffer.concat([Buffer.from('Subject: gr\xfc\xdf\r\nMessage-ID: <a\0b@c>\r\n\r\n', 'latin1')]);
    expect(text(scan(octets).info.envelope)).toBe('(NIL {4}\r\ngr\xfc\xdf NIL NIL NIL NIL NIL NIL NIL "<ab@c>")');
  });

  test('too long: with less detail, well-formed, inside the limit', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `"N ${i}" <user${i}@example.test>`).join(',\n ');
    const { envelope } = scan(crlf(`Subject: ${'s'.repeat(100_000)}\nTo: ${many}\nFrom: a@b\n\n`)).info;
    expect(envelope.length).toBeLessThanOrEqual(limits.envelope);
    const read = readEnvelope(envelope);
    expect(read.lists[0]).toEqual([[null, null, 'a', 'b']]);
    expect(read.lists[3]?.length).toBeGreaterThan(20);
    expect(read.subject?.length).toBeGreaterThan(150);
  });
});

const nested = `From: a@b
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: text/plain; charset="utf-8"; format=flowed
Content-ID: <one@x>
Content-Description: first
Content-Language: en, de
Content-Location: http://x/
Content-MD5: Q2hlY2s=
Content-Disposition: attachment; filename="a.txt"

Hello
World

--outer
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<p>=C3=A9</p>
--inner--
--outer
Content-Type: message/rfc822

Subject: simple

one
two
--outer--
epilogue
`;

describe('BODYSTRUCTURE (RFC 3501 §7.4.2)', () => {
  test('a message of one part', () => {
    expect(bodyOf('Subject: x\n\none\ntwo\n')).toBe('("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 10 2)');
    expect(bodyOf('Content-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\nAAAA\n')).toBe(
      '("IMAGE" "PNG" ("NAME" "a.png") NIL NIL "BASE64" 6)',
    );
    expect(bodyOf('')).toBe('("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0)');
  });

  test('nested, with extension data', () => {
    const inner = '(NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL)';
    const simple = '(NIL "simple" NIL NIL NIL NIL NIL NIL NIL NIL)';
    const ext = ' NIL NIL NIL NIL';
    expect(text(scan(crlf(nested)).info.structure)).toBe(
      `(("TEXT" "PLAIN" ("CHARSET" "utf-8" "FORMAT" "flowed") "<one@x>" "first" "7BIT" 14 2 "Q2hlY2s=" ("attachment" ("FILENAME" "a.txt")) ("en" "de") "http://x/")` +
        `("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 194 ${inner} (("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 5 0${ext})("TEXT" "HTML" ("CHARSET" "US-ASCII") NIL NIL "QUOTED-PRINTABLE" 13 0${ext}) "ALTERNATIVE" ("BOUNDARY" "inner") NIL NIL NIL) 11${ext})` +
        `("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 27 ${simple} ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 8 1${ext}) 3${ext})` +
        ` "MIXED" ("BOUNDARY" "outer") NIL NIL NIL)`,
    );
  });

  test('a multipart without parts is text that people can read', () => {
    for (const message of [
      'Content-Type: multipart/mixed; boundary=x\n\nno parts\n',
      'Content-Type: multipart/mixed\n\nno parts\n',
      'Content-Type: multipart/mixed; boundary=""\n\nno parts\n',
    ]) {
      expect(bodyOf(message)).toBe('("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 10 1)');
    }
  });

  test('a digest holds messages (RFC 2046 §5.1.5)', () => {
    const read = readStructure(scan(crlf('Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: one\n\nbody\n--x--\n')).info.body, false);
    expect(read.parts[0]).toMatchObject({ type: 'MESSAGE', subtype: 'RFC822', envelope: { subject: 'one' } });
  });

  test('an encoded message is shown, and not looked into (RFC 2046 §5.2.1)', () => {
    const { info, part } = scan(crlf('Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n'));
    expect(part.kind).toBe('leaf');
    expect(readStructure(info.structure, true)).toMatchObject({ type: 'MESSAGE', encoding: 'BASE64', envelope: { subject: null }, octets: 18 });
  });

  test('RFC 2231 §6: continuations are joined, extended values stay encoded', () => {
    expect(bodyOf(`Content-Type: application/x; title*0="a b"; title*1=c; name*0*=utf-8''%C3%A9; name*1=" x"\n\n`)).toContain(
      '("TITLE" "a bc" "NAME*" "utf-8\'\'%C3%A9%20x")',
    );
  });

  test('what is too long is shown with less detail, never torn', () => {
    const part = (i: number): string => `--x\nContent-Type: text/plain; name="${'n'.repeat(300)}${i}"\nContent-Description: ${'d'.repeat(500)}\n\n${i}\n`;
    const message = crlf(`Content-Type: multipart/mixed; boundary=x\n\n${Array.from({ length: 900 }, (_, i) => part(i)).join('')}--x--\n`);
    const { info } = scan(message);
    expect(info.structure.length).toBeLessThanOrEqual(limits.structure);
    expect(readStructure(info.structure, true).parts).toHaveLength(900);
  });
});

describe('the scantest structure of the worst messages fits', () => {
  const slashes = '\\\\'.repeat(60);
  for (const [name, header] of [
    ['types and encodings that need quoting', `Content-Type: ${slashes}/${slashes}; ${slashes}="${slashes}"\nContent-Transfer-Encoding: ${slashes}`],
    [
      'literals',
      `Content-Type: text/\xe9${'\xe9'.repeat(60)}; \xe9${'\xe9'.repeat(60)}="${'\xe9'.repeat(80)}"\nContent-Transfer-Encoding: ${'\xe9'.repeat(60)}`,
    ],
    ['encoded messages', `Content-Type: message/rfc822; ${slashes}="${slashes}"\nContent-Transfer-Encoding: base64\nContent-ID: ${slashes}`],
    ['messages', `Content-Type: message/rfc822; ${slashes}="${slashes}"\nContent-ID: ${slashes}\n\nSubject: ${slashes}\nFrom: ${slashes}@${slashes}\n`],
    ['dispositions', `Content-Disposition: ${slashes}; ${slashes}="${slashes}"\nContent-Location: ${slashes}\nContent-Language: ${slashes}, ${slashes}`],
  ] as const) {
    test(name, () => {
      const message = `Content-Type: multipart/mixed; boundary=b\n\n${`--b\n${header}\n\nx\n`.repeat(limits.mimeParts)}`;
      const { info } = scan(Buffer.from(message, 'latin1'));
      expect(readStructure(info.structure, true).parts.length).toBeGreaterThan(400);
      for (const octets of [info.structure, info.body, info.parts]) expect(octets.length).toBeLessThanOrEqual(limits.structure);
    });
  }
});

describe('delimiters (RFC 2046 §5.1.1)', () => {
  const shapeOf = (message: string): string => {
    const bytes = crlf(message);
    const show = (part: Scanned['part']): string =>
      part.kind === 'leaf' ? JSON.stringify(text(bytes.subarray(part.bodyFrom, part.bodyTo))) : `${part.kind}(${part.children.map(show).join(' ')})`;
    return show(scan(bytes).part);
  };
  const mixed = (boundary: string): string => `Content-Type: multipart/mixed; boundary="${boundary}"\n\n`;

  test('an inner multipart may have the boundary of the outer one', () => {
    expect(shapeOf(`${mixed('b')}--b\n${mixed('b')}--b\n\n1\n--b--\n--b\n\n2\n--b--\n--b\n\n3\n`)).toBe('multipart(multipart("1") "2")');
  });
  test('an outer delimiter ends all inside it', () => {
    expect(shapeOf(`${mixed('a')}--a\n${mixed('b')}--b\n${mixed('c')}--c\n\n1\n--a\n\n2\n--b\n--a--\n`)).toBe(
      'multipart(multipart(multipart("1")) "2\\r\\n--b")',
    );
  });
  test('one that begins like another', () => {
    expect(shapeOf(`${mixed('a')}--a\n${mixed('ab')}--ab\n\n1\n--ab--\n--abc\n--a\n\n2\n--a-\n--a-- \t\n`)).toBe('multipart(multipart("1") "2\\r\\n--a-")');
  });
  test('white space and text after it', () => {
    expect(shapeOf(`${mixed('a b')}--a b  \n\n1\n--a\n--a b--`)).toBe('multipart("1\\r\\n--a")');
    expect(shapeOf(`${mixed('a')}--a and more\n\n1\n--a-- and more\n--a\n\n2\n`)).toBe('multipart("1")');
  });
  test('without an end, in a header, at the end', () => {
    expect(shapeOf(`${mixed('a')}--a\n\n1\n`)).toBe('multipart("1\\r\\n")');
    expect(shapeOf(`${mixed('a')}--a\nContent-Type: message/rfc822\n--a\nSubject: x\n--a\n\n2\n--a`)).toBe('multipart(message("") "" "2")');
    expect(shapeOf(`${mixed('a')}--a--\n`)).toBe('"--a--\\r\\n"');
  });
  test('LF alone ends a line, CR alone does not', () => {
    const bytes = Buffer.from('Content-Type: multipart/mixed; boundary=a\n\n--a\n\n1\r--a\r2\n--a--\n');
    const child = scan(bytes).part.children[0];
    expect(child && text(bytes.subarray(child.bodyFrom, child.bodyTo))).toBe('1\r--a\r2');
  });
});

describe('sections (RFC 3501 §6.4.5)', () => {
  const bytes = crlf(nested);
  const { part: root } = scan(bytes);
  const body = (...path: number[]): string | undefined => {
    const part = findPart(root, path);
    return part && text(bytes.subarray(part.bodyFrom, part.bodyTo)).replaceAll('\r\n', '\n');
  };
  test('numbers', () => {
    expect(body(1)).toBe('Hello\nWorld\n');
    expect(body(2)).toMatch(/^Subject: inner\n[\s\S]*--inner--$/);
    expect(body(2, 1)).toBe('plain');
    expect(body(2, 2)).toBe('<p>=C3=A9</p>');
    expect(body(3, 1)).toBe('one\ntwo');
    expect(body(4)).toBeUndefined();
    expect(body(1, 1)).toBeUndefined();
    expect(body(3, 2)).toBeUndefined();
    expect(body(3, 1, 1)).toBeUndefined();
    expect(body(0)).toBeUndefined();
  });

  test('HEADER, TEXT and MIME of an enclosed message', () => {
    const part = findPart(root, [3]);
    const inner = part && enclosedMessage(root, part);
    expect(inner && text(bytes.subarray(inner.headerFrom, inner.bodyFrom))).toBe('Subject: simple\r\n\r\n');
    expect(part && text(bytes.subarray(part.headerFrom, part.bodyFrom))).toBe('Content-Type: message/rfc822\r\n\r\n');
    expect(enclosedMessage(root, root)).toBe(root);
  });

  test('1 of a message that is no multipart is its body', () => {
    const single = scan(crlf('Subject: x\n\nbody\n')).part;
    expect(findPart(single, [1])).toBe(single);
    expect(findPart(single, [2])).toBeUndefined();
    expect(findPart(single, [1, 1])).toBeUndefined();
    const forwarded = scan(crlf('Content-Type: message/rfc822\n\nSubject: x\n\nbody\n')).part;
    expect(findPart(forwarded, [1])).toBe(forwarded);
    expect(findPart(forwarded, [1, 1])).toBe(forwarded.children[0]);
  });

  test('packed and unpacked it is the same', () => {
    expect(unpackParts(packParts(root))).toEqual(root);
    expect(packParts(root).length).toBeLessThan(400);
  });
});

describe('threading keys (RFC 5256)', () => {
  const info = (header: string): Scanned['info'] => scan(crlf(`${header}\n\n`)).info;
  test('ids', () => {
    expect(info('Message-ID: <a@b>\nReferences: <r1@x>\n <r2@x> <r1@x>\nIn-Reply-To: <i@x>')).toMatchObject({ messageId: 'a@b', references: ['r1@x', 'r2@x'] });
    expect(info('In-Reply-To: your message <i@x> <j@x>').references).toEqual(['i@x']);
    expect(info(`References: ${Array.from({ length: 150 }, (_, i) => `<${i}@x>`).join('\n ')}`).references).toHaveLength(100);
    expect(info(`References: ${Array.from({ length: 150 }, (_, i) => `<${i}@x>`).join('\n ')}`).references.at(-1)).toBe('149@x');
  });
  test('base subject (§2.1)', () => {
    for (const [subject, base] of [
      ['Re: hello', 'hello'],
      ['Fwd: [list] Re: [x] RE:  hello   world (fwd)', 'hello world'],
      ['[blob]', '[blob]'],
      ['[a] [b]', '[b]'],
      ['[fwd: Re: inner]', 'inner'],
      ['re[2]: x', 'x'],
      ['=?utf-8?q?Re=3A_=C3=A9t=C3=A9?=', 'été'],
      ['Re:', ''],
      ['(fwd)', ''],
      ['Reply to me', 'Reply to me'],
    ] as const) {
      expect(info(`Subject: ${subject}`).subject, subject).toBe(base);
    }
  });
  test('sent date', () => {
    expect(info('Date: Fri, 21 Nov 1997 09:55:06 -0600').sentDate).toBe(Date.UTC(1997, 10, 21, 15, 55, 6));
    expect(info('Date: yesterday').sentDate).toBeNull();
    expect(info('X: y').sentDate).toBeNull();
  });
});

/** Milliseconds that `run` takes. */
function timed(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

function inChunks(bytes: Uint8Array, size: number): Scanned {
  const scanner = new Scanner();
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size));
  return scanner.finish();
}

describe('hostile messages take linear time', () => {
  const level = (i: number): string => `Content-Type: multipart/mixed; boundary="b${i}"\n\n--b${i}\n`;
  const hostile: readonly (readonly [string, () => Buffer])[] = [
    ['10,000 nested multiparts', () => crlf(Array.from({ length: 10_000 }, (_, i) => level(i)).join(''))],
    ['10,000 nested messages', () => crlf('Content-Type: message/rfc822\n\n'.repeat(10_000))],
    [
      'boundaries that begin alike',
      () =>
        crlf(
          Array.from({ length: 300 }, (_, i) => `Content-Type: multipart/mixed; boundary="${'b'.repeat(900 - i)}"\n\n--${'b'.repeat(900 - i)}\n`).join('') +
            `--${'b'.repeat(950)}\n`.repeat(10_000),
        ),
    ],
    ['a header of 10 MB', () => crlf(`Subject: x\n${'X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n'.repeat(240_000)}\nbody\n`)],
    ['one header line of 10 MB', () => Buffer.concat([Buffer.from('Subject: '), Buffer.alloc(10_000_000, 'a'), Buffer.from('\r\n\r\nbody')])],
    ['a To of 1 MB of opened things', () => crlf(`To: ${'<"(:,'.repeat(200_000)}\n\n`)],
    ['a To of 1 MB of angles', () => crlf(`To: ${'<,'.repeat(250_000)}${'(('.repeat(200_000)}\n\n`)],
    ['a Content-Type of 1 MB', () => crlf(`Content-Type: text/plain; ${'a*0*="x\\;('.repeat(90_000)}\n\n`)],
    ['a Content-Type of 1 MB of white space', () => crlf(`Content-Type: ${'a '.repeat(200_000)}; ${' ='.repeat(200_000)}\n\n`)],
    ['a Subject of 1 MB', () => crlf(`Subject: ${'[re:'.repeat(125_000)}${'=?a?q?'.repeat(80_000)}\nReferences: ${'<'.repeat(50_000)}\n\n`)],
    ['a Content-Location of 1 MB', () => crlf(`Content-Location: ${' ('.repeat(400_000)}\nDate: ${'('.repeat(100_000)}\n\n`)],
    ['1 million delimiters', () => crlf(`Content-Type: multipart/mixed; boundary=b\n\n${'--b\n'.repeat(1_000_000)}`)],
    ['1 million lines like delimiters', () => crlf(`Content-Type: multipart/mixed; boundary=b\n\n--b\n\n${'--c\n'.repeat(1_000_000)}`)],
    ['20 MB without a line ending', () => Buffer.concat([crlf('Content-Type: multipart/mixed; boundary=b\n\n--b\n\n'), Buffer.alloc(20_000_000, '-')])],
    ['10 MB of LF', () => Buffer.concat([crlf('Content-Type: multipart/mixed; boundary=b\n\n--b\n\n'), Buffer.alloc(10_000_000, '\n')])],
    ['20 MB of CR', () => Buffer.concat([crlf('Content-Type: multipart/mixed; boundary=b\n\n--b\n\n'), Buffer.alloc(20_000_000, '\r')])],
    ['8 MB of headers of small parts', () => crlf(`Content-Type: multipart/mixed; boundary=b\n\n${`--b\nX: ${'y'.repeat(8_000)}\n\nz\n`.repeat(1_000)}`)],
  ];
  for (const [name, make] of hostile) {
    test(name, () => {
      const bytes = make();
      let whole: Scanned | undefined;
      // A quadratic way would take minutes; slow machines and busy ones get their time.
      expect(timed(() => void (whole = scan(bytes)))).toBeLessThan(10_000);
      expect(whole?.size).toBe(bytes.length);
      readEnvelope(whole?.info.envelope as Uint8Array);
      readStructure(whole?.info.structure as Uint8Array, true);
      readStructure(whole?.info.body as Uint8Array, false);
      expect(inChunks(bytes, 16_000)).toEqual(whole);
    });
  }

  test('lines around the longest delimiter, in pieces', () => {
    for (const length of [990, 998, 1_000, 1_001, 1_018, 1_022, 1_023, 1_024, 5_000]) {
      const boundary = 'b'.repeat(length);
      const bytes = crlf(`Content-Type: multipart/mixed; boundary=${boundary}\n\n--${boundary}\n\n1\n--${boundary}--\n`);
      expect(scan(bytes).part.kind, `${length}`).toBe(length <= 1_000 ? 'multipart' : 'leaf');
      for (const size of [1, 500, 1_023]) expect(inChunks(bytes, size)).toEqual(scan(bytes));
    }
  });

  test('limits.header: of all headers together, so much is read', () => {
    const wide = scan(crlf(`Content-Type: multipart/mixed; boundary=b\n\n${`--b\nX: ${'y'.repeat(8_000)}\nContent-Type: image/png\n\nz\n`.repeat(900)}`)).part;
    expect(wide.children).toHaveLength(900);
    const read = wide.children.filter((child) => child.type === 'image').length;
    expect(read).toBeGreaterThan(120);
    expect(read * 8_000).toBeLessThanOrEqual(limits.header);
  });

  test('limits of depth and parts: the rest is one opaque leaf', () => {
    let deep = scan(crlf(Array.from({ length: 10_000 }, (_, i) => level(i)).join(''))).part;
    let depth = 1;
    for (; deep.children[0]; depth++) deep = deep.children[0];
    expect(depth).toBe(limits.mimeDepth);
    const wide = scan(crlf(`Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(5_000)}--b--\n`)).part;
    expect(wide.children).toHaveLength(limits.mimeParts - 1);
    expect(wide.children.at(-1)).toMatchObject({ type: 'application', subtype: 'octet-stream', bodyTo: wide.bodyTo });
  });
});
