// Records a load, and judges the crash states of it. Guarantees: every state is made from the trace and a seed alone, so that
// it can be made again; states with the same octets are counted once; a judge that dies has found a bad state.

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { Random } from '../../sim/random.ts';
import { Disk, type Image } from './disk.ts';
import { engineRow } from './engines.ts';
import type { Job, Verdict } from './judge.ts';
import { type Event, readTrace, straced } from './trace.ts';

export interface Recorded {
  readonly engine: string;
  /** Where the load's files were, and the trace. */
  readonly folder: string;
  readonly events: readonly Event[];
  readonly marks: number;
}
/** Where in the trace the power goes, and how: 0 everything, 1 only what was synced, from 2 a draw. */
export interface Point {
  readonly event: number;
  readonly variant: number;
}
export interface Bad extends Point {
  readonly wrong: readonly string[];
}
interface Outcome {
  /** Distinct states, by the octets of the files that matter. */
  readonly states: number;
  /** States judged: some of them at several moments, when more had been answered. */
  readonly judged: number;
  readonly points: number;
  readonly bad: readonly Bad[];
  readonly seconds: number;
}
export interface ReplayOptions {
  readonly seed: number;
  readonly states: number;
  readonly workers: number;
  /** Only this one. */
  readonly only?: Point;
  /** Ends at so many bad states. */
  readonly enough?: number;
}

const bun = process.execPath;
const here = import.meta.dirname;

/** A folder for a recording: in memory, where a sync costs nothing. */
export const freshFolder = (): string => mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'writelog-'));

/** What loads and judges of an engine have in their environment, for plant.ts. */
export const planting = (engine: string, plant: object = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  MAILSITE_PLANT: JSON.stringify({ ...engineRow(engine).small, ...plant }),
});

/**
 * Runs the load under strace: its first half kills itself in the middle, the second goes on with the same files. What another
 * thread was writing in that moment the kernel may have done, though strace never saw the call return: such a recording is
 * none, and is made again.
 */
export async function record(engine: string, folder: string, seed: number, commands: number, plant?: object): Promise<Recorded> {
  for (let tries = 1; ; tries++) {
    try {
      return await recordOnce(engine, folder, seed, commands, plant);
    } catch (error) {
      if (!(error instanceof NotWhole) || tries === 3) throw error;
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
    }
  }
}

class NotWhole extends Error {}

async function recordOnce(engine: string, folder: string, seed: number, commands: number, plant?: object): Promise<Recorded> {
  const load = [bun, '--preload', join(here, 'plant.ts'), join(here, 'load.ts'), engine, join(folder, 'data'), join(folder, 'marks')];
  const env = planting(engine, plant);
  const lives = [`${seed} ${Math.ceil(commands / 2)} kill`, `${seed + 1} ${Math.floor(commands / 2)} end`];
  const script = `${lives.map((life) => `${load.map((word) => `'${word}'`).join(' ')} ${life}`).join('; ')}; code=$?; exit $code`;
  const { code, errors } = await ended(spawn(...command(straced(join(folder, 'trace'), ['sh', '-c', script])), { env, stdio: ['ignore', 'inherit', 'pipe'] }));
  if (code !== 0) throw new Error(`the load failed (${code}): ${errors}`);
  const recording = recorded(engine, folder);
  compareFiles(recording);
  return recording;
}

/** The recording is whole: its events make the files that the load left. */
function compareFiles({ engine, events, folder }: Recorded): void {
  const row = engineRow(engine);
  const disk = new Disk(row.names, row.hollow);
  for (const event of events) disk.apply(event);
  const wanted = disk.all();
  const data = join(folder, 'data');
  const found = readdirSync(data, { recursive: true, encoding: 'utf8' }).map((name) => join(data, name));
  const files = found.filter((path) => !row.mapped.test(path) && !lstatSync(path).isDirectory());
  for (const path of files) {
    const octets = wanted.get(path);
    const is = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : typeof octets === 'number' ? lstatSync(path).size : readFileSync(path);
    if (octets === undefined || Bun.deepEquals(octets, is) === false) throw new NotWhole(`${path} is not what its events make of it`);
  }
  for (const path of wanted.keys()) if (!row.mapped.test(path) && !files.includes(path)) throw new NotWhole(`${path} is not there, and no event removed it`);
}

/** A recording that was kept. */
export function recorded(engine: string, folder: string): Recorded {
  const events = readTrace(readFileSync(join(folder, 'trace'), 'latin1'), join(folder, 'data'), join(folder, 'marks'), engineRow(engine));
  const marks = events.filter((event) => event.kind === 'mark').map((event) => event.line);
  // the order of the trace is what counts
  writeFileSync(join(folder, 'marks.read'), marks.map((line) => `${line}\n`).join(''));
  return { engine, folder, events, marks: marks.length };
}

type Child = ChildProcessByStdio<Writable, Readable, null>;
const command = ([file = '', ...args]: readonly string[]): [string, string[]] => [file, args];

function ended(child: ChildProcess): Promise<{ code: number; errors: string }> {
  let errors = '';
  child.stderr?.on('data', (text: Buffer) => (errors = (errors + text.toString()).slice(-4_000)));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? -1, errors })));
}

