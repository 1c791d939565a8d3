// The rest of `mailsite join` where the claim is one to launch from: the site is restored from what its portal keeps, and then
// takes the place of the machine before. Guarantees: until the restored site has proved whole, that machine goes on; from
// the portal's answer on it is the old one, and never are there two; cut off anywhere, the same command goes on.

import { mkdirSync } from 'node:fs';
import type { World } from '../actors/world.ts';
import { getRow } from '../storage/rows.ts';
import { readManifest } from '../storage/snapshot/manifest.ts';
import { standBy } from '../storage/snapshot/standby.ts';
import { challengeFrom, openPortal, told } from '../uplink/agent/parking.ts';
import { networkTransport } from '../uplink/agent/network.ts';
import { patiently } from '../uplink/agent/place.ts';
import type { EnrolAnswer } from '../uplink/enrol.ts';
import { activatedStatement } from '../uplink/grant.ts';
import { openValue, portalKeyHolds, type Signer, signValue } from '../uplink/keys.ts';
import type { Arguments } from './arguments.ts';
import { complain, Failure, print, printJsonLine } from './output.ts';
import { place as paths } from './place.ts';
import { restoreSite } from './snapshot/restore.ts';
import { dataKey, plainly } from './snapshot/source.ts';
import { type Writable, writeSite } from './site.ts';

/** `url`: of the portal. `site`: the folder as it was entered. */
export async function launch(world: World, given: Arguments, url: string, answer: EnrolAnswer, signer: Signer, site: Writable): Promise<number> {
  const { site: id, machine, portal, rootPublic, epoch, snapshot } = answer;
  const who = { portal: url, portalId: portal, rootPublic, site: id, machine, signPublic: signer.publicKey };
  const before = site.view === null ? undefined : getRow(site.view, 'uplink', {});
  const ours = before?.site === id && before.machine === machine;
  if (site.view !== null && !ours) throw new Failure(`${site.data} holds another site: a launch needs an empty --data`);
  if (ours && ['superseded', 'quarantined', 'decommissioned'].includes(before.state))
    throw new Failure(`${site.data} was this site before another machine took over: a launch needs an empty --data`);
  if (ours && before.state !== 'standby') return say(given, site.data, url, id, before.epoch, true);
  return plainly(async () => {
    if (!ours) {
      // from here on no empty site begins in this folder, wherever this is cut off
      mkdirSync(paths.restoring, { recursive: true, mode: 0o700 });
      const place = openPortal(world, { url, site: id, machine, signer }, 'read');
      const manifest = await readManifest(place, snapshot);
      const key = (await dataKey(world, place, manifest, given, true)) as Uint8Array;
      const finish = (engine: Parameters<typeof standBy>[0]) => standBy(engine, { ...who, epoch, joinedAt: world.now() });
      const code = await restoreSite(world, place, { name: snapshot, manifest }, key, given, finish);
      if (code !== 0) complain('it was not whole when the snapshot was taken: it takes over as it is');
    }
    const { epoch: now } = await activate(world, url, answer, signer);
    // an engine is open once in a process
    const { store } = await (ours ? site : await writeSite(world, given.data)).open();
    const kept = await store.ask('joined', { now: world.now(), ...who, epoch: now, identity: '' });
    if ('refused' in kept) throw new Failure(`${site.data} has not taken over: ${kept.detail}`);
    return say(given, site.data, url, id, now, false);
  });
}

function say(given: Arguments, data: string, portal: string, site: string, epoch: number, again: boolean): number {
  if (given.json) printJsonLine({ ok: true, portal, site, epoch, launched: true, again });
  else
    print(
      `This machine is site ${site} of ${portal} now, as epoch ${epoch}; the one before takes no more mail as soon as it hears of it.\nStart it with mailsite run --data ${data}, or mailsite install.`,
    );
  return 0;
}

/** From the answer on, this machine is the primary. Asked again it is the same, so that an answer which was lost does no harm. */
async function activate(world: World, url: string, { portal, rootPublic, site, machine }: EnrolAnswer, signer: Signer): Promise<{ epoch: number }> {
  const { post } = networkTransport(world);
  const { challenge, answer } = await patiently(world, `the portal ${url}`, async () => {
    const { challenge } = await challengeFrom(post, url);
    return { challenge, answer: await told(post, `${url}/v1/activate`, signValue(signer, 'activate', { challenge, portal, site, machine })) };
  });
  const { signed, signature, signPublic, signProof } = answer;
  const [text, mark, key, proof] = [signed, signature, signPublic, signProof].map(String) as [string, string, string, string];
  const found = portalKeyHolds(rootPublic, key, proof) ? activatedStatement.safeParse(openValue(key, 'activated', { signed: text, signature: mark })) : null;
  if (found?.success !== true || found.data.challenge !== challenge || found.data.machine !== machine)
    throw new Failure(`what answers at ${url} is not the portal that this machine enrolled with: nothing has changed`);
  return found.data;
}
