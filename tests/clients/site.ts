// A real site for a test: dist/mailsite with a document, on free loopback ports, in a folder of its own. Guarantees: the
// test begins after the first greetings; `finish` kills every process of the site with -9 and the data is proved whole
// (`mailsite check --deep`) before it is removed (STYLE: every test of a server ends so).

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { must, type Ran, run, sleep, until } from './programs.ts';

export const executable = resolve(process.env['MAILSITE'] ?? 'dist/mailsite');
/** In tests/long.sh: a network of our own, in which every port is free and nothing leads outside. */
export const isolated = process.env['MAILSITE_ISOLATED'] === '1';

/** The engine of new sites: MAILSITE_ENGINE, else the program's own choice. */
export const engine = process.env['MAILSITE_ENGINE'];
export const engineOptions: readonly string[] = engine === undefined ? [] : ['--engine', engine];

export const ports = { smtp: 25, submissions: 465, submission: 587, imap: 143, imaps: 993 } as const;
export type PortName = keyof typeof ports;
export const password = 'correct horse';

export interface SiteDocument {
  readonly schema: 1;
  readonly host: string;
  readonly domains: readonly object[];
  readonly accounts: readonly object[];
  readonly [part: string]: unknown;
}

/** Accounts `alice@example.test`… with the one password of the tests. */
export function sampleDocument(names: readonly string[] = ['alice', 'bob'], rest: object = {}): SiteDocument {
  return {
    schema: 1,
    host: 'mail.example.test',
    domains: [{ name: 'example.test' }],
    accounts: names.map((name) => ({ address: `${name}@example.test`, name, password: { plain: password } })),
    ...rest,
  };
}

export interface SiteOptions {
  readonly document?: SiteDocument;
  readonly listen?: string;
  readonly portOffset?: number;
  /** A folder that exists; default: a new one, removed in the end. */
  readonly data?: string;
}

export interface ProcessInfo {
  readonly role: string;
  readonly index: number;
  readonly pid: number;
}

export interface QueueInfo {
  readonly domain: string;
  readonly recipients: number;
  readonly attempts: number;
  readonly nextAttempt: number;
  readonly lastError: string;
}

export interface Status {
  readonly engine: string;
  readonly messages: number;
  readonly queue: readonly QueueInfo[];
  readonly supervisor: { readonly pid: number } | null;
  readonly processes: readonly ProcessInfo[];
}

export class Site {
  readonly data: string;
  readonly address: string;
  readonly portOffset: number;
  private readonly temporary: boolean;
  private supervisor: ChildProcess | null = null;

  constructor(data: string, address: string, portOffset: number, temporary: boolean) {
    this.data = data;
    this.address = address;
    this.portOffset = portOffset;
    this.temporary = temporary;
  }

  port(name: PortName): number {
    return ports[name] + this.portOffset;
  }

  endpoint(name: PortName): string {
    return `${this.address}:${this.port(name)}`;
  }

  get log(): string {
    return readFileSync(join(this.data, '..', 'log'), 'utf8');
  }

  cli(...args: readonly string[]): Promise<Ran> {
    return run([executable, ...args, '--data', this.data], { timeoutMs: 120_000 });
  }

  async apply(document: SiteDocument): Promise<void> {
    await must([executable, 'apply', '-', '--data', this.data], { input: JSON.stringify(document), timeoutMs: 120_000 });
  }

  async status(): Promise<Status> {
    const ran = await this.cli('status', '--json');
    expect(ran.code, ran.stderr).toBe(0);
    return JSON.parse(ran.stdout) as Status;
  }

  /** Starts the supervisor as systemd would, without waiting. */
  launch(): void {
    const log = openSync(join(this.data, '..', 'log'), 'a');
    const isNew = !existsSync(this.data) || !readdirSync(this.data).some((name) => name.startsWith('mail.'));
    const argv = ['run', '--data', this.data, '--listen', this.address, '--port-offset', String(this.portOffset), ...(isNew ? engineOptions : [])];
    this.supervisor = spawn(executable, argv, {
      stdio: ['ignore', log, log],
      cwd: '/',
    });
  }

  get supervisorPid(): number {
    return this.supervisor?.pid ?? 0;
  }

  /** true once SMTP and IMAP both answer; a site without a document greets SMTP with 421. */
  async greets(first = '220'): Promise<boolean> {
    const answers = await Promise.all([greeting(this.address, this.port('smtp')), greeting(this.address, this.port('imap'))]);
    return answers[0].startsWith(first) && answers[1].startsWith('* OK');
  }

  /** `first`: what SMTP says first. */
  async start(first = '220'): Promise<void> {
    this.launch();
    try {
      await until('greetings of the site', () => this.greets(first), 20_000, 10);
    } catch (error) {
      throw new Error(`${String(error)}\n${this.log.slice(-4_000)}`);
    }
  }

