// `mailsite compact`: gives the room of deleted mail back to the disk. A site that runs does it itself and goes on serving;
// without one it is done here, under the site's lock.

import type { Address } from '../actors/actor.ts';
import { realWorld } from '../actors/platform.ts';
import type { World } from '../actors/world.ts';
import type { StoreProtocol } from '../storage/messages.ts';
import type { Arguments } from './arguments.ts';
import { Failure, type Progress, print, printJsonLine, progress, size } from './output.ts';
import { enterSite, writeSite } from './site.ts';

const POLL_MS = 200;

export async function compact(given: Arguments): Promise<void> {
  const world = realWorld(() => {});
  const { data, view } = await enterSite(world, given.data); // a site that is not there is not made
  await view.close();
  const { store, running } = await (await writeSite(world, data)).open();
  const bar = progress('compacting', given.json, () => world.monotonicMs());
  const began = world.monotonicMs();
  const answering = store.ask('compact', { now: world.now() });
  await watch(world, store, bar, answering);
  const answer = await answering.catch((error: Error) => {
    throw new Failure(`the store ended before it was done (${error.message}): the site is whole, run this again`);
  });
  bar.end();
  if ('refused' in answer && answer.refused === 'unneeded') {
    if (given.json) printJsonLine({ ok: true, before: null, after: null, freed: 0, ms: 0, running, note: answer.detail });
    else print(`Nothing to do: ${answer.detail}.`);
    return;
  }
  if ('refused' in answer) throw new Failure(`${data} was not compacted: ${answer.detail || answer.refused}; the site is as it was`);
  const { before, after } = answer;
  const ms = Math.round(world.monotonicMs() - began);
  if (given.json) printJsonLine({ ok: true, before, after, freed: before - after, ms, running });
  else print(`Compacted: ${size(before)} on disk before, ${size(after)} now, ${size(Math.max(0, before - after))} given back.`);
}

async function watch(world: World, store: Address<StoreProtocol>, bar: Progress, answering: Promise<object>): Promise<void> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  answering.then(end, end);
  while (!over) {
    const found = await Promise.race([store.ask('compacting', {}), answering]).catch(() => null);
    if (!over && found !== null && 'total' in found && found.total > 0) bar.at(found.done, found.total);
    await Promise.race([world.sleep(POLL_MS), answering]).catch(() => null);
  }
}
