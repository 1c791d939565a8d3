// SMTP as text: command lines, paths, parameters (RFC 5321 §4.1.2, RFC 6531 §3.3, RFC 3461 §4). Pure functions: they
// answer for any octets and never throw. Who an address is, and what a parameter means here, is decided elsewhere.

import { isAscii } from 'node:buffer';
import { limits } from '../../actors/limits.ts';
import { octetsOf } from '../mime/charset.ts';

export interface CommandLine {
  /** In capitals. */
  readonly verb: string;
  /** What follows the verb and its spaces, without trailing white space. */
  readonly argument: string;
  /** No octet above 127. */
  readonly ascii: boolean;
}

/** A mailbox as a path names it. */
export interface Mailbox {
  /** Without quotes and escapes. */
  readonly local: string;
  /** A domain or an address literal with its brackets. */
  readonly domain: string;
  /** `local@domain`, quoted only where it must be. */
  readonly address: string;
}
/** `null` is the empty path `<>`. `rest`: what follows the `>`. */
export type Path = { readonly ok: true; readonly mailbox: Mailbox | null; readonly rest: string } | { readonly ok: false; readonly why: string };

export interface Parameter {
  /** In capitals. */
  readonly name: string;
  /** null: no `=`. */
  readonly value: string | null;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for (tab is white space)
const control = /[\x00-\x08\x0a-\x1f\x7f]/;

/** A command line without its CRLF. A string says why it is none: RFC 5321 §2.3.8 allows no bare CR or LF, §4.1.1 no NUL. */
export function parseCommandLine(bytes: Uint8Array): CommandLine | string {
  const ascii = isAscii(bytes);
  const text = decodeLine(bytes, ascii);
  if (text === null) return 'not valid UTF-8';
  if (control.test(text)) return 'control characters in a command';
  const space = text.search(/[ \t]/);
  if (space < 0) return { verb: text.toUpperCase(), argument: '', ascii };
  return { verb: text.slice(0, space).toUpperCase(), argument: text.slice(space + 1).trim(), ascii };
}

function decodeLine(bytes: Uint8Array, ascii: boolean): string | null {
  if (ascii) return octetsOf(bytes);
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}

// Letters above 127 are for SMTPUTF8 (RFC 6531 §3.3); the caller looks whether it was asked for.
const atext = "A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~\\u0080-\\uffff";
/** Dots where RFC 5321 has none are seen in the wild (`a..b@`, `a.@`): they pass, and name nobody here. */
const dotString = new RegExp(`[${atext}.]+`, 'y');
const plainLocal = new RegExp(`^[${atext}]+(?:\\.[${atext}]+)*$`);
const quotedString = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\uffff]|\\[\x20-\x7e])*)"/y;
const label = '[A-Za-z0-9_\\u0080-\\uffff](?:[A-Za-z0-9_\\-\\u0080-\\uffff]*[A-Za-z0-9_\\u0080-\\uffff])?';
const domainText = `${label}(?:\\.${label})*`;
// RFC 5321 §4.1.3: dcontent is visible ASCII but brackets and backslash
const literalText = '\\[[\\x21-\\x5a\\x5e-\\x7e]+\\]';
const domain = new RegExp(`(?:${domainText}|${literalText})`, 'y');
const sourceRoute = new RegExp(`@(?:${domainText}|${literalText})(?:,@(?:${domainText}|${literalText}))*:`, 'y');

