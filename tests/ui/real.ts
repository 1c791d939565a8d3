// A real portal and real machines, from the executable, for who looks at them in a browser. Guarantees: ports that were free a
// moment ago; nothing of it outlives `endAll`.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';

const program = process.env['MAILSITE'] ?? 'dist/mailsite';
const processes: ChildProcess[] = [];
const folders: string[] = [];

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'mailsite-ui-'));
  folders.push(made);
  return made;
}
export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}
/** Runs one verb to its end. */
export function verb(...argv: string[]): Said {
  const { status, stdout, stderr } = spawnSync(program, argv, { encoding: 'utf8', timeout: 60_000 });
  return { code: status, out: stdout, error: stderr };
}

export interface Portal {
  readonly data: string;
  readonly process: ChildProcess;
  /** Makes its first owner. */
  readonly link: string;
}
export async function startPortal(): Promise<Portal> {
  const data = folder();
  const listen = `127.0.0.1:${await freePort()}`;
  // by another name than its address: passkeys and cookies belong to names
  const argv = ['portal', '--data', data, '--listen', listen, '--url', `http://localhost:${listen.split(':')[1]}`];
  const started = spawn(program, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(started);
  const link = await new Promise<string>((resolve, reject) => {
    let said = '';
    started.stdout?.on('data', (octets: Buffer) => {
      said += octets.toString();
      const found = /http:\/\/localhost\S+\/setup#\S+/.exec(said);
      if (found !== null) resolve(found[0]);
    });
    started.on('exit', () => reject(new Error(`the portal ended: ${said}`)));
  });
  return { data, process: started, link };
}

/** A machine that shows a code: what it says at first, and what it has said when it has ended. */
export async function showCode(
  url: string,
  data: string,
): Promise<{ readonly shown: { code: string; words: string[]; address: string }; readonly ended: Promise<Said> }> {
  const started = spawn(program, ['join', url, '--data', data, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  processes.push(started);
  const said = { out: '', error: '' };
  started.stderr.on('data', (octets: Buffer) => {
    said.error += octets.toString();
  });
  const ended = new Promise<Said>((resolve) => started.on('close', (code) => resolve({ code, ...said })));
  const line = await new Promise<string>((resolve, reject) => {
    started.stdout.on('data', (octets: Buffer) => {
      said.out += octets.toString();
      if (said.out.includes('\n')) resolve(said.out.split('\n', 1)[0] as string);
    });
    void ended.then(({ error }) => reject(new Error(`it showed no code: ${error}`)));
  });
  return { shown: JSON.parse(line), ended };
}
/** A machine: `mailsite run`, on the standard ports and so much more. */
export function runSite(data: string, offset: number): ChildProcess {
  const argv = ['run', '--data', data, '--listen', '127.0.0.1', '--port-offset', String(offset)];
  const started = spawn(program, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  processes.push(started);
  return started;
}
/** Kill -9, and gone. */
export function kill(one: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (one.exitCode !== null || one.signalCode !== null) return resolve();
    one.on('exit', () => resolve());
    one.kill('SIGKILL');
  });
}
export function endAll(): void {
  for (const one of processes) one.kill('SIGKILL');
  for (const one of folders) rmSync(one, { recursive: true, force: true });
}

/** The first owner comes in by the link that the portal printed. */
export async function found(page: Page, link: string, password: string): Promise<void> {
  await page.goto(link);
  await page.getByLabel('Organisation').fill('Linden Trust');
  await page.getByLabel('Your name').fill('Mara Jensen');
  await page.getByLabel('Your email address').fill('mara@linden.example');
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Create the portal' }).click();
}
/** What the first command line of the page gives to the shell of a machine, without the program's name. */
export async function commandOf(page: Page): Promise<string[]> {
  const line = /mailsite (join ms1\..+)/.exec(await page.locator('.copyline code').first().innerText())?.[1] as string;
  return line.trim().split(/\s+/);
}
