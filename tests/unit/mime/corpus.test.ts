// Real and malformed messages against the structures that other parsers gave (see SOURCES.md of the corpus). What we
// see otherwise stands in a table with its reason; a row that agrees after all fails too.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Part } from '../../../protocols/mime/parts.ts';
import { scan } from '../../../protocols/mime/scanner.ts';
import { readEnvelope, readStructure, type Structure } from '../../fuzz/mime/grammar.ts';

const corpus = '../shared/corpus';
const present = existsSync(corpus);
const unless = present ? '' : ' (skipped: ../shared/corpus is not here)';

const octets = (path: string): Buffer => readFileSync(`${corpus}/${path}`);
const files = (path: string, ending: string): string[] => readdirSync(`${corpus}/${path}`).filter((name) => name.endsWith(ending));

/** Structure and offsets in one line: kind[header,body,end](children). */
const layout = (p: Part): string =>
  `${p.kind}[${p.headerFrom},${p.bodyFrom},${p.bodyTo}]${p.children.length > 0 ? `(${p.children.map(layout).join(' ')})` : ''}`;
const shape = (p: Part): string => (p.kind === 'leaf' ? 'leaf' : `${p.kind}(${p.children.map(shape).join(' ')})`);

interface TheirMessage {
  readonly parts: readonly {
    readonly body: { readonly Multipart?: readonly number[]; readonly Message?: TheirMessage };
    readonly offset_header: number;
    readonly offset_body: number;
    readonly offset_end: number;
  }[];
}

function theirLayout(message: TheirMessage, n: number): string {
  const part = message.parts[n] as TheirMessage['parts'][number];
  const at = `[${part.offset_header},${part.offset_body},${part.offset_end}]`;
  const { Multipart, Message } = part.body;
  if (Multipart) return `multipart${at}${Multipart.length > 0 ? `(${Multipart.map((m) => theirLayout(message, m)).join(' ')})` : ''}`;
  return Message ? `message${at}(${theirLayout(Message, 0)})` : `leaf${at}`;
}

const mailParserDiffers: Readonly<Record<string, string>> = {
  'rfc/008': 'a message/rfc822 under base64 (RFC 2046 §5.2.1 forbids it) is not looked into',
  'malformed/000': 'parts without an empty line after their header are parts, with empty bodies',
  'malformed/001': 'the outer delimiter ends the inner multipart, also when it begins like the inner one',
  'malformed/004': 'a line that only begins with the delimiter is none; without parts a multipart is text',
  'malformed/007': 'a header ends at its empty line, or at the delimiter of an open multipart, not at one it declares itself',
  'malformed/008': 'the outer delimiter ends the inner multipart, also when it begins like the inner one',
  'malformed/009': 'an outer delimiter ends inner multiparts that were never closed',
  'malformed/011': 'an outer delimiter ends inner multiparts that were never closed',
  'malformed/012': 'an outer delimiter ends inner multiparts that were never closed',
  'malformed/016': 'boundaries longer than 70 octets that begin alike are told apart',
  'malformed/019': 'what follows the last part belongs to a multipart that was not closed',
  'malformed/020': 'a multipart whose header runs into its first part keeps its other parts',
  'malformed/021': 'a multipart whose header runs into its first part keeps its other parts',
  'malformed/022': 'what says message/rfc822 is a message, though its header is none',
  'thirdparty/005': '`x--1--` within a line is no delimiter: the last part goes to the end',
  'thirdparty/015': 'an outer delimiter ends an enclosed message whose header has no end',
};

describe('mail-parser: structure and offsets', () => {
  for (const folder of ['rfc', 'malformed', 'thirdparty']) {
    const path = `mail-parser/resources/eml/${folder}`;
    test.skipIf(!present)(`${folder}, with LF and with CRLF${unless}`, () => {
      for (const file of files(path, '.eml')) {
        for (const [ending, json] of [
          ['\n', '.json'],
          ['\r\n', '.crlf.json'],
        ] as const) {
          const bytes = Buffer.from(octets(`${path}/${file}`).toString('latin1').replace(/\r\n/g, '\n').replaceAll('\n', ending), 'latin1');
          const name = `${folder}/${file.slice(0, -4)}`;
          const expected = theirLayout(JSON.parse(octets(`${path}/${file.replace('.eml', json)}`).toString()) as TheirMessage, 0);
          const ours = layout(scan(bytes).part);
          if (mailParserDiffers[name] === undefined) expect(ours, name).toBe(expected);
          else expect(ours, `${name} agrees, strike its row`).not.toBe(expected);
        }
      }
    });
  }
});

const mime4jDiffers: Readonly<Record<string, string>> = {
  'missing-inner-start-boundary': 'a multipart without parts is text, so that people can read it',
  'missing-inner-boundary': 'a multipart without parts is text, so that people can read it',
  'missing-boundary': 'a multipart without parts is text, so that people can read it',
  multipartnopart: 'a multipart without parts is text, so that people can read it',
  badbound: 'a multipart without parts is text, so that people can read it',
  'weird-boundary': 'white space at the end of a delimiter does not matter (RFC 2046 §5.1.1), also when the boundary ends in some',
  'very-long-boundary': 'white space at the end of a delimiter does not matter (RFC 2046 §5.1.1), also when the boundary ends in some',
  'very-very-long-boundary': 'a boundary of more than 1,000 octets is none (RFC 2046 §5.1.1 allows 70)',
  'base64encoded-rfc822message': 'a message/rfc822 under an encoding (RFC 2046 §5.2.1 forbids it) is not looked into',
  'base64encoded-rfc822message-nested': 'a message/rfc822 under an encoding (RFC 2046 §5.2.1 forbids it) is not looked into',
  'bad-newlines-multiple-parts-base64': 'a message/rfc822 under an encoding (RFC 2046 §5.2.1 forbids it) is not looked into',
  'multi-2gifs-base64': 'a message/rfc822 under an encoding (RFC 2046 §5.2.1 forbids it) is not looked into',
};

