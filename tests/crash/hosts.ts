// A portal and the machines that join it, as processes of the built executable whose logs are kept, and what they are asked
// from outside. Whatever is asked, the process of the test goes on meanwhile: the network that they use may be in it.

import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import type { Reader } from '../../storage/engine.ts';
import { scanRows } from '../../storage/rows.ts';
import { claimText, parseClaim } from '../../uplink/claim.ts';
import { Smtp } from '../bench/lib/conn.ts';
import { type Ran, run, until } from '../clients/programs.ts';
import { alive, descendants, executable, greeting, signal } from '../clients/site.ts';
import { temporary } from '../unit/cli/program.ts';
import { type Cloud, cloud } from '../unit/portal/cloud.ts';
import { passphrase } from '../unit/portal/house.ts';
import type { Portal } from './relay.ts';

/** A supervisor and its processes. */
class Unit {
  private readonly log = join(temporary(), 'log');
  private process: Bun.Subprocess | null = null;

  begin(...argv: readonly string[]): void {
    const log = openSync(this.log, 'a');
    this.process = Bun.spawn([executable, ...argv], { stdio: ['ignore', log, log], cwd: '/' });
    units.add(this);
  }
  /** It has ended by itself, or was never begun. */
  get ended(): boolean {
    return this.process === null || this.process.exitCode !== null;
  }
  said(): string {
    return readFileSync(this.log, 'utf8');
  }
  /** kill -9 of all of it. */
  async kill(): Promise<void> {
    units.delete(this);
    if (this.process === null) return;
    const pids = descendants(this.process.pid);
    for (const pid of pids) signal(pid);
    await this.process.exited;
    await until('all of it is gone', () => pids.every((pid) => !alive(pid)), 10_000);
    this.process = null;
  }
  /** Exceptions of ours. */
  crashes(): string[] {
    return this.said()
      .split('\n')
      .filter((line) => line.includes('"actor.crash"') || line.includes('"actor.budget"'));
  }
}
const units = new Set<Unit>();
afterAll(async () => {
  for (const unit of units) await unit.kill();
});

export interface Listed {
  readonly name: string;
  readonly commit: number;
  readonly epoch: number;
  readonly size: number;
}

/** A portal with its first owner and one site, `example.org` with `ann`. */
export class Town implements Portal {
  readonly unit = new Unit();
  readonly cloud: Cloud;
  readonly port: number;
  private cookie = '';
  /** Of the site, in the API. */
  private path = '';

  constructor(port: number) {
    this.cloud = cloud(port);
    this.port = port;
  }

  kill(): Promise<void> {
    return this.unit.kill();
  }
  async begin(): Promise<void> {
    this.start();
    await until('the portal answers', async () => (await fetch(`${this.cloud.url}/`)).ok);
  }
  private start(): void {
    this.unit.begin('portal', '--data', this.cloud.data, '--listen', `127.0.0.1:${this.port}`);
  }

