// Gives the command `uplink.test` to sites of a portal that runs, through the store of it, as its own processes do: a process of
// its own, `bun commander.ts DATA ORGANISATION SITE …`, which takes no lock, and outlives every crash of the portal. It
// prints a line for each one it tried: `{"site","text","command"}`, where `command` is null when nobody can tell whether it was given.

import { link } from '../../actors/link.ts';
import { realWorld } from '../../actors/platform.ts';
import { Store } from '../../storage/messages.ts';
import { place } from '../../cli/place.ts';
import { command } from '../../uplink/portal/command.ts';
import { openRecords } from '../../uplink/portal/records.ts';
import { openData } from './data.ts';

const [data = '', organisation = '', ...sites] = process.argv.slice(2);
process.chdir(data);
const world = realWorld(() => {});
const records = openRecords(link(world, place.storeSocket, Store), await openData('.', true));
for (let n = 0; ; n++) {
  const site = sites[n % sites.length] as string;
  const text = `command ${n}`;
  const given = records.transact((tx) => command(tx, { world }, { organisation, site, name: 'uplink.test', args: { text }, by: 'test' }));
  const id = await Promise.race([given.catch(() => null), world.sleep(5_000).then(() => null)]);
  console.log(JSON.stringify({ site, text, command: id }));
  await world.sleep(150);
}
