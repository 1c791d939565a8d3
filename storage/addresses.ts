// One spelling per address: what is stored and what is looked up are normalized by the same functions, so that two
// spellings of one mailbox never become two. Domains are A-labels in lower case (RFC 5891 §4.4), local parts are
// NFC in lower case (RFC 6532 §3.1; RFC 5321 §2.4 leaves case to the receiving host, and this host folds it).

import { domainToASCII } from 'node:url';
import type { Endpoint } from '../actors/world.ts';

const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** A domain as A-labels in lower case without a final dot, or null when it is not a host name. IP literals are not domains. */
export function normalizeDomain(text: string): string | null {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text;
  if (bare.length === 0 || bare.length > 1000 || /[\s/@:?#[\]%\\]/.test(bare)) return null;
  const ascii = isAscii(bare) ? bare.toLowerCase() : domainToASCII(bare).toLowerCase();
  if (ascii.length === 0 || ascii.length > 253) return null;
  const labels = ascii.split('.');
  if (!labels.every((l) => label.test(l))) return null;
  return /^[0-9]+$/.test(labels.at(-1) ?? '') ? null : ascii;
}

// RFC 5321 §4.1.2 Dot-string over atext, with RFC 6531 §3.3 UTF-8. Quoted local parts are received (the SMTP grammar
// strips quotes that change nothing) but cannot be declared.
const dotString = /^[\p{L}\p{M}\p{N}!#$%&'*+\-/=?^_`{|}~]+(\.[\p{L}\p{M}\p{N}!#$%&'*+\-/=?^_`{|}~]+)*$/u;

/** A local part in its one spelling, or null when it is not a Dot-string of at most 64 octets (RFC 5321 §4.5.3.1.1). */
function normalizeLocalPart(text: string): string | null {
  const folded = text.normalize('NFC').toLowerCase();
  return dotString.test(folded) && Buffer.byteLength(folded) <= 64 ? folded : null;
}

/** `local@domain` in its one spelling, or null when it is not an address that can be declared. */
export function normalizeAddress(text: string): string | null {
  const at = text.lastIndexOf('@');
  if (at < 1) return null;
  const local = normalizeLocalPart(text.slice(0, at));
  const domain = normalizeDomain(text.slice(at + 1));
  return local === null || domain === null ? null : `${local}@${domain}`;
}

export const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);
export const localPartOf = (address: string): string => address.slice(0, address.lastIndexOf('@'));

/** `1.2.3.4`, `1.2.3.4:53`, `2001:db8::1` or `[2001:db8::1]:53`, or null when it is none of these. */
export function parseEndpoint(text: string, defaultPort: number): Endpoint | null {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::([0-9]{1,5}))?$/.exec(text);
  const plain = bracketed ?? /^([0-9.]+)(?::([0-9]{1,5}))?$/.exec(text) ?? /^([0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/.exec(text);
  if (!plain) return null;
  const address = (plain[1] ?? '').toLowerCase();
  const port = plain[2] === undefined ? defaultPort : Number(plain[2]);
  return isIpAddress(address) && port > 0 && port < 65_536 ? { address, port } : null;
}

/** The inverse of `parseEndpoint`, port always said. */
export const formatEndpoint = (e: Endpoint): string => (e.address.includes(':') ? `[${e.address}]:${e.port}` : `${e.address}:${e.port}`);

/** An IPv4 or IPv6 literal without brackets or zone. */
export function isIpAddress(text: string): boolean {
  const octets = text.split('.');
  if (octets.length === 4) return octets.every((o) => /^(0|[1-9][0-9]{0,2})$/.test(o) && Number(o) < 256);
  return text.includes(':') && URL.canParse(`http://[${text}]/`);
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}
