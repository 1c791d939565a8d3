// AUTH (RFC 4954) and STARTTLS (RFC 3207). Guarantees: no password is asked for on a connection that anyone can read; nothing
// said before a TLS handshake counts after it.

import { limits } from '../../actors/limits.ts';
import { octetsOf } from '../mime/charset.ts';
import { authenticate } from '../sasl/authenticate.ts';
import { type Credentials, decodeBase64, type Exchange, isExchange, type MechanismName, mechanismOf } from '../sasl/mechanism.ts';
import type { Conversation } from './conversation.ts';

/** AUTH mechanism [initial-response]. */
export async function auth(s: Conversation, argument: string): Promise<string | null> {
  // RFC 4954 §4: once, and never within a transaction
  if (s.account !== null) return '503 5.5.1 You have logged in already';
  if (s.transaction !== null) return '503 5.5.1 Not within a mail transaction';
  const [name = '', initial, ...more] = argument.split(/[ \t]+/);
  const mechanism = mechanismOf(name);
  if (!mechanism) return '504 5.5.4 There is no such mechanism here';
  if (more.length > 0) return '501 5.5.4 Syntax: AUTH mechanism [initial-response]';
  const credentials = await exchange(s, mechanism.start, initial);
  return typeof credentials === 'string' || credentials === null ? credentials : logIn(s, mechanism.name, credentials);
}

/** Challenges and responses up to the credentials; a reply when they do not come to that, null when the session is over. */
async function exchange(s: Conversation, start: Exchange, initial: string | undefined): Promise<Credentials | string | null> {
  let turn = start;
  for (let given = initial; ; given = undefined) {
    // RFC 4954 §4: "=" is an empty initial response
    const text = given === '=' ? '' : (given ?? (await response(s, turn.challenge)));
    if (text === null) return null;
    if (text === '*') return '501 5.7.0 Authentication cancelled';
    if (text.length > limits.smtpAuthLine) return '500 5.5.6 The line is too long';
    const bytes = decodeBase64(text);
    if (bytes === null) return '501 5.5.2 That is not base64';
    const next = turn.next(bytes);
    if (next === null) return '501 5.5.2 That is not what the mechanism says';
    if (!isExchange(next)) return next;
    turn = next;
  }
}

/** What the client says to a challenge. A line that is none is one which cannot be base64. */
async function response(s: Conversation, challenge: string): Promise<string | null> {
  s.reply(`334 ${Buffer.from(challenge).toString('base64')}`);
  await s.flush();
  const line = await s.reader.line(limits.smtpAuthLine, limits.smtpCommandTimeoutMs);
  if (line.kind === 'line') return line.ending === 'crlf' ? octetsOf(line.bytes) : '\n';
  if (line.kind === 'tooLong') return ' '.repeat(limits.smtpAuthLine + 1);
  s.closing = true;
  if (line.kind === 'timeout') s.limit('smtpCommandTimeoutMs', '4.4.2', 'Nothing said for too long');
  return null;
}

const failures = {
  credentials: '535 5.7.8 The login or the password is wrong',
  throttled: '454 4.7.0 Too many failed logins: try again later',
  unavailable: '454 4.7.0 Logins cannot be checked now: try again later',
} as const;

async function logIn(s: Conversation, mechanism: MechanismName, { login, password, authzid }: Credentials): Promise<string | null> {
  const { site, connection } = s;
  const { remote } = connection;
  // RFC 4616 §2: nobody may act as somebody else here
  const itself = authzid === '' || authzid.toLowerCase() === login.toLowerCase();
  const result = itself
    ? await authenticate(site, { protocol: 'smtp', remote, login, password, mechanism, tls: connection.tls !== null })
    : ({ ok: false, reason: 'credentials' } as const);
  if (result.ok) {
    s.account = { account: result.account, address: result.address };
    s.errors = 0;
    return '235 2.7.0 Welcome';
  }
  if (++s.authTries < limits.smtpAuthTries) return failures[result.reason];
  s.reply(failures[result.reason]);
  s.limit('smtpAuthTries', '4.7.0', 'Too many failed logins');
  return null;
}

/** STARTTLS. On failure the connection is gone. */
export async function startTls(s: Conversation): Promise<null> {
  const { connection, site } = s;
  s.reply('220 2.0.0 Ready to start TLS');
  await s.flush();
  // RFC 3207 §4.2: what was pipelined behind STARTTLS was said by anyone, and what is known of the client is forgotten
  s.reader.drop();
  s.reset();
  s.greeting = null;
  s.account = null;
  try {
    await connection.secureServer();
  } catch (error) {
    site.world.log('tls.failed', { remote: connection.remote.address, error: error instanceof Error ? error.message : String(error) });
    connection.destroy();
    s.closing = true;
  }
  return null;
}
