// The audit log of an organisation. Guarantees: an entry is written in the transaction of the change that it tells, or
// neither is; entries are never changed, and each holds the hash of the one before it, so that whoever holds a head can prove
// what came before; the newest head goes into each signed document of its sites (uplink/portal/want.ts).

import { ordered, type RecordOf } from '../kinds.ts';
import type { Records, Transaction } from '../records.ts';
import { canonical } from '../../canonical.ts';
import { hashOf } from './secret.ts';

export interface Entry {
  readonly at: number;
  /** Who, as people know them: an e-mail address, a token's name. */
  readonly actor: string;
  /** How they proved it. */
  readonly auth: string;
  readonly address: string;
  readonly action: string;
  readonly target: string;
  readonly detail: string;
  /** What was there before and after; kept as hashes. */
  readonly before?: unknown;
  readonly after?: unknown;
}

type Row = RecordOf<'audit'>;

const digest = (value: unknown): string => (value === undefined ? '' : hashOf(canonical(value)));
function hashOfRow({ hash: _, ...row }: Row): string {
  return hashOf(canonical(row));
}

/** Adds one entry. What reads the head in the same transaction sees it. */
export async function append(tx: Transaction, organisation: string, entry: Entry): Promise<void> {
  const head = (await tx.get('auditHead', organisation)) ?? { n: 0, hash: '' };
  const { before, after, ...told } = entry;
  const row: Row = { ...told, n: head.n + 1, prevHash: head.hash, beforeHash: digest(before), afterHash: digest(after), hash: '' };
  const hash = hashOfRow(row);
  tx.put('audit', [organisation, ordered(row.n)], { ...row, hash });
  tx.put('auditHead', [organisation], { n: row.n, hash });
}

export interface Proof {
  readonly ok: boolean;
  /** How many entries follow from one another. */
  readonly entries: number;
  /** The hash of the last of them. */
  readonly head: string;
  /** Why the next one does not. */
  readonly problem: string;
}

/** Walks the whole log, up to its head. */
export async function verify(records: Records, organisation: string): Promise<Proof> {
  const head = (await records.get('auditHead', organisation)) ?? { n: 0, hash: '' };
  let at = { n: 0, hash: '' };
  const proof = (problem: string): Proof => ({ ok: problem === '', entries: at.n, head: at.hash, problem });
  for await (const row of exportEntries(records, organisation)) {
    if (row.n !== at.n + 1) return proof(`entry ${at.n + 1} is missing`);
    if (row.prevHash !== at.hash) return proof(`entry ${row.n} does not follow from the one before it`);
    if (row.hash !== hashOfRow(row)) return proof(`entry ${row.n} was changed`);
    at = { n: row.n, hash: row.hash };
    if (at.n === head.n) break; // what came after the head was read is proved the next time
  }
  return proof(head.n === at.n && head.hash === at.hash ? '' : `entry ${at.n + 1} is missing: the head says ${head.n}`);
}

/** Every entry, oldest first. */
export async function* exportEntries(records: Records, organisation: string): AsyncGenerator<Row, void, undefined> {
  let after: readonly string[] | undefined;
  for (;;) {
    const page = await records.list('audit', [organisation], after === undefined ? {} : { after });
    for (const { body } of page) yield body;
    after = page.at(-1)?.id;
    if (after === undefined) return;
  }
}