/** The structure in an expected X.xml: elements without their text. */
function xmlShape(xml: string): string {
  const tags = [...xml.replace(/<field>[\s\S]*?<\/field>/g, '').matchAll(/<\/?(?:message|multipart|body-part|body)\b/g)].map((m) => m[0].slice(1));
  let at = 1;
  const inside = (): string => {
    const tag = tags[at++];
    let out = 'leaf';
    if (tag === 'multipart') {
      const parts: string[] = [];
      for (; tags[at] === 'body-part'; at++) {
        at++;
        parts.push(inside());
      }
      out = `multipart(${parts.join(' ')})`;
    } else if (tag === 'message') out = `message(${inside()})`;
    at++;
    return out;
  };
  return inside();
}

describe('mime4j: structure', () => {
  for (const folder of ['testmsgs', 'mimetools-testmsgs']) {
    test.skipIf(!present)(`${folder}${unless}`, () => {
      const path = `mime4j/core/src/test/resources/${folder}`;
      for (const file of files(path, '.msg')) {
        const name = file.slice(0, -4);
        const expected = xmlShape(octets(`${path}/${name}.xml`).toString('latin1'));
        const ours = shape(scan(octets(`${path}/${file}`)).part);
        if (mime4jDiffers[name] === undefined) expect(ours, name).toBe(expected);
        else expect(ours, `${name} agrees, strike its row`).not.toBe(expected);
      }
    });
  }
});

/** Each APPENDed message of a script, and what FETCH (BODY BODYSTRUCTURE) must say of it. */
function* scripted(script: string): Generator<{ message: Buffer; expected: string }> {
  const lines = script.split('\n');
  const messages: Buffer[] = [];
  for (let i = 0; i < lines.length; i++) {
    const size = /^C: .*APPEND.*\{(\d+)\+?\}$/.exec(lines[i] as string)?.[1];
    if (size === undefined) continue;
    const text: string[] = [];
    for (let k = i + 1; lines[k]?.startsWith('C:') || lines[k]?.startsWith('S: +'); k++) {
      if (lines[k]?.startsWith('C:')) text.push((lines[k] as string).slice(3));
    }
    messages.push(Buffer.from(`${text.join('\r\n')}\r\n`, 'latin1').subarray(0, Number(size)));
  }
  for (const line of lines) {
    const found = /^S: \\\* (\d+) FETCH \\\(BODY \\\((.*)\\\)$/.exec(line);
    const message = messages[Number(found?.[1]) - 1];
    if (found && message) yield { message, expected: `BODY (${(found[2] as string).replace(/\\(.)/g, '$1')}` };
  }
}

/** Case and the order of parameters do not matter. */
const canonical = (structure: Structure): unknown =>
  JSON.parse(JSON.stringify(structure).toLowerCase(), (key, value) => (key === 'params' && value !== null ? [...value].sort() : value));

describe('James: BODY and BODYSTRUCTURE', () => {
  const path = 'james/mpt/impl/imap-mailbox/core/src/main/resources/org/apache/james/imap/scripts';
  for (const script of ['FetchStructureEmbedded', 'FetchMultipartBodyStructure', 'FetchSimpleBodyStructure', 'FetchStructureComplex']) {
    test.skipIf(!present)(`${script}${unless}`, () => {
      let seen = 0;
      for (const { message, expected } of scripted(octets(`${path}/${script}.test`).toString('latin1'))) {
        const { body, structure } = scan(message).info;
        const [theirBody, theirStructure] = expected.slice('BODY '.length).split(' BODYSTRUCTURE ') as [string, string];
        expect(canonical(readStructure(body, false))).toEqual(canonical(readStructure(Buffer.from(theirBody, 'latin1'), false)));
        expect(canonical(readStructure(structure, true))).toEqual(canonical(readStructure(Buffer.from(theirStructure, 'latin1'), true)));
        seen++;
      }
      expect(seen).toBeGreaterThan(0);
    });
  }
});

describe('every message of the corpus', () => {
  const folders: readonly (readonly [string, string])[] = [
    ['cpython-email', '.txt'],
    ['mail-auth/resources/dkim2/emails', ''],
    ['mail-auth/resources/arf', '.eml'],
    ['mail-auth/resources/dkim', ''],
    ['james/mailbox/store/src/test/resources/eml', '.eml'],
    ['james/mpt/impl/imap-mailbox/core/src/main/resources/org/apache/james/imap/samples', ''],
  ];
  for (const [path, ending] of folders) {
    test.skipIf(!present)(`${path} renders by the grammar${unless}`, () => {
      const names = files(path, ending);
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        const { info } = scan(octets(`${path}/${name}`));
        readEnvelope(info.envelope);
        readStructure(info.structure, true);
        readStructure(info.body, false);
      }
    });
  }
});
