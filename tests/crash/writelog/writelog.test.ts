// M1, M2, S1–S5, Q1 after a loss of power, by replaying the write log: the short form of run.ts on every engine, and the proof
// that it finds an engine that syncs nothing, and one that answers before it has synced.

import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tell } from '../../clients/programs.ts';
import { engineRow, engines } from './engines.ts';
import { freshFolder, record, replay } from './replay.ts';

const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
let folder: string;
beforeEach(() => {
  folder = freshFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each(Object.keys(engines))(`M1: %s keeps all that was answered, in every state after a loss of power (MAILSITE_SEED=${seed})`, async (engine) => {
  const states = Number(process.env['MAILSITE_STATES'] ?? engineRow(engine).short);
  const recording = await record(engine, folder, seed, Math.max(80, states / 20));
  const { bad, judged, seconds, points, states: distinct } = await replay(recording, { seed, states, workers: 2, enough: 5 });
  expect(bad).toEqual([]);
  expect(distinct).toBeGreaterThanOrEqual(states);
  tell(`  ${engine}: ${distinct} states at ${points} points of the write log, 0 bad (${judged} judged in ${seconds.toFixed(0)} s)`);
});

const planted = Object.entries(engines).flatMap(([engine, { plants }]) => plants.map((row) => ({ engine, ...row })));
test.each(planted)('the replay finds that $engine $what', async ({ engine, plant, bad: least }) => {
  const { bad } = await replay(await record(engine, folder, seed, 60, plant), { seed, states: 600, workers: 2, enough: 20 });
  expect(bad.length).toBeGreaterThanOrEqual(least);
  if ('noSync' in plant) expect(bad.map(({ wrong }) => wrong.join('\n')).join('\n')).toMatch(/the site is at commit \d+, and \d+ was answered/);
});
