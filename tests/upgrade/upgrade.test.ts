// Data folders of every version that is out are opened by this one, whole; one of a version to come is refused with a
// clear word by every verb, and nothing is written.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check } from '../../storage/check.ts';
import { digestOf } from '../../storage/digest.ts';
import { openLmdb } from '../../storage/engines/lmdb.ts';
import { schemaVersion } from '../../storage/migrate.ts';
import { encodeKey, encodeRow, getRow, type Row } from '../../storage/rows.ts';
import { accountByAddress, mailboxByName, resolveAddress, vanishedSince } from '../../storage/views.ts';
import { executable, mailsite, temporary } from '../unit/cli/program.ts';
import { type Folder, type Login, look } from './look.ts';
import { serve } from './program.ts';

interface Golden {
  readonly version: string;
  readonly host: string;
  readonly accounts: readonly (Login & { readonly folders: readonly Folder[] })[];
  readonly vanished: readonly { readonly address: string; readonly path: string; readonly uids: readonly number[] }[];
  readonly queue: readonly { readonly domain: string; readonly recipients: number }[];
}
const versions = readdirSync(import.meta.dirname).filter((name) => existsSync(join(import.meta.dirname, name, 'golden.json')));
const goldenOf = (version: string): Golden => JSON.parse(readFileSync(join(import.meta.dirname, version, 'golden.json'), 'utf8')) as Golden;

/** The data folder of a version, as its last process left it. */
function unpack(version: string): string {
  const data = join(temporary(), 'data');
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(join(data, 'mail.lmdb'), Bun.zstdDecompressSync(readFileSync(join(import.meta.dirname, version, 'mail.lmdb.zst'))));
  return data;
}

test('there is a folder of the first version', () => expect(versions).toContain('0.1.0'));

describe.each(versions)('the data of %s', (version) => {
  test('is whole before and after, and says the same to a client that logs in with its old password', async () => {
    const golden = goldenOf(version);
    const data = unpack(version);
    expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0 });
    const serving = await serve(executable, data);
    try {
      for (const account of golden.accounts) expect(await look(serving.offset + 993, account)).toEqual(account.folders);
    } finally {
      await serving.kill();
    }
    expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0 });
    const status = JSON.parse(mailsite(['status', '--json', '--data', data]).out) as Golden;
    expect(status.host).toBe(golden.host);
    expect(status.queue.map(({ domain, recipients }) => ({ domain, recipients }))).toEqual(golden.queue);
    await holds(data, golden);
  }, 60_000);
});

/** What no client sees. */
async function holds(data: string, golden: Golden): Promise<void> {
  const engine = openLmdb(join(data, 'mail.lmdb'));
  try {
    const site = getRow(engine, 'site', {}) as Row<'site'>;
    expect(site).toMatchObject({ schema: schemaVersion, epoch: 1, ...digestOf(engine) });
    expect(check(engine, { deep: true }).problems).toEqual([]);
    const [alice, bob] = golden.accounts.map(({ address }) => accountByAddress(engine, address)?.account ?? 0) as [number, number];
    const targets = (address: string): number[] => {
      const found = resolveAddress(engine, address);
      return 'error' in found ? [] : found.targets.flatMap((t) => (t.kind === 'local' ? [t.account] : []));
    };
    expect(targets('info@example.test')).toEqual([alice, bob]);
    expect(targets('whoever@example.com')).toEqual([alice]);
    for (const { address, path, uids } of golden.vanished) {
      const box = mailboxByName(engine, accountByAddress(engine, address)?.account ?? 0, path);
      expect(vanishedSince(engine, box?.id ?? 0, 0)).toEqual([uids[0], uids.at(-1)]);
    }
  } finally {
    await engine.close();
  }
}

test('a store of a newer version is refused by run, status, check and apply, in one line, and nothing is written', async () => {
  const data = unpack('0.1.0');
  const path = join(data, 'mail.lmdb');
  const engine = openLmdb(path);
  const site = getRow(engine, 'site', {}) as Row<'site'>;
  const row = encodeRow('site', { ...site, schema: schemaVersion + 1 });
  await engine.commit([[encodeKey('site', {}), row]]);
  await engine.close();
  const before = join(data, 'before');
  copyFileSync(path, before);
  const line = `mailsite: this site was written by a newer mailsite (schema ${schemaVersion + 1}, this one knows ${schemaVersion}): install the newer executable, or restore the snapshot taken before the upgrade`;
  const document = JSON.stringify({ schema: 1, host: 'mail.example.test', domains: [{ name: 'example.test' }], accounts: [] });
  expect(mailsite(['status', '--data', data])).toMatchObject({ code: 1, errors: [line] });
  expect(mailsite(['check', '--data', data])).toMatchObject({ code: 1, errors: [line] });
  expect(mailsite(['apply', '-', '--data', data], { stdin: document })).toMatchObject({ code: 1, errors: [line] });
  const run = mailsite(['run', '--data', data, '--listen', '127.0.0.1', '--port-offset', '29000']);
  expect(run).toMatchObject({ code: 1, errors: [line] });
  const stores = run.out.split('\n').filter((line) => line.includes('"process.start"') && line.includes('"store"'));
  expect(stores, 'it is tried once').toHaveLength(1);
  expect(readFileSync(path).equals(readFileSync(before))).toBe(true);
});

/** More moments, at random: MAILSITE_KILLS=100 bun --bun vitest run --project unit tests/upgrade */
const more = Array.from({ length: Number(process.env['MAILSITE_KILLS'] ?? 0) }, () => Math.floor(Math.random() * 250));

test('C1: a kill -9 at any moment of the first start leaves the old store or the new one, whole', async () => {
  const schemas = new Set<number>();
  const data = [0, 20, 40, 60, 80, 100, 140, 200, ...more].map((ms) => ({ ms, data: unpack('0.1.0') }));
  for (const { ms, data: folder } of data) {
    const argv = [executable, 'run', '--data', folder, '--listen', '127.0.0.1', '--port-offset', '29100'];
    const site = Bun.spawn(argv, { stdout: 'ignore', stderr: 'ignore' });
    await Bun.sleep(ms);
    site.kill('SIGKILL');
    await site.exited;
    expect(mailsite(['check', '--deep', '--data', folder]), `after ${ms} ms`).toMatchObject({ code: 0 });
    const engine = openLmdb(join(folder, 'mail.lmdb'));
    const { schema, rows } = getRow(engine, 'site', {}) as Row<'site'>;
    expect(rows > 0).toBe(schema === schemaVersion);
    schemas.add(schema);
    await engine.close();
  }
  expect(schemas).toContain(1);
}, 300_000);
