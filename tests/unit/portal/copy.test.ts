// A site that has a portal, and what comes out of its snapshots: mail back into it from what the portal keeps, and a copy of it
// on another machine, which is not the site until the portal says so (U3).

import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Imap } from '../../bench/lib/conn.ts';
import { executable, mailsite, temporary } from '../cli/program.ts';
import { type Cloud, foundedCloud, type Running, startUntil } from './cloud.ts';

const started: Running[] = [];
async function running(data: string, offset: number, what = /("event":"process.ready","role":"edge")/): Promise<string> {
  const { process, found } = await startUntil(['run', '--data', data, '--listen', '127.0.0.1', '--port-offset', String(offset)], what);
  started.push(process);
  return found;
}

async function until<T>(what: string, look: () => Promise<T | null | false> | T | null | false): Promise<T> {
  for (let i = 0; i < 400; i++) {
    const found = await look();
    if (found !== null && found !== false) return found;
    await Bun.sleep(100);
  }
  throw new Error(`never: ${what}`);
}

let portal: Cloud & { process: Running; cookie: string; org: string };
let path = '';
const site = temporary();
const copy = temporary();
const open = temporary(); // to the user of the site, too
chmodSync(open, 0o755);
const spare = join(open, 'x.tar');
const kit = join(temporary(), 'kit.txt');
const ask = (method: string, of: string, body?: unknown) => portal.ask(method, of, portal.cookie, body);
const newest = async () => (await ask('GET', `${path}/snapshots`)).body.items[0];
const statusOf = (data: string) => JSON.parse(mailsite(['status', '--data', data, '--json']).out);

beforeAll(async () => {
  portal = await foundedCloud(28141);
  started.push(portal.process);
  const made = await ask('POST', `${portal.org}/sites`, { name: 'Berlin' });
  path = `${portal.org}/sites/${made.body.site.id}`;
  await ask('POST', `${path}/domains`, { name: 'example.org' });
  await ask('POST', `${path}/accounts`, { address: 'ann@example.org', password: 'correct horse battery' });
  const joined = JSON.parse(mailsite(['join', made.body.claim.text, '--data', site, '--json']).out);
  writeFileSync(kit, joined.kit);
  expect(joined.kit).toContain(`RECOVERY KIT of the mail site ${made.body.site.id} of ${portal.url}`);
  await running(site, 28_700);
  await until('it runs what is wanted', async () => (await ask('GET', path)).body.runningRev === 2);
  const imap = await Imap.open('127.0.0.1', 28_700 + 993, true);
  await imap.login('ann@example.org', 'correct horse battery');
  expect((await imap.append('INBOX', '', [Buffer.from('Subject: one\r\n\r\nHello.\r\n')])).ok).toBe(true);
  imap.close();
  const { commit } = statusOf(site);
  await until('all of it is parked', async () => ((await newest())?.commit ?? 0) >= commit);
}, 60_000);
afterAll(async () => {
  for (const process of started) {
    process.kill('SIGKILL');
    await process.exited;
  }
  for (const data of [site, copy, portal.data].filter((folder) => readdirSync(folder).length > 0))
    expect(mailsite(['check', '--data', data])).toMatchObject({ code: 0, errors: [] });
});

