// Judges crash states, in a process of its own, since what an engine does with a damaged file may end its process.
//
//   bun judge.ts ENGINE MARKS      a job a line on stdin, a verdict a line on stdout
//
// A state is good when it opens, holds exactly the rows of a commit that began and is none older than what was answered,
// when the store starts on it (which is recovery), `check` finds nothing, and every answered fact holds.

import { readFileSync, rmSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { run } from '../../../actors/actor.ts';
import { realWorld } from '../../../actors/platform.ts';
import { storage } from '../../../storage/actor.ts';
import { check } from '../../../storage/check.ts';
import type { Engine } from '../../../storage/engine.ts';
import { engineRow } from './engines.ts';
import { Known, type Mark } from './marks.ts';

export interface Job {
  readonly folder: string;
  /** How many of the marks were written before the crash. */
  readonly marks: number;
  readonly deep: boolean;
}
export interface Verdict {
  readonly wrong: readonly string[];
}

const [engineName = '', marksFile = ''] = process.argv.slice(2);
const row = engineRow(engineName);
const marks = readFileSync(marksFile, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Mark); // biome-ignore format: one path
const world = realWorld(() => {});
let known = new Known();
let taken = 0;

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as Job;
  if (taken > job.marks) {
    known = new Known();
    taken = 0;
  }
  while (taken < job.marks) known.take(marks[taken++] as Mark);
  const verdict: Verdict = { wrong: await judge(job) };
  rmSync(job.folder, { recursive: true });
  writeSync(1, `${JSON.stringify(verdict)}\n`);
}

async function judge({ folder, deep }: Job): Promise<string[]> {
  try {
    const { engine, close } = await row.open(folder);
    try {
      return await judgeStore(engine, deep);
    } finally {
      await close();
    }
  } catch (error) {
    return [`it does not open: ${String(error)}`];
  }
}

async function judgeStore(engine: Engine, deep: boolean): Promise<string[]> {
  engine.refresh();
  const wrong = known.wrongCommit(engine);
  await run(world, storage, engine);
  engine.refresh();
  wrong.push(...check(engine, { deep }).problems.map((problem) => `${problem.rule}: ${problem.what}`));
  wrong.push(...known.missing(engine));
  return wrong;
}
