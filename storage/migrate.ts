// Schemas of a site and the way from one to the next. Guarantees: a store is brought to the present schema in one
// transaction, after `before` has saved it: a kill at any moment leaves the old store or the new one; a store that a newer
// program wrote is refused before anything is written.
//
// A field or a table that is only appended needs no migration (storage/schema.ts). One that is needed is a row below; rows
// are for good, so that a store of any age is opened.

import { assert } from '../actors/assert.ts';
import type { World } from '../actors/world.ts';
import { digestOf } from './digest.ts';
import type { Engine, Reader } from './engine.ts';
import { sealBatch } from './journal.ts';
import { encodeKey, getRow, type Row } from './rows.ts';
import { createBatch, type Tx } from './tx.ts';

interface Migration {
  readonly from: number;
  readonly to: number;
  readonly what: string;
  /** `reader`: the store as it was. The site row is given, and put back with its new schema; digests of rows that `tx`
   *  writes are kept by the commit. */
  readonly run: (tx: Tx, reader: Reader, site: Row<'site'>) => Row<'site'>;
}

const migrations: readonly Migration[] = [
  {
    from: 1,
    to: 2,
    what: 'the digest of all rows, and the epoch',
    run: (_tx, reader, site) => ({ ...site, epoch: 1, ...digestOf(reader) }),
  },
];

/** What this program writes. */
export const schemaVersion = 2;

/** The site was written by a newer program: its rows may mean what we do not know. */
export class NewerStore extends Error {
  constructor(schema: number) {
    super(
      `this site was written by a newer mailsite (schema ${schema}, this one knows ${schemaVersion}): install the newer executable, or restore the snapshot taken before the upgrade`,
    );
    this.name = 'NewerStore';
  }
}

/** The schema of the site, or null when there is none yet. Throws NewerStore. */
export function knownSchema(reader: Reader): number | null {
  reader.refresh();
  const octets = reader.get(encodeKey('site', {}));
  if (octets === undefined) return null;
  const schema = schemaOf(octets[0] === 0xc1 ? octets.subarray(5) : octets); // behind its checksum, see rows.ts
  if (schema > schemaVersion) throw new NewerStore(schema);
  return schema;
}

/** The first field of a site row, in every version of it: later ones may have more fields than we know. */
function schemaOf(octets: Uint8Array): number {
  const kind = octets[0] as number;
  const at = kind >>> 4 === 9 ? 1 : 3; // msgpack: an array of less than 16, or of less than 65,536
  assert(kind >>> 4 === 9 || kind === 0xdc, 'a site row is an array');
  const first = octets[at] as number;
  if (first < 0x80) return first;
  assert(first === 0xcc || first === 0xcd, 'a schema is a small number');
  return first === 0xcc ? (octets[at + 1] as number) : (octets[at + 1] as number) * 256 + (octets[at + 2] as number);
}

/** Saves the store as it is. What it resolves with is kept in the transaction of the migration. */
export type Before = (to: number) => Promise<(tx: Tx) => void>;

export interface Migrated {
  readonly from: number;
  readonly to: number;
}

/**
 * Brings a store to the present schema, or leaves it as it is and throws. Null: there was nothing to do. `before` saves the
 * store as it is; it is called only when there is something to do.
 */
export async function migrate(world: World, engine: Engine, before: Before, rows = migrations): Promise<Migrated | null> {
  const from = knownSchema(engine);
  if (from === null || from === schemaVersion) return null;
  const began = world.monotonicMs();
  let kept: (tx: Tx) => void;
  try {
    kept = await before(schemaVersion);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the site stays at schema ${from}: it could not be saved before the upgrade (${why})`, { cause });
  }
  engine.refresh();
  const batch = createBatch(engine);
  let site = getRow(engine, 'site', {}) as Row<'site'>;
  for (let row = next(rows, from); row !== undefined; row = next(rows, site.schema)) {
    site = { ...row.run(batch, engine, site), schema: row.to };
    batch.put('site', {}, site);
    world.log('store.migrating', { from: row.from, to: row.to, what: row.what });
  }
  kept(batch);
  if (site.schema !== schemaVersion) throw new Error(`there is no way from schema ${site.schema} to ${schemaVersion}`);
  sealBatch(batch);
  await engine.commit(batch.writes());
  world.log('store.migrated', { from, to: schemaVersion, ms: Math.round(world.monotonicMs() - began) });
  return { from, to: schemaVersion };
}

const next = (rows: readonly Migration[], from: number): Migration | undefined => rows.find((row) => row.from === from);
