// CAPABILITY, NOOP, LOGOUT, ID, ENABLE.

import type { Parser } from '../grammar.ts';
import { ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';

export async function capability(s: ImapSession): Promise<Reply> {
  s.out.line(`* CAPABILITY ${s.capabilities}`);
  return ok('Capabilities told');
}

export const noop = async (): Promise<Reply> => ok('Done');

export async function logout(s: ImapSession): Promise<Reply> {
  s.bye('Logging out');
  return ok('Logged out');
}

/** RFC 2971 §3.1: at most 30 pairs; nothing is ever decided by them. */
export function parseId(p: Parser): null {
  p.space();
  if (p.takeWord('NIL')) return null;
  let strings = 0;
  p.list(() => {
    if (++strings % 2 === 1) p.string();
    else p.nstring();
  }, true);
  if (strings > 60) p.fail('Too many pairs');
  return null;
}

export async function id(s: ImapSession): Promise<Reply> {
  s.out.line('* ID ("name" "mailsite")');
  return ok('Pleased to meet you');
}

export function parseEnable(p: Parser): readonly string[] {
  const out: string[] = [];
  do {
    p.space();
    out.push(p.word());
  } while (p.ok && p.next(32));
  return out;
}

/** RFC 5161 §3.1: what is unknown is passed over. */
export async function enable(s: ImapSession, names: readonly string[]): Promise<Reply> {
  const enabled = names.includes('CONDSTORE') ? ' CONDSTORE' : '';
  if (enabled !== '') s.condstore = true;
  s.out.line(`* ENABLED${enabled}`);
  return ok('Enabled');
}
