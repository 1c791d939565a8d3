// The demo does what it prints: a newcomer copies its lines, and they work. It ends by kill -9, and goes on where it was.

import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { executable, mailsite } from './program.ts';

const root = join(import.meta.dirname, '../../..');
const withCurl = Bun.which('curl') !== null;

interface Demo {
  readonly page: string;
  readonly data: string;
  kill(): Promise<void>;
}
const started: Demo[] = [];
afterAll(async () => {
  for (const demo of started) await demo.kill();
  for (const { data } of started) if (data.startsWith(tmpdir())) rmSync(data, { recursive: true, force: true });
});

/** Runs until its page is printed whole. */
async function demo(...argv: string[]): Promise<Demo> {
  const child = Bun.spawn([executable, 'demo', ...argv], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
    cwd: root,
    env: { PATH: process.env['PATH'] ?? '' },
  });
  const decoder = new TextDecoder();
  let page = '';
  for await (const chunk of child.stdout) {
    page += decoder.decode(chunk, { stream: true });
    if (page.includes('Ctrl-C ends it')) break;
  }
  const data = /status --data (\S+)/.exec(page)?.[1] ?? '';
  const found = {
    page,
    data,
    kill: async () => {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
  started.push(found);
  return found;
}

/** The commands of the page that begin with `word`, lines that go on joined. */
const commands = (page: string, word: string): string[] =>
  page
    .replaceAll(/(\||\\)\n\s+/g, (_all, end: string) => (end === '|' ? '| ' : ''))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith(word));

const shell = (command: string) => {
  const done = Bun.spawnSync(['sh', '-c', command], { cwd: root, timeout: 20_000 });
  return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
};

test('C1: the demo starts, does what it prints, is killed, and goes on', async () => {
  const first = await demo();
  expect(first.page).toContain('password demo');
  const status = commands(first.page, '').find((line) => line.includes('mailsite status'));
  expect(shell(`${status} --json`)).toMatchObject({ code: 0, err: '' });
  const before = JSON.parse(mailsite(['status', '--json', '--data', first.data]).out);
  expect(before).toMatchObject({ host: 'mail.example.test', accounts: 2, messages: 16, queue: [], certificate: { selfSigned: true } });
  expect(before.processes.length).toBeGreaterThanOrEqual(4);
  expect(before.listeners).toHaveLength(5);
  expect(mailsite(['trace', 'alice@example.test', '--data', first.data]).out).toMatch(/received from 192\.0\.2\.25 \(mail\.rail\.test\)/);
  const sent = withCurl ? useCurl(first.page) : 0;
  isLocked(first.data);
  await signsIn(first.page);

  await first.kill();
  expect(mailsite(['check', '--deep', '--data', first.data])).toMatchObject({ code: 0, errors: [] });
  const second = await demo('--data', first.data);
  expect(second.data).toBe(first.data);
  const after = JSON.parse(mailsite(['status', '--json', '--data', first.data]).out);
  expect(after.messages).toBe(16 + sent);
  await signsIn(second.page);
  await second.kill();
  expect(mailsite(['check', '--deep', '--data', join(first.data, 'portal')])).toMatchObject({ code: 0, errors: [] });
  expect(existsSync(first.data)).toBe(true);
});

/** The configuration is the portal's: what is applied by hand is refused, and says whose it is. */
function isLocked(data: string): void {
  const document = { schema: 1, host: 'mail.example.test', domains: [{ name: 'example.test' }], accounts: [] };
  const said = mailsite(['apply', '-', '--data', data], { stdin: JSON.stringify(document) });
  expect(said).toMatchObject({ code: 1, errors: [expect.stringMatching(/locked by the portal http:\/\/127\.0\.0\.1:\d+, rev \d+/)] });
}

/** The link of the page signs in, once, and the site is there, running what is wanted. */
async function signsIn(page: string): Promise<void> {
  const [, url = '', secret = ''] = /(http:\/\/\S+)\/link#(\S+)/.exec(page) ?? [];
  const ask = async (method: string, path: string, cookie: string, body?: object) => {
    const headers = { origin: url, 'x-mailsite': '1', 'content-type': 'application/json', cookie };
    return fetch(`${url}/api/v1${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  };
  const signed = await ask('POST', '/session/link', '', { secret });
  expect(signed.status).toBe(200);
  const cookie = signed.headers.get('set-cookie')?.split(';')[0] ?? '';
  const { organisations } = (await (await ask('GET', '/session', cookie)).json()) as { organisations: { id: string }[] };
  for (let tries = 0; ; tries++) {
    const { items } = (await (await ask('GET', `/organisations/${organisations[0]?.id}/sites`, cookie)).json()) as { items: object[] };
    if (tries < 100 && (items[0] as { state?: string } | undefined)?.state !== 'online') {
      await Bun.sleep(100);
      continue;
    }
    expect(items).toMatchObject([{ name: 'Demo site', state: 'online', wantedRev: 1, runningRev: 1, domains: 1, accounts: 2 }]);
    break;
  }
  expect((await ask('POST', '/session/link', '', { secret })).status).toBe(401);
}

/** Runs the curl lines; the number of messages sent. */
function useCurl(page: string): number {
  const [newest, folders] = commands(page, 'curl');
  expect(shell(newest ?? '')).toMatchObject({ code: 0, out: expect.stringContaining('Subject: Welcome: this mailbox is real') });
  expect(shell(folders ?? '')).toMatchObject({ code: 0, out: expect.stringContaining('Drafts') });
  const send = commands(page, 'printf');
  expect(send).toHaveLength(1);
  expect(shell(send[0] ?? '')).toMatchObject({ code: 0 });
  const bob = (newest ?? '').replace('alice@', 'bob@');
  expect(shell(bob)).toMatchObject({ code: 0, out: expect.stringContaining('Hi Bob.') });
  return send.length;
}
