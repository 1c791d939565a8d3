// The page of numbers: the text format as a strict reader of it takes it, the numbers of a real store, and a server that
// gives a stranger nothing to hold on to.

import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Sibling } from '../../../actors/children.ts';
import { limits } from '../../../actors/limits.ts';
import { realWorld } from '../../../actors/platform.ts';
import { acceptAt } from '../../../actors/stream.ts';
import { exposition } from '../../../protocols/http/exposition.ts';
import { metricsPages, serveMetrics } from '../../../protocols/http/metrics.ts';
import { respond } from '../../../protocols/http/responder.ts';
import { freeOffset, until } from '../../clients/site.ts';
import { siteOf } from '../outbound/house.ts';
import { contentOf, mailOf, type TestStore, testStore } from '../storage/fixture.ts';
import { parseExposition } from './parse.ts';

test('labels, help and missing values are written as the format has them', () => {
  const text = exposition([
    { name: 'a_total', type: 'counter', help: 'one\nline \\ of help', samples: [{ value: 1 }] },
    {
      name: 'b',
      type: 'gauge',
      help: 'b',
      samples: [
        { labels: { x: 'a "quoted"\\\n', y: '' }, value: 0.5 },
        { labels: { x: 'gone' }, value: null },
      ],
    },
  ]);
  expect(text).toBe(
    '# HELP a_total one\\nline \\\\ of help\n# TYPE a_total counter\na_total 1\n# HELP b b\n# TYPE b gauge\nb{x="a \\"quoted\\"\\\\\\n",y=""} 0.5\n',
  );
  expect(parseExposition(text).get('b{x="a \\"quoted\\"\\\\\\n",y=""}')).toBe(0.5);
});

const processes: Sibling[] = [{ role: 'store', index: 0, pid: 7, startedAt: 0, restarts: 2, ready: 1 }];
const machine = (more: object = {}) => ({ diskOctets: () => 4_096, parkedAt: () => null, processes: async () => processes, ...more });
const pagesOf = (store: TestStore, more: object = {}) => metricsPages(siteOf(store.world as never, store.address, store.engine), machine(more));

test('the numbers are those of the store', async () => {
  const store = await testStore();
  const { queues } = await store.ok('deliver', { mails: [mailOf(contentOf('a'), [[1, 'INBOX']], ['a@one.test', 'b@one.test', 'c@one.test'])] });
  const [queue = 0] = queues;
  await store.ok('claimQueue', { leaseMs: 1_000, limit: 1, skipDomains: [] });
  const outcome = { queue, n: 0, outcome: 'done' as const, due: 0, warned: false, attempted: true, event: 'delivered' as const };
  await store.ok('reportQueue', { outcomes: [{ ...outcome, code: '', error: '', host: '', ip: '', tls: '' }], mails: [] });
  await store.ok('holdQueue', { by: 'root', of: [{ queue, n: 1 }] });
  await store.ok('tellSessions', { open: [{ protocol: 'imaps', sessions: 3 }] });
  await store.ok('proved', { now: store.world.time + 30_000, state: 'proven', commit: 1, takenAt: 1, problem: '' });
  store.world.time += 90_000;
  const page = await pagesOf(store, { parkedAt: () => store.world.time - 12_000 })['/metrics']?.();
  expect(page).toMatchObject({ status: 200, type: 'text/plain; version=0.0.4' });
  const found = parseExposition(page?.text ?? '');
  expect(Object.fromEntries(found)).toMatchObject({
    mailsite_commit: (await store.ok('stats', {})).commit,
    mailsite_store_up: 1,
    mailsite_store_full: 0,
    mailsite_messages_received_total: 1,
    mailsite_recipients_delivered_total: 1,
    mailsite_queue_messages: 1,
    mailsite_queue_recipients: 2,
    mailsite_queue_held_recipients: 1,
    mailsite_queue_oldest_age_seconds: 90,
    'mailsite_sessions{listener="imaps"}': 3,
    mailsite_disk_octets: 4_096,
    mailsite_damaged: 0,
    mailsite_snapshot_age_seconds: 12,
    mailsite_restore_proven_age_seconds: 60,
    mailsite_restore_failed: 0,
    'mailsite_process_up{role="store",index="0"}': 1,
    'mailsite_process_restarts_total{role="store",index="0"}': 2,
    mailsite_configuration_rev: 1,
  });
  expect([...found.keys()].some((name) => name.startsWith('mailsite_certificate'))).toBe(false);
});

