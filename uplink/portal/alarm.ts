// What somebody should look at, kept where the people of an organisation find it.

import type { World } from '../../actors/world.ts';
import type { Transaction } from './records.ts';

export interface Alarm {
  readonly organisation: string;
  readonly site: string;
  readonly name: string;
  readonly detail: string;
}

export function alarm(tx: Transaction, world: World, { organisation, site, name, detail }: Alarm): void {
  const at = world.now();
  tx.put('alarm', [organisation, `${String(at).padStart(15, '0')}-${Buffer.from(world.random(4)).toString('hex')}`], { at, site, name, detail });
}
