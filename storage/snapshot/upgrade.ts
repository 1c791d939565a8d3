// The snapshot before a migration: `before-schema-2.tar` beside the engine. Guarantees: the store is not migrated before it
// is there, whole; its key is kept by the migration itself, in the same transaction, so that the recovery kit of the site
// opens it (`mailsite snapshot key`).

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from '../../actors/world.ts';
import type { Engine, Snapshot } from '../engine.ts';
import { getRow } from '../rows.ts';
import type { Tx } from '../tx.ts';
import { createSnapshot } from './create.ts';
import { keysFor } from './keys.ts';
import { openPlace } from './place.ts';

/** Resolves with what the migration has to keep. Rejects with PlaceError. */
export async function saveBefore(world: World, engine: Engine & { snapshot(): Snapshot }, folder: string, to: number): Promise<(tx: Tx) => void> {
  const view = engine.snapshot();
  try {
    const lineage = getRow(view, 'site', {})?.lineage ?? '';
    const made = getRow(view, 'lineage', { lineage }) ? null : await keysFor(world, getRow(view, 'recovery', {}));
    const file = join(folder, `before-schema-${to}.tar`);
    // of a start that was killed before the migration kept its key: nobody can open it
    if (made !== null) rmSync(file, { force: true });
    const place = await openPlace(file, { world, create: true });
    const keys = made && { dataKey: made.dataKey, wrapped: made.wrapped, createdAt: made.now };
    await createSnapshot(view, place, { now: world.now(), full: false, lookBack: true, ...(keys ? { keys } : {}) });
    return (tx) => {
      if (made === null) return;
      const { identity, recipient, now } = made;
      if (!tx.get('recovery', {})) tx.put('recovery', {}, { identity, recipient, createdAt: now });
      tx.put('lineage', { lineage }, { dataKey: made.dataKey, createdAt: now, wrapped: made.wrapped });
    };
  } finally {
    view.release();
  }
}
