// The executable as a portal and as a site: join, document, command, question, the portal gone and back, a proxy between.

import { statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import packageJson from '../../../package.json';
import { ordered } from '../../../uplink/portal/kinds.ts';
import { documentOf } from '../../../uplink/portal/want.ts';
import { QueryFailed } from '../../../uplink/portal/query.ts';
import { fingerprintWords } from '../../../uplink/keys.ts';
import { executable, mailsite, temporary } from '../cli/program.ts';
import { engineOptions, freeOffset } from '../../clients/site.ts';
import { documentWith, freePort, Pair, SITE, until } from './pair.ts';

const newPair = async (env: Record<string, string> = {}): Promise<Pair> =>
  new Pair(temporary(), { address: '127.0.0.1', portalPort: await freePort(), offset: await freeOffset('127.0.0.1'), env });

const greets = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => {});
    socket.once('data', (octets) => {
      socket.destroy();
      resolve(octets.toString());
    });
    socket.once('error', reject);
  });

async function whole(pair: Pair): Promise<void> {
  for (const { code, out, errors } of await pair.finish()) expect(code, out + errors.join()).toBe(0);
}

test('U1 U2: a machine joins, takes a document, does a command once, answers a question; alone it goes on, locked', async () => {
  const pair = await newPair();
  try {
    pair.startPortal();
    const claim = await pair.claim('c1');
    expect(pair.join(claim)).toMatchObject({ code: 0 });
    expect(statSync(join(pair.siteData, 'machine.key')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(pair.join(claim, '--json').out)).toMatchObject({ ok: true, site: SITE, epoch: 1, again: true });
    await pair.want(documentWith(2));
    pair.startSite();
    await until('rev 1 is in force', async () => (await pair.siteRecord()).appliedRev === 1);
    expect(await pair.query('overview')).toMatchObject({ host: 'mail.example.test', accounts: 2 });
    await expect(pair.query('nothing.such')).rejects.toThrow(/cannot answer/);
    const id = await pair.command('uplink.test', { text: 'one' });
    await until('the command is done', async () => (await pair.commandRecord(id)).state === 'done');
    expect(await pair.commandRecord(await endOf(pair, await pair.command('no.such', {})))).toMatchObject({
      state: 'failed',
      value: 'this version does not know no.such',
    });
    expect(pair.status()).toMatchObject({ state: 'active', runningRev: 1, offlineSince: null });
    await until('it is told', async () => (await pair.events()).some((e) => e.name === 'uplink.test'));

    await pair.killPortal();
    await until('the site knows that it is alone', async () => pair.status().state === 'offline');
    expect(await greets(143 + pair.offset)).toMatch(/^\* OK/);
    expect(await greets(25 + pair.offset)).toMatch(/^220 /);
    const file = join(pair.siteData, 'by-hand.json');
    writeFileSync(file, JSON.stringify(documentWith(1)));
    expect(mailsite(['apply', file, '--data', pair.siteData, ...engineOptions]).errors.join()).toMatch(/locked by the portal http:.*rev 1.*--key FILE/);

    pair.startPortal();
    const rev = await until('another rev is wanted', () => pair.want(documentWith(3)));
    await until('it is in force', async () => (await pair.siteRecord()).appliedRev === rev, 60_000);
    const events = await pair.events();
    expect(events.map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
    expect(events.filter((e) => e.name === 'uplink.test')).toHaveLength(1);
  } finally {
    await whole(pair);
  }
}, 120_000);

async function endOf(pair: Pair, id: string): Promise<string> {
  await until('the command has ended', async () => (await pair.commandRecord(id)).endedAt !== null);
  return id;
}

test('a site with 12,000 accounts joins as it is, and is changed from there', async () => {
  const pair = await newPair();
  try {
    pair.startPortal();
    const large = documentWith(12_000);
    const file = join(temporary(), 'large.json');
    writeFileSync(file, JSON.stringify(large));
    expect(mailsite(['apply', file, '--data', pair.siteData, ...engineOptions]).errors).toEqual([]);
    expect(pair.join(await pair.claim('c1')).errors).toEqual([]);
    pair.startSite();
    await until('the portal has what the site had', async () => (await pair.siteRecord()).wantedRev === 1, 60_000);
    const rev = await pair.want({ ...large, accounts: large.accounts.slice(1) });
    await until('what the portal wants is in force', async () => (await pair.siteRecord()).appliedRev === rev, 60_000);
  } finally {
    await whole(pair);
  }
}, 180_000);

test('a second machine on a claim is refused and alarmed; a site that is offline answers nothing', async () => {
  const pair = await newPair();
  const other = temporary();
  try {
    pair.startPortal();
    const claim = await pair.claim('c1');
    expect(pair.join(claim).code).toBe(0);
    expect(mailsite(['join', claim, '--data', other]).errors.join()).toMatch(/another machine has taken this claim/);
    expect(mailsite(['join', claim.replace(/.$/, (c) => (c === 'A' ? 'Q' : 'A')), '--data', other]).errors.join()).toMatch(/not known here/);
    expect(mailsite(['join', 'ms1.no', '--data', other]).code).toBe(1);
    expect((await (await pair.records()).list('alarm', ['o'])).map((found) => found.body.name)).toEqual(['claim.taken']);
    await expect(pair.query('overview')).rejects.toThrow(QueryFailed);
  } finally {
    await whole(pair);
  }
}, 60_000);

test('a machine shows a code, somebody types it in, and it is a site; the code alone gives nothing', async () => {
  const pair = await newPair();
  try {
    pair.startPortal();
    const records = await pair.records();
    const claim = await pair.claim('c1');
    const joining = Bun.spawn([executable, 'join', pair.url, '--json', '--data', pair.siteData], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] ?? '' },
    });
    const [code] = await until('a code is shown', async () => (await records.list('device', []))[0]?.id);
    const device = await records.get('device', code as string);
    expect(code).toMatch(/^[B-Z]{4}-[B-Z]{4}$/);
    const poll = async (secret: string): Promise<unknown> =>
      (await fetch(`${pair.url}/v1/device/poll`, { method: 'POST', body: JSON.stringify({ code, secret }) })).json();
    expect(await poll(device?.secret as string)).toEqual({ state: 'waiting' });
    await records.transact(async (tx) => {
      const row = await tx.get('device', code as string);
      if (row) tx.put('device', [code as string], { ...row, claim });
    });
    expect(await poll('A'.repeat(43))).toEqual({ state: 'gone' });
    expect(await joining.exited).toBe(0);
    const [shown] = (await new Response(joining.stdout).text()).split('\n', 1);
    const words = fingerprintWords(device?.signPublic as string, device?.wrapPublic as string);
    expect(JSON.parse(shown as string)).toEqual({ code, words, address: `${pair.url}/device?code=${code}` });
    expect(device).toMatchObject({ host: hostname().replace(/[^A-Za-z0-9._-]/g, ''), version: packageJson.version });
    expect((await pair.siteRecord()).state).toBe('active');
    const ask = (): Promise<Response> =>
      fetch(`${pair.url}/v1/device`, { method: 'POST', body: JSON.stringify({ signPublic: 'A'.repeat(43), wrapPublic: 'age1' }) });
    for (let n = 0; n < 19; n++) expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(429);
  } finally {
    await whole(pair);
  }
}, 60_000);

