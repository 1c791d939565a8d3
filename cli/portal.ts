// `mailsite portal`: the cloud end. It runs like a site, a supervisor over a store, with processes that serve HTTP in the
// place of those that serve mail. It ends by kill -9 only.

import { parseEndpoint } from '../storage/addresses.ts';
import { portalTree } from '../tree.ts';
import type { Arguments } from './arguments.ts';
import { dataDirectory } from './place.ts';
import { enterAlone, superviseHere } from './run.ts';

const defaultListen = '127.0.0.1:8025';

export async function portal(given: Arguments): Promise<void> {
  const listen = given.listen ?? defaultListen;
  const options = { data: dataDirectory(given.data), output: 'inherit', engine: given.engine } as const;
  const world = enterAlone(options, 'portal');
  const url = given.url ?? `http://${listen}`;
  const { address, port } = parseEndpoint(listen, 0) ?? { address: listen, port: 0 };
  world.log('listener.open', { name: 'portal', address, port });
  await superviseHere(world, portalTree, options, [], ['--listen', listen, '--url', url, ...(given.objects === undefined ? [] : ['--objects', given.objects])]);
}