test('healthz says what keeps mail from being taken', async () => {
  const store = await testStore();
  expect(await pagesOf(store)['/healthz']?.()).toMatchObject({ status: 200, text: 'ok\n' });
  const starting = { processes: async () => [{ ...processes[0], role: 'edge', ready: 0 }] };
  expect(await pagesOf(store, starting)['/healthz']?.()).toMatchObject({ status: 503, text: 'edge 0 is starting\n' });
  expect(await pagesOf(await testStore({ document: null }))['/healthz']?.()).toMatchObject({ status: 503, text: 'there is no document yet\n' });
});

const world = realWorld(() => {});
const pages = { '/metrics': async () => ({ status: 200 as const, type: 'text/plain', text: 'numbers\n' }) };
let served = 0;
async function serve(): Promise<number> {
  const port = (await freeOffset('127.0.0.1')) + 9_925;
  await acceptAt({ address: '127.0.0.1', port }, (connection) => void respond(world, connection, pages).finally(() => served++));
  return port;
}
/** All that the server says until it closes. */
function ask(port: number, text: string): Promise<string> {
  return new Promise((done) => {
    let heard = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    socket.setEncoding('latin1');
    socket.on('data', (part) => (heard += part));
    socket.on('error', () => done(heard));
    socket.on('close', () => done(heard));
    socket.on('end', () => socket.end());
  });
}
afterEach(() => {
  served = 0;
});

test('a page, its head, and what is refused', async () => {
  const port = await serve();
  const status = async (text: string): Promise<string> => (await ask(port, text)).split('\r\n')[0] ?? '';
  const whole = await ask(port, 'GET /metrics?x=1 HTTP/1.1\r\nHost: localhost:9925\r\n\r\n');
  expect(whole).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; charset=utf-8\r\nContent-Length: 8\r\n[\s\S]*\r\n\r\nnumbers\n$/);
  expect(await ask(port, 'HEAD /metrics HTTP/1.0\n\n')).toMatch(/Content-Length: 8\r\n[\s\S]*\r\n\r\n$/);
  expect(await status('GET /metrics HTTP/1.1\r\nHost: [::1]:1\r\n\r\n')).toContain('200');
  expect(await status('GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n')).toContain('403');
  expect(await status('GET /metrics HTTP/1.1\r\nhost: 127.0.0.1.evil.example\r\n\r\n')).toContain('403');
  expect(await status('GET /constructor HTTP/1.1\r\n\r\n')).toContain('404');
  expect(await status('POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc')).toContain('405');
  expect(await status('EHLO there\r\n\r\n')).toContain('400');
  expect(await status(`GET /${'a'.repeat(limits.httpLine)} HTTP/1.1\r\n\r\n`)).toContain('414');
  expect(await status(`GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(limits.httpFields)}\r\n`)).toContain('431');
  await until('every connection is over', () => served === 10);
});

test('who says nothing, or an octet now and then, is let go after a while', async () => {
  const port = await serve();
  const began = performance.now();
  const slow = connect({ host: '127.0.0.1', port });
  const drip = setInterval(() => slow.write('\r\n'), 200);
  const said = await new Promise<string>((done) => slow.once('data', (part) => done(part.toString())));
  clearInterval(drip);
  slow.destroy();
  expect(said).toContain('408');
  expect(performance.now() - began).toBeLessThan(limits.httpRequestMs + 1_500);
}, 20_000);

test('a port that is taken is told once, and keeps nothing from its work', async () => {
  const store = await testStore();
  const port = await serve();
  const logged: string[] = [];
  const site = siteOf({ ...store.world, log: (event: string) => void logged.push(event) } as never, store.address, store.engine);
  const never = serveMetrics(site, { name: 'metrics', actor: 'metrics', max: 1, onCrash: { forget: true } }, port, machine());
  never.catch((error: unknown) => logged.push(String(error)));
  await until('it is told', () => logged.length > 0);
  expect(logged).toEqual(['listener.failed']);
});
