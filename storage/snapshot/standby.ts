// A restored site that is to take the place of the one it was made from. Guarantees: it serves nothing until its portal has
// made it the primary (U3); what its configuration was is kept, so that it goes on from that rev.

import type { Engine } from '../engine.ts';
import { sealBatch } from '../journal.ts';
import { getRow, type Row } from '../rows.ts';
import { createBatch } from '../tx.ts';

type Who = Pick<Row<'uplink'>, 'portal' | 'portalId' | 'rootPublic' | 'site' | 'machine' | 'signPublic' | 'epoch' | 'joinedAt'>;

/** Makes the site of this engine wait for its portal, as the machine `who`. */
export async function standBy(engine: Engine, who: Who): Promise<void> {
  engine.refresh();
  const was = getRow(engine, 'uplink', {});
  const revs =
    was?.portalId === who.portalId && was.site === who.site
      ? was
      : { seenRev: 0, seenHash: '', seenStatus: 'none' as const, seenErrors: '[]', runningRev: 0, runningHash: '' };
  const { seenRev, seenHash, seenStatus, seenErrors, runningRev, runningHash } = revs;
  const batch = createBatch(engine);
  const kept = { seenRev, seenHash, seenStatus, seenErrors, runningRev, runningHash };
  batch.put('uplink', {}, { ...who, ...kept, state: 'standby', counter: 0, offlineSince: who.joinedAt, confirmBy: 0 });
  sealBatch(batch);
  await engine.commit(batch.writes());
}
