// SASL mechanisms (RFC 4422) as exchanges of octets: pure, the same for SMTP and IMAP. Each mechanism is one row.

import { limits } from '../../actors/limits.ts';

/** What a client claims. `authzid` empty: to act as oneself. */
export interface Credentials {
  readonly login: string;
  readonly password: string;
  readonly authzid: string;
}
/** The server's turn: `challenge` goes out (in base64), what comes back goes into `next`; null: it is not as it must be. */
export interface Exchange {
  readonly challenge: string;
  next(response: Uint8Array): Exchange | Credentials | null;
}
interface Mechanism {
  readonly rfc: string;
  readonly start: Exchange;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 without NUL, of at most `max` octets; null when it is not. */
function textOf(bytes: Uint8Array, max: number): string | null {
  if (bytes.length > max || bytes.includes(0)) return null;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}

/** RFC 4616 §2: [authzid] NUL authcid NUL passwd. */
export function parsePlain(message: Uint8Array): Credentials | null {
  const first = message.indexOf(0);
  const second = message.indexOf(0, first + 1);
  if (first < 0 || second < 0) return null;
  const authzid = textOf(message.subarray(0, first), 320);
  const login = textOf(message.subarray(first + 1, second), 320);
  const password = textOf(message.subarray(second + 1), limits.passwordOctets);
  if (authzid === null || !login || !password) return null;
  return { login, password, authzid };
}

const loginPassword = (login: string): Exchange => ({
  challenge: 'Password:',
  next(response) {
    const password = textOf(response, limits.passwordOctets);
    return password ? { login, password, authzid: '' } : null;
  },
});

export const mechanisms = {
  PLAIN: { rfc: 'RFC 4616', start: { challenge: '', next: parsePlain } },
  LOGIN: {
    rfc: 'draft-murchison-sasl-login',
    start: {
      challenge: 'Username:',
      next(response) {
        const login = textOf(response, 320);
        return login ? loginPassword(login) : null;
      },
    },
  },
} as const satisfies Readonly<Record<string, Mechanism>>;
export type MechanismName = keyof typeof mechanisms;

/** The row of a mechanism named in any case. */
export function mechanismOf(name: string): { readonly name: MechanismName; readonly start: Exchange } | undefined {
  const upper = name.toUpperCase();
  return upper === 'PLAIN' || upper === 'LOGIN' ? { name: upper, start: mechanisms[upper].start } : undefined;
}

export const isExchange = (value: Exchange | Credentials): value is Exchange => 'next' in value;

/** Strict base64 (RFC 4648 §3.5, §4): no other characters, whole groups, no stray bits; null when it is not. */
export function decodeBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
