// The write log of an engine, replayed:
//
//   bun tests/crash/writelog/run.ts [--states 10000] [--engine lmdb|lsm] [--seed N] [--plant JSON] [--keep]
//
// records what the engine writes and syncs during a mixed load, makes the states that a loss of power may leave at each
// point of it, and judges each. `--plant` breaks the engine (plant.ts). One line tells the outcome; the exit code is 1 when any state is bad. What is needed to see a
// bad state again is kept, and a command for it is printed:
//
//   bun tests/crash/writelog/run.ts --from FOLDER --at EVENT.VARIANT [--engine lmdb] --seed N

import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { freshFolder, record, recorded, replay } from './replay.ts';

const { values: given } = parseArgs({
  options: {
    states: { type: 'string', default: '10000' },
    engine: { type: 'string', default: 'lmdb' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    commands: { type: 'string' },
    from: { type: 'string' },
    at: { type: 'string' },
    plant: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const { engine } = given;
const [seed, states] = [Number(given.seed), Number(given.states)];
const commands = Number(given.commands ?? Math.min(600, Math.max(80, Math.ceil(states / 20))));
const folder = given.from ?? freshFolder();
const recording =
  given.from === undefined
    ? await record(engine, folder, seed, commands, given.plant === undefined ? undefined : (JSON.parse(given.plant) as object))
    : recorded(engine, folder);
const [event, variant] = (given.at ?? '').split('.').map(Number);
const only = given.at === undefined ? {} : { only: { event: event ?? 0, variant: variant ?? 0 } };
const { bad, seconds, points, judged, states: distinct } = await replay(recording, { seed, states, workers: 2, enough: 20, ...only });

for (const { wrong, ...point } of bad.slice(0, 5)) {
  process.stdout.write(`bad: ${wrong.slice(0, 5).join('; ')}\n`);
  process.stdout.write(`  again: bun tests/crash/writelog/run.ts --engine ${engine} --from ${folder} --at ${point.event}.${point.variant} --seed ${seed}\n`);
}
const { events, marks } = recording;
const made = events.filter((event) => event.kind === 'create').length;
const rate = Math.round(judged / seconds);
process.stdout.write(
  `write log of ${engine}, seed ${seed}: ${events.length - marks} writes, syncs and names, ${made} files made, ${marks} marks; ${distinct} states at ${points} points, ${bad.length} bad (${judged} judged, ${seconds.toFixed(0)} s, ${rate}/s)\n`,
);
if (bad.length === 0 && given.from === undefined && !given.keep) rmSync(folder, { recursive: true });
const enough = given.at !== undefined || bad.length > 0 || distinct >= states;
if (!enough) process.stdout.write(`there were not ${states} states: give more --commands\n`);
process.exit(bad.length > 0 || !enough ? 1 : 0);