  /** The pids of all processes of this site, the supervisor first. */
  pids(): number[] {
    return this.supervisorPid === 0 ? [] : descendants(this.supervisorPid);
  }

  /** kill -9 of everything. */
  async kill(): Promise<void> {
    if (this.supervisorPid !== 0) await killTree(this.supervisorPid);
  }

  async check(): Promise<void> {
    const ran = await this.cli('check', '--deep', '--json');
    expect(ran.code, `mailsite check --deep: ${ran.stdout.slice(0, 4_000)}${ran.stderr}`).toBe(0);
    expect(ran.stdout, 'check says what it did').not.toBe('');
  }

  /** The end of every test of a server. `crashes`: exceptions of ours in the log are expected (never, as a rule). */
  async finish(): Promise<void> {
    await this.kill();
    const crashed = this.log.split('\n').filter((line) => line.includes('"actor.crash"') || line.includes('"actor.budget"'));
    try {
      await this.check();
      expect(crashed, 'no actor crashed').toEqual([]);
    } finally {
      if (this.temporary) rmSync(resolve(this.data, '..'), { recursive: true, force: true });
    }
  }
}

/** Starts a site and gives it its document. */
export async function startSite(options: SiteOptions = {}): Promise<Site> {
  const address = options.listen ?? '127.0.0.1';
  const folder = options.data ?? join(temporaryFolder(), 'data');
  const site = new Site(folder, address, options.portOffset ?? (await freeOffset(address)), options.data === undefined);
  await site.start('421');
  await site.apply(options.document ?? sampleDocument());
  await until('the site follows its document', () => site.greets());
  return site;
}

/** A folder that other users may pass through: the site's own, Postfix's. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailsite-long-'));
  chmodSync(folder, 0o755);
  return folder;
}

export async function freeOffset(address: string): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const offset = 10_000 + Math.floor(Math.random() * 20_000);
    const free = await Promise.all(Object.values(ports).map((port) => canListen(address, port + offset)));
    if (free.every(Boolean)) return offset;
  }
  throw new Error('no free ports');
}

function canListen(address: string, port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, address, () => server.close(() => done(true)));
  });
}

/** The first line that a server says, or what went wrong. */
export function greeting(host: string, port: number, timeoutMs = 1_000): Promise<string> {
  return new Promise((done) => {
    let text = '';
    const socket = connect({ host, port });
    const end = (): void => {
      socket.destroy();
      done(text);
    };
    socket.setTimeout(timeoutMs, end);
    socket.on('error', end);
    socket.on('close', end);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('\n')) end();
    });
  });
}

/** One letter, as of `ps`; empty: there is no such process. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  } catch {
    return '';
  }
}

/** Of a process that ended, other threads may still be on their way out, with all that it has open. */
export function alive(pid: number): boolean {
  const state = stateOf(pid);
  if (state !== 'Z') return state !== '';
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

/** kill -9 of a process and all below it, as systemd does: one that it was just about to start is not left behind. */
export async function killTree(root: number): Promise<void> {
  signal(root, 'SIGSTOP');
  await until('it stands still', () => ['T', 't'].includes(stateOf(root)) || !alive(root), 10_000, 1);
  const pids = descendants(root);
  for (const pid of pids) signal(pid);
  await until('every process of it is gone', () => pids.every((pid) => !alive(pid)), 10_000, 5);
}

export function signal(pid: number, name: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // it is gone already
  }
}

/** A process and its living descendants, parents first. */
export function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // it ended meanwhile
    }
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Memory of a site in MiB: proportional share of all processes, and the largest resident set of one. */
export function memory(pids: readonly number[]): { pss: number; anonymous: number } {
  let pss = 0;
  let anonymous = 0;
  for (const pid of pids) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      pss += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
      anonymous += Number(/^Pss_Anon:\s+(\d+)/m.exec(text)?.[1] ?? 0);
    } catch {
      // it ended meanwhile
    }
  }
  return { pss: Math.round(pss / 1024), anonymous: Math.round(anonymous / 1024) };
}

/** The site's certificate, as a client that trusts on first use would keep it. */
export async function certificateFile(site: Site): Promise<string> {
  const ran = await must(['openssl', 's_client', '-connect', site.endpoint('imaps'), '-showcerts'], { input: '' });
  const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n/.exec(ran.stdout)?.[0] ?? '';
  expect(pem).not.toBe('');
  const file = join(site.data, '..', 'certificate.pem');
  writeFileSync(file, pem);
  return file;
}

/** Is a program of Debian here? tests/long.sh installs them; without them a test says so and is skipped. */
export function installed(...programs: readonly string[]): boolean {
  const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return programs.every((program) => folders.some((folder) => exists(join(folder, program))));
}

function exists(path: string): boolean {
  try {
    readlinkSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EINVAL'; // a file, not a link
  }
}

export { must, run, sleep, until };