/** Judges states of it until there are as many distinct ones as asked for, or no more to be had. */
export async function replay(recording: Recorded, options: ReplayOptions): Promise<Outcome> {
  const began = performance.now();
  const scratch = join(recording.folder, 'states');
  mkdirSync(scratch, { recursive: true });
  const judges = Array.from({ length: options.workers }, (_, i) => new Judge(recording, join(scratch, `${i}`)));
  const { mapped } = engineRow(recording.engine);
  const bad: Bad[] = [];
  const seen = new Set<bigint>();
  const judgedAt = new Set<string>();
  const points = new Set<number>();
  let judged = 0;
  for (const state of draw(recording, options, () => seen.size < options.states)) {
    const { image, marks, ...point } = state;
    const hash = hashOf(image, mapped);
    const moment = `${hash} ${marks}`;
    points.add(point.event);
    seen.add(hash);
    if (judgedAt.has(moment)) continue;
    judgedAt.add(moment);
    judged++;
    const judge = await Promise.race(judges.map((candidate) => candidate.free));
    const deep = new Random(Number(hash & 0xffff_ffffn)).chance(0.1);
    judge.begin(image, { marks, deep: deep || options.only !== undefined }, (wrong) => {
      if (wrong.length > 0) bad.push({ ...point, wrong });
    });
    if (bad.length >= (options.enough ?? Number.POSITIVE_INFINITY)) break;
  }
  await Promise.all(judges.map((judge) => judge.end()));
  rmSync(scratch, { recursive: true, force: true });
  return { states: seen.size, judged, points: points.size, bad, seconds: (performance.now() - began) / 1000 };
}

interface State extends Point {
  readonly image: Image;
  readonly marks: number;
}

const maxRounds = 200;

/** Round after round through the trace: first all and nothing, then one more draw at each point where there is a choice. */
function* draw({ events, engine }: Recorded, { seed, only }: ReplayOptions, more: () => boolean): Generator<State> {
  const row = engineRow(engine);
  for (let round = 0; round < maxRounds && (round < 1 || more()); round++) {
    const disk = new Disk(row.names, row.hollow);
    let marks = 0;
    for (const [i, event] of events.entries()) {
      disk.apply(event);
      if (event.kind === 'mark') marks++;
      // with the answers that came before anything else was written
      if (events[i + 1]?.kind === 'mark') continue;
      const variants = round > 0 ? [round + 1] : [0, 1];
      for (const variant of variants) {
        if (only && (only.event !== i || only.variant !== variant)) continue;
        if (round > 0 && (disk.settled(row.mapped) || !more())) continue;
        const image = variant === 0 ? disk.all() : variant === 1 ? disk.least() : disk.some(new Random((seed * 1_000_003 + i) * 257 + variant));
        yield { event: i, variant, image, marks };
      }
    }
  }
}

/** What tells a state from others: not the files of `but`, which must not matter. */
function hashOf(image: Image, but: RegExp): bigint {
  let hash = 0n;
  for (const [path, octets] of [...image].filter(([name]) => !but.test(name)).sort(([a], [b]) => (a < b ? -1 : 1)))
    hash = Bun.hash.wyhash(typeof octets === 'number' ? `${octets}` : octets, Bun.hash.wyhash(path, hash) as bigint) as bigint;
  return hash;
}

/** One process that judges, started again when it dies and now and then. */
class Judge {
  free: Promise<Judge> = Promise.resolve(this);
  private child: Child | null = null;
  private answered: ((verdict: Verdict) => void) | null = null;
  private jobs = 0;
  private readonly recording: Recorded;
  private readonly scratch: string;

  constructor(recording: Recorded, scratch: string) {
    this.recording = recording;
    this.scratch = scratch;
  }

  begin(image: Image, job: Omit<Job, 'folder'>, told: (wrong: readonly string[]) => void): void {
    this.free = this.judge(image, job).then((wrong) => {
      told(wrong);
      return this;
    });
  }

  private async judge(image: Image, job: Omit<Job, 'folder'>): Promise<readonly string[]> {
    const folder = `${this.scratch}.${this.jobs++}`;
    mkdirSync(folder, { recursive: true });
    const data = join(this.recording.folder, 'data');
    for (const [path, octets] of image) {
      const file = join(folder, path.slice(data.length));
      mkdirSync(join(file, '..'), { recursive: true });
      if (typeof octets === 'string') symlinkSync(octets, file);
      else writeFileSync(file, typeof octets === 'number' ? '' : octets);
      if (typeof octets === 'number') truncateSync(file, octets);
    }
    if (this.child === null || this.jobs % 1_000 === 0) await this.start();
    const answer = new Promise<Verdict>((resolve) => (this.answered = resolve));
    this.child?.stdin.write(`${JSON.stringify({ folder, ...job } satisfies Job)}\n`);
    const late = setTimeout(() => this.child?.kill('SIGKILL'), 30_000);
    const { wrong } = await answer;
    clearTimeout(late);
    rmSync(folder, { recursive: true, force: true });
    return wrong;
  }

  private async start(): Promise<void> {
    await this.end();
    const { engine, folder } = this.recording;
    const errors = openSync(`${this.scratch}.errors`, 'w');
    const words = ['--preload', join(here, 'plant.ts'), join(here, 'judge.ts'), engine, join(folder, 'marks.read')];
    const child = spawn(bun, words, { env: planting(engine), stdio: ['pipe', 'pipe', errors] }) as Child;
    closeSync(errors);
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => this.answered?.(JSON.parse(line) as Verdict));
    child.on('close', (code, signal) => {
      if (this.child !== child) return;
      this.child = null;
      this.answered?.({ wrong: [`its process ended: ${signal ?? code} ${readFileSync(`${this.scratch}.errors`, 'utf8').slice(-500)}`] });
    });
    this.child = child;
  }

  async end(): Promise<void> {
    await this.free;
    const child = this.child;
    this.child = null;
    if (!child) return;
    child.stdin.end();
    await new Promise((done) => child.on('close', done));
  }
}
