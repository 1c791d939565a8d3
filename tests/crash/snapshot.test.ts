// kill -9 of each verb on snapshots, of the process that parks the site and of the whole site, at random moments under SMTP
// and IMAP load: what has a manifest is whole and holds every message that was acknowledged before it was taken, what was
// cut off is done by the next run, and half a restore never serves. And a snapshot is one point in time: messages appended
// one after the other over 100 accounts have no hole in any of them.
//
//   MAILSITE_KILLS=100 tests/long.sh snapshot                              the long form: so many kills of each kind; MAILSITE_SEED repeats one
//   MAILSITE_KILLS=100 MAILSITE_ONLY='restore, ' tests/long.sh snapshot    of one kind: `create, `, `verify `, `restore, `, `prune, `, `parking, `

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { realWorld } from '../../actors/platform.ts';
import { engineOf } from '../../storage/engines/open.ts';
import { createSnapshot } from '../../storage/snapshot/create.ts';
import { openPlace } from '../../storage/snapshot/place.ts';
import { Imap } from '../bench/lib/conn.ts';
import { rng } from '../bench/lib/util.ts';
import { must, type Ran, run, sleep, tell, until } from '../clients/programs.ts';
import { descendants, engineOptions, executable, password, type Site, sampleDocument, signal, startSite } from '../clients/site.ts';
import { answerIn } from '../unit/cli/program.ts';
import { Chain, linksInStore, type Server } from './chain.ts';
import { openData } from './data.ts';
import { Ledger } from './ledger.ts';
import { missing, Shelf } from './rebuilt.ts';

const kills = Number(process.env['MAILSITE_KILLS'] ?? 12);
vi.setConfig({ testTimeout: 900_000 + kills * 20_000 });
const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
const random = rng(seed);
const users = Array.from({ length: 6 }, (_, i) => `user${i}`);

let site: Site;
let ledger: Ledger;
let kit = '';
/** How long the first base took, which is in `place`. */
let createMs = 0;
const at = (name: string): string => join(site.data, '..', name);

beforeAll(async () => {
  site = await startSite({ document: sampleDocument(users) });
  const imap = await Imap.open(site.address, site.port('imaps'), true);
  await imap.login('user0@example.test', password);
  for (let i = 0; i < 16; i++) await imap.append('Drafts', '', [Buffer.from(`Subject: ballast ${i}\r\n\r\n`), randomText(1_000_000)]);
  imap.close();
  kit = (await must([executable, 'snapshot', 'key', '--data', site.data])).stdout;
  ledger = new Ledger(site, users, 30);
  ledger.begin(2, 2);
  await sleep(500);
  createMs = (await done('create', '--data', site.data, '--to', at('place'))).ms;
}, 60_000);
afterAll(async () => {
  await ledger?.end();
  await site?.finish();
});

/** Text that does not get shorter when it is compressed by more than a quarter. */
const randomText = (octets: number): Buffer =>
  Buffer.from(
    Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)))
      .toString('base64')
      .replaceAll(/(.{76})/g, '$1\r\n')
      .repeat(1 + octets / 88_000),
  );

const snapshot = (...words: readonly string[]): Promise<Ran> => run([executable, 'snapshot', ...words], { timeoutMs: 60_000, input: kit });
const done = async (...words: readonly string[]): Promise<Ran> => {
  const ran = await snapshot(...words);
  expect(ran.code, `snapshot ${words.join(' ')}: ${ran.stdout}${ran.stderr}`).toBe(0);
  return ran;
};

/** Kills a verb at a random moment of its time; true: it had ended before. */
async function cut(usualMs: number, ...words: readonly string[]): Promise<boolean> {
  const child = spawn(executable, ['snapshot', ...words], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => {}); // it is killed before it reads
  child.stdin.end(kit);
  const ended = new Promise<number | null>((resolve) => void child.on('exit', (code) => resolve(code)));
  await Promise.race([ended, sleep(random() * usualMs * 1.1)]);
  child.kill('SIGKILL');
  return (await ended) !== null;
}

/** A snapshot is pinned just before it takes its time. */
const slackMs = 250;
const ledgerSays = (reader: Parameters<typeof missing>[0], { takenAt }: { takenAt: number }): string[] => missing(reader, ledger, takenAt - slackMs);

async function proved(shelf: Shelf, newest?: number): Promise<number> {
  const { wrong, proved } = await shelf.prove(ledgerSays, newest);
  expect(wrong, `MAILSITE_SEED=${seed}`).toEqual([]);
  return proved;
}

