// What the load tells of itself, in the same trace as its writes: one JSON line each.
//
//   {"commit": n, "digest": d}   commit n is about to be given to the engine; with it the rows have that digest
//   {"begin": op, "touches": [fact, …]}   these facts may change from now on
//   {"done": op, "facts": {…}, "durable": n, "refused": null}   the answer has come: these facts are true now (null: it is gone), and commit n was durable
//
// A fact names a thing: `m/ACCOUNT/MAILBOX/UID` a message, `b/ACCOUNT/NAME` a mailbox, `q/QUEUE/N` a recipient in the queue,
// `s/ACCOUNT/NAME` a subscription, `auth/KEY` failed logins, `rev` the configuration. Nothing but its one worker changes it.

import type { Reader } from '../../../storage/engine.ts';
import { readPage } from '../../../storage/page.ts';
import { encodeKey, getRow, scanRows } from '../../../storage/rows.ts';
import { mailboxByName } from '../../../storage/views.ts';

export interface Message {
  readonly hash: string;
  readonly flags: number;
  readonly keywords: readonly string[];
}
export type Fact = Message | number | string | boolean | null;
export type Facts = Readonly<Record<string, Fact>>;
export type Mark =
  | { readonly commit: number; readonly digest: string }
  | { readonly begin: string; readonly touches: readonly string[] }
  | { readonly done: string; readonly facts: Facts; readonly durable: number; readonly refused: string | null };

/** Digest of one row; those of a store add up, so that a commit changes the sum by what it wrote. */
export function rowDigest(key: Uint8Array, value: Uint8Array): bigint {
  return Bun.hash.wyhash(value, Bun.hash.wyhash(key) as bigint) as bigint;
}
export const addDigest = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, a + b);

/** Digest of all rows. */
export function digestOf(reader: Reader): string {
  let sum = 0n;
  for (const [key, value] of reader.range(new Uint8Array(0), new Uint8Array(64).fill(255))) sum = addDigest(sum, rowDigest(key, value));
  return sum.toString(16);
}

/** What is known at one moment of the trace: all that was answered before it. */
export class Known {
  /** The newest commit that an answer was about. */
  private durable = 0;
  private readonly digests = new Map<number, Set<string>>();
  private readonly facts = new Map<string, Fact>();
  private readonly open = new Map<string, readonly string[]>();
  private readonly touched = new Map<string, number>();
  /** Operations answered. */
  answered = 0;

  take(mark: Mark): void {
    if ('commit' in mark) {
      const known = this.digests.get(mark.commit);
      if (known) known.add(mark.digest);
      else this.digests.set(mark.commit, new Set([mark.digest]));
    } else if ('begin' in mark) {
      this.open.set(mark.begin, mark.touches);
      for (const fact of mark.touches) this.touched.set(fact, (this.touched.get(fact) ?? 0) + 1);
    } else {
      this.answered++;
      this.durable = mark.durable;
      for (const fact of this.open.get(mark.done) ?? []) this.touched.set(fact, (this.touched.get(fact) ?? 0) - 1);
      this.open.delete(mark.done);
      for (const [fact, value] of Object.entries(mark.facts)) this.facts.set(fact, value);
    }
  }

  /** Before recovery: the rows are exactly those of a commit that had begun, and that is none older than what was answered. */
  wrongCommit(reader: Reader): string[] {
    const commit = getRow(reader, 'site', {})?.commit ?? 0;
    const wrong = commit < this.durable ? [`the site is at commit ${commit}, and ${this.durable} was answered`] : [];
    const digest = digestOf(reader);
    const right = commit === 0 ? digest === '0' : this.digests.get(commit)?.has(digest) === true;
    if (!right) wrong.push(`the rows are not those of commit ${commit}`);
    return wrong;
  }

  /** Facts that were answered, are not being changed, and do not hold. */
  missing(reader: Reader): string[] {
    const wrong: string[] = [];
    const mailboxes = new Map<string, Map<number, string>>();
    for (const [fact, value] of this.facts) {
      if ((this.touched.get(fact) ?? 0) > 0) continue;
      const found = JSON.stringify(stateOf(reader, fact, mailboxes));
      const wanted = JSON.stringify(value);
      if (found !== wanted) wrong.push(`${fact} is ${found}, and ${wanted} was answered`);
    }
    return wrong;
  }
}

function stateOf(reader: Reader, fact: string, mailboxes: Map<string, Map<number, string>>): Fact {
  const [kind, first = '', ...others] = fact.split('/');
  const rest = others.join('/');
  switch (kind) {
    case 'm': {
      const [mailbox = '', uid] = others;
      const name = `${first}/${mailbox}`;
      let messages = mailboxes.get(name);
      if (!messages) mailboxes.set(name, (messages = messagesOf(reader, Number(first), Number(mailbox))));
      const found = messages.get(Number(uid));
      return found === undefined ? null : (JSON.parse(found) as Message);
    }
    case 'b':
      return mailboxByName(reader, Number(first), rest)?.id ?? null;
    case 'q': {
      const row = getRow(reader, 'queueRecipient', { queue: Number(first), n: Number(rest) });
      return row ? `${row.address} ${row.attempts} ${row.lastCode}` : null;
    }
    case 's':
      return getRow(reader, 'subscription', { account: Number(first), name: rest }) !== undefined;
    case 'auth':
      return getRow(reader, 'authFailure', { key: first })?.count ?? 0;
    case 'rev':
      return getRow(reader, 'config', {})?.rev ?? 0;
    default:
      throw new Error(`no fact ${fact}`);
  }
}

function messagesOf(reader: Reader, account: number, mailbox: number): Map<number, string> {
  const found = new Map<number, string>();
  const row = getRow(reader, 'mailbox', { account, mailbox });
  if (!row) return found;
  for (const { row: page } of scanRows(reader, 'page', [mailbox])) {
    for (const e of readPage(page)) {
      const blob = getRow(reader, 'blob', { blob: e.blob });
      const whole = blob && reader.peek(encodeKey('chunk', { blob: e.blob, n: blob.chunks - 1 })) !== undefined;
      const hash = blob && whole ? Buffer.from(blob.hash).toString('hex').slice(0, 24) : 'no body';
      const keywords = row.keywords.filter((_, i) => Math.floor(e.keywords / 2 ** i) % 2 === 1).sort();
      found.set(e.uid, JSON.stringify({ hash, flags: e.flags, keywords } satisfies Message));
    }
  }
  return found;
}
