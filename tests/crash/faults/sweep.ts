// The store on a disk that fails: strace lets the N-th write or sync of some of the engine's files fail, in turn for every N,
// and the same load as for the write log goes on as long as it can. After a sync that failed the process ends, or leaves that
// file alone for good, where what it holds is elsewhere still; without room commands are refused `full` and service returns;
// and on a good disk everything that had been answered is there.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Job, Verdict } from '../writelog/judge.ts';
import type { Mark } from '../writelog/marks.ts';
import { planting } from '../writelog/replay.ts';

export interface Fault {
  readonly call: 'fdatasync' | 'fsync' | 'pwrite64' | 'writev' | 'write' | 'rename' | 'openat';
  /** What strace makes of the call: an error, or fewer octets than were given. */
  readonly inject: string;
  /** Which files: a key of the engine's row in `disks`. */
  readonly files: string;
  /** What the process must do: end, or go on (unless it had not begun). `either`: one call is several things. */
  readonly must: 'end' | 'goOn' | 'either';
  /** It goes on failing so many times: room does not come back at once. */
  readonly times: number;
}

/** What can fail of an engine. */
interface DiskRow {
  /** Paths below the data folder, which need not be there yet; null: every call of the process. */
  readonly files: Readonly<Record<string, readonly string[] | null>>;
  readonly faults: readonly Fault[];
  /** How many commands the load has, so that it meets them. */
  readonly commands: number;
}

const fault = (files: string, call: Fault['call'], inject: string, must: Fault['must'], times = 1): Fault => ({ call, inject, files, must, times });
/** Of the numbers that the library gives out in a load. */
const numbered = (spell: (number: string) => string): string[] => Array.from({ length: 300 }, (_, i) => `mail.lsm/${spell(`${i + 1}`.padStart(6, '0'))}`);

export const disks: Readonly<Record<string, DiskRow>> = {
  lmdb: {
    // the file is begun under another name: only fsync is used of that
    files: { mail: ['mail.lmdb'], any: null },
    faults: [
      fault('mail', 'fdatasync', 'error=EIO', 'end'),
      fault('mail', 'fdatasync', 'error=ENOSPC', 'end'),
      fault('mail', 'fdatasync', 'error=EDQUOT', 'end'),
      fault('any', 'fsync', 'error=EIO', 'end'),
      fault('mail', 'writev', 'error=EIO', 'end'),
      fault('mail', 'writev', 'error=ENOSPC', 'goOn', 3),
      fault('mail', 'writev', 'retval=4096', 'end'),
      fault('mail', 'pwrite64', 'error=EIO', 'end'),
      // a page was refused, or the meta page, which is a sync
      fault('mail', 'pwrite64', 'error=ENOSPC', 'either'),
      fault('mail', 'pwrite64', 'retval=64', 'end'),
    ],
    commands: 40,
  },
  lsm: {
    files: {
      log: numbered((number) => `${number}.log`),
      table: numbered((number) => `${number}.sst`),
      manifest: numbered((number) => `MANIFEST-${number}`),
      // what is written under another name first: CURRENT, and the options
      aside: [...numbered((number) => `${number}.dbtmp`), ...numbered((number) => `OPTIONS-${number}.dbtmp`)],
      folder: ['mail.lsm'],
    },
    faults: [
      fault('log', 'write', 'error=EIO', 'end'),
      // a part of it may be there: only a start can tell
      fault('log', 'write', 'error=ENOSPC', 'end'),
      fault('log', 'fdatasync', 'error=EIO', 'end'),
      fault('log', 'fdatasync', 'error=ENOSPC', 'end'),
      fault('log', 'fdatasync', 'error=EDQUOT', 'end'),
      fault('log', 'openat', 'error=ENOSPC', 'either'),
      // Threads write these. What a flush holds is in the log, what a merge holds in the tables before it: the next commit
      // is told, if there is one. Without room the library tries again by itself, into another file.
      fault('table', 'write', 'error=EIO', 'either'),
      fault('table', 'write', 'error=ENOSPC', 'either', 2),
      fault('table', 'fdatasync', 'error=EIO', 'either'),
      fault('table', 'fdatasync', 'error=ENOSPC', 'either'),
      fault('table', 'openat', 'error=EMFILE', 'either'),
      fault('manifest', 'write', 'error=EIO', 'either'),
      fault('manifest', 'write', 'error=ENOSPC', 'either'),
      fault('manifest', 'fdatasync', 'error=EIO', 'either'),
      fault('aside', 'write', 'error=EIO', 'end'),
      fault('aside', 'fdatasync', 'error=EIO', 'end'),
      fault('aside', 'rename', 'error=EIO', 'end'),
      // synced again for other names: what has lost its own by this is not used
      fault('folder', 'fsync', 'error=EIO', 'either'),
    ],
    commands: 120,
  },
};

