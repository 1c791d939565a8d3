// The store process: it opens the engine, runs the storage actor, and collects what nobody needs any more.

import { type Peer, type Running, run } from '../actors/actor.ts';
import type { World } from '../actors/world.ts';
import { storage, transferAgeMs } from './actor.ts';
import { openLmdb } from './engines/lmdb.ts';
import type { StoreProtocol } from './messages.ts';

export interface OpenStore {
  readonly served: Running<StoreProtocol>;
  readonly crashed: Promise<unknown>;
  /** To be called when a process that reads the engine has ended. */
  clientGone(): void;
}

/** Opens the engine at `path`, made where absent, and recovers. The caller made sure that it is the only writer. */
export async function openStore(world: World, path: string): Promise<OpenStore> {
  const engine = openLmdb(path);
  const served = await run(world, storage, engine);
  return { served, crashed: served.crashed, clientGone: () => engine.readersGone() };
}

const collectEveryMs = 60_000;
/** Between two steps of one collection, so that mail comes first. */
const stepMs = 20;

/** Removes garbage and transfers that stopped, in small steps, for as long as the store lives. */
export async function collector(world: World, store: Running<StoreProtocol>): Promise<never> {
  const self: Peer<StoreProtocol> = { id: 0, emit: () => {}, onGone: () => {} };
  for (;;) {
    // a verb that was killed while it read has no link to us: its slot would keep freed pages from being used again
    await store.receive('readersGone', {}, self);
    let chunks = 0;
    for (let more = true; more; ) {
      const answer = await store.receive('collect', { now: world.now(), transferAgeMs }, self);
      if ('refused' in answer) break;
      chunks += (answer as { chunks: number }).chunks;
      ({ more } = answer as { more: boolean });
      if (more) await world.sleep(stepMs);
    }
    if (chunks > 0) world.log('store.collected', { chunks });
    await world.sleep(collectEveryMs);
  }
}
