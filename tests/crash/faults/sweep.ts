// The store on a disk that fails: strace lets the N-th write or sync of the engine's file fail, in turn for every N, and the
// same load as for the write log goes on as long as it can. After a sync that failed the process ends, and neither writes nor
// syncs the file again; without room commands are refused `full` and service returns; and on a good disk everything that
// had been answered is there.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { engineRow } from '../writelog/engines.ts';
import type { Job, Verdict } from '../writelog/judge.ts';
import type { Mark } from '../writelog/marks.ts';

export interface Fault {
  readonly call: 'fdatasync' | 'fsync' | 'pwrite64' | 'writev';
  /** What strace makes of the call: an error, or fewer octets than were given. */
  readonly inject: string;
  /** What the process must do: end, or go on (unless it had not begun). `either`: one call is several things. */
  readonly must: 'end' | 'goOn' | 'either';
  /** It goes on failing so many times: room does not come back at once. */
  readonly times: number;
}

export const faults: readonly Fault[] = [
  { call: 'fdatasync', inject: 'error=EIO', must: 'end', times: 1 },
  { call: 'fdatasync', inject: 'error=ENOSPC', must: 'end', times: 1 },
  { call: 'fdatasync', inject: 'error=EDQUOT', must: 'end', times: 1 },
  { call: 'fsync', inject: 'error=EIO', must: 'end', times: 1 },
  { call: 'writev', inject: 'error=EIO', must: 'end', times: 1 },
  { call: 'writev', inject: 'error=ENOSPC', must: 'goOn', times: 3 },
  { call: 'writev', inject: 'retval=4096', must: 'end', times: 1 },
  { call: 'pwrite64', inject: 'error=EIO', must: 'end', times: 1 },
  // a page was refused, or the meta page, which is a sync
  { call: 'pwrite64', inject: 'error=ENOSPC', must: 'either', times: 1 },
  { call: 'pwrite64', inject: 'retval=64', must: 'end', times: 1 },
];

export interface Trial {
  readonly fault: Fault;
  readonly at: number;
  readonly seed: number;
  /** The fault came to pass: there was such a call. */
  readonly happened: boolean;
  readonly refused: number;
  readonly wrong: readonly string[];
}

export const named = ({ call, inject }: Fault): string => `${call} ${inject}`;
const bun = process.execPath;
const writelog = join(import.meta.dirname, '../writelog');
const traced = ['fdatasync', 'fsync', 'pwrite64', 'writev'];

/** One load with one fault. `folder` is made, and removed. */
export async function trial(engine: string, folder: string, fault: Fault, at: number, seed: number, commands = 40): Promise<Trial> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [data, marksFile, trace] = ['data', 'marks', 'trace'].map((name) => join(folder, name)) as [string, string, string];
  const when = fault.times === 1 ? `${at}` : `${at}..${at + fault.times - 1}`;
  // the file is begun under another name: only fsync is used of that
  const only = fault.call === 'fsync' ? [] : ['-P', join(data, engineRow(engine).file)];
  const strace = ['-f', '-y', '-s', '0', '-qq', '--seccomp-bpf', '-o', trace, '-e', `trace=${traced}`, '-e', 'signal=none', ...only];
  const inject = ['-e', `inject=${fault.call}:${fault.inject}:when=${when}`];
  const { code, errors } = await ended('strace', [...strace, ...inject, bun, join(writelog, 'load.ts'), engine, data, marksFile, `${seed}`, `${commands}`]);
  const calls = readFileSync(trace, 'utf8').split('\n');
  const happened = calls.some((line) => line.includes('(INJECTED)'));
  const marks = linesOf(marksFile).map((line) => JSON.parse(line) as Mark);
  const wrong = happened ? [...(fault.must === 'goOn' ? wentOn(marks, code) : fault.must === 'end' ? endedWell(code, errors) : []), ...silent(calls)] : [];
  if (!happened && code !== 0) wrong.push(`without the fault the load ended with ${code}: ${errors}`);
  wrong.push(...(await judged(engine, data, marksFile, marks.length)));
  rmSync(folder, { recursive: true, force: true });
  const refused = marks.filter((mark) => 'done' in mark && mark.refused === 'full').length;
  return { fault, at, seed, happened, refused, wrong };
}

