// What SEARCH asks for (RFC 3501 §6.4.4, RFC 4731, RFC 5032, RFC 7162 §3.1.5), parsed. Pure; never throws; depth and
// number of keys are limited.

import { limits } from '../../actors/limits.ts';
import { type Parser, type SequenceSet, textOf } from './grammar.ts';

export type Key =
  | { readonly is: 'all' }
  | { readonly is: 'set'; readonly set: SequenceSet; readonly uid: boolean }
  | { readonly is: 'flag'; readonly bit: number; readonly on: boolean }
  | { readonly is: 'recent' }
  | { readonly is: 'keyword'; readonly name: string; readonly on: boolean }
  /** Days since the epoch, of the internal date or of the Date header. */
  | { readonly is: 'date'; readonly sent: boolean; readonly compare: Compare; readonly day: number }
  | { readonly is: 'age'; readonly younger: boolean; readonly seconds: number }
  | { readonly is: 'size'; readonly larger: boolean; readonly octets: number }
  /** Field name and text in lower case. */
  | { readonly is: 'header'; readonly name: string; readonly text: string }
  | { readonly is: 'body'; readonly text: string; readonly headers: boolean }
  | { readonly is: 'modseq'; readonly from: number }
  | { readonly is: 'not'; readonly key: Key }
  | { readonly is: 'or'; readonly a: Key; readonly b: Key }
  | { readonly is: 'and'; readonly keys: readonly Key[] };
type Compare = 'before' | 'on' | 'since';

export const results = ['MIN', 'MAX', 'ALL', 'COUNT'] as const;
export type Result = (typeof results)[number];

export interface Search {
  readonly key: Key;
  /** null: the answer of RFC 3501. */
  readonly give: readonly Result[] | null;
  /** Not one that is known here (RFC 3501 §6.4.4: NO [BADCHARSET]). */
  readonly badCharset: boolean;
}

const DAY = 86_400_000;
const flags: Readonly<Record<string, Key>> = {
  ALL: { is: 'all' },
  ANSWERED: { is: 'flag', bit: 2, on: true },
  DELETED: { is: 'flag', bit: 8, on: true },
  DRAFT: { is: 'flag', bit: 16, on: true },
  FLAGGED: { is: 'flag', bit: 4, on: true },
  SEEN: { is: 'flag', bit: 1, on: true },
  UNANSWERED: { is: 'flag', bit: 2, on: false },
  UNDELETED: { is: 'flag', bit: 8, on: false },
  UNDRAFT: { is: 'flag', bit: 16, on: false },
  UNFLAGGED: { is: 'flag', bit: 4, on: false },
  UNSEEN: { is: 'flag', bit: 1, on: false },
  RECENT: { is: 'recent' },
  OLD: { is: 'not', key: { is: 'recent' } },
  NEW: { is: 'and', keys: [{ is: 'recent' }, { is: 'flag', bit: 1, on: false }] },
};
const fields: Readonly<Record<string, string>> = { BCC: 'bcc', CC: 'cc', FROM: 'from', SUBJECT: 'subject', TO: 'to' };
const dates: Readonly<Record<string, readonly [sent: boolean, compare: Compare]>> = {
  BEFORE: [false, 'before'],
  ON: [false, 'on'],
  SINCE: [false, 'since'],
  SENTBEFORE: [true, 'before'],
  SENTON: [true, 'on'],
  SENTSINCE: [true, 'since'],
};

/** [SP RETURN SP "(" … ")"] [SP CHARSET SP astring] 1*(SP search-key). */
export function parseProgram(p: Parser): Search {
  p.space();
  let give: Result[] | null = null;
  if (p.takeWord('RETURN')) {
    p.space();
    const wanted: Result[] = [];
    p.list(() => {
      const name = p.word();
      const found = results.find((r) => r === name);
      if (!found) p.fail('There is no such result option');
      else if (!wanted.includes(found)) wanted.push(found);
    }, true);
    // RFC 4731 §3.1: () is (ALL)
    give = wanted.length === 0 ? ['ALL'] : wanted;
    p.space();
  }
  let badCharset = false;
  if (p.takeWord('CHARSET')) {
    p.space();
    badCharset = !/^(?:utf-?8|us-ascii)$/i.test(textOf(p.astring()));
    p.space();
  }
  const counter = { keys: 0 };
  const keys: Key[] = [];
  do keys.push(parseKey(p, counter, 0));
  while (p.ok && takeSpace(p));
  return { key: keys.length === 1 ? (keys[0] as Key) : { is: 'and', keys }, give, badCharset };
}

