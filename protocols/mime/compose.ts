// Messages of our own: dates, ids, trace lines, and letters in lines of at most 76 octets of US-ASCII. Guarantees: what
// comes in as text can never end a header field; the same input gives the same octets.

import type { World } from '../../actors/world.ts';

/** RFC 5322 §3.3, always in UTC: `Thu, 01 Jan 2026 00:00:00 +0000`. */
export const formatDate = (ms: number): string => new Date(ms).toUTCString().replace('GMT', '+0000');

/** A Message-ID with its angle brackets (RFC 5322 §3.6.4): 96 random bits and the time. */
export const messageId = (world: World, host: string): string => `<${world.now().toString(36)}.${Buffer.from(world.random(12)).toString('hex')}@${host}>`;

/** What a trace line tells of a transaction. */
export interface Trace {
  /** As the client gave it. */
  readonly helo: string;
  /** Of the client; the name its address resolves to, or empty. */
  readonly address: string;
  readonly name: string;
  /** Our host. */
  readonly by: string;
  /** RFC 3848: ESMTP, ESMTPS, ESMTPSA …, and RFC 6531's UTF8SMTP forms. */
  readonly protocol: string;
  readonly id: string;
  /** Only of a transaction with one recipient, lest it tells of others (RFC 5321 §7.6); else null. */
  readonly recipient: string | null;
  readonly at: number;
}

