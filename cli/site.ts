// How a verb reaches the site of a data directory: through its store when it runs, with the engine opened here when it
// does not. Guarantees: never two writers, because whoever opens the engine for writing holds the lock file first. An
// engine that only one process opens is also read so: through the store of a site that runs, under the lock otherwise.

import type { Address } from '../actors/actor.ts';
import { local } from '../actors/actor.ts';
import { link } from '../actors/link.ts';
import { limits } from '../actors/limits.ts';
import { holdAlone } from '../actors/lock.ts';
import type { World } from '../actors/world.ts';
import { defaultEngine, type EngineKind, engineFiles, engineOf, openEngine, openView, type View } from '../storage/engines/open.ts';
import { Store, type StoreProtocol } from '../storage/messages.ts';
import { knownSchema, NewerStore } from '../storage/migrate.ts';
import { misplaced } from '../uplink/portal/here.ts';
import { Failure } from './output.ts';
import { becomeOwner, dataDirectory, enterData, place, unusable } from './place.ts';
import { askSupervisor } from './running.ts';

/** Enters the data directory of a site that is there, to look at it. */
export async function enterSite(world: World, option: string | undefined): Promise<{ data: string; view: View; engine: EngineKind }> {
  const data = dataDirectory(option);
  const none = new Failure(`${data} holds no site: start one with mailsite run, mailsite apply or mailsite join, or name another --data`);
  try {
    process.chdir(data);
    becomeOwner();
    // a file that was never begun is no site, and says so when it is opened
    const engine = engineHere(data) ?? (engineFiles('.').length > 0 ? defaultEngine : null);
    if (engine === null) throw none;
    const view = await viewOf(world, data, engine);
    mustKnow(view);
    return { data, view, engine };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? none : unusable(data, error);
  }
}

/** `view`: what is there now, whoever writes. */
export interface Opened {
  readonly store: Address<StoreProtocol>;
  readonly view: Pinnable;
  readonly running: boolean;
}
type Pinnable = Omit<View, 'close'>;

/** What a newer program wrote is not ours to read or to write. */
function mustKnow(view: Pinnable): void {
  try {
    knownSchema(view);
  } catch (error) {
    throw error instanceof NewerStore ? new Failure(error.message) : error;
  }
}

/** Looks at the site of a directory without staying in it; null where there is none. */
export async function glance<T>(world: World, data: string, look: (view: View) => T): Promise<T | null> {
  const here = process.cwd();
  process.chdir(data);
  try {
    const engine = engineHere(data);
    if (engine === null) return null;
    const view = await viewOf(world, data, engine);
    try {
      return look(view);
    } finally {
      await view.close();
    }
  } finally {
    process.chdir(here);
  }
}

/** Throws when the site in `data`, the current directory, has another engine than `wanted`, or several. */
export function mustBe(wanted: EngineKind | undefined, data: string): EngineKind | null {
  const found = engineHere(data);
  if (wanted !== undefined && found !== null && found !== wanted)
    throw new Failure(`${data} holds a site on ${found}, not on ${wanted}: leave --engine away, or restore a snapshot of it into another --data`);
  return found;
}

function engineHere(data: string): EngineKind | null {
  try {
    return engineOf('.');
  } catch (error) {
    throw new Failure(`${data} cannot be used: ${(error as Error).message}`);
  }
}

async function viewOf(world: World, data: string, engine: EngineKind): Promise<View> {
  if (engine === 'lmdb' || (await askSupervisor(world)) !== null) return openView('.', engine, place.readSocket);
  beTheOnlyOne(data);
  return openEngine('.', engine);
}

let alone = false;

/** Takes the lock, for as long as this process lives. */
export function beTheOnlyOne(data: string): void {
  alone ||= holdAlone(place.lock, limits.dyingMs);
  if (!alone) throw new Failure(`another process is writing to ${data}: let it end, then run this again`);
}

/** A site entered to be written: `view` is what is there (null: nothing yet), until `open`. */
export interface Writable {
  readonly data: string;
  readonly view: View | null;
  /** Opens the store, ours or the running site's; from then on no site can start here until this process ends. */
  open(): Promise<Opened>;
}

/** Throws where there is a portal instead of a site, or a site instead of a portal. */
export function mustHold(wanted: 'site' | 'portal', { view, data }: Pick<Writable, 'view' | 'data'>): void {
  const why = view === null ? null : misplaced(view, wanted, data);
  if (why !== null) throw new Failure(why);
}

/** Enters the data directory, made where absent. `wanted`: the engine of a new site. */
export async function writeSite(world: World, option: string | undefined, wanted?: EngineKind): Promise<Writable> {
  const data = dataDirectory(option);
  enterData(data, true);
  const engine = mustBe(wanted, data);
  try {
    const view = engine === null ? null : await viewOf(world, data, engine);
    if (view !== null) mustKnow(view);
    const open = async () => {
      await view?.close(); // an engine is open once in a process
      return openStoreOf(world, data, engine ?? wanted ?? defaultEngine);
    };
    return { data, view, open };
  } catch (error) {
    throw error instanceof Failure ? error : unusable(data, error);
  }
}

async function openStoreOf(world: World, data: string, engine: EngineKind): Promise<Opened> {
  if ((await askSupervisor(world)) !== null)
    return { store: link(world, place.storeSocket, Store), view: await openView('.', engine, place.readSocket), running: true };
  beTheOnlyOne(data);
  try {
    const { openStore } = await import('../storage/process.ts');
    const opened = await openStore(world, '.', engine);
    return { store: local(opened.served), view: opened.view, running: false };
  } catch (error) {
    throw unusable(data, error);
  }
}
