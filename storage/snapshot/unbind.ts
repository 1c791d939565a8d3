// A restored copy of a site that has a portal. Guarantees: it knows that it is not the machine that joined, so that it neither
// dials as that one nor passes for it (U3); whose its configuration is, and which rev of it is in force, it keeps.
// Unlike a machine that waits for its portal (storage/snapshot/standby.ts) it serves: who has the recovery kit, and no portal
// any more, brings the mail up with it.

import type { Engine } from '../engine.ts';
import { sealBatch } from '../journal.ts';
import { getRow } from '../rows.ts';
import { createBatch } from '../tx.ts';

/** Makes the site of this engine one that its portal does not know of. `now`: ms since the epoch. */
export async function unbind(engine: Engine, now: number): Promise<void> {
  engine.refresh();
  const was = getRow(engine, 'uplink', {});
  // what was another machine's stays so, and what was given up is free
  if (was === undefined || was.state === 'superseded' || was.state === 'decommissioned') return;
  const batch = createBatch(engine);
  batch.put('uplink', {}, { ...was, state: 'restored', offlineSince: now });
  if (getRow(engine, 'clock', {}) !== undefined) batch.delete('clock', {}); // of another machine
  sealBatch(batch);
  await engine.commit(batch.writes());
}
