// The store process: it opens the engine, runs the storage actor, and collects what nobody needs any more.

import { type Peer, type Running, run } from '../actors/actor.ts';
import type { World } from '../actors/world.ts';
import { storage, transferAgeMs } from './actor.ts';
import { DiskFull } from './engine.ts';
import { type EngineKind, openEngine, type OwnEngine } from './engines/open.ts';
import { serveReads } from './engines/readserver.ts';
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
  /** Lets other processes read at this socket, where the engine needs it. */
  serveReads(path: string): void;
}

/** Opens the engine in `folder`, made where absent, migrates and recovers. The caller made sure that it is the only writer. */
export async function openStore(world: World, folder: string, kind: EngineKind): Promise<OpenStore> {
  const engine = await openWithRoom(world, folder, kind);
  await migrate(world, engine, async (to) => (await import('./snapshot/upgrade.ts')).saveBefore(world, engine, folder, to));
  const served = await run(world, storage, engine);
  return {
    served,
    crashed: served.crashed,
    view: engine,
    scrub: (given) => scrubber(world, engine, served, given),
    clientGone: () => engine.readersGone(),
    serveReads(path) {
      const { sequence, snapshot } = engine;
      if (sequence !== undefined) serveReads(world, path, { sequence, snapshot });
    },
  };
}

/** An engine that finds no room to recover in is opened once there is some: no crash would make any. */
async function openWithRoom(world: World, folder: string, kind: EngineKind): Promise<OwnEngine> {
  let since: number | null = null;
  for (;;) {
    try {
      const engine = await openEngine(folder, kind);
      if (since !== null) world.log('store.room', { sinceMs: Math.round(world.monotonicMs() - since) });
      return engine;
    } catch (error) {
      if (!(error instanceof DiskFull)) throw error;
      if (since === null) world.log('store.full', { error: error.message });
      since ??= world.monotonicMs();
    }
    await world.sleep(retryMs);
  }
}

const retryMs = 1_000;

const collectEveryMs = 60_000;
/** Between two steps of one collection, so that mail comes first. */
const stepMs = 20;

/** Removes garbage and transfers that stopped, and puts traces into their index, in small steps, for as long as the store lives. */
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
    for (let more = true; more; ) {
      const answer = await store.receive('indexTrace', {}, self);
      more = !('refused' in answer) && (answer as { more: boolean }).more;
      if (more) await world.sleep(stepMs);
    }
    if (chunks > 0) world.log('store.collected', { chunks });
    await world.sleep(collectEveryMs);
  }
}