  /** Returns the claim of the first machine. */
  async found(): Promise<string> {
    this.start();
    const token = await until('the portal says how to begin', () => /setup#([\w-]{43})\n/.exec(this.unit.said())?.[1]);
    const founder = { token, organisation: 'First', name: 'Olga', email: 'olga@example.org', password: passphrase };
    const answer = await this.cloud.ask('POST', '/setup', null, founder);
    this.cookie = answer.cookie ?? '';
    const org = `/organisations/${answer.body.organisations[0].id}`;
    const made = await this.ask('POST', `${org}/sites`, { name: 'Berlin' });
    this.path = `${org}/sites/${made.site.id}`;
    await this.ask('POST', `${this.path}/domains`, { name: 'example.org' });
    await this.ask('POST', `${this.path}/accounts`, { address: 'ann@example.org', password: 'correct horse battery' });
    return made.claim.text;
  }

  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for
  private async ask(method: string, path: string, body?: unknown): Promise<any> {
    const answer = await this.cloud.ask(method, path, this.cookie, body);
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
    return answer.body;
  }

  /** It is killed; what it leaves is whole. */
  async end(): Promise<void> {
    await this.unit.kill();
    const { code, stdout, stderr } = await run([executable, 'check', '--deep', '--data', this.cloud.data]);
    expect(code, stdout + stderr).toBe(0);
    expect(this.unit.crashes()).toEqual([]);
  }
  /** Where what its site parks is kept. */
  get objects(): string {
    return join(this.cloud.data, 'objects', this.path.split('/').at(-1) as string);
  }
  site(): Promise<{ state: string; wantedRev: number; runningRev: number }> {
    return this.ask('GET', this.path);
  }
  /** The newest first. */
  async snapshots(): Promise<Listed[]> {
    return (await this.ask('GET', `${this.path}/snapshots?limit=200`)).items;
  }
  /** Not oftener than anybody may ask. */
  until<T>(what: string, ask: () => Promise<T | undefined | false>, withinMs = 60_000): Promise<T> {
    return until(what, ask, withinMs, 250);
  }
  /** Returns the command. */
  async parkNow(): Promise<string> {
    return (await this.ask('POST', `${this.path}/snapshots`)).command;
  }
  command(id: string): Promise<{ state: string; value: string; endedAt: string | null }> {
    return this.ask('GET', `${this.path}/commands/${id}`);
  }
  /** A claim to launch from a snapshot. */
  async launch({ name }: Listed): Promise<string> {
    return (await this.ask('POST', `${this.path}/snapshots/${encodeURIComponent(name)}/launch`)).claim.text;
  }
}

/** The same claim, of a portal that is reached at another address. */
export function claimBy(url: string, text: string): string {
  const claim = parseClaim(text);
  if (claim === null) throw new Error(`no claim: ${text}`);
  return claimText(url, claim.claim, claim.secret);
}

export interface Joined {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** A machine that is to be a site. */
export class Machine {
  readonly unit = new Unit();
  readonly data = temporary();
  readonly offset: number;

  constructor(offset: number) {
    this.offset = offset;
  }

  cli(verb: string, ...more: readonly string[]): Promise<Ran> {
    return run([executable, verb, ...more, '--data', this.data], { timeoutMs: 300_000, cwd: '/' });
  }
  start(): void {
    this.unit.begin('run', '--data', this.data, '--listen', '127.0.0.1', '--port-offset', String(this.offset));
  }
  /** `mailsite join`, which may be killed meanwhile. */
  join(claim: string, ...more: readonly string[]): { readonly ended: Promise<Joined>; kill(): Promise<void> } {
    const joining = Bun.spawn([executable, 'join', claim, '--data', this.data, ...more], { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
    const all = Promise.all([joining.exited, new Response(joining.stdout).text(), new Response(joining.stderr).text()]);
    const ended = all.then(([code, out, errors]) => ({ code, out, errors }));
    return {
      ended,
      async kill() {
        joining.kill('SIGKILL');
        await ended;
      },
    };
  }
  greets(): Promise<string> {
    return greeting('127.0.0.1', 25 + this.offset);
  }
  async commit(): Promise<number> {
    return JSON.parse((await this.cli('status', '--json')).stdout).commit;
  }
  /** A letter to ann. Returns its name when it was taken, else null. */
  async letter(): Promise<string | null> {
    const name = `letter-${++letters}@elsewhere.test`;
    try {
      const smtp = await Smtp.open('127.0.0.1', 25 + this.offset);
      const head = Buffer.from(`Subject: ${letters}\r\nMessage-ID: <${name}>\r\n\r\n`);
      const { code } = await smtp.send('x@elsewhere.test', 'ann@example.org', head, Buffer.from('Hello.\r\n'));
      smtp.close();
      return code === 250 ? name : null;
    } catch {
      return null;
    }
  }
  /** It is killed; what it leaves is whole. */
  async end(): Promise<void> {
    await this.unit.kill();
    const { code, stdout, stderr } = await this.cli('check', '--deep');
    expect(code, stdout + stderr).toBe(0);
    expect(this.unit.crashes()).toEqual([]);
  }
}
let letters = 0;

/** The names of all letters that are in it. */
export function lettersIn(reader: Reader): Set<string> {
  const found = new Set<string>();
  for (const { row } of scanRows(reader, 'info', [])) {
    const name = /letter-\d+@elsewhere\.test/.exec(row.messageId)?.[0];
    if (name !== undefined) found.add(name);
  }
  return found;
}

/** Returns the file. */
export function kitFile(text: string): string {
  const file = join(temporary(), 'kit.txt');
  writeFileSync(file, text);
  return file;
}