const linesOf = (file: string): string[] => {
  try {
    return readFileSync(file, 'utf8').split('\n').filter((line) => line !== ''); // biome-ignore format: one path
  } catch {
    return []; // it ended before it said anything
  }
};

/** It ended of itself, and said why. */
function endedWell(code: number, errors: string): string[] {
  if (code === 1 && errors !== '') return [];
  return [`the process ended with ${code}, and said: ${errors}`];
}

/** It went on to the end; a site that has not begun may say no. */
function wentOn(marks: readonly Mark[], code: number): string[] {
  const begun = marks.some((mark) => 'done' in mark);
  if (code !== 0) return begun ? [`the process ended with ${code} for want of room`] : [];
  const last = marks.findLastIndex((mark) => 'done' in mark && mark.refused === 'full');
  const later = marks.slice(last + 1).filter((mark) => 'done' in mark && mark.refused === null).length;
  return later > 0 ? [] : ['service did not return'];
}

/**
 * After a sync that failed nothing is written to the file, nor synced. A write of the meta page is a sync: when that fails,
 * LMDB puts back what was there, so that nobody reads the new one from memory. That is one write of the same place.
 */
export function silent(calls: readonly string[]): string[] {
  const at = calls.findIndex((line) => /(fdatasync|fsync)\(.*INJECTED/.test(line) || /pwrite64\(.*, 128, \d+\) = .*INJECTED/.test(line));
  if (at < 0) return [];
  const back = /pwrite64\(.*(, 128, \d+\))/.exec(calls[at] as string)?.[1];
  const later = calls.slice(at + 1).filter((line) => /\b(fdatasync|fsync|pwrite64|writev)\(/.test(line));
  if (back !== undefined && later[0]?.includes(back)) later.shift();
  return later.length === 0 ? [] : [`after a sync that failed: ${later[0]} (and ${later.length - 1} more)`];
}

/** The same on a good disk: it opens, recovers, is whole, and holds what was answered. */
async function judged(engine: string, folder: string, marksFile: string, marks: number): Promise<readonly string[]> {
  if (marks === 0) return [];
  const job: Job = { folder, marks, deep: true };
  const { code, output, errors } = await ended(bun, [join(writelog, 'judge.ts'), engine, marksFile], `${JSON.stringify(job)}\n`);
  if (code !== 0) return [`the judge ended with ${code}: ${errors}`];
  return (JSON.parse(output) as Verdict).wrong;
}

function ended(file: string, args: readonly string[], input = ''): Promise<{ code: number; output: string; errors: string }> {
  const child = spawn(file, args, { stdio: 'pipe' });
  let output = '';
  let errors = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (errors = (errors + text.toString()).slice(-2_000)));
  child.stdin.end(input);
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  return new Promise((resolve) =>
    child.on('close', (code) => {
      clearTimeout(late);
      resolve({ code: code ?? -1, output, errors });
    }),
  );
}

export interface Swept {
  readonly trials: number;
  readonly refused: number;
  readonly bad: readonly Trial[];
}

/** Every fault at each of `places` (until there is no such call), with two loads, since strace counts the calls of each thread. */
export async function sweep(engine: string, folder: string, places: Iterable<number>, seed: number): Promise<Swept> {
  const ends = new Map<Fault, number>();
  const todo = [...places].flatMap((at) => faults.flatMap((fault) => [seed, seed + 1].map((s) => ({ fault, at, seed: s }))));
  const bad: Trial[] = [];
  let trials = 0;
  let refused = 0;
  const worker = async (_: unknown, number: number): Promise<void> => {
    for (let next = todo.shift(); next; next = todo.shift()) {
      if (next.at > (ends.get(next.fault) ?? Number.POSITIVE_INFINITY)) continue;
      const done = await trial(engine, join(folder, `${number}`), next.fault, next.at, next.seed);
      if (done.wrong.length > 0) bad.push(done);
      if (done.happened) trials++;
      else ends.set(next.fault, Math.min(next.at, ends.get(next.fault) ?? next.at));
      refused += done.refused;
    }
  };
  await Promise.all(Array.from({ length: 2 }, worker));
  return { trials, refused, bad };
}
