// The SMTP extensions we offer, one row each: the EHLO reply is computed from them, verbs (commands.ts) and parameters
// (parameters.ts) name theirs.

import { limits } from '../../actors/limits.ts';
import { mechanisms } from '../sasl/mechanism.ts';
import { mayTakePasswords } from '../sasl/origin.ts';
import type { Conversation } from './conversation.ts';

interface Extension {
  readonly rfc: string;
  /** After the keyword in the EHLO reply. */
  readonly argument?: string;
  /** Why it is not offered now, as a reply to who uses it all the same; null: it is offered. */
  readonly withheld?: (s: Conversation) => string | null;
}

export const extensions = {
  PIPELINING: { rfc: 'RFC 2920' },
  SIZE: { rfc: 'RFC 1870', argument: String(limits.message) },
  STARTTLS: { rfc: 'RFC 3207', withheld: (s) => (s.connection.tls === null ? null : '503 5.5.1 TLS is active already') },
  AUTH: { rfc: 'RFC 4954', argument: Object.keys(mechanisms).join(' '), withheld: withheldAuth },
  ENHANCEDSTATUSCODES: { rfc: 'RFC 2034' },
  '8BITMIME': { rfc: 'RFC 6152' },
  DSN: { rfc: 'RFC 3461' },
  SMTPUTF8: { rfc: 'RFC 6531' },
  CHUNKING: { rfc: 'RFC 3030' },
} as const satisfies Readonly<Record<string, Extension>>;
export type ExtensionName = keyof typeof extensions;
const rows: readonly (readonly [string, Extension])[] = Object.entries(extensions);

/** On port 25, too: clients that were set up twenty years ago submit there, and must not notice that their server moved. */
function withheldAuth(s: Conversation): string | null {
  // RFC 4954 §4: after STARTTLS it will be
  return mayTakePasswords(s.site, s.connection) ? null : '538 5.7.11 Encryption is required to log in: STARTTLS first';
}

/** Why `name` cannot be used now, or null. */
export function withheld(name: ExtensionName, s: Conversation): string | null {
  const row: Extension = extensions[name];
  return row.withheld?.(s) ?? null;
}

/** RFC 5321 §4.1.1.1: the reply to EHLO. */
export function ehloLines(s: Conversation): string {
  const offered = rows.filter(([, row]) => (row.withheld?.(s) ?? null) === null);
  const lines = [s.host, ...offered.map(([keyword, row]) => (row.argument === undefined ? keyword : `${keyword} ${row.argument}`))];
  return lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}`).join('\r\n');
}