/** What the sticky `pattern` matches at `at`, or null. */
function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** A path at the start of `text`: `<>`, `<local@domain>`, `<@route,@route:local@domain>`, and `<postmaster>`. */
export function parsePath(text: string): Path {
  if (text[0] !== '<') return bad('a path is written in angle brackets');
  if (text[1] === '>') return { ok: true, mailbox: null, rest: text.slice(2) };
  // RFC 5321 §4.1.1.3, appendix C: a source route is accepted and ignored
  let at = 1 + (matchAt(sourceRoute, text, 1)?.[0].length ?? 0);
  const quoted = text[at] === '"' ? matchAt(quotedString, text, at) : null;
  const found = quoted ?? matchAt(dotString, text, at);
  if (!found) return bad('the local part is not valid');
  const local = quoted ? (quoted[1] ?? '').replace(/\\(.)/g, '$1') : found[0];
  at += found[0].length;
  if (text[at] === '>') return bareLocal(local, text.slice(at + 1));
  if (text[at] !== '@') return bad('the local part is not valid');
  const host = matchAt(domain, text, at + 1)?.[0];
  if (host === undefined || text[at + 1 + host.length] !== '>') return bad('the domain is not valid');
  const rest = text.slice(at + 2 + host.length);
  const address = `${plainLocal.test(local) || !quoted ? local : quote(local)}@${host}`;
  // RFC 5321 §4.5.3.1: 64 octets of local part are too few for what mailing lists and forwarders make (VERP, SRS)
  if (host.length > 255 || Buffer.byteLength(address) > limits.smtpMailbox) return bad('the path is too long');
  return local === '' ? bad('the local part is empty') : { ok: true, mailbox: { local, domain: host, address }, rest };
}

/** RFC 5321 §4.1.1.3: `<postmaster>` needs no domain; nothing else does without. */
function bareLocal(local: string, rest: string): Path {
  if (local.toLowerCase() !== 'postmaster') return bad('the address has no domain');
  return { ok: true, mailbox: { local, domain: '', address: local }, rest };
}

const bad = (why: string): Path => ({ ok: false, why });
const quote = (local: string): string => `"${local.replace(/["\\]/g, '\\$&')}"`;

// RFC 5321 §4.1.2: esmtp-value has no "="; some clients send ENVID and AUTH with it, and nothing is ambiguous
const parameterText = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\s]+))?$/;

/** ` NAME=value NAME` after a path; null when it is not that, or names something twice. */
export function parseParameters(text: string): readonly Parameter[] | null {
  if (text === '') return none;
  if (text[0] !== ' ' && text[0] !== '\t') return null;
  const out: Parameter[] = [];
  for (const word of text.split(/[ \t]+/)) {
    if (word === '') continue;
    const found = parameterText.exec(word);
    const name = found?.[1]?.toUpperCase();
    if (name === undefined || out.some((p) => p.name === name)) return null;
    out.push({ name, value: found?.[2] ?? null });
  }
  return out;
}
const none: readonly Parameter[] = [];

/** RFC 3461 §4 xtext, its hexadecimal digits in capitals; null when it is not. UTF-8 only where RFC 6533 §3 allows it. */
export function parseXtext(text: string, utf8: boolean): string | null {
  if (!(utf8 ? /^(?:[!-*,-<>-~\u0080-\uffff]|\+[0-9A-Fa-f]{2}|\\x\{[0-9A-F]{2,6}\})*$/ : /^(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*$/).test(text)) return null;
  return text.replace(/\+[0-9a-f]{2}/gi, (hex) => hex.toUpperCase());
}

/** RFC 3461 §4.2 `addr-type;xtext`, at most 500 octets; null when it is not. */
export function parseOrcpt(text: string, utf8: boolean): string | null {
  const found = /^([A-Za-z0-9-]{1,60});(.+)$/.exec(text);
  const value = found ? parseXtext(found[2] ?? '', utf8 && found[1]?.toLowerCase() === 'utf-8') : null;
  return value === null || Buffer.byteLength(text) > 500 ? null : `${found?.[1]};${value}`;
}

/** The sizes in `BDAT 1000 LAST` (RFC 3030 §2); null when it is not that. */
export function parseBdat(argument: string): { readonly size: number; readonly last: boolean } | null {
  const found = /^([0-9]{1,15})(?:[ \t]+(LAST))?$/i.exec(argument);
  return found ? { size: Number(found[1]), last: found[2] !== undefined } : null;
}
