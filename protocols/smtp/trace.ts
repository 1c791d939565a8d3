// What a server must know of a message's header before it writes its own fields on top (RFC 5321 §4.4). Pure functions.

import { isAscii } from 'node:buffer';
import type { TlsState } from '../../actors/world.ts';
import { octetsOf } from '../mime/charset.ts';

export interface HeaderFacts {
  /** Received fields (RFC 5321 §6.3). */
  readonly hops: number;
  readonly hasDate: boolean;
  readonly hasMessageId: boolean;
  /** The first line is a field, or the header is empty: fields may be put before it. */
  readonly startsWell: boolean;
  readonly ascii: boolean;
}

const watched = /^(?:(received)|(date)|message-id)[ \t]*:/gim;

/** Looks through a header block (with or without its empty line). */
export function examineHeader(header: Uint8Array): HeaderFacts {
  const text = octetsOf(header);
  let hops = 0;
  let hasDate = false;
  let hasMessageId = false;
  for (const found of text.matchAll(watched)) {
    if (found[1] !== undefined) hops++;
    else if (found[2] !== undefined) hasDate = true;
    else hasMessageId = true;
  }
  const startsWell = text === '' || text.startsWith('\r\n') || /^[!-9;-~]+[ \t]*:/.test(text);
  return { hops, hasDate, hasMessageId, startsWell, ascii: isAscii(header) };
}

/** The protocol names of RFC 3848 and RFC 6531 §4.3, with what TLS it was in a comment (RFC 5322 §3.2.2). */
export function withProtocol(extended: boolean, tls: TlsState | null, authenticated: boolean, smtputf8: boolean): string {
  if (!extended) return 'SMTP';
  const name = `${smtputf8 ? 'UTF8SMTP' : 'ESMTP'}${tls ? 'S' : ''}${authenticated ? 'A' : ''}`;
  return tls ? `${name} (${word(tls.protocol)} ${word(tls.cipher)})` : name;
}

const word = (text: string): string => text.replace(/[^A-Za-z0-9_.-]/g, '');

/** Where the header of a message ends, its empty line included; -1: not yet. The octets before `searched` have been looked at. */
export function headerEnd(bytes: Uint8Array, searched: number): number {
  if (bytes[0] === 13 && bytes[1] === 10) return 2;
  const at = Buffer.prototype.indexOf.call(bytes, emptyLine, Math.max(0, searched - 3));
  return at < 0 ? -1 : at + 4;
}
const emptyLine = Buffer.from('\r\n\r\n');
