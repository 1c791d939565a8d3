// Runs the simulator from the command line.
//   bun tests/sim/run.ts --seed N [--trace]    one seed, twice, so that it proves to replay; --trace prints every step
//   SEEDS=100000 [FROM=1] bun tests/sim/run.ts many seeds; the first line of each that finds something says how to replay it
//   --snapshots with either: the simulation of snapshots, restores and forks (snapshots.ts)
//   --uplink with either: the simulation of a site and its portal (uplink.ts)

import { Found, simulate } from './simulate.ts';
import { simulateSnapshots } from './snapshots.ts';
import { simulateUplink } from './uplink.ts';

const argv = process.argv.slice(2);
const at = argv.indexOf('--seed');
const run: (
  seed: number,
  options?: { readonly watch?: (line: string) => void },
) => { readonly steps: number; readonly crashes: number; readonly trace: number } = argv.includes('--snapshots')
  ? simulateSnapshots
  : argv.includes('--uplink')
    ? simulateUplink
    : simulate;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

function one(seed: number): void {
  const watch = argv.includes('--trace') ? { watch: print } : {};
  const first = run(seed, watch);
  const second = run(seed);
  print(JSON.stringify(first));
  if (first.trace !== second.trace) throw new Error(`seed ${seed} does not replay: ${first.trace} and ${second.trace}`);
}

/** So many that found something are enough for one day. */
const ENOUGH = 20;

function many(from: number, count: number): void {
  const started = Bun.nanoseconds();
  const sums: Record<string, number> = {};
  let found = 0;
  for (let seed = from; seed < from + count && found < ENOUGH; seed++) {
    try {
      for (const [what, count] of Object.entries(run(seed))) if (what !== 'seed' && what !== 'trace') sums[what] = (sums[what] ?? 0) + count;
    } catch (error) {
      if (!(error instanceof Found)) throw error;
      found++;
      print(error.message);
    }
    if ((seed - from + 1) % 1_000 === 0) print(`${seed - from + 1} seeds, ${found} found something`);
  }
  const seconds = (Bun.nanoseconds() - started) / 1e9;
  const counts = Object.entries(sums).map(([what, sum]) => `${sum} ${what}`);
  print(`${count} seeds in ${seconds.toFixed(1)} s (${Math.round((sums['steps'] ?? 0) / seconds)} steps/s): ${counts.join(', ')}; ${found} found something`);
  if (found > 0) process.exitCode = 1;
}

if (at >= 0) one(Number(argv[at + 1]));
else many(Number(process.env['FROM'] ?? 1), Number(process.env['SEEDS'] ?? 1_000));