test('the verbs on snapshots read what the portal keeps, and put mail back from there', async () => {
  for (const from of [[], ['--from', 'portal']]) {
    const on = ['--data', site, ...from];
    expect(mailsite(['snapshot', 'list', ...on]).out).toMatch(/[0-9a-f]{8}\/\d+/);
    expect(mailsite(['snapshot', 'show', ...on]).out).toMatch(/ann@example\.org|1 account/);
    expect(mailsite(['snapshot', 'verify', ...on])).toMatchObject({ code: 0, errors: [] });
    const into = `Back ${from.length}`;
    const back = mailsite(['snapshot', 'restore', '--only', 'ann@example.org', '--folder', 'INBOX', '--into', into, ...on]);
    expect(back.errors).toEqual([]);
    expect(back.out).toMatch(new RegExp(`^1 message of ann@example\\.org .* in ${into}`));
  }
  expect(mailsite(['snapshot', 'export', '--to', `${spare}-export.tar`, '--data', site])).toMatchObject({ code: 0, errors: [] });
  expect(mailsite(['snapshot', 'create', '--json', '--data', site]).out).toContain(`"to":"the portal ${portal.url}"`);
  expect(mailsite(['snapshot', 'create', '--to', 'portal', '--data', site])).toMatchObject({ code: 0, errors: [] });
  expect(mailsite(['snapshot', 'list', '--from', 'portal', '--data', temporary()]).errors.join()).toMatch(/is known to a portal/);
}, 60_000);

test('U3: a restored copy says what it is, serves, and takes over by a claim to launch', async () => {
  expect(mailsite(['snapshot', 'create', '--to', spare, '--data', site])).toMatchObject({ code: 0, errors: [] });
  const restored = mailsite(['snapshot', 'restore', '--from', spare, '--key', kit, '--data', copy]);
  expect(restored.errors).toEqual([]);
  expect(restored.out).toMatch(/THIS IS A COPY[\s\S]*stays off[\s\S]*mailsite join CLAIM[\s\S]*mailsite rehome/);
  expect(statusOf(copy).uplink).toMatchObject({ state: 'restored', connected: false });
  expect(await running(copy, 29_700, /"event":"uplink.restored".*(must be off)/)).toBe('must be off');
  expect(statusOf(copy).uplink).toMatchObject({ state: 'restored', connected: false });
  expect(statusOf(site).uplink).toMatchObject({ state: 'active', connected: true });
  expect(mailsite(['snapshot', 'list', '--data', copy, '--from', 'portal']).code).toBe(1);

  const other = await ask('POST', `${portal.org}/sites`, { name: 'Rome' });
  const foreign = mailsite(['join', other.body.claim.text, '--data', copy]).errors.join();
  expect(foreign).toMatch(/launch the site from a snapshot.*rehome/);
  expect(statusOf(copy).uplink.state).toBe('restored');

  const launch = await ask('POST', `${path}/snapshots/${encodeURIComponent((await newest()).name)}/launch`);
  expect(mailsite(['join', launch.body.claim.text, '--data', copy])).toMatchObject({ code: 0, out: expect.stringMatching(/as epoch 2/) });
  await until('the copy is the site', () => statusOf(copy).uplink.connected);
  await until('the one before is not', () => statusOf(site).uplink.state === 'superseded');
  expect(mailsite(['status', '--data', site]).out).toMatch(/another machine is this site now/);
  // that snapshot was not restored: nothing is proven of it
  expect((await ask('GET', path)).body.snapshot.provenAt).toBe(null);
  expect((await ask('GET', `${path}/snapshots`)).body.items.map(({ proven }: { proven: string }) => proven).join('')).toBe('');
}, 60_000);

test('U3: a site that was brought back in its own folder joins as another machine', async () => {
  const made = await ask('POST', `${portal.org}/sites`, { name: 'Oslo' });
  const of = `${portal.org}/sites/${made.body.site.id}`;
  const data = temporary();
  const own = join(temporary(), 'kit.txt');
  writeFileSync(own, JSON.parse(mailsite(['join', made.body.claim.text, '--data', data, '--json']).out).kit);
  const place = temporary();
  expect(mailsite(['snapshot', 'create', '--to', place, '--data', data])).toMatchObject({ code: 0, errors: [] });
  const key = readFileSync(join(data, 'machine.key'), 'utf8');
  for (const name of readdirSync(data)) if (name !== 'machine.key') rmSync(join(data, name), { recursive: true });
  expect(mailsite(['snapshot', 'restore', '--from', place, '--key', own, '--data', data])).toMatchObject({ code: 0, errors: [] });
  expect(statusOf(data).uplink.state).toBe('restored');
  // its portal gives no claim for a site that has its machine; one of another site is refused with the ways out, and is another key's
  expect((await ask('POST', `${of}/claims`)).status).toBe(409);
  const other = await ask('POST', `${portal.org}/sites`, { name: 'Wien' });
  expect(mailsite(['join', other.body.claim.text, '--data', data]).errors.join()).toMatch(/launch the site from a snapshot/);
  const next = readFileSync(join(data, 'machine.key'), 'utf8');
  expect(next).not.toBe(key);
  expect(mailsite(['join', other.body.claim.text, '--data', data]).code).toBe(1);
  expect(readFileSync(join(data, 'machine.key'), 'utf8')).toBe(next);
});

