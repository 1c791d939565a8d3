// Sessions of people. Guarantees: the secret of a session is new at each sign-in and at each change of what it may do, so that
// one that somebody planted or saw before is worth nothing; a session ends 14 days after its last use and 60 days after its
// start; only hashes are kept.

import { limits } from '../../../actors/limits.ts';
import type { World } from '../../../actors/world.ts';
import type { RecordOf } from '../kinds.ts';
import type { Records, Transaction } from '../records.ts';
import { hashOf, newSecret } from './secret.ts';

type Row = RecordOf<'session'>;
export interface Session {
  /** SHA-256 of its secret. */
  readonly id: string;
  readonly row: Row;
}

/** Where a session is from. */
export interface Origin {
  readonly address: string;
  readonly agent: string;
}

/** `auth`: by what, for the audit log. `strong`: with a second factor, or by what is two in one. */
export interface Came {
  readonly auth: 'password' | 'password and code' | 'passkey' | 'link' | 'setup link' | 'invitation';
  readonly strong: boolean;
}
/** Who came in by `auth` has proved themselves by `proof` since. */
export const provedSince = (auth: string | undefined, proof: string): string =>
  auth === undefined || auth === proof || auth.endsWith(`, then ${proof}`) ? (auth ?? proof) : `${auth}, then ${proof}`;

const lives = (row: Row, now: number): boolean => row.expiresAt > now && row.seenAt + limits.sessionIdleMs > now;

/** Starts one and returns its secret. The oldest makes room, when there are too many. */
export async function openSession(tx: Transaction, world: World, person: string, from: Origin, came: Came): Promise<string> {
  const now = world.now();
  const mine = await sessionsOf(tx, person);
  const excess = mine.sort((a, b) => a.row.seenAt - b.row.seenAt).slice(0, Math.max(0, mine.length + 1 - limits.sessionsPerPerson));
  for (const { id } of excess) endSession(tx, person, id);
  return write(tx, world, {
    person,
    createdAt: now,
    seenAt: now,
    expiresAt: now + limits.sessionMs,
    reauthAt: now,
    ...came,
    address: from.address,
    agent: from.agent.slice(0, 200),
  });
}

function write(tx: Transaction, world: World, row: Row): string {
  const secret = newSecret(world);
  tx.put('session', [hashOf(secret)], row);
  tx.put('sessionOf', [row.person, hashOf(secret)], {});
  return secret;
}

/** The same session with another secret, which is returned: whoever knows the old one is out. */
export function rotateSession(tx: Transaction, world: World, { id, row }: Session, change: Partial<Row>): string {
  endSession(tx, row.person, id);
  return write(tx, world, { ...row, ...change, seenAt: world.now() });
}

export function endSession(tx: Transaction, person: string, id: string): void {
  tx.remove('session', id);
  tx.remove('sessionOf', person, id);
}

/** All of a person but one. */
export async function endSessions(tx: Transaction, person: string, but: string | null): Promise<void> {
  for (const { id } of await tx.list('sessionOf', [person])) if (id[1] !== but) endSession(tx, person, id[1] as string);
}

/** Whose secret it is, or null: nobody's, or it has ended. */
export async function findSession(records: Records, secret: string, now: number): Promise<Session | null> {
  const id = hashOf(secret);
  const row = await records.get('session', id);
  return row !== undefined && lives(row, now) ? { id, row } : null;
}

/** Keeps it from ending, at most every few minutes. */
export async function touchSession(records: Records, { id, row }: Session, now: number, from: Origin): Promise<void> {
  if (row.seenAt + limits.seenEveryMs > now) return;
  await records.transact(async (tx) => {
    const found = await tx.get('session', id);
    if (found !== undefined) tx.put('session', [id], { ...found, seenAt: now, address: from.address });
  });
}

/** Those that live, and those that ended and were not swept away yet. */
export async function sessionsOf(records: Pick<Records, 'get' | 'list'>, person: string): Promise<Session[]> {
  const found = await Promise.all(
    (await records.list('sessionOf', [person])).map(async ({ id }) => ({ id: id[1] as string, row: await records.get('session', id[1] as string) })),
  );
  return found.flatMap(({ id, row }) => (row === undefined ? [] : [{ id, row }]));
}
export const isLive = lives;