const report = (what: string, cuts: number, rest: string): void =>
  tell(`  ${what.padEnd(24)} ${String(kills).padStart(4)} times kill -9, ${cuts} before its end; ${rest}`);

test(`M1: create, ${kills} times kill -9 (MAILSITE_SEED=${seed})`, async () => {
  const shelf = new Shelf(at('place'), kit);
  let [cuts, whole] = [0, await proved(shelf)];
  for (let i = 0; i < kills; i++) {
    // by turns an increment, a base that finds packs there, and a base where nothing is
    const fresh = i % 3 === 2;
    const to = fresh ? new Shelf(at(`fresh-${i}`), kit) : shelf;
    const words = ['create', '--data', site.data, '--to', to.folder, ...(i % 3 === 1 ? ['--full'] : [])];
    if (!(await cut(createMs, ...words))) cuts++;
    if (existsSync(to.folder)) whole += await proved(to);
    await done(...words);
    whole += await proved(to);
    if (fresh) rmSync(to.folder, { recursive: true, force: true });
  }
  report('create', cuts, `${whole} snapshots rebuilt, none with anything missing`);
  expect(cuts).toBeGreaterThan(0);
});

test(`verify --deep, ${kills} times kill -9`, async () => {
  const place = at('place');
  const words = ['verify', '--deep', '--from', place, '--data', site.data];
  const { ms } = await done(...words);
  const leftovers = (): string[] => readdirSync(join(site.data, 'tmp')).filter((name) => name.startsWith('verify-'));
  let cuts = 0;
  for (let i = 0; i < kills; i++) {
    if (!(await cut(ms, ...words))) cuts++;
    expect(leftovers().length).toBeLessThanOrEqual(1);
  }
  await done(...words);
  expect(leftovers()).toEqual([]);
  report('verify --deep', cuts, 'no scratch folder left');
  expect(cuts).toBeGreaterThan(0);
});

test(`M1: restore, ${kills} times kill -9: half of it never serves`, async () => {
  const words = (data: string): string[] => ['restore', '--from', at('place'), '--data', data, '--key', '-', ...engineOptions];
  const { ms } = await done(...words(at('usual')));
  let [cuts, refused, complete] = [0, 0, 0];
  for (let i = 0; i < kills; i++) {
    const data = at(`restored-${i}`);
    if (!(await cut(ms, ...words(data)))) cuts++;
    if (existsSync(data) && engineOf(data) !== null) complete++;
    else {
      if (existsSync(join(data, 'restoring'))) {
        const ran = await run([executable, 'run', '--data', data, '--listen', site.address, '--port-offset', String(site.portOffset + 10_000)], {
          timeoutMs: 10_000,
        });
        expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining(`a restore into ${data} was cut off`) });
        refused++;
      }
      await done(...words(data));
    }
    const view = await openData(data, false);
    const newest = JSON.parse((await done('list', '--from', at('place'), '--json')).stdout) as { snapshots: { takenAt: number }[] };
    expect(missing(view, ledger, (newest.snapshots.at(-1)?.takenAt ?? 0) - slackMs)).toEqual([]);
    await view.close();
    expect((await run([executable, 'check', '--deep', '--data', data])).code).toBe(0);
    rmSync(data, { recursive: true, force: true });
  }
  report('restore', cuts, `run refused ${refused}, ${complete} were complete`);
  expect(refused).toBeGreaterThan(0);
});

/** A place with snapshots of ten days ago, an hour apart, of which most go when it is pruned. */
async function oldPlace(folder: string): Promise<void> {
  const world = realWorld(() => {});
  const view = await openData(site.data, true);
  const place = await openPlace(folder, { world, create: true });
  for (let i = 0; i < 16; i++) {
    view.refresh();
    const pinned = view.snapshot();
    await createSnapshot(pinned, place, { now: world.now() - (10 * 24 - i) * 3_600_000, full: i % 4 === 3, lookBack: true });
    pinned.release();
    await sleep(20);
  }
  await view.close();
  const old = new Date(world.now() - 10 * 86_400_000);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) utimesSync(join(folder, name), old, old);
}

