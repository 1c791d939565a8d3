// A site parks with its portal, is launched on another machine from there, and the machine before takes no more mail (U3).

import net from 'node:net';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Claim, claimText, parseClaim } from '../../../uplink/claim.ts';
import { executable, mailsite, temporary } from '../cli/program.ts';
import { foundedCloud, startUntil } from './cloud.ts';

/** One SMTP dialog; the answers, a line each, up to one that is not 2xx or 3xx. */
function smtp(port: number, lines: readonly string[]): Promise<string[]> {
  return new Promise((resolve) => {
    const answers: string[] = [];
    const waiting = [...lines];
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    const end = (): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.on('error', end);
    socket.on('close', end);
    socket.on('data', (chunk) => {
      text += chunk;
      for (let at = text.indexOf('\r\n'); at >= 0; at = text.indexOf('\r\n')) {
        const line = text.slice(0, at);
        text = text.slice(at + 2);
        if (line[3] === '-') continue;
        answers.push(line);
        const next = waiting.shift();
        if (next === undefined || !/^[23]/.test(line)) return end();
        socket.write(`${next}\r\n`);
      }
    });
  });
}
const send = (port: number, subject: string) =>
  smtp(port, ['EHLO x.test', 'MAIL FROM:<a@elsewhere.test>', 'RCPT TO:<ann@example.org>', 'DATA', `Subject: ${subject}\r\n\r\nHello.\r\n.`, 'QUIT']);

async function until<T>(what: string, look: () => Promise<T | null | false>): Promise<T> {
  for (let i = 0; i < 400; i++) {
    const found = await look();
    if (found !== null && found !== false) return found;
    await Bun.sleep(100);
  }
  throw new Error(`never: ${what}`);
}

const running = (data: string, offset: number, listen = '127.0.0.1') =>
  startUntil(['run', '--data', data, '--listen', listen, '--port-offset', String(offset)], /("event":"process.ready","role":"edge")/);

/** A portal with a site that has parked all that it has: one letter. */
async function parkedSite(port: number, offset: number) {
  const portal = await foundedCloud(port);
  const { ask, cookie } = portal;
  const made = await ask('POST', `${portal.org}/sites`, cookie, { name: 'Berlin' });
  const path = `${portal.org}/sites/${made.body.site.id}`;
  await ask('POST', `${path}/domains`, cookie, { name: 'example.org' });
  await ask('POST', `${path}/accounts`, cookie, { address: 'ann@example.org', password: 'correct horse battery' });
  const old = temporary();
  const joined = JSON.parse(mailsite(['join', made.body.claim.text, '--data', old, '--json']).out);
  expect(joined.kit).toMatch(/AGE-SECRET-KEY-1/);
  const kit = join(temporary(), 'kit.txt');
  writeFileSync(kit, joined.kit);
  const first = await running(old, offset);
  await until('it runs what is wanted', async () => (await ask('GET', path, cookie)).body.runningRev === 2);
  expect((await send(offset + 25, 'one')).at(-2)).toMatch(/^250/);
  const commitOf = (data: string): number => JSON.parse(mailsite(['status', '--data', data, '--json']).out).commit;
  const now = commitOf(old);
  await ask('POST', `${path}/snapshots`, cookie);
  const newest = await until('all of it is parked', async () => {
    const [last] = (await ask('GET', `${path}/snapshots`, cookie)).body.items;
    return last !== undefined && last.commit >= now && last;
  });
  expect(newest).toMatchObject({ epoch: 1, size: expect.any(Number) });
  return { portal, path, old, kit, first, newest };
}

test('a site restores its newest snapshot for proof when it is asked to, and tells what came of it', async () => {
  const { portal, path, old, newest } = await parkedSite(28129, 29_400);
  const { ask, cookie } = portal;
  const prove = async () => {
    const given = await ask('POST', `${path}/snapshots/proof`, cookie);
    expect(given.status, JSON.stringify(given.body)).toBe(202);
    return until('it has ended', async () => {
      const { body } = await ask('GET', `${path}/commands/${given.body.command}`, cookie);
      return body.endedAt !== null && body;
    });
  };
  expect((await ask('GET', path, cookie)).body.snapshot).toMatchObject({ provenAt: null, problem: '', triedAt: null });
  const done = await prove();
  expect(done).toMatchObject({ state: 'done', value: expect.stringMatching(/^commit \d+$/) });
  const commit = Number(done.value.split(' ')[1]);
  expect(commit).toBeGreaterThanOrEqual(newest.commit);
  const site = () => ask('GET', path, cookie).then(({ body }) => body);
  await until('the portal knows', async () => (await site()).snapshot.provenAt !== null);
  const { items } = (await ask('GET', `${path}/snapshots`, cookie)).body;
  expect(items.filter(({ proven }: { proven: string }) => proven !== '').map((row: { commit: number }) => row.commit)).toEqual([commit]);
  expect(JSON.parse(mailsite(['status', '--data', old, '--json']).out).proof).toMatchObject({ state: 'proven', commit, problem: '' });
  expect(mailsite(['status', '--data', old]).out).toMatch(/restore +proven .*, of commit/);
  expect(readdirSync(join(old, 'tmp')).filter((name) => name.startsWith('verify-'))).toEqual([]);

  // what is kept there rots
  const kept = join(portal.data, 'objects');
  for (const name of readdirSync(kept, { recursive: true }) as string[]) {
    const file = join(kept, name);
    if (!/\/objects\/.*\/[^/]+$/.test(file.slice(kept.length)) || !statSync(file).isFile()) continue;
    const octets = readFileSync(file);
    octets[octets.length >> 1] = (octets[octets.length >> 1] as number) ^ 1;
    writeFileSync(file, octets);
  }
  const failed = await prove();
  expect(failed).toMatchObject({ state: 'failed', value: expect.stringMatching(/damaged|is not/) });
  await until('the portal says so', async () => (await site()).word === 'Its newest snapshot is not whole');
  expect((await site()).snapshot).toMatchObject({ provenAt: expect.any(Number), problem: failed.value, triedAt: expect.any(Number) });
  expect(mailsite(['status', '--data', old]).out).toContain(failed.value);
  await until('both are told', async () => {
    const { items } = (await ask('GET', `${path}/events?limit=200`, cookie)).body as { items: { name: string }[] };
    return ['snapshot.proven', 'snapshot.notWhole'].every((told) => items.some(({ name }) => name === told));
  });
}, 120_000);

