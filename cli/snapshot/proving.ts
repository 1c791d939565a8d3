// Starts `mailsite prove` beside the site, and reads what it says: one line of JSON, and the exit code 0.

import { statfsSync } from 'node:fs';
import { z } from 'zod';
import { limits } from '../../actors/limits.ts';
import { NotWhole, type Proven } from '../../storage/snapshot/proof.ts';
import { size } from '../output.ts';
import { place } from '../place.ts';
import { ownCommand } from '../run.ts';
import { sweep } from './scratch.ts';

const answer = z.discriminatedUnion('state', [
  z.object({ state: z.literal('proven'), commit: z.int(), takenAt: z.int() }),
  z.object({ state: z.enum(['failed', 'untried', 'none']), problem: z.string() }),
]);

/**
 * Of the site in the current directory, which takes so many `octets`. `parked`: there must be a snapshot. Throws as
 * Proving.restore does.
 */
export async function proveBeside(octets: number, parked: boolean): Promise<Proven> {
  sweep(place.tmp); // what a proof that was killed left is not room that is missing
  const { bavail, bsize } = statfsSync('.');
  const needed = octets + limits.proofLeaves;
  if (bavail * bsize < needed)
    throw new Error(`there is no room to restore a snapshot beside the site: ${size(needed)} are needed, ${size(bavail * bsize)} are free`);
  const child = Bun.spawn([...ownCommand(), 'prove', '--data', '.', '--supervisor', String(process.pid)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limits.proofMs,
    killSignal: 'SIGKILL',
  });
  const [text, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  sweep(place.tmp);
  const said = answer.safeParse(lastJson(text));
  if (!said.success) {
    const killed = 'it was ended before it was done: memory was short, or it took longer than a day';
    throw new Error(child.signalCode === null ? (errors.trim().split('\n').at(-1) ?? '') : killed);
  }
  const { data } = said;
  if (data.state === 'proven') return data;
  throw data.state === 'failed' || (data.state === 'none' && parked) ? new NotWhole(data.problem) : new Error(data.problem);
}

function lastJson(text: string): unknown {
  try {
    return JSON.parse(text.trim().split('\n').at(-1) ?? '');
  } catch {
    return null;
  }
}
