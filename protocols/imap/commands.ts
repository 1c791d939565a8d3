// Every IMAP command is one row: what the server knows of it stands here, and CAPABILITY is computed from the rows. A new
// command is a row, a handler and a dialog test.

import { limits } from '../../actors/limits.ts';
import { append } from './commands/append.ts';
import { authenticateCommand, login, parseAuthenticate, parseLogin, startTls } from './commands/login.ts';
import { copy, move, parseCopy } from './commands/copy.ts';
import { fetch } from './commands/fetch.ts';
import { idle } from './commands/idle.ts';
import { list, lsub, parseList, parseLsub, xlist } from './commands/list.ts';
import { create, deleteMailbox, namespace, parseCreate, parseMailbox, parseRename, rename, subscribe, unsubscribe } from './commands/mailbox.ts';
import { parseSearch, search } from './commands/search.ts';
import { check, close, examine, expunge, parseExpunge, parseSelect, select, unselect } from './commands/select.ts';
import { capability, enable, id, logout, noop, parseEnable, parseId } from './commands/session.ts';
import { parseStatus, status } from './commands/status.ts';
import { parseStore, store } from './commands/store.ts';
import type { Announced, Parser } from './grammar.ts';
import { parseFetch } from './items.ts';
import { parseAppend } from './receive.ts';
import type { Reply } from './reply.ts';
import type { ImapSession, Phase } from './session.ts';

export interface Call {
  readonly tag: string;
  readonly uid: boolean;
  /** The message of APPEND, announced and not yet read. */
  readonly literal: Announced | null;
}

export interface CommandRow<A> {
  readonly rfc: string;
  /** Where it may be said. `authenticated`: also with a mailbox selected. */
  readonly phase: 'any' | Exclude<Phase, 'over'>;
  /** What the row adds to CAPABILITY. */
  readonly capability?: readonly string[];
  /** Is there a UID form of it (RFC 3501 §6.4.8)? */
  readonly uid: 'never' | 'also';
  /** Does it name messages by number, so that EXPUNGE must not be sent while it runs (RFC 3501 §7.4.1)? `none`: nothing is told. */
  readonly sequence: 'none' | 'names' | 'breaks';
  /** May it be said again when nobody can tell whether it was done? */
  readonly repeatable: boolean;
  parse(p: Parser, uid: boolean): A;
  /** null: everything was said, or the session is over. */
  run(s: ImapSession, args: A, call: Call): Promise<Reply | null>;
}
export interface Command extends CommandRow<unknown> {
  readonly verb: string;
}

const nothing = (): null => null;
const row = <A>(r: CommandRow<A>): CommandRow<unknown> => r as CommandRow<unknown>;
const any = { phase: 'any', uid: 'never', sequence: 'breaks', repeatable: true } as const;
const early = { phase: 'unauthenticated', uid: 'never', sequence: 'none', repeatable: true } as const;
const logged = { phase: 'authenticated', uid: 'never', sequence: 'breaks', repeatable: true } as const;
const chosen = { phase: 'selected', uid: 'never', sequence: 'breaks', repeatable: true } as const;
const once = { repeatable: false } as const;

