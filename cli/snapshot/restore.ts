// `mailsite snapshot restore`: a site out of a snapshot, in an empty data folder; or, with --only, mail of one account back
// into the site that is there. Guarantees: until the last step there is no site in the folder, only the folder `restoring`,
// which no verb serves; a restore that was cut off is run again and begins anew.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { limits } from '../../actors/limits.ts';
import { holdAlone } from '../../actors/lock.ts';
import { realWorld } from '../../actors/platform.ts';
import type { World } from '../../actors/world.ts';
import { DiskFull, type Engine } from '../../storage/engine.ts';
import { defaultEngine, type EngineKind, engineFiles, engineNames, engineOf, loadEngine } from '../../storage/engines/open.ts';
import { CannotExtract, extract } from '../../storage/snapshot/extract.ts';
import type { Place } from '../../storage/snapshot/place.ts';
import { holdStill } from '../../storage/snapshot/drill.ts';
import { openSnapshot, type SnapshotView } from '../../storage/snapshot/read.ts';
import { moveOn, NotTheSame, type Restored, type RestoreOptions, restoreSnapshot } from '../../storage/snapshot/restore.ts';
import { unbind } from '../../storage/snapshot/unbind.ts';
import { accountByAddress } from '../../storage/views.ts';
import { getRow, type Row } from '../../storage/rows.ts';
import { portalHere } from '../../uplink/portal/here.ts';
import type { Arguments } from '../arguments.ts';
import { copyWarning } from '../copy.ts';
import { complain, count, Failure, print, printJsonLine, progress, size, span, UsageError } from '../output.ts';
import { dataDirectory, enterData, place as paths } from '../place.ts';
import { beTheOnlyOne, writeSite } from '../site.ts';
import { chosen, dataKey, type Found, fromPlace, giveToOwner, idOf, mustBeOne, plainly } from './source.ts';

export async function restore(given: Arguments): Promise<number> {
  const only = given.only !== undefined;
  for (const name of ['folder', 'message', 'into'] as const) if (!only && given[name] !== undefined) throw new UsageError(`--${name} goes with --only ADDRESS`);
  for (const name of ['deep', 'engine', 'drill'] as const) if (only && given.named.includes(name)) throw new UsageError(`--${name} does not go with --only`);
  const world = realWorld(() => {});
  return plainly(async () => {
    const place = await fromPlace(world, given);
    const data = dataDirectory(given.data);
    if (!only && existsSync(data) && engineOf(data) !== null)
      throw new Failure(`${data} holds a site already: name an empty --data, or put mail back into the site with --only ADDRESS`);
    const found = await chosen(world, place, given);
    if (!only) await mustBeOne(place, found, given.at);
    const key = (await dataKey(world, place, found.manifest, given, true)) as Uint8Array;
    if (only) return putBack(world, place, found, key, given);
    return restoreSite(world, place, found, key, given, async (engine) => {
      if (given.drill) await holdStill(engine);
      await unbind(engine, world.now());
    });
  });
}

