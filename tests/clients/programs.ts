// Runs other people's programs for a test: with a time limit, and with everything they said kept for the message of a failure.

import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { expect } from 'vitest';

export interface Ran {
  /** Exit code; -1: killed, by its time limit mostly. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

export function run(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [file = '', ...args] = command;
  const start = performance.now();
  const child = spawn(file, args, { env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env }, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(options.input ?? '');
  return new Promise((resolve) => {
    const done = (code: number): void => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr, ms: performance.now() - start });
    };
    child.on('error', (error) => {
      stderr += String(error);
      done(-1);
    });
    child.on('close', (code) => done(code ?? -1));
  });
}

/** Runs it and expects exit code 0. */
export async function must(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const ran = await run(command, options);
  expect(ran.code, `${command.join(' ')}\n${ran.stdout.slice(-4_000)}\n${ran.stderr.slice(-4_000)}`).toBe(0);
  return ran;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is not undefined, false or an exception. Throws, naming `what`, after the time. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false> | T | undefined | false, timeoutMs = 30_000, everyMs = 20): Promise<T> {
  let last: unknown;
  for (const end = performance.now() + timeoutMs; performance.now() < end; await sleep(everyMs)) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}${last === undefined ? '' : ` (${String(last)})`}`);
}

/** A figure that a person should see, also when the test passes: tests/long.sh shows it below the line of the part. */
export function tell(line: string): void {
  const file = process.env['MAILSITE_REPORT'];
  if (file === undefined) console.log(line);
  else appendFileSync(file, `${line}\n`);
}
