// M1, M2, C1 on a failing disk: the short form of run.ts. After a sync that failed the store ends and never syncs again; for
// want of room it refuses and goes on; nothing that was answered is lost.

import { rmSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { tell } from '../../clients/programs.ts';
import { freshFolder } from '../writelog/replay.ts';
import { faults, named, sweep } from './sweep.ts';

const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
const folder = freshFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test(`M1: a write or a sync that fails ends the store, or is refused, and loses nothing (MAILSITE_SEED=${seed})`, async () => {
  const { trials, refused, bad } = await sweep('lmdb', folder, [1, 2, 3, 5, 8, 13], seed);
  expect(bad.map(({ fault, at, seed: of, wrong }) => `${named(fault)} at ${at} (seed ${of}): ${wrong.join('; ')}`)).toEqual([]);
  expect(trials).toBeGreaterThan(4 * faults.length);
  expect(refused).toBeGreaterThan(10);
  tell(`  ${trials} calls failed in turn, ${refused} commands were refused for want of room, nothing was lost`);
});
