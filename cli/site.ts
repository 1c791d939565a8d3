// How a verb reaches the site of a data directory: through its store when it runs, with the engine opened here when it
// does not. Guarantees: never two writers, because whoever opens the engine for writing holds the lock file first.

import { existsSync, statSync } from 'node:fs';
import type { Address } from '../actors/actor.ts';
import { local } from '../actors/actor.ts';
import { link } from '../actors/link.ts';
import { holdAlone } from '../actors/lock.ts';
import type { World } from '../actors/world.ts';
import type { Reader, Snapshot } from '../storage/engine.ts';
import type { LmdbReader } from '../storage/engines/lmdb.ts';
import { Store, type StoreProtocol } from '../storage/messages.ts';
import { knownSchema, NewerStore } from '../storage/migrate.ts';
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
    const view = openLmdbReader(place.engine);
    mustKnow(view);
    return { data, view };
  } catch (error) {
    if (error instanceof Failure && error !== none) throw error;
    throw error === none || (error as NodeJS.ErrnoException).code === 'ENOENT' ? none : unusable(data, error);
  }
}

/** `view`: what is there now, whoever writes. */
export interface Opened {
  readonly store: Address<StoreProtocol>;
  readonly view: Reader & { snapshot(): Snapshot };
  readonly running: boolean;
}

/** What a newer program wrote is not ours to read or to write. */
function mustKnow(view: LmdbReader): void {
  try {
    knownSchema(view);
  } catch (error) {
    throw error instanceof NewerStore ? new Failure(error.message) : error;
  }
}

/** Before a site is started: a store that cannot be served is said once, here, and not by a child again and again. */
export async function refuseNewer(): Promise<void> {
  if ((statSync(place.engine, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  const { openLmdbReader } = await import('../storage/engines/lmdb.ts');
  const view = openLmdbReader(place.engine);
  try {
    mustKnow(view);
  } finally {
    await view.close();
  }
}

/** A site entered to be written: `view` is what is there (null: nothing yet), until `open`. */
export interface Writable {
  readonly data: string;
  readonly view: LmdbReader | null;
  /** Opens the store, ours or the running site's; from then on no site can start here until this process ends. */
  open(): Promise<Opened>;
}

/** Enters the data directory, made where absent. */
export async function writeSite(world: World, option: string | undefined): Promise<Writable> {
  const data = dataDirectory(option);
  enterData(data, true);
  const { openLmdbReader } = await import('../storage/engines/lmdb.ts');
  const begun = (statSync(place.engine, { throwIfNoEntry: false })?.size ?? 0) > 0;
  try {
    const view = begun ? openLmdbReader(place.engine) : null;
    if (view !== null) mustKnow(view);
    const open = async () => {
      await view?.close(); // the library knows one environment of a file in a process
      return openStoreOf(world, data);
    };
    return { data, view, open };
  } catch (error) {
    throw error instanceof Failure ? error : unusable(data, error);
  }
}

async function openStoreOf(world: World, data: string): Promise<Opened> {
  if ((await askSupervisor(world)) !== null) {
    const { openLmdbReader } = await import('../storage/engines/lmdb.ts');
    return { store: link(world, place.storeSocket, Store), view: openLmdbReader(place.engine), running: true };
  }
  if (!holdAlone(place.lock)) throw new Failure(`another process is writing to ${data}: let it end, then run this again`);
  try {
    const { openStore } = await import('../storage/process.ts');
    const opened = await openStore(world, place.engine);
    return { store: local(opened.served), view: opened.view, running: false };
  } catch (error) {
    throw unusable(data, error);
  }
}