test(`prune, ${kills} times kill -9: what stays is whole`, async () => {
  await oldPlace(at('old'));
  const copy = async (to: string): Promise<Shelf> => {
    await must(['cp', '-a', at('old'), to]);
    return new Shelf(to, kit);
  };
  const first = await copy(at('pruned'));
  const { ms, stdout } = await done('prune', '--from', first.folder, '--json');
  const { removed, objects, kept } = JSON.parse(stdout) as { removed: string[]; objects: number; kept: number };
  expect(removed.length).toBeGreaterThan(8);
  expect(objects).toBeGreaterThan(4);
  let [cuts, partly, whole] = [0, 0, 0];
  for (let i = 0; i < kills; i++) {
    const shelf = await copy(at(`pruned-${i}`));
    if (!(await cut(ms, 'prune', '--from', shelf.folder))) cuts++;
    const left = (await shelf.names()).length;
    if (left < kept + removed.length) partly++;
    if (left === kept) whole += (await shelf.prove()).proved;
    await done('prune', '--from', shelf.folder);
    const { wrong, proved } = await shelf.prove();
    expect(wrong).toEqual([]);
    whole += proved;
    expect(await shelf.names()).toHaveLength(kept);
    rmSync(shelf.folder, { recursive: true, force: true });
  }
  report('prune', cuts, `${partly} with snapshots gone, ${whole} snapshots rebuilt`);
  expect(cuts).toBeGreaterThan(0);
});

/** The process that parks the site. */
const control = (): number | undefined =>
  descendants(site.supervisorPid).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0role\0control\0');
    } catch {
      return false;
    }
  });

for (const what of ['control process', 'whole site'] as const) {
  test(`M1 C1: continuous parking, ${kills} times kill -9 of the ${what}`, async () => {
    const shelf = new Shelf(at(`parked-${what.slice(0, 5).trim()}`), kit);
    await done('create', '--data', site.data, '--to', shelf.folder);
    await site.apply(sampleDocument(users, { snapshots: { to: shelf.folder, everySeconds: 1 } }));
    let whole = 0;
    for (let i = 0; i < kills; i++) {
      if (i % 3 === 0) {
        const before = (await shelf.names()).length;
        await until('it parks again', async () => (await shelf.names()).length > before, 30_000, 5);
      }
      await sleep(random() * 1_100);
      if (what === 'whole site') {
        await site.kill();
        await site.start();
      } else signal(await until('the process', control));
      // those about the kill: there is one more each second, and proving takes its time
      if (i % 4 === 3 || i === kills - 1) whole += await proved(shelf, 6);
    }
    await site.apply(sampleDocument(users));
    whole += await proved(shelf, 6);
    report(`parking, ${what}`, kills, `${whole} snapshots rebuilt, none with anything missing`);
    expect(whole).toBeGreaterThan(kills / 3);
  });
}

test('the ledger is right in the end', async () => {
  await ledger.end();
  expect(await ledger.compare()).toEqual([]);
  tell(`  ${JSON.stringify(ledger.counts)}`);
}, 120_000);

test('every snapshot is one point in time: no hole in a chain over 100 accounts, in what is made in a loop and in what is parked', async () => {
  const chained = await startSite({ document: sampleDocument(Array.from({ length: 100 }, (_, i) => `user${i + 1}`)) });
  try {
    const server: Server = { host: chained.address, port: chained.port('imaps'), tls: true, users: 100, login: (user) => `user${user}@example.test`, password };
    const [made, parked] = ['made', 'parked'].map((name) => join(chained.data, '..', name)) as [string, string];
    const ownKit = (await must([executable, 'snapshot', 'key', '--data', chained.data])).stdout;
    for (const to of [made, parked]) await done('create', '--data', chained.data, '--to', to);
    await chained.apply(
      sampleDocument(
        Array.from({ length: 100 }, (_, i) => `user${i + 1}`),
        { snapshots: { to: parked, everySeconds: 1 } },
      ),
    );
    const chain = new Chain(server);
    await chain.begin();
    const between = new Map<number, readonly [number, number]>();
    for (let i = 0; i < Math.max(8, kills / 2); i++) {
      const least = chain.acknowledged;
      const { stdout } = await done('create', '--data', chained.data, '--to', made, '--json', ...(i % 3 === 2 ? ['--full'] : []));
      between.set((answerIn(stdout) as { commit: number }).commit, [least, chain.acknowledged + 1]);
      await sleep(random() * 400);
    }
    const all = await chain.end();
    let counted = 0;
    for (const folder of [made, parked]) {
      const { wrong } = await new Shelf(folder, ownKit).prove((reader, { commit }) => {
        const links = linksInStore(reader);
        counted++;
        const [least, most] = between.get(commit) ?? [0, all];
        return links.pointInTime && links.last >= least && links.last <= most ? [] : [`${JSON.stringify(links)}, expected ${least} to ${most}`];
      });
      expect(wrong).toEqual([]);
    }
    tell(`  ${all} messages one after the other over 100 accounts; ${counted} snapshots meanwhile, 0 holes`);
    expect(counted).toBeGreaterThan(between.size);
    expect(all).toBeGreaterThan(20);
  } finally {
    await chained.finish();
  }
});