function diskOf(engine: string): DiskRow {
  const row = disks[engine];
  if (row === undefined) throw new Error(`no faults of ${engine}: there are those of ${Object.keys(disks).join(', ')}`);
  return row;
}

export interface Trial {
  readonly fault: Fault;
  readonly at: number;
  readonly seed: number;
  /** The fault came to pass: there was such a call. */
  readonly happened: boolean;
  readonly refused: number;
  readonly wrong: readonly string[];
}

export const named = ({ files, call, inject }: Fault): string => `${files}: ${call} ${inject}`;
const bun = process.execPath;
const writelog = join(import.meta.dirname, '../writelog');

/** One load with one fault. `folder` is made, and removed. */
async function trial(engine: string, folder: string, fault: Fault, at: number, seed: number): Promise<Trial> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [data, marksFile, trace] = ['data', 'marks', 'trace'].map((name) => join(folder, name)) as [string, string, string];
  const { files, commands } = diskOf(engine);
  const when = fault.times === 1 ? `${at}` : `${at}..${at + fault.times - 1}`;
  const only = files[fault.files]?.flatMap((name) => ['-P', join(data, name)]) ?? [];
  const calls = `trace=${[...new Set(['fdatasync', 'fsync', 'pwrite64', 'writev', 'write', fault.call])]}`;
  const strace = ['-f', '-y', '-s', '0', '-qq', '--seccomp-bpf', '-o', trace, '-e', calls, '-e', 'signal=none', ...only];
  const inject = ['-e', `inject=${fault.call}:${fault.inject}:when=${when}`];
  const load = [bun, '--preload', join(writelog, 'plant.ts'), join(writelog, 'load.ts'), engine, data, marksFile, `${seed}`, `${commands}`];
  const { code, errors } = await ended(engine, 'strace', [...strace, ...inject, ...load]);
  const lines = readFileSync(trace, 'utf8').split('\n');
  const happened = lines.some((line) => line.includes('(INJECTED)'));
  const marks = linesOf(marksFile).map((line) => JSON.parse(line) as Mark);
  const wrong = happened ? [...wrongEnd(fault, marks, code, errors), ...(fault.files === 'folder' ? [] : silent(lines, fault.must === 'end'))] : [];
  if (!happened && code !== 0) wrong.push(`without the fault the load ended with ${code}: ${errors}`);
  wrong.push(...(await judged(engine, data, marksFile, marks.length)));
  rmSync(folder, { recursive: true, force: true });
  const refused = marks.filter((mark) => 'done' in mark && mark.refused === 'full').length;
  return { fault, at, seed, happened, refused, wrong };
}

function wrongEnd({ must }: Fault, marks: readonly Mark[], code: number, errors: string): string[] {
  if (must === 'goOn') return wentOn(marks, code);
  return must === 'end' || code !== 0 ? endedWell(code, errors) : [];
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
 * After a sync that failed its file is neither written nor synced again; where the process must end (`all`), no file is. A write of
 * LMDB's meta page is a sync: when that fails, LMDB puts back what was there, so that nobody reads the new one from memory.
 * That is one write of the same place.
 */
export function silent(calls: readonly string[], all: boolean): string[] {
  const at = calls.findIndex((line) => /(fdatasync|fsync)\(.*INJECTED/.test(line) || /pwrite64\(.*, 128, \d+\) = .*INJECTED/.test(line));
  if (at < 0) return [];
  const file = /\(\d+<([^>]*)>/.exec(calls[at] as string)?.[1];
  const back = /pwrite64\(.*(, 128, \d+\))/.exec(calls[at] as string)?.[1];
  const writes = /\b(fdatasync|fsync|pwrite64|writev|write)\(\d+<[^>]*\/mail\.l/;
  const later = calls.slice(at + 1).filter((line) => writes.test(line) && (all || line.includes(`<${file}>`)));
  if (back !== undefined && later[0]?.includes(back)) later.shift();
  return later.length === 0 ? [] : [`after a sync that failed: ${later[0]} (and ${later.length - 1} more)`];
}

/** The same on a good disk: it opens, recovers, is whole, and holds what was answered. */
async function judged(engine: string, folder: string, marksFile: string, marks: number): Promise<readonly string[]> {
  if (marks === 0) return [];
  const job: Job = { folder, marks, deep: true };
  const words = ['--preload', join(writelog, 'plant.ts'), join(writelog, 'judge.ts'), engine, marksFile];
  const { code, output, errors } = await ended(engine, bun, words, `${JSON.stringify(job)}\n`);
  if (code !== 0) return [`the judge ended with ${code}: ${errors}`];
  return (JSON.parse(output) as Verdict).wrong;
}

function ended(engine: string, file: string, args: readonly string[], input = ''): Promise<{ code: number; output: string; errors: string }> {
  const child = spawn(file, args, { env: planting(engine), stdio: 'pipe' });
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
  const { faults } = diskOf(engine);
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
