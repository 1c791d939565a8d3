// A portal as a process, as a test starts it, signs in and asks it.

import { afterAll } from 'vitest';
import { executable, temporary } from '../cli/program.ts';
import { passphrase } from './house.ts';

export type Running = Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
const started: { kill(signal: 'SIGKILL'): void }[] = [];
afterAll(() => {
  for (const one of started) one.kill('SIGKILL');
});

/** Starts a verb of the executable, which is killed after the tests of the file, and reads what it prints until `what` has come. */
export async function startUntil(argv: readonly string[], what: RegExp): Promise<{ process: Running; found: string }> {
  const process = Bun.spawn([executable, ...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  started.push(process);
  let text = '';
  for await (const chunk of process.stdout) {
    text += new TextDecoder().decode(chunk);
    const found = what.exec(text);
    if (found !== null) return { process, found: found[1] ?? '' };
  }
  throw new Error(`it ended: ${text}`);
}

export interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for
  readonly body: any;
  readonly cookie: string | null;
}

export interface Cloud {
  readonly url: string;
  readonly data: string;
  readonly ask: (method: string, path: string, cookie: string | null, body?: unknown) => Promise<Answered>;
  /** Starts the portal process; resolves with what the pattern found. */
  readonly start: (what: RegExp) => Promise<{ process: Running; found: string }>;
}

export function cloud(port: number): Cloud {
  const url = `http://127.0.0.1:${port}`;
  const data = temporary();
  const ask = async (method: string, path: string, cookie: string | null, body?: unknown): Promise<Answered> => {
    const headers = { Origin: url, 'X-Mailsite': '1', 'Content-Type': 'application/json', ...(cookie === null ? {} : { Cookie: cookie }) };
    for (let i = 0; ; i++) {
      try {
        const response = await fetch(`${url}/api/v1${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
        return { status: response.status, body: await response.json().catch(() => ({})), cookie: response.headers.get('set-cookie')?.split(';')[0] ?? null };
      } catch (error) {
        if (i > 100) throw error;
        await Bun.sleep(50);
      }
    }
  };
  return { url, data, ask, start: (what) => startUntil(['portal', '--data', data, '--listen', `127.0.0.1:${port}`], what) };
}

/** A portal with its first owner. */
export async function foundedCloud(port: number): Promise<Cloud & { process: Running; token: string; cookie: string; org: string }> {
  const made = cloud(port);
  const { process, found } = await made.start(/setup#([\w-]{43})\n/);
  const answer = await made.ask('POST', '/setup', null, { token: found, organisation: 'First', name: 'Olga', email: 'olga@example.org', password: passphrase });
  if (answer.status !== 201 || answer.cookie === null) throw new Error(JSON.stringify(answer));
  return { ...made, process, token: found, cookie: answer.cookie, org: `/organisations/${answer.body.organisations[0].id}` };
}
