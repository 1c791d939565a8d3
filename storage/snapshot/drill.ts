// A restored site that is a drill: it looks as the site did, and does nothing to the world. Guarantees, of what was in the
// snapshot: no recipient of its queue is tried, nothing is parked; all else is as in any restore.

import type { Engine } from '../engine.ts';
import { sealBatch } from '../journal.ts';
import { getRow, scanRows } from '../rows.ts';
import { createBatch } from '../tx.ts';

/** When the queue of a drill is due: at the end of the year 9999. */
const neverMs = Date.UTC(9999, 11, 31);
const recipientsAtOnce = 1_000;

/** Holds the queue and takes the parking out of the document. Returns how many recipients wait. */
export async function holdStill(engine: Engine): Promise<number> {
  engine.refresh();
  const config = getRow(engine, 'config', {});
  if (config !== undefined) {
    const batch = createBatch(engine);
    batch.put('config', {}, { ...config, document: JSON.stringify({ ...JSON.parse(config.document), snapshots: null }) });
    sealBatch(batch);
    await engine.commit(batch.writes());
  }
  let held = 0;
  for (let from = { queue: 0, n: 0 }; ; ) {
    engine.refresh();
    const batch = createBatch(engine);
    const rows = [...scanRows(engine, 'queueRecipient', [], { from, limit: recipientsAtOnce, skipDamaged: true })];
    for (const { key, row } of rows) {
      batch.delete('queueDue', { due: row.due, ...key });
      batch.put('queueDue', { due: neverMs, ...key }, {});
      batch.put('queueRecipient', key, { ...row, due: neverMs });
      from = { queue: key.queue, n: key.n + 1 };
    }
    if (rows.length === 0) return held;
    held += rows.length;
    sealBatch(batch);
    await engine.commit(batch.writes());
  }
}