test('U1: when its portal is gone for good, another one takes a site with its recovery kit, as it is', async () => {
  const pair = await newPair();
  const next = await newPair();
  try {
    pair.startPortal();
    expect(pair.join(await pair.claim('c1')).code).toBe(0);
    await pair.want(documentWith(3));
    pair.startSite();
    await until('rev 1 is in force', async () => (await pair.siteRecord()).appliedRev === 1);
    await pair.killPortal();
    next.startPortal();
    const claim = await next.claim('c2');
    const rehome = (...more: string[]) => mailsite(['rehome', claim, '--data', pair.siteData, ...more]);
    expect(mailsite(['join', claim, '--data', pair.siteData]).errors.join()).toMatch(/belongs to the portal/);
    expect(rehome().errors.join()).toMatch(/--key FILE/);
    const kit = join(temporary(), 'kit');
    writeFileSync(kit, 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX');
    expect(rehome('--key', kit).code).toBe(1);
    const { out } = mailsite(['snapshot', 'key', '--data', pair.siteData]);
    writeFileSync(kit, out);
    expect(rehome('--key', kit)).toMatchObject({ code: 0 });
    await until('the new portal has the configuration', async () => (await next.siteRecord()).appliedRev === 1);
    expect(documentOf((await (await next.records()).get('desired', SITE, ordered(1)))?.signed ?? '')).toEqual(documentWith(3));
  } finally {
    await whole(pair);
    await whole(next);
  }
}, 90_000);

test('strangers: what is no enrolment, no frame, too long or too slow is turned away', async () => {
  const pair = await newPair();
  try {
    pair.startPortal();
    await pair.records();
    const post = (body: string): Promise<Response> => fetch(`${pair.url}/v1/enroll`, { method: 'POST', body });
    await until('it listens', async () => (await post('{}')).status === 400);
    expect((await post('x'.repeat(100_000))).status).toBe(400);
    expect((await fetch(`${pair.url}/v1/uplink`)).status).toBe(426);
    expect((await fetch(`${pair.url}/v1/nothing`)).status).toBe(404);
    const talk = (say: string): Promise<string[]> =>
      new Promise((resolve) => {
        const heard: string[] = [];
        const socket = new WebSocket(`${pair.url.replace('http', 'ws')}/v1/uplink`);
        socket.onmessage = ({ data }) => {
          heard.push(JSON.parse(String(data)).t);
          if (heard.length === 1 && say !== '') socket.send(say);
        };
        socket.onclose = () => resolve(heard);
      });
    expect(await talk('no frame')).toEqual(['challenge', 'bye']);
    expect(await talk(`{"t":"ping","seq":1,"body":{},"x":"${'y'.repeat(20_000)}"}`)).toEqual(['challenge']);
    expect(await talk('{"t":"ping","seq":1,"body":{}}')).toEqual(['challenge']);
    expect(await talk('{"t":"auth","seq":1,"body":{"signed":"{}","signature":"x"}}')).toEqual(['challenge', 'bye']);
    expect(await talk('')).toEqual(['challenge']); // in time
  } finally {
    await whole(pair);
  }
}, 60_000);

/** Counts what it is asked for. `tunnels` false: it lets no CONNECT through, and so no WebSocket. */
async function proxyServer(tunnels: boolean): Promise<{ readonly url: string; asked: number; close(): void }> {
  const server = net.createServer((client) => {
    client.once('data', (octets) => {
      proxy.asked++;
      const head = octets.toString('latin1');
      const [, method = '', host = '', port = ''] = /^([A-Z]+) (?:http:\/\/)?([^:/ ]+):(\d+)/.exec(head) ?? [];
      if (method === 'CONNECT' && !tunnels) return client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      const there = net.connect(Number(port), host, () => {
        if (method === 'CONNECT') client.write('HTTP/1.1 200 OK\r\n\r\n');
        else there.write(head.replace(/^([A-Z]+) http:\/\/[^/]+/, '$1 ').replace(/\r\nConnection: [^\r]*/i, '\r\nConnection: close'), 'latin1');
        client.pipe(there).pipe(client);
      });
      const end = (): void => {
        client.destroy();
        there.destroy();
      };
      for (const socket of [client, there]) socket.on('error', end);
    });
    client.on('error', () => client.destroy());
  });
  const port = await new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port)));
  const proxy = { url: `http://127.0.0.1:${port}`, asked: 0, close: () => void server.close() };
  return proxy;
}

