// Mailbox names: modified UTF-7 on the wire (RFC 3501 §5.1.3), Unicode inside. Guarantees: pure; `encodeName` of what
// `decodeName` gave names the same mailbox; patterns match in time bounded by name × pattern.

import { limits } from '../../actors/limits.ts';

/** Levels of the hierarchy are divided by this (RFC 3501 §5.1.1). */
export const delimiter = '/';

/** Unicode of a name as a client writes it. What is no modified UTF-7 stands for itself. */
export function decodeName(wire: string): string {
  if (!wire.includes('&')) return wire;
  let out = '';
  for (let at = 0; at < wire.length; ) {
    const from = wire.indexOf('&', at);
    if (from < 0) return out + wire.slice(at);
    out += wire.slice(at, from);
    const to = wire.indexOf('-', from);
    const shifted = to < 0 ? null : to === from + 1 ? '&' : decodeShifted(wire.slice(from + 1, to));
    // An unencoded `&` (some clients) is an ampersand
    out += shifted ?? '&';
    at = shifted === null ? from + 1 : to + 1;
  }
  return out;
}

function decodeShifted(base64: string): string | null {
  if (!/^[A-Za-z0-9+,]+$/.test(base64)) return null;
  const bytes = Buffer.from(base64.replaceAll(',', '/'), 'base64');
  if (bytes.length < 2 || bytes.length % 2 !== 0) return null;
  const out = bytes.swap16().toString('utf16le');
  return out.isWellFormed() ? out : null;
}

/** A name as it goes over the wire. */
export function encodeName(name: string): string {
  return name.replace(/&|[^\x20-\x7e]+/g, (run) =>
    run === '&' ? '&-' : `&${Buffer.from(run, 'utf16le').swap16().toString('base64').replace(/=+$/, '').replaceAll('/', ',')}-`,
  );
}

/** The name inside: INBOX in any case, also as the first level; without a superfluous trailing delimiter. */
export function canonicalName(wire: string): string {
  let name = decodeName(wire);
  if (name.length > 1 && name.endsWith(delimiter)) name = name.slice(0, -1);
  return /^inbox(\/|$)/i.test(name) ? `INBOX${name.slice(5)}` : name;
}

/** Why a mailbox cannot have this name, or null. */
export function badName(name: string): string | null {
  if (name === '') return 'A mailbox name is not empty';
  if (Buffer.byteLength(name) > limits.mailboxName) return 'The mailbox name is too long';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (/[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029]/.test(name) || !name.isWellFormed()) return 'Control characters in a mailbox name';
  if (/[%*]/.test(name)) return 'Wildcards in a mailbox name';
  const levels = name.split(delimiter);
  if (levels.length > limits.mailboxDepth) return 'The hierarchy is too deep';
  return levels.includes('') ? 'A level of the hierarchy has no name' : null;
}

/** Does a list pattern match? `*` any characters, `%` any but the delimiter (RFC 3501 §6.3.8). INBOX in any case. */
export function matches(pattern: string, name: string): boolean {
  if (name === 'INBOX' || name.startsWith(`INBOX${delimiter}`)) {
    return matchFrom(/^inbox(?![^/%*])/i.test(pattern) ? `INBOX${pattern.slice(5)}` : pattern, name);
  }
  return matchFrom(pattern, name);
}

/** Sets of positions instead of back-tracking: a hostile pattern costs name × pattern and no more. */
function matchFrom(pattern: string, name: string): boolean {
  let live = new Uint8Array(name.length + 1);
  live[0] = 1;
  for (const p of pattern) {
    const after = new Uint8Array(name.length + 1);
    let any = false;
    if (p === '*' || p === '%') {
      let open = false;
      for (let i = 0; i <= name.length; i++) {
        if (i > 0 && p === '%' && name[i - 1] === delimiter) open = false;
        if (live[i] === 1) open = true;
        if (open) any = (after[i] = 1) === 1;
      }
    } else {
      for (let i = 0; i < name.length; i++) {
        if (live[i] === 1 && name.startsWith(p, i)) any = (after[i + p.length] = 1) === 1;
      }
    }
    if (!any) return false;
    live = after;
  }
  return live[name.length] === 1;
}

/** All superior names, nearest to the root first: a/b/c gives a, a/b. */
export function superiors(name: string): string[] {
  const out: string[] = [];
  for (let at = name.indexOf(delimiter); at >= 0; at = name.indexOf(delimiter, at + 1)) out.push(name.slice(0, at));
  return out;
}
