// Where something between lets no WebSocket through, the same frames go by polls: on the executable.

import { expect, test } from 'vitest';
import { claimText, parseClaim } from '../../../uplink/claim.ts';
import { freeOffset } from '../../clients/site.ts';
import { executable, temporary } from '../cli/program.ts';
import { documentWith, freePort, Pair, until } from './pair.ts';

/** Passes requests on, and refuses each upgrade and each CONNECT. */
function plainProxy(to: () => string): { port: number; seen: Set<string>; stop(): void } {
  const seen = new Set<string>();
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      seen.add(`${request.method} ${pathname}${request.headers.has('upgrade') ? ' upgrade' : ''}`);
      if (request.headers.has('upgrade')) return new Response('no', { status: 502 });
      const body = request.method === 'GET' || request.method === 'HEAD' ? null : await request.arrayBuffer();
      try {
        const answer = await fetch(`${to()}${pathname}${search}`, { method: request.method, headers: request.headers, body });
        return new Response(await answer.arrayBuffer(), { status: answer.status });
      } catch {
        return new Response('the portal is gone', { status: 502 });
      }
    },
  });
  return { port: server.port as number, seen, stop: () => void server.stop(true) };
}

test('a site behind it joins, takes documents, does a command once and answers', async () => {
  const pair = new Pair(temporary(), { address: '127.0.0.1', portalPort: await freePort(), offset: await freeOffset('127.0.0.1') });
  const proxy = plainProxy(() => pair.url);
  try {
    pair.startPortal();
    const claim = parseClaim(await pair.claim('c1'));
    if (claim === null) throw new Error('no claim');
    const joined = Bun.spawn([executable, 'join', claimText(`http://127.0.0.1:${proxy.port}`, claim.claim, claim.secret), '--data', pair.siteData], {
      stdout: 'ignore',
      stderr: 'inherit',
    });
    expect(await joined.exited).toBe(0);
    await pair.want(documentWith(2));
    pair.startSite();
    await until('rev 1 is in force', async () => (await pair.siteRecord()).appliedRev === 1);
    await pair.want(documentWith(3));
    await until('rev 2 is in force', async () => (await pair.siteRecord()).appliedRev === 2);
    expect(await pair.query('overview')).toMatchObject({ host: 'mail.example.test', accounts: 3 });
    const id = await pair.command('uplink.test', { text: 'x' });
    await until('the command is done', async () => (await pair.commandRecord(id)).state === 'done');
    expect([...proxy.seen].some((line) => line.endsWith('/v1/uplink upgrade'))).toBe(true);
    expect(proxy.seen).toContain('POST /v1/uplink/poll');
    // the portal goes and comes back
    await pair.killPortal();
    await until('the site knows that it is alone', async () => pair.status().state === 'offline', 60_000);
    pair.startPortal();
    const rev = await until('another rev is wanted', () => pair.want(documentWith(4)));
    await until('it is in force', async () => (await pair.siteRecord()).appliedRev === rev, 60_000);
  } finally {
    for (const { code, out, errors } of await pair.finish()) expect(code, out + errors.join()).toBe(0);
    proxy.stop();
  }
}, 150_000);