test.each([
  [true, 'everything goes through the proxy that the environment names'],
  [false, 'where no WebSocket gets through, polls do the same'],
])(
  'a proxy with tunnels: %s: %s',
  async (tunnels) => {
    const proxy = await proxyServer(tunnels);
    const pair = await newPair({ HTTP_PROXY: proxy.url });
    try {
      pair.startPortal();
      const claim = await pair.claim('c1');
      expect(await spawned(pair, claim)).toBe(0);
      expect(proxy.asked).toBe(1);
      pair.startSite();
      await pair.want(documentWith(2));
      await until('rev 1 is in force', async () => (await pair.siteRecord()).appliedRev === 1);
      const begun = Date.now();
      expect(await pair.query('overview')).toMatchObject({ accounts: 2 });
      expect(Date.now() - begun).toBeLessThan(4_000);
      const id = await pair.command('uplink.test', { text: 'one' });
      await until('the command is done', async () => (await pair.commandRecord(id)).state === 'done');
      expect(proxy.asked).toBeGreaterThan(1);
      await pair.killPortal();
      pair.startPortal();
      const rev = await until('another rev is wanted', () => pair.want(documentWith(3)));
      await until('it is in force', async () => (await pair.siteRecord()).appliedRev === rev, 60_000);
    } finally {
      proxy.close();
      await whole(pair);
    }
  },
  120_000,
);

/** Not a synchronous run: the proxy is in this process. */
async function spawned(pair: Pair, claim: string): Promise<number> {
  return Bun.spawn([executable, 'join', claim, '--data', pair.siteData], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'] ?? '', ...pair.env },
  }).exited;
}
