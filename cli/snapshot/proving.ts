// Starts `mailsite prove` beside the site, and reads what it says: one line of JSON, and the exit code 0.

import { statfsSync } from 'node:fs';
import { z } from 'zod';
import { limits } from '../../actors/limits.ts';
import { NotWhole, type Proven } from '../../storage/snapshot/proof.ts';
import { size } from '../output.ts';
import { ownCommand } from '../run.ts';

const answer = z.discriminatedUnion('state', [
  z.object({ state: z.literal('proven'), lineage: z.string(), commit: z.int(), takenAt: z.int() }),
  z.object({ state: z.literal('failed'), problem: z.string() }),
  z.object({ state: z.literal('untried'), problem: z.string() }),
]);

/** Of the site in the current directory, which takes so many `octets`. Throws as Proving.restore does. */
export async function proveBeside(octets: number): Promise<Proven> {
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
  const said = answer.safeParse(lastJson(text));
  if (!said.success) {
    const why = errors.trim().split('\n').at(-1) ?? '';
    throw new Error(why === '' ? `it ended before it was done (${child.signalCode ?? child.exitCode})` : why);
  }
  if (said.data.state === 'proven') return said.data;
  throw said.data.state === 'failed' ? new NotWhole(said.data.problem) : new Error(said.data.problem);
}

function lastJson(text: string): unknown {
  try {
    return JSON.parse(text.trim().split('\n').at(-1) ?? '');
  } catch {
    return null;
  }
}