/** `finish`: what else is done to the engine before there is a site. Returns the exit code. */
export async function restoreSite(
  world: World,
  place: Place,
  { manifest }: Found,
  key: Uint8Array,
  given: Arguments,
  finish: (engine: Engine) => Promise<void>,
): Promise<number> {
  const data = dataDirectory(given.data);
  const snapshot = await openSnapshot(place, manifest, key);
  enterData(data, false);
  if (!holdAlone(paths.supervisorLock, limits.dyingMs)) throw new Failure(`another process works in ${data}: let it end, then run this again`);
  beTheOnlyOne(data);
  if (engineOf('.') !== null) throw new Failure(`${data} holds a site already: name an empty --data`);
  const kind = given.engine ?? defaultEngine;
  rmSync(paths.restoring, { recursive: true, force: true });
  mkdirSync(paths.restoring, { mode: 0o700 });
  const began = world.monotonicMs();
  const bar = progress('restore', given.json, () => world.monotonicMs());
  const lineage = Buffer.from(world.random(16)).toString('hex');
  const restored = await load(kind, snapshot, { world, lineage, deep: given.deep, progress: (done, of) => bar.at(done, of) }, finish);
  bar.end();
  syncFolder(paths.restoring);
  giveToOwner(
    '.',
    engineFiles(paths.restoring).map((name) => join(paths.restoring, name)),
  );
  renameSync(`${paths.restoring}/${engineNames[kind]}`, engineNames[kind]);
  syncFolder('.');
  rmSync(paths.restoring, { recursive: true, force: true });
  giveToOwner('.', [paths.run, paths.tmp, paths.lock, paths.supervisorLock]);
  const ms = Math.round(world.monotonicMs() - began);
  const { problems, octets, uplink, portal } = restored;
  const copy = uplink?.state === 'restored' ? { portal: uplink.portal, site: uplink.site } : null;
  const { host, counts, digest } = snapshot.secrets;
  let queued = 0;
  for await (const _ of snapshot.scan('queue')) queued++;
  if (given.json)
    printJsonLine({
      ok: problems.length === 0,
      id: idOf(manifest),
      host,
      data,
      lineage,
      commit: manifest.commit,
      digest,
      octets,
      queued,
      drill: given.drill,
      copyOf: copy,
      portal,
      ms,
      problems,
    });
  else {
    for (const { rule, what } of problems) complain(`the site was so when the snapshot was taken: ${rule}: ${what}`);
    print(
      `${portal === null ? host || 'The site' : `The portal ${portal}`} is restored in ${data} as it was at commit ${manifest.commit}: ${count(counts.accounts, 'account')}, ${count(counts.messages, 'message')}, ${size(octets)} in ${ms < 2_000 ? `${ms} ms` : span(ms)}. What was written has the digest of the snapshot.`,
    );
    if (given.drill)
      print(
        `This is a drill: ${queued === 0 ? 'its queue is empty' : `${count(queued, 'message')} in its queue ${queued === 1 ? 'is' : 'are'} held`}, and it parks nowhere. New mail that is given to it is sent.`,
      );
    else if (queued > 0) print(`${count(queued, 'message')} wait${queued === 1 ? 's' : ''} in its queue and will be sent when it runs.`);
    if (copy !== null) print(`\n${copyWarning(copy, data)}\n`);
    if (portal !== null) print(`Start it with mailsite portal --data ${data}${portal === '' ? '' : ` --url ${portal}`}.`);
    else if (uplink?.state !== 'standby') print(`Start it with mailsite run --data ${data}, or mailsite install.`);
  }
  return problems.length === 0 ? 0 : 1;
}

async function load(
  kind: EngineKind,
  snapshot: SnapshotView,
  options: RestoreOptions,
  finish: (engine: Engine) => Promise<void>,
): Promise<Restored & { readonly uplink: Row<'uplink'> | undefined; readonly portal: string | null }> {
  const engine = await loadEngine(paths.restoring, kind, true);
  try {
    const restored = await restoreSnapshot(engine, snapshot, options);
    await moveOn(engine);
    await finish(engine);
    engine.refresh();
    const uplink = getRow(engine, 'uplink', {});
    const portal = portalHere(engine)?.url ?? null;
    await engine.close();
    return { ...restored, uplink, portal };
  } catch (error) {
    if (error instanceof DiskFull) throw new Failure('there is no room for the site: free some, or name a --data on another disk; nothing was restored');
    if (error instanceof NotTheSame) throw new Failure(`${error.message}: nothing was restored`);
    throw error;
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

async function putBack(world: World, place: Place, { manifest }: Found, key: Uint8Array, given: Arguments): Promise<number> {
  const from = given.only as string;
  const site = await writeSite(world, given.data);
  if (site.view === null) throw new Failure(`${site.data} holds no site to put mail back into: name its --data`);
  const account = accountByAddress(site.view, from)?.account;
  if (account === undefined) throw new Failure(`this site has no account ${from}: add it to the document first, then run this again`);
  const into = given.into ?? `Restored ${new Date(manifest.takenAt).toISOString().slice(0, 10)}`;
  const { store, view } = await site.open();
  const bar = progress('messages', given.json, () => world.monotonicMs());
  const wanted = { from: from.toLowerCase(), folder: given.folder ?? null, messageId: given.message?.replace(/^<|>$/g, '') ?? null, account, into };
  const done = await extract({ store, view, now: () => world.now() }, await openSnapshot(place, manifest, key), wanted, (n, of) => bar.at(n, of)).catch(
    (error: unknown) => {
      throw error instanceof CannotExtract ? new Failure(error.message) : error;
    },
  );
  bar.end();
  if (given.json) printJsonLine({ ok: true, id: idOf(manifest), account: from, into, ...done });
  else {
    const there = done.there === 0 ? '' : `; ${count(done.there, 'message')} ${done.there === 1 ? 'was' : 'were'} there already`;
    print(
      `${count(done.messages, 'message')} of ${from} as of ${new Date(manifest.takenAt).toISOString().slice(0, 16).replace('T', ' ')} UTC ${done.messages === 1 ? 'is' : 'are'} in ${into === '' ? 'their folders' : into}${there}.`,
    );
  }
  return 0;
}
