// Whether a site runs here: what its supervisor says.

import { existsSync } from 'node:fs';
import { link } from '../actors/link.ts';
import { Supervision, type SupervisionProtocol } from '../actors/supervision.ts';
import type { Answer } from '../actors/wire.ts';
import type { World } from '../actors/world.ts';
import { Failure } from './output.ts';
import { place } from './place.ts';

export type Processes = Answer<SupervisionProtocol, 'processes'>;

const ANSWER_MS = 5_000;

/** What the supervisor of the site in the current directory says of its processes; null when none runs. Throws when it hangs. */
export function askSupervisor(world: World): Promise<Processes | null> {
  if (!existsSync(place.supervisorSocket)) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    world.after(ANSWER_MS, () => reject(new Failure('the supervisor of this site does not answer: kill -9 it, and systemd starts the site again')));
    const supervisor = link(world, place.supervisorSocket, Supervision, { onLost: () => resolve(null) });
    supervisor.ask('processes', {}).then(
      (answer) => resolve('processes' in answer ? answer : null),
      () => resolve(null),
    );
  });
}
