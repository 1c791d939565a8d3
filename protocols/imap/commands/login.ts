// STARTTLS, LOGIN, AUTHENTICATE. Guarantees: no password is taken where anyone can read it; a wrong one costs the client
// time, and the session after a few; nothing said before a TLS handshake counts after it.

import { limits } from '../../../actors/limits.ts';
import { authenticate } from '../../sasl/authenticate.ts';
import { type Credentials, decodeBase64, type Exchange, isExchange, type MechanismName, mechanismOf } from '../../sasl/mechanism.ts';
import { type Parser, textOf } from '../grammar.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';

/** RFC 3501 §6.2.1. */
export async function startTls(s: ImapSession, _args: unknown, { tag }: { readonly tag: string }): Promise<Reply | null> {
  if (s.connection.tls !== null) return bad('TLS is there already');
  s.out.line(`${tag} OK Begin TLS`);
  s.out.flush();
  // RFC 7817, CVE-2011-0411: what was pipelined behind STARTTLS was said by anyone
  s.reader.drop();
  try {
    await s.connection.secureServer();
  } catch (error) {
    s.site.world.log('tls.failed', { remote: s.connection.remote.address, error: String(error) });
    s.phase = 'over';
    s.connection.destroy();
  }
  return null;
}

interface Login {
  readonly login: string;
  readonly password: string;
}

export function parseLogin(p: Parser): Login {
  p.space();
  const login = textOf(p.astring());
  p.space();
  return { login, password: textOf(p.astring()) };
}

const privacy = no('[PRIVACYREQUIRED] Use TLS to log in');

export async function login(s: ImapSession, { login, password }: Login): Promise<Reply | null> {
  // RFC 3501 §6.2.3: LOGINDISABLED was advertised
  if (!s.mayLogIn) return privacy;
  if (login.length > 320 || password.length > limits.passwordOctets) return bad('The login or the password is too long');
  return attempt(s, 'LOGIN', { login, password, authzid: '' });
}

interface Authenticate {
  readonly mechanism: string;
  /** In base64; null: none was given (RFC 4959). */
  readonly initial: string | null;
}

export function parseAuthenticate(p: Parser): Authenticate {
  p.space();
  // An atom, but some clients quote it
  const mechanism = textOf(p.astring()).toUpperCase();
  if (!p.next(32)) return { mechanism, initial: null };
  p.space();
  return { mechanism, initial: textOf(p.astring()) };
}

export async function authenticateCommand(s: ImapSession, { mechanism, initial }: Authenticate): Promise<Reply | null> {
  const row = mechanismOf(mechanism);
  if (!row) return no('[CANNOT] There is no such mechanism here');
  if (!s.mayLogIn) return privacy;
  const credentials = await exchange(s, row.start, initial);
  if (credentials === null || 'status' in credentials) return credentials;
  return attempt(s, row.name, credentials);
}

/** Challenges and responses, up to the credentials or to a reply. */
async function exchange(s: ImapSession, start: Exchange, initial: string | null): Promise<Credentials | Reply | null> {
  let turn = start;
  for (let given = initial; ; given = null) {
    // RFC 4959 §3: "=" is an empty initial response
    const text = given === '=' ? '' : (given ?? (await response(s, turn.challenge)));
    if (text === null) return null;
    if (text === '*') return bad('Authentication cancelled');
    const octets = decodeBase64(text);
    if (octets === null) return bad('That is not base64');
    const next = turn.next(octets);
    if (next === null) return bad('That is not what the mechanism says');
    if (!isExchange(next)) return next;
    turn = next;
  }
}

async function response(s: ImapSession, challenge: string): Promise<string | null> {
  s.out.line(`+ ${Buffer.from(challenge).toString('base64')}`);
  s.out.flush();
  const line = await s.reader.line(limits.imapLine, s.timeoutMs);
  if (line.kind === 'line') return textOf(line.bytes);
  if (line.kind === 'tooLong') return '?';
  if (line.kind === 'timeout') s.limit('imapLoginTimeoutMs', '[UNAVAILABLE] Nobody logged in');
  s.phase = 'over';
  return null;
}

const failures = {
  credentials: '[AUTHENTICATIONFAILED] The login or the password is wrong',
  throttled: '[LIMIT] Too many failed logins, try again later',
  unavailable: '[UNAVAILABLE] Logins cannot be checked now, try again later',
} as const;

async function attempt(s: ImapSession, mechanism: MechanismName, { login, password, authzid }: Credentials): Promise<Reply | null> {
  const { site, connection } = s;
  // RFC 4616 §2: nobody may act as somebody else here
  const itself = authzid === '' || authzid.toLowerCase() === login.toLowerCase();
  const result = itself
    ? await authenticate(site, { protocol: 'imap', remote: connection.remote, login, password, mechanism, tls: connection.tls !== null })
    : ({ ok: false, reason: 'credentials' } as const);
  if (result.ok) {
    s.account = result.account;
    s.address = result.address;
    s.phase = 'authenticated';
    s.errors = 0;
    return ok(`[CAPABILITY ${s.capabilities}] Logged in`);
  }
  s.authTries++;
  await site.world.sleep(limits.imapAuthDelayMs);
  if (s.authTries < limits.imapAuthTries) return no(failures[result.reason]);
  const reply = no(failures[result.reason]);
  s.limit('imapAuthTries', '[LIMIT] Too many failed logins');
  return reply;
}
