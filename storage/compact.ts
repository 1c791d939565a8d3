// Compacting: the rows of an engine into a fresh one beside it, while it serves. Guarantees: after each step the fresh one
// holds exactly the rows below the cursor as they are at one commit, so nothing is pinned and no history is needed but
// that of one step; the switch happens at a commit, when every row is there, and changes no row and no number.
//
// States: copying (steps of few rows, with pauses in which mail is served) → the cursor is at the end → alone (no commit
// runs; commands wait) → the last step → replaced. The commit point is `Fresh.replace`. Until then everything can be abandoned.

import { assert } from '../actors/assert.ts';
import { limits } from '../actors/limits.ts';
import { type Compacted, DiskFull, type Engine, type Fresh, type Write } from './engine.ts';
import { unpackKeys } from './journal.ts';
import { encodeKey, getRow, octetText, RowDamaged, scanRows } from './rows.ts';

/** What compacting needs of who runs it. */
export interface Around {
  /** Between two steps: mail comes first. */
  pause(): Promise<void>;
  /** Runs between two commits; commands wait meanwhile. */
  alone(run: () => Promise<void>): Promise<void>;
  /** Rows copied so far, of about so many. */
  progress(done: number, total: number): void;
}

/** Below `cursor` (null: everything) the fresh engine is as the old one was at `commit`. */
interface Copied {
  cursor: Uint8Array | null;
  commit: number;
  journalFloor: number;
  rows: number;
}

const end = new Uint8Array([0xff]);
/** When so few keys changed during one step, the last one is as short. */
const fewKeys = 500;
const mostRounds = 50;

/** Rejects with DiskFull when there is no room for the copy, with RowDamaged where the journal does not tell what changed: the engine is as it was. After any other error the process must exit. */
export async function compactInto(engine: Engine, fresh: Fresh, around: Around): Promise<Compacted> {
  const at: Copied = { cursor: new Uint8Array([0]), commit: 0, journalFloor: 0, rows: 0 };
  let done: Compacted | null = null;
  try {
    for (let rounds = 0; rounds < mostRounds; ) {
      const changed = await step(engine, fresh, at);
      around.progress(at.rows, Math.max(at.rows, fresh.rows));
      if (at.cursor === null && changed <= fewKeys) break;
      if (at.cursor === null) rounds++;
      await around.pause();
    }
    await around.alone(async () => {
      await step(engine, fresh, at);
      done = await fresh.replace();
    });
  } catch (error) {
    if (error instanceof DiskFull || error instanceof RowDamaged) await fresh.abandon();
    throw error;
  }
  assert(done !== null, 'it was replaced');
  return done;
}

/** Brings what is below the cursor to the present commit, and the cursor on. How many keys had changed. */
async function step(engine: Engine, fresh: Fresh, at: Copied): Promise<number> {
  engine.refresh();
  const site = getRow(engine, 'site', {});
  assert(site !== undefined, 'a site has its row');
  const changes = at.commit === 0 ? [] : changesBelow(engine, at, site);
  const rows = rowsFrom(engine, at.cursor);
  const last = rows.at(-1)?.[0];
  Object.assign(at, { commit: site.commit, journalFloor: site.journalFloor, rows: at.rows + rows.length });
  if (changes.length + rows.length > 0) await fresh.load(changes, rows);
  at.cursor = last === undefined ? null : Buffer.concat([last, new Uint8Array(1)]);
  return changes.length;
}

function rowsFrom(engine: Engine, cursor: Uint8Array | null): Write[] {
  const rows: Write[] = [];
  if (cursor === null) return rows;
  let octets = 0;
  for (const row of engine.range(cursor, end)) {
    rows.push(row);
    octets += row[0].length + row[1].length;
    if (octets >= limits.compactOctets || rows.length >= limits.compactRows) break;
  }
  return rows;
}

/** Keys below the cursor that commits since `at` touched, with their present values. */
function changesBelow(engine: Engine, at: Copied, now: { readonly commit: number; readonly journalFloor: number }): Write[] {
  const touched = new Map<string, Uint8Array>();
  const touch = (key: Uint8Array): void => {
    if (at.cursor === null || Buffer.compare(key, at.cursor) < 0) touched.set(octetText(key), key);
  };
  let seen = at.commit;
  for (const { key, row } of scanRows(engine, 'journal', [], { from: { commit: at.commit + 1 } })) {
    assert(key.commit === ++seen, 'the journal has every commit since the last step');
    touch(encodeKey('journal', key));
    for (const octets of unpackKeys(row)) touch(octets);
  }
  assert(seen === now.commit, 'the journal ends at the present commit');
  for (let commit = at.journalFloor + 1; commit <= now.journalFloor; commit++) touch(encodeKey('journal', { commit }));
  const sorted = [...touched].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([, key]) => [key, engine.get(key) ?? null] as const);
}
