// The store on a disk that fails, at every write and every sync:
//
//   bun tests/crash/faults/run.ts [--places 40] [--seed N] [--engine lmdb|lsm]
//
// One line tells the outcome, and one each what went wrong; the exit code is 1 when anything did. `--places`: how many calls
// of each kind and each thread are tried, one after the other, until there is no such call.

import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { freshFolder } from '../writelog/replay.ts';
import { named, sweep } from './sweep.ts';

const { values: given } = parseArgs({
  options: {
    places: { type: 'string', default: '40' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    engine: { type: 'string', default: 'lmdb' },
  },
});
const folder = freshFolder();
const began = performance.now();
const places = Array.from({ length: Number(given.places) }, (_, i) => i + 1);
const { trials, refused, bad } = await sweep(given.engine, folder, places, Number(given.seed));
rmSync(folder, { recursive: true, force: true });
for (const { fault, at, seed, wrong } of bad.slice(0, 20))
  process.stdout.write(`bad: ${named(fault)} at ${at} (seed ${seed}): ${wrong.slice(0, 4).join('; ')}\n`);
const seconds = (performance.now() - began) / 1000;
process.stdout.write(
  `faults of ${given.engine}, seed ${given.seed}: ${trials} calls failed, ${refused} commands refused for want of room, ${bad.length} bad (${seconds.toFixed(0)} s)\n`,
);
process.exit(bad.length > 0 || trials === 0 ? 1 : 0);
