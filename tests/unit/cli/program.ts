// The built executable as a test drives it. npm test builds it first.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export const executable = join(import.meta.dirname, '../../../dist/mailsite');
if (!existsSync(executable)) throw new Error('dist/mailsite is not built: npm run build');

/** A folder that is removed after the tests of the file. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailsite-test-'));
  folders.push(folder);
  return folder;
}
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export interface Said {
  readonly code: number | null;
  readonly out: string;
  /** Lines of stderr. */
  readonly errors: readonly string[];
}

/** What a verb answers in JSON: its last line, behind those that told how far it is. */
// biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for
export const answerIn = (out: string): any => JSON.parse(out.trim().split('\n').at(-1) as string);

/** Runs one verb to its end, with nothing of this process's environment but PATH. */
export function mailsite(argv: readonly string[], options: { stdin?: string; env?: Record<string, string>; cwd?: string } = {}): Said {
  const done = Bun.spawnSync([executable, ...argv], {
    stdin: options.stdin === undefined ? 'ignore' : Buffer.from(options.stdin),
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    cwd: options.cwd ?? tmpdir(),
    timeout: 20_000,
  });
  const errors = done.stderr.toString().split('\n');
  return { code: done.exitCode, out: done.stdout.toString(), errors: errors.at(-1) === '' ? errors.slice(0, -1) : errors };
}