test('U3: launched on another machine from a parked snapshot; the old one is fenced', async () => {
  const { portal, path, old, kit, first, newest } = await parkedSite(28127, 28400);
  const { ask, cookie } = portal;

  // what the portal keeps says nothing of what is in it
  const found = Bun.spawnSync(['grep', '-rlaE', 'ann@|example.org|Hello', join(portal.data, 'objects')]).stdout.toString();
  expect(found).toBe('');

  const launch = await ask('POST', `${path}/snapshots/${encodeURIComponent(newest.name)}/launch`, cookie);
  expect(launch.status, JSON.stringify(launch.body)).toBe(201);
  const fresh = temporary();
  const claim = launch.body.claim.text;
  expect(mailsite(['join', claim, '--data', fresh])).toMatchObject({ code: 1, errors: [expect.stringMatching(/recovery key/)] });
  // nothing has changed by that: the old one goes on
  expect((await send(28425, 'two')).at(-2)).toMatch(/^250/);
  const done = mailsite(['join', claim, '--data', fresh, '--key', kit]);
  expect(done.errors).toEqual([]);
  expect(done.out).toMatch(/as epoch 2/);
  expect(mailsite(['join', claim, '--data', fresh])).toMatchObject({ code: 0 }); // asked again
  const second = await running(fresh, 28600);
  await until('the new machine is the site', async () => (await ask('GET', path, cookie)).body.state === 'online');
  expect((await ask('GET', path, cookie)).body.snapshot.provenAt).toBeGreaterThan(newest.at);
  const shown = (await ask('GET', `${path}/snapshots`, cookie)).body.items as { name: string; proven: string }[];
  expect(shown.filter(({ proven }) => proven !== '').map(({ name }) => name)).toEqual([newest.name]);
  await until('the old one is fenced', async () => (await send(28425, 'three'))[0]?.startsWith('421'));
  expect((await send(28625, 'four')).at(-2)).toMatch(/^250/);
  expect(mailsite(['status', '--data', old]).out).toMatch(/superseded|another machine/);
  // the claim is used up, and the old machine cannot take it
  expect(mailsite(['join', claim, '--data', temporary(), '--key', kit]).errors[0]).toMatch(/another machine has taken/);
  // it parks on, as the new epoch
  await until('the new one parks', async () => (await ask('GET', `${path}/snapshots`, cookie)).body.items[0]?.epoch === 2);
  for (const { process } of [first, second, portal]) {
    process.kill('SIGKILL');
    await process.exited;
  }
  for (const data of [old, fresh, portal.data]) expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0, errors: [] });
}, 120_000);

test('U3: a launch that was cut off serves nothing, and the same command goes on', async () => {
  const { portal, path, old, kit, first, newest } = await parkedSite(28128, 28800);
  let refused = '/v1/grant';
  const front = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname === refused) return Response.json({ error: 'not now' }, { status: 403 });
      const body = request.method === 'GET' ? {} : { body: await request.arrayBuffer() };
      return fetch(portal.url + pathname + search, { method: request.method, headers: { authorization: request.headers.get('authorization') ?? '' }, ...body });
    },
  });
  const launch = await portal.ask('POST', `${path}/snapshots/${encodeURIComponent(newest.name)}/launch`, portal.cookie);
  const { claim, secret } = parseClaim(launch.body.claim.text) as Claim;
  const fresh = temporary();
  const joined = async (): Promise<string> => {
    const joining = Bun.spawn([executable, 'join', claimText(`http://127.0.0.1:${front.port}`, claim, secret), '--data', fresh, '--key', kit], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, errors] = await Promise.all([new Response(joining.stdout).text(), new Response(joining.stderr).text(), joining.exited]);
    return out + errors;
  };
  const run = ['run', '--data', fresh, '--listen', '127.0.0.1', '--port-offset', '29000'];
  expect(await joined()).toMatch(/refuses: not now/);
  // nothing has come yet: no empty site begins where the site is to be
  expect(mailsite(run)).toMatchObject({ code: 1, errors: [expect.stringMatching(/cut off: run the command again.* mailsite join/)] });
  refused = '/v1/activate';
  expect(await joined()).toMatch(/refuses: not now/);
  // all is there, and the old one is the site still
  const waiting = await running(fresh, 29000);
  expect((await send(29025, 'none'))[0]).toMatch(/^421/);
  waiting.process.kill('SIGKILL');
  await waiting.process.exited;
  expect((await send(28825, 'two')).at(-2)).toMatch(/^250/);
  refused = '';
  await until('what was killed is gone', async () => /as epoch 2/.test(await joined()));
  await until('the old one is fenced', async () => (await send(28825, 'three'))[0]?.startsWith('421'));
  const second = await running(fresh, 29000);
  expect((await send(29025, 'four')).at(-2)).toMatch(/^250/);
  for (const { process } of [first, second, portal]) {
    process.kill('SIGKILL');
    await process.exited;
  }
  await front.stop(true);
  for (const data of [old, fresh]) expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0, errors: [] });
}, 120_000);
