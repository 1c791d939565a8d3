// `mailsite portal`: the cloud end. It runs like a site, a supervisor over a store, with processes that serve HTTP in the
// place of those that serve mail. It ends by kill -9 only. `mailsite portal link`: a way in for an owner who is locked out,
// which only who may read the data of the portal can make.

import { existsSync } from 'node:fs';
import { realWorld } from '../actors/platform.ts';
import { parseEndpoint } from '../storage/addresses.ts';
import { engineFiles } from '../storage/engines/open.ts';
import { portalTree } from '../tree.ts';
import { setupLink, signInLink } from '../uplink/portal/identity/first.ts';
import { openRecords, type Records } from '../uplink/portal/records.ts';
import type { Arguments } from './arguments.ts';
import { Failure, print, printJson, UsageError } from './output.ts';
import { dataDirectory } from './place.ts';
import { enterAlone, superviseHere } from './run.ts';
import { mustHold, writeSite } from './site.ts';

const defaultListen = '127.0.0.1:8025';

/** Resolves with the exit code of `link`; otherwise never. */
export async function portal(given: Arguments): Promise<number> {
  const [word] = given.operands;
  if (word !== undefined && word !== 'link') throw new UsageError(`portal does not take ${JSON.stringify(word)}`);
  return word === 'link' ? link(given) : serve(given);
}

async function serve(given: Arguments): Promise<number> {
  const listen = given.listen ?? defaultListen;
  const options = { data: dataDirectory(given.data), output: 'inherit', engine: given.engine, bound: given.demo } as const;
  const world = enterAlone(options, 'portal');
  const url = portalUrl(given.url) ?? `http://${listen}`;
  const { address, port } = parseEndpoint(listen, 0) ?? { address: listen, port: 0 };
  world.log('listener.open', { name: 'portal', address, port });
  await superviseHere(world, portalTree, options, [], ['--listen', listen, '--url', url, ...(given.objects === undefined ? [] : ['--objects', given.objects])]);
  return new Promise(() => {});
}

function portalUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '')
    throw new UsageError(`--url takes scheme and host, such as https://portal.example.org, not ${JSON.stringify(text)}`);
  return url.origin;
}

async function link(given: Arguments): Promise<number> {
  const world = realWorld(() => {});
  const data = dataDirectory(given.data);
  if (!existsSync(data) || engineFiles(data).length === 0) throw noPortal(data); // nothing is made where there is none
  const site = await writeSite(world, given.data);
  if (site.view === null) throw noPortal(data);
  mustHold('portal', site);
  const { store, view } = await site.open();
  const records = openRecords(store, view);
  const known = await records.get('service');
  if (known === undefined) throw new Failure(`${site.data} holds no portal that was ever started: start it with mailsite portal, or name another --data`);
  const portal = { world, records, url: portalUrl(given.url) ?? known.url, objects: '' };
  const first = await setupLink(portal);
  const address = first === null ? (given.operands[1] ?? (await onlyOwner(records))) : '';
  const made = first ?? (await signInLink(portal, address));
  if (made === null) throw new Failure(`${address} is nobody's address here: give that of an owner`);
  if (given.json) printJson({ link: made, for: address === '' ? null : address });
  else print(first === null ? `For ${address}, once, within an hour: ${made}` : `For the first owner, once: ${made}`);
  return 0;
}

const noPortal = (data: string): Failure => new Failure(`${data} holds no portal: name its --data`);

/** The address of the owner, where there is one. */
async function onlyOwner(records: Records): Promise<string> {
  const owners = (await records.list('membership', [])).filter(({ body }) => body.role === 'owner').map(({ id }) => id[1] as string);
  const addresses = await Promise.all([...new Set(owners)].map(async (id) => (await records.get('person', id))?.email ?? ''));
  const [only = '', ...more] = addresses;
  if (more.length > 0) throw new Failure(`there are ${addresses.length} owners: give the address of one, such as mailsite portal link ${only}`);
  return only;
}