function takeSpace(p: Parser): boolean {
  let taken = false;
  while (p.take(32)) taken = true;
  return taken && !p.ended && !p.next(41);
}

const all: Key = { is: 'all' };

function parseKey(p: Parser, counter: { keys: number }, depth: number): Key {
  if (++counter.keys > limits.searchKeys || depth > limits.searchDepth) {
    p.fail('The search is too complex');
    return all;
  }
  if (p.take(40)) {
    const keys: Key[] = [];
    takeSpace(p);
    do keys.push(parseKey(p, counter, depth + 1));
    while (p.ok && takeSpace(p));
    p.expect(41, 'Parenthesis');
    return { is: 'and', keys };
  }
  const c = p.bytes[p.at] ?? 0;
  if (c === 0x2a || (c >= 48 && c <= 57)) return { is: 'set', set: p.sequenceSet(), uid: false };
  return namedKey(p, p.word(), counter, depth);
}

function namedKey(p: Parser, name: string, counter: { keys: number }, depth: number): Key {
  const flag = flags[name];
  if (flag) return flag;
  if (!p.ok) return all;
  const field = fields[name];
  if (field !== undefined) return { is: 'header', name: field, text: searchText(p) };
  const date = dates[name];
  if (date) {
    p.space();
    return { is: 'date', sent: date[0], compare: date[1], day: Math.floor(p.date() / DAY) };
  }
  switch (name) {
    case 'UID':
      p.space();
      return { is: 'set', set: p.sequenceSet(), uid: true };
    case 'BODY':
    case 'TEXT':
      return { is: 'body', headers: name === 'TEXT', text: searchText(p) };
    case 'HEADER':
      return { is: 'header', name: searchText(p), text: searchText(p) };
    case 'KEYWORD':
    case 'UNKEYWORD':
      p.space();
      return { is: 'keyword', on: name === 'KEYWORD', name: p.atom().toLowerCase() };
    case 'LARGER':
    case 'SMALLER':
      p.space();
      return { is: 'size', larger: name === 'LARGER', octets: p.number() };
    case 'OLDER':
    case 'YOUNGER':
      // RFC 5032 §2.1
      p.space();
      return { is: 'age', younger: name === 'YOUNGER', seconds: p.number() };
    case 'MODSEQ':
      return modseqKey(p);
    case 'NOT':
      p.space();
      return { is: 'not', key: parseKey(p, counter, depth + 1) };
    case 'OR': {
      p.space();
      const a = parseKey(p, counter, depth + 1);
      p.space();
      return { is: 'or', a, b: parseKey(p, counter, depth + 1) };
    }
    default:
      p.fail('There is no such search key');
      return all;
  }
}

function searchText(p: Parser): string {
  p.space();
  return textOf(p.astring()).toLowerCase();
}

/** MODSEQ [SP entry-name SP entry-type] SP mod-sequence (RFC 7162 §3.1.5). Entries share one mod-sequence here. */
function modseqKey(p: Parser): Key {
  p.space();
  if (p.next(34)) {
    p.string();
    p.space();
    p.word();
    p.space();
  }
  return { is: 'modseq', from: p.modseq() };
}

/** What a key has to read: 0 the index, 1 the header, 2 the body. */
export function costOf(key: Key): number {
  if (key.is === 'and') return key.keys.reduce((most, k) => Math.max(most, costOf(k)), 0);
  if (key.is === 'not') return costOf(key.key);
  if (key.is === 'or') return Math.max(costOf(key.a), costOf(key.b));
  if (key.is === 'body') return 2;
  return key.is === 'header' || (key.is === 'date' && key.sent) ? 1 : 0;
}

/** Does the search name mod-sequences? Then it is a CONDSTORE enabling command, and the answer carries one. */
export function namesModseq(key: Key): boolean {
  if (key.is === 'and') return key.keys.some(namesModseq);
  if (key.is === 'or') return namesModseq(key.a) || namesModseq(key.b);
  return key.is === 'not' ? namesModseq(key.key) : key.is === 'modseq';
}