/** A client's word inside a header field: no line ending, no white space, no comment, bounded. */
const safe = (text: string, max: number): string => text.replace(/[^\x21-\x7e\u{a1}-\u{10ffff}]|[();<>"\\]/gu, '').slice(0, max);

/** RFC 5321 §4.1.3. */
const addressLiteral = (address: string): string => (address.includes(':') ? `[IPv6:${address}]` : `[${address}]`);

/** The Received field of RFC 5321 §4.4, with its line ending. */
export function received(trace: Trace): string {
  const client = `${trace.name === '' ? '' : `${safe(trace.name, 255)} `}${addressLiteral(safe(trace.address, 64))}`;
  const recipient = trace.recipient === null ? '' : `\r\n\tfor <${safe(trace.recipient, 320)}>`;
  return `Received: from ${safe(trace.helo, 255) || 'unknown'} (${client})\r\n\tby ${safe(trace.by, 255)} with ${trace.protocol} id ${safe(trace.id, 64)}${recipient};\r\n\t${formatDate(trace.at)}\r\n`;
}

const isAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);
const lineMax = 76;

/**
 * Unstructured text as a header value of US-ASCII, folded to 76 octets; `used` octets of the first line are the field's
 * name. Encoded-words (RFC 2047) where there is anything else than printable US-ASCII, or something that looks like one.
 */
export function encodeHeader(text: string, used = 0): string {
  const plain = text.replace(/[\r\n\t]+/g, ' ');
  if (isAscii(plain) && !plain.includes('=?')) return fold(plain, used);
  let out = '';
  let line = used;
  for (const word of encodedWords(plain)) {
    if (out !== '') {
      out += line + 1 + word.length > lineMax ? '\r\n ' : ' ';
      line = out.endsWith('\n ') ? 1 : line + 1;
    }
    out += word;
    line += word.length;
  }
  return out;
}

/** RFC 2047 §2: each at most 75 octets, and never half a character in one (§5). */
function encodedWords(text: string): string[] {
  const words: string[] = [];
  let octets: number[] = [];
  const flush = (): void => {
    if (octets.length > 0) words.push(`=?utf-8?B?${Buffer.from(octets).toString('base64')}?=`);
    octets = [];
  };
  for (const character of text) {
    const more = Buffer.from(character);
    // 42 octets are 56 characters of base64; with the frame 68, so that `Subject: ` fits before the first one.
    if (octets.length + more.length > 42) flush();
    octets.push(...more);
  }
  flush();
  return words;
}

/** Folds at spaces (RFC 5322 §2.2.3). A word longer than a line stays whole, up to 980 octets (§2.1.1: 998 with its name). */
function fold(text: string, used: number): string {
  let out = '';
  let line = used;
  for (const [i, word] of text.split(' ').entries()) {
    const broken = i > 0 && word !== '' && line + 1 + word.length > lineMax;
    if (i > 0) out += broken ? '\r\n ' : ' ';
    out += word;
    line = (broken ? 0 : line) + (i > 0 ? 1 : 0) + word.length;
  }
  return out.replace(/[^\r\n]{980}/g, '$&\r\n ');
}

export interface Person {
  readonly name: string;
  readonly address: string;
}

/** `Name <address>` (RFC 5322 §3.4), the name quoted or encoded where it must be. */
export function person({ name, address }: Person): string {
  if (name === '') return `<${address}>`;
  const plain = name.replace(/[\r\n\t]+/g, ' ');
  if (!isAscii(plain) || plain.includes('=?')) return `${encodeHeader(plain, lineMax)} <${address}>`.trimStart();
  return /^[\w!#$%&'*+/=?^`{|}~ -]*$/.test(plain) ? `${plain} <${address}>` : `"${plain.replace(/["\\]/g, '\\$&')}" <${address}>`;
}

/** One body part: its MIME fields and its encoded octets. */
export interface Body {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly octets: Uint8Array;
}

/** A text part (RFC 2046 §4.1) in lines of CRLF, under the encoding that keeps it most readable. */
export function textBody(text: string, subtype = 'plain'): Body {
  const lines = text.replace(/\r\n|\r|\n/g, '\r\n');
  const octets = Buffer.from(lines.endsWith('\r\n') ? lines : `${lines}\r\n`);
  const type = (charset: string): readonly [string, string] => ['Content-Type', `text/${subtype}; charset=${charset}`];
  const encoding = (name: string): readonly [string, string] => ['Content-Transfer-Encoding', name];
  const eightBit = octets.reduce((n, c) => n + (c > 126 || (c < 32 && c !== 13 && c !== 10 && c !== 9) ? 1 : 0), 0);
  if (eightBit === 0 && !/[^\r\n]{79}|(?:^|\n)(?:From |\.)/.test(octets.toString('latin1'))) return { fields: [type('us-ascii'), encoding('7bit')], octets };
  if (eightBit * 6 > octets.length) return { fields: [type('utf-8'), encoding('base64')], octets: base64(octets) };
  return { fields: [type('utf-8'), encoding('quoted-printable')], octets: quotedPrintable(octets) };
}

/** Any octets as an attachment (RFC 2183). */
export function attachment(octets: Uint8Array, type: string, filename: string): Body {
  const name = filename.replace(/[^\x20-\x7e]|["\\]/g, '_');
  return {
    fields: [
      ['Content-Type', `${type}; name="${name}"`],
      ['Content-Disposition', `attachment; filename="${name}"`],
      ['Content-Transfer-Encoding', 'base64'],
    ],
    octets: base64(octets),
  };
}

/** RFC 2046 §5.1. `boundary` must be in none of the parts: `=_` never stands in an encoded one. */
export function multipartBody(subtype: string, boundary: string, parts: readonly Body[]): Body {
  const octets: Uint8Array[] = [];
  for (const part of parts) octets.push(Buffer.from(`--${boundary}\r\n${fieldLines(part.fields)}\r\n`), part.octets, Buffer.from('\r\n'));
  octets.push(Buffer.from(`--${boundary}--\r\n`));
  return { fields: [['Content-Type', `multipart/${subtype}; boundary="${boundary}"`]], octets: Buffer.concat(octets) };
}

const fieldLines = (fields: Body['fields']): string => fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');

export interface Letter {
  readonly from: Person;
  readonly to: readonly Person[];
  readonly subject: string;
  /** ms since the epoch */
  readonly date: number;
  /** With its angle brackets. */
  readonly messageId: string;
  /** Further fields, their values ready to stand in a header. */
  readonly fields?: readonly (readonly [name: string, value: string])[];
  readonly body: Body;
}

/** A whole message (RFC 5322 §3.6). */
export function composeMessage(letter: Letter): Uint8Array {
  const header = fieldLines([
    ['Date', formatDate(letter.date)],
    ['From', person(letter.from)],
    ['To', letter.to.map(person).join(',\r\n ')],
    ['Subject', encodeHeader(letter.subject, 'Subject: '.length)],
    ['Message-ID', letter.messageId],
    ...(letter.fields ?? []),
    ['MIME-Version', '1.0'],
    ...letter.body.fields,
  ]);
  return Buffer.concat([Buffer.from(`${header}\r\n`), letter.body.octets]);
}

/** RFC 2045 §6.8, in lines of 76. */
export const base64 = (octets: Uint8Array): Buffer =>
  Buffer.from(
    Buffer.from(octets.buffer, octets.byteOffset, octets.length)
      .toString('base64')
      .replace(/.{1,76}/g, '$&\r\n'),
  );

/** RFC 2045 §6.7 for text with CRLF line endings. `From ` and `.` at the start of a line are hidden from old mailers. */
export function quotedPrintable(octets: Uint8Array): Buffer {
  let out = '';
  for (const line of Buffer.from(octets).toString('latin1').split('\r\n')) {
    const encoded = line.replace(/[^\x20-\x3c\x3e-\x7e\t]|^\.|^F(?=rom )/g, hex).replace(/[ \t]$/, hex);
    let at = 0;
    while (encoded.length - at > 76) {
      // A soft break must not cut an `=XX`.
      const cut = encoded.lastIndexOf('=', at + 74);
      const to = cut > at + 72 ? cut : at + 75;
      out += `${encoded.slice(at, to)}=\r\n`;
      at = to;
    }
    out += `${encoded.slice(at)}\r\n`;
  }
  return Buffer.from(out.slice(0, -2));
}

const hex = (c: string): string => `=${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