test('a portal is no site and a site no portal, and each says so', async () => {
  const refused = async (...argv: string[]): Promise<string> => {
    const process = Bun.spawn([executable, ...argv], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
    const said = await new Response(process.stderr).text();
    expect(await process.exited).toBe(1);
    return said;
  };
  for (const engine of ['lmdb', 'lsm'] as const) {
    const document = join(temporary(), 'document.json');
    writeFileSync(document, JSON.stringify({ schema: 1, host: 'mail.example.test', domains: [{ name: 'example.test' }], accounts: [] }));
    const cloud = temporary();
    const { process } = await startUntil(['portal', '--data', cloud, '--listen', '127.0.0.1:28143', '--engine', engine], /setup#([\w-]{43})\n/);
    const isPortal = new RegExp(`^mailsite: ${cloud} holds a portal, not a site: .*mailsite portal --data ${cloud}[^\n]*\n$`);
    expect(await refused('apply', document, '--data', cloud)).toMatch(isPortal);
    expect(mailsite(['snapshot', 'key', '--data', cloud]).out).toContain('RECOVERY KIT of the portal http://127.0.0.1:28143\n');
    expect(mailsite(['status', '--data', cloud]).out).toMatch(/^portal +http:\/\/127\.0\.0\.1:28143\n/);
    const parked = join(open, `${engine}.tar`);
    expect(mailsite(['snapshot', 'create', '--to', parked, '--data', cloud])).toMatchObject({ code: 0, errors: [] });
    process.kill('SIGKILL');
    await process.exited;
    await Bun.sleep(300);
    expect(await refused('run', '--data', cloud, '--listen', '127.0.0.1', '--port-offset', '28900')).toMatch(isPortal);
    expect(mailsite(['status', '--data', cloud]).out).toContain(`mailsite portal --data ${cloud}`);
    const kept = join(temporary(), 'kit.txt');
    writeFileSync(kept, mailsite(['snapshot', 'key', '--data', cloud]).out);
    const again = temporary();
    const restored = mailsite(['snapshot', 'restore', '--from', parked, '--key', kept, '--data', again]);
    expect(restored.out).toMatch(/The portal http.* is restored[\s\S]*Start it with mailsite portal --data /);
    expect(restored.out).not.toContain('mailsite run');

    const mail = temporary();
    expect(mailsite(['apply', document, '--data', mail, '--engine', engine])).toMatchObject({ code: 0 });
    const isSite = new RegExp(`^mailsite: ${mail} holds a mail site, not a portal: [^\n]*\n$`);
    expect(await refused('portal', '--data', mail, '--listen', '127.0.0.1:28145')).toMatch(isSite);
    expect(await refused('portal', 'link', '--data', mail)).toMatch(isSite);
    expect(mailsite(['status', '--data', mail]).out).toMatch(/^site +mail\.example\.test, rev 1\n/);
  }
  const nothing = temporary();
  expect(await refused('portal', 'link', '--data', nothing)).toMatch(/holds no portal/);
  expect(readdirSync(nothing)).toEqual([]);
}, 90_000);
