// Mailbox names (RFC 3501 §5.1). Guarantees: a name has one spelling; components are not empty; `/` separates them.
// Names are Unicode here, in NFC as they come; modified UTF-7 is the protocol's affair.

import { limits } from '../actors/limits.ts';

export const separator = '/';

/** `inbox` and `inbox/child` in any case become INBOX and INBOX/child; every other name stays. */
export function inboxName(name: string): string {
  if (name.length < 5 || (name.length > 5 && name[5] !== separator)) return name;
  return name.slice(0, 5).toUpperCase() === 'INBOX' ? `INBOX${name.slice(5)}` : name;
}

/** The one spelling of a valid name, or null. */
export function normalizeName(name: string): string | null {
  if (name.length === 0 || name.length > limits.mailboxName || !name.isWellFormed()) return null;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(name)) return null;
  if (Buffer.byteLength(name) > limits.mailboxName) return null;
  const components = name.split(separator);
  if (components.length > limits.mailboxDepth || components.some((c) => c.length === 0)) return null;
  return inboxName(name);
}

/** `a/b/c` → `a`, `a/b`. */
export function parentsOf(name: string): string[] {
  const out: string[] = [];
  for (let at = name.indexOf(separator); at >= 0; at = name.indexOf(separator, at + 1)) out.push(name.slice(0, at));
  return out;
}

export const isBelow = (name: string, parent: string): boolean => name.startsWith(parent + separator);