const commands: Readonly<Record<string, CommandRow<unknown>>> = {
  CAPABILITY: row({ ...any, rfc: 'RFC 3501 §6.1.1', parse: nothing, run: capability, capability: ['IMAP4rev1', 'LITERAL+'] }),
  NOOP: row({ ...any, rfc: 'RFC 3501 §6.1.2', parse: nothing, run: noop }),
  LOGOUT: row({ ...any, rfc: 'RFC 3501 §6.1.3', parse: nothing, run: logout, sequence: 'none' }),
  ID: row({ ...any, rfc: 'RFC 2971 §3.1', parse: parseId, run: id, capability: ['ID'] }),

  STARTTLS: row({ ...early, rfc: 'RFC 3501 §6.2.1', parse: nothing, run: startTls }),
  AUTHENTICATE: row({ ...early, rfc: 'RFC 3501 §6.2.2, RFC 4959', parse: parseAuthenticate, run: authenticateCommand, capability: ['SASL-IR'] }),
  LOGIN: row({ ...early, rfc: 'RFC 3501 §6.2.3', parse: parseLogin, run: login }),

  ENABLE: row({ ...logged, rfc: 'RFC 5161 §3.1', parse: parseEnable, run: enable, capability: ['ENABLE'] }),
  SELECT: row({ ...logged, rfc: 'RFC 3501 §6.3.1', parse: parseSelect, run: select, sequence: 'none', capability: ['CONDSTORE'] }),
  EXAMINE: row({ ...logged, rfc: 'RFC 3501 §6.3.2', parse: parseSelect, run: examine, sequence: 'none' }),
  CREATE: row({ ...logged, ...once, rfc: 'RFC 3501 §6.3.3, RFC 6154 §3', parse: parseCreate, run: create, capability: ['CREATE-SPECIAL-USE'] }),
  DELETE: row({ ...logged, ...once, rfc: 'RFC 3501 §6.3.4', parse: parseMailbox, run: deleteMailbox }),
  RENAME: row({ ...logged, ...once, rfc: 'RFC 3501 §6.3.5', parse: parseRename, run: rename }),
  SUBSCRIBE: row({ ...logged, rfc: 'RFC 3501 §6.3.6', parse: parseMailbox, run: subscribe }),
  UNSUBSCRIBE: row({ ...logged, rfc: 'RFC 3501 §6.3.7', parse: parseMailbox, run: unsubscribe }),
  LIST: row({
    ...logged,
    rfc: 'RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154',
    parse: parseList,
    run: list,
    capability: ['CHILDREN', 'SPECIAL-USE', 'LIST-EXTENDED', 'LIST-STATUS'],
  }),
  LSUB: row({ ...logged, rfc: 'RFC 3501 §6.3.9', parse: parseLsub, run: lsub }),
  XLIST: row({ ...logged, rfc: 'Gmail XLIST, before RFC 6154', parse: parseLsub, run: xlist }),
  NAMESPACE: row({ ...logged, rfc: 'RFC 2342 §5', parse: nothing, run: namespace, capability: ['NAMESPACE'] }),
  STATUS: row({ ...logged, rfc: 'RFC 3501 §6.3.10, RFC 8438', parse: parseStatus, run: status, capability: ['STATUS=SIZE'] }),
  APPEND: row({
    ...logged,
    ...once,
    rfc: 'RFC 3501 §6.3.11, RFC 4315 §3, RFC 7889',
    parse: parseAppend,
    run: append,
    capability: ['UIDPLUS', `APPENDLIMIT=${limits.message}`],
  }),
  IDLE: row({ ...logged, rfc: 'RFC 2177', parse: nothing, run: idle, capability: ['IDLE'] }),

  CHECK: row({ ...chosen, rfc: 'RFC 3501 §6.4.1', parse: nothing, run: check }),
  CLOSE: row({ ...chosen, rfc: 'RFC 3501 §6.4.2', parse: nothing, run: close, sequence: 'none' }),
  UNSELECT: row({ ...chosen, rfc: 'RFC 3691', parse: nothing, run: unselect, sequence: 'none', capability: ['UNSELECT'] }),
  EXPUNGE: row({ ...chosen, rfc: 'RFC 3501 §6.4.3, RFC 4315 §2.1', uid: 'also', parse: parseExpunge, run: expunge }),
  SEARCH: row({
    ...chosen,
    rfc: 'RFC 3501 §6.4.4, RFC 4731, RFC 5032',
    uid: 'also',
    sequence: 'names',
    parse: parseSearch,
    run: search,
    capability: ['ESEARCH', 'WITHIN'],
  }),
  FETCH: row({ ...chosen, rfc: 'RFC 3501 §6.4.5, RFC 7162 §3.1.4', uid: 'also', sequence: 'names', parse: parseFetch, run: fetch }),
  STORE: row({ ...chosen, rfc: 'RFC 3501 §6.4.6, RFC 7162 §3.1.3', uid: 'also', sequence: 'names', parse: parseStore, run: store }),
  COPY: row({ ...chosen, ...once, rfc: 'RFC 3501 §6.4.7', uid: 'also', parse: parseCopy, run: copy }),
  MOVE: row({ ...chosen, ...once, rfc: 'RFC 6851', uid: 'also', parse: parseCopy, run: move, capability: ['MOVE'] }),
};

/** The rows by verb, in capitals. */
export const rows: ReadonlyMap<string, Command> = new Map(Object.entries(commands).map(([verb, r]) => [verb, { ...r, verb }]));

const always = [...rows.values()].filter((r) => r.phase === 'any' || r.phase === 'unauthenticated').flatMap((r) => r.capability ?? []);
const later = [...rows.values()].flatMap((r) => (r.phase === 'unauthenticated' ? [] : (r.capability ?? [])));

/** CAPABILITY, as far as it goes for this session now. */
export function capabilityText(s: ImapSession): string {
  if (s.phase !== 'unauthenticated') return later.join(' ');
  const out = [...always];
  // RFC 3501 §6.2.1: not once TLS is there
  if (s.connection.tls === null) out.push('STARTTLS');
  if (s.mayLogIn) out.push('AUTH=PLAIN', 'AUTH=LOGIN');
  else out.push('LOGINDISABLED');
  return out.join(' ');
}
