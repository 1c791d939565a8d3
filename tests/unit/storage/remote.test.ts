// Reading an engine which another process has open keeps the contract, outlives that process, and harms nobody else.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Write } from '../../../storage/engine.ts';
import { openRemote, type RemoteReader } from '../../../storage/engines/remote.ts';
import { engineContract } from '../../contract/engine.ts';

interface Held {
  readonly folder: string;
  readonly remote: RemoteReader;
  readonly engine: Engine;
  start(): Promise<void>;
  kill(): Promise<void>;
  close(): Promise<void>;
}

async function hold(): Promise<Held> {
  const folder = mkdtempSync(join(tmpdir(), 'remote-'));
  const remote = openRemote(join(folder, 'read.sock'));
  let child: ChildProcessWithoutNullStreams;
  let lines: AsyncIterator<string>;
  const done = async (): Promise<void> => {
    expect((await lines.next()).value).toBe('done');
  };
  const base64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64');
  const held: Held = {
    folder,
    remote,
    engine: {
      ...remote,
      name: 'remote',
      async commit(writes: readonly Write[]) {
        child.stdin.write(`${JSON.stringify(writes.map(([key, value]) => [base64(key), value === null ? null : base64(value)]))}\n`);
        await done();
        remote.refresh();
      },
      readersGone: () => {},
    },
    async start() {
      child = spawn(process.execPath, [resolve('tests/contract/readstore.ts'), folder]);
      child.stderr.pipe(process.stderr);
      lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      await done();
    },
    kill: () =>
      new Promise((gone) => {
        child.once('exit', () => gone());
        child.kill('SIGKILL');
      }),
    async close() {
      await remote.close();
      await held.kill();
      rmSync(folder, { recursive: true });
    },
  };
  await held.start();
  return held;
}

// One process for all cases: each has rows of its own, because each case starts by removing what is there.
let shared: Held;
beforeAll(async () => {
  shared = await hold();
});
afterAll(() => shared?.close());

engineContract('lsm, from another process', async () => {
  const all = [...shared.engine.keys(new Uint8Array([0]), new Uint8Array([255, 255, 255, 255, 255]))];
  if (all.length > 0) await shared.engine.commit(all.map((key) => [key, null] as const));
  return { engine: shared.engine, reader: shared.remote, snapshot: shared.remote.snapshot, close: async () => {} };
});

const key = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const text = (octets: Uint8Array | undefined): string | undefined => octets && Buffer.from(octets).toString();

test('without a refresh reads stay at one commit, and a large value that changed is the new one', async () => {
  const { engine, remote } = shared;
  const other = openRemote(join(shared.folder, 'read.sock'));
  await engine.commit([
    [key('x'), key('1')],
    [key('large'), key('a'.repeat(5_000))],
  ]);
  expect([text(other.get(key('x'))), text(other.get(key('large')))]).toEqual(['1', 'a'.repeat(5_000)]);
  await engine.commit([
    [key('x'), key('2')],
    [key('y'), key('2')],
    [key('large'), key('b'.repeat(5_000))],
  ]);
  expect([text(other.get(key('x'))), text(other.get(key('y'))), text(other.get(key('large')))]).toEqual(['1', undefined, 'a'.repeat(5_000)]);
  other.refresh();
  expect([text(other.get(key('y'))), text(other.get(key('large')))]).toEqual(['2', 'b'.repeat(5_000)]);
  other.refresh();
  expect(text(other.get(key('large')))).toBe('b'.repeat(5_000));
  expect(text(remote.get(key('x')))).toBe('2');
  await other.close();
});

test('point reads that walk up a table find every row, and none that is not there', async () => {
  const { engine, remote } = shared;
  const row = (n: number): Uint8Array => new Uint8Array([77, n >> 8, n & 255]);
  await engine.commit(Array.from({ length: 1_000 }, (_, n) => [row(3 * n), key(`v${n}`)] as const));
  for (const step of [1, 3, 40]) {
    remote.refresh();
    for (let n = 0; n < 3_200; n += step) expect(text(remote.get(row(n))), `${n}`).toBe(n % 3 === 0 && n < 3_000 ? `v${n / 3}` : undefined);
  }
});

test('kill -9 of the store: reads go on at the same commit, and throw when it is another', async () => {
  const own = await hold();
  try {
    await own.engine.commit([[key('a'), key('1')]]);
    expect(text(own.remote.get(key('a')))).toBe('1');
    await own.kill();
    await own.start();
    expect(text(own.remote.get(key('b')))).toBeUndefined();
    await own.kill();
    await own.start();
    const other = openRemote(join(own.folder, 'read.sock'));
    expect(text(other.get(key('a')))).toBe('1');
    await own.engine.commit([[key('a'), key('2')]]);
    await own.kill();
    await own.start();
    expect(() => other.get(key('b'))).toThrow('link to reads lost');
    expect(text(other.get(key('a')))).toBe('2');
    await other.close();
  } finally {
    await own.close();
  }
});

test('octets that are no question end their connection and no other', async () => {
  await shared.engine.commit([[key('a'), key('1')]]);
  const wrong = [
    [0, 0, 0, 2, 9, 0],
    [255, 255, 255, 255],
    [0, 0, 0, 3, 1, 0, 0],
    [0, 0, 0, 14, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 1],
    new Array(64).fill(0),
  ];
  for (const octets of wrong) {
    await new Promise<void>((ended, failed) => {
      const socket = createConnection(join(shared.folder, 'read.sock'));
      socket.on('error', () => ended());
      socket.on('close', () => ended());
      socket.on('data', () => failed(new Error(`${octets} were answered`)));
      socket.write(Buffer.from(octets));
    });
    shared.remote.refresh();
    expect(text(shared.remote.get(key('a')))).toBe('1');
  }
});
