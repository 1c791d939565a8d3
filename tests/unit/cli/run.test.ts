// `mailsite run` as a process: one a directory, closed to others, and no child that outlives it.

import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { engine, engineOptions } from '../../clients/site.ts';
import { executable, mailsite, temporary } from './program.ts';

const data = temporary();
chmodSync(data, 0o755); // as somebody made it by hand
const run = (offset: number) =>
  Bun.spawn([executable, 'run', '--data', data, '--listen', '127.0.0.1', '--port-offset', String(offset), ...engineOptions], {
    stdout: 'ignore',
    stderr: 'pipe',
  });
const site = run(21_000);
afterAll(() => site.kill('SIGKILL'));

/** The pids whose parent is `pid`, with their state letter. */
function childrenOf(pid: number): { pid: number; state: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return /^\d+$/.test(name) && Number(parent) === pid ? [{ pid: Number(name), state: state ?? '' }] : [];
    } catch {
      return [];
    }
  });
}

/** Not there, or only its exit status is. */
function gone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return true;
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (holds()) return;
    await Bun.sleep(50);
  }
  throw new Error(`not within 10 s: ${what}`);
}

test('a second run on the same directory is refused and leaves the first alone', async () => {
  await until('four roles', () => childrenOf(site.pid).length >= 4);
  const second = run(22_000);
  expect(await second.exited).toBe(1);
  expect(await new Response(second.stderr).text()).toContain('a site already runs on');
  expect(site.exitCode).toBeNull();
  expect(JSON.parse(mailsite(['status', '--json', '--data', data]).out).supervisor).not.toBeNull();
});

test('what the site writes is for nobody else', async () => {
  const files = engine === 'lsm' ? ['mail.lsm', 'mail.lsm/CURRENT', 'run/read.sock'] : ['mail.lmdb', 'mail.lmdb-lock'];
  for (const file of files) await until(file, () => existsSync(join(data, file)));
  for (const name of ['.', 'run', 'tmp', ...files]) expect(statSync(join(data, name)).mode & 0o077, name).toBe(0);
});

test('C1: no child outlives its supervisor, not even one that is stuck', async () => {
  const children = childrenOf(site.pid);
  const stuck = children[0]?.pid as number;
  process.kill(stuck, 'SIGSTOP');
  site.kill('SIGKILL');
  await site.exited;
  await until('all children gone', () => children.every(({ pid }) => gone(pid)));
  expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0 });
});
