// The store process: it opens the engine, runs the storage actor, and collects what nobody needs any more.

import { dirname } from 'node:path';
import { type Peer, type Running, run } from '../actors/actor.ts';
import type { World } from '../actors/world.ts';
import { storage, transferAgeMs } from './actor.ts';
import { openLmdb } from './engines/lmdb.ts';
import type { StoreProtocol } from './messages.ts';
import type { Reader, Snapshot } from './engine.ts';
import { migrate } from './migrate.ts';
import { type ScrubOptions, scrubber } from './scrub.ts';

export interface OpenStore {
  readonly served: Running<StoreProtocol>;
  readonly crashed: Promise<unknown>;
  /** The rows of the engine, for whoever opened it in its own process. */
  readonly view: Reader & { snapshot(): Snapshot };
  /** Looks for damage and mends it, for as long as the store lives. */
  scrub(options: ScrubOptions): Promise<never>;
  /** To be called when a process that reads the engine has ended. */
  clientGone(): void;
}

/** Opens the engine at `path`, made where absent, migrates and recovers. The caller made sure that it is the only writer. */
export async function openStore(world: World, path: string): Promise<OpenStore> {
  const engine = openLmdb(path);
  await migrate(world, engine, async (to) => (await import('./snapshot/upgrade.ts')).saveBefore(world, engine, dirname(path), to));
  const served = await run(world, storage, engine);
  return {
    served,
    crashed: served.crashed,
    view: engine,
    scrub: (given) => scrubber(world, engine, served, given),
    clientGone: () => engine.readersGone(),
  };
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
