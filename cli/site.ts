// How a verb reaches the site of a data directory: through its store when it runs, with the engine opened here when it
// does not. Guarantees: never two writers, because whoever opens the engine for writing holds the lock file first.

import { existsSync } from 'node:fs';
import type { Address } from '../actors/actor.ts';
import { local } from '../actors/actor.ts';
import { link } from '../actors/link.ts';
import { holdAlone } from '../actors/lock.ts';
import type { World } from '../actors/world.ts';
import type { LmdbReader } from '../storage/engines/lmdb.ts';
import { Store, type StoreProtocol } from '../storage/messages.ts';
import { Failure } from './output.ts';
import { becomeOwner, dataDirectory, enterData, place, unusable } from './place.ts';
import { askSupervisor } from './running.ts';

/** Enters the data directory of a site that is there, to look at it. */
export async function enterSite(option: string | undefined): Promise<{ data: string; view: LmdbReader }> {
  const data = dataDirectory(option);
  const none = new Failure(`${data} holds no site: start one with mailsite run or mailsite apply, or name another --data`);
  try {
    process.chdir(data);
    becomeOwner();
    if (!existsSync(place.engine)) throw none;
    const { openLmdbReader } = await import('../storage/engines/lmdb.ts');
    return { data, view: openLmdbReader(place.engine) };
  } catch (error) {
    throw error === none || (error as NodeJS.ErrnoException).code === 'ENOENT' ? none : unusable(data, error);
  }
}

/** Enters the data directory, made where absent, to write. `running` tells whether a site serves it. */
export async function writeSite(world: World, option: string | undefined): Promise<{ data: string; store: Address<StoreProtocol>; running: boolean }> {
  const data = dataDirectory(option);
  enterData(data);
  becomeOwner();
  if ((await askSupervisor(world)) !== null) return { data, store: link(world, place.storeSocket, Store), running: true };
  if (!holdAlone(place.lock)) throw new Failure(`another process is writing to ${data}: let it end, then run this again`);
  try {
    const { openStore } = await import('../storage/process.ts');
    const opened = await openStore(world, place.engine);
    return { data, store: local(opened.served), running: false };
  } catch (error) {
    throw unusable(data, error);
  }
}
