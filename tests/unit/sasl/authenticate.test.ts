// Logins: who is let in, what it costs, what is counted, and what happens while something is away.

import { expect, test } from 'vitest';
import { LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { authenticate } from '../../../protocols/sasl/authenticate.ts';
import { authFailures } from '../../../storage/views.ts';
import { alice, bob, fakeHash, type House, house, settle } from '../smtp/house.ts';

const log = (h: House, login: string, password: string, address = '192.0.2.7') =>
  authenticate(h.site, { protocol: 'smtp', remote: { address, port: 1 }, login, password, mechanism: 'PLAIN', tls: true });

test('a login is an account by its own address; anything else takes one hash too', async () => {
  const h = await house();
  expect(await log(h, 'Alice@Our.test', 'wonder')).toEqual({ ok: true, account: 1, address: alice });
  expect(h.hashed).toEqual(['wonder']);
  for (const login of ['nobody@our.test', 'both@our.test', 'alice+x@our.test', 'off@our.test', 'alice', '', '\0', 'x@'.repeat(100)]) {
    h.hashed.length = 0;
    expect(await log(h, login, 'wonder', `192.0.2.${login.length}`), login).toEqual({ ok: false, reason: 'credentials' });
    expect(h.hashed, login).toEqual(['wonder']);
  }
});

test('a verified password is not hashed again, until it is another', async () => {
  const h = await house();
  for (let i = 0; i < 5; i++) expect(await log(h, alice, 'wonder')).toMatchObject({ ok: true });
  expect(h.hashed).toHaveLength(1);
  await log(h, alice, 'wrong');
  await log(h, alice, 'wrong');
  expect(h.hashed).toHaveLength(3);
  await h.store.ask('rehash', { account: 1, was: fakeHash('wonder'), password: fakeHash('other') });
  expect(await log(h, alice, 'wonder')).toMatchObject({ ok: false });
  expect(await log(h, alice, 'other')).toMatchObject({ ok: true });
});

test('the same login at the same time is hashed once; hashes in flight are few and those that wait are bounded', async () => {
  const h = await house();
  const same = Array.from({ length: 50 }, () => log(h, alice, 'wonder'));
  for (const result of await Promise.all(same)) expect(result.ok).toBe(true);
  expect(h.hashed).toHaveLength(1);
  h.hashed.length = 0;
  const many = Array.from({ length: limits.authWaiting + limits.hashConcurrency + 3 }, (_v, i) => log(h, `u${i}@our.test`, 'x', `198.51.100.${i}`));
  await Promise.resolve();
  expect(h.hashed.length).toBeLessThanOrEqual(limits.hashConcurrency);
  const reasons = (await Promise.all(many)).map((r) => (r.ok ? 'ok' : r.reason));
  expect(reasons.filter((r) => r === 'unavailable')).toHaveLength(3);
  expect(h.hashed).toHaveLength(limits.authWaiting + limits.hashConcurrency);
});

test('brute force: failures are counted by address and by login, in the store, and pass with their window', async () => {
  const h = await house();
  for (let i = 0; i < limits.authFailuresPerAddress; i++) expect(await log(h, `guess${i}@our.test`, 'x')).toEqual({ ok: false, reason: 'credentials' });
  h.hashed.length = 0;
  expect(await log(h, alice, 'wonder')).toEqual({ ok: false, reason: 'throttled' });
  expect(h.hashed).toEqual([]);
  expect(await log(h, alice, 'wonder', '192.0.2.8')).toMatchObject({ ok: true });
  // from many addresses, one login
  for (let i = 0; i < limits.authFailuresPerAddress; i++) await log(h, bob, 'x', `198.51.100.${i}`);
  expect(await log(h, bob, 'builder', '203.0.113.1')).toEqual({ ok: false, reason: 'throttled' });
  // another process knows it too: it is in the store
  const twin = { ...h.site };
  expect(
    await authenticate(twin, { protocol: 'imap', remote: { address: '203.0.113.1', port: 1 }, login: bob, password: 'builder', mechanism: 'LOGIN', tls: true }),
  ).toMatchObject({ reason: 'throttled' });
  await h.world.advance(limits.authWindowMs + 1);
  expect(await log(h, bob, 'builder', '203.0.113.1')).toMatchObject({ ok: true });
  expect(await log(h, alice, 'wonder')).toMatchObject({ ok: true });
});

test('guesses in parallel are no way around the limit', async () => {
  const h = await house();
  const all = await Promise.all(Array.from({ length: 100 }, (_v, i) => log(h, alice, `guess ${i}`)));
  const tried = all.filter((r) => !r.ok && r.reason === 'credentials').length;
  expect(tried).toBeGreaterThanOrEqual(limits.authFailuresPerAddress);
  expect(tried).toBeLessThanOrEqual(limits.authFailuresPerAddress + limits.hashConcurrency);
  expect(h.hashed.length).toBe(tried);
});

test('a login that works clears what was counted, and writes nothing when nothing was', async () => {
  const h = await house();
  const asked: string[] = [];
  h.ask = (kind, message) => {
    asked.push(kind);
    return h.store.ask(kind, message);
  };
  await log(h, alice, 'wonder');
  expect(asked).toEqual([]);
  await log(h, alice, 'wrong');
  expect(authFailures(h.site.view, `login:${alice}`)?.count).toBe(1);
  expect(authFailures(h.site.view, 'ip:192.0.2.7/32')?.count).toBe(1);
  await log(h, alice, 'wonder');
  expect(authFailures(h.site.view, `login:${alice}`)).toBeUndefined();
  expect(asked).toEqual(['authFailed', 'authSucceeded']);
});

test('when hashes or the store are away, logins are unavailable, and nothing is taken for wrong', async () => {
  const h = await house();
  const broken = { ...h.site, work: { on: h.site.work.on, ask: () => Promise.reject(new LinkLost('work')) } };
  expect(
    await authenticate(broken, {
      protocol: 'smtp',
      remote: { address: '192.0.2.7', port: 1 },
      login: alice,
      password: 'wonder',
      mechanism: 'PLAIN',
      tls: true,
    }),
  ).toEqual({ ok: false, reason: 'unavailable' });
  expect(authFailures(h.site.view, `login:${alice}`)).toBeUndefined();
  h.ask = () => Promise.reject(new LinkLost('store'));
  expect(await log(h, alice, 'wrong')).toEqual({ ok: false, reason: 'unavailable' });
  expect(await log(h, alice, 'wonder')).toMatchObject({ ok: true });
});

test('an imported hash is replaced by a better one at the first login', async () => {
  const h = await house();
  const asked: unknown[] = [];
  h.ask = (kind, message) => {
    asked.push([kind, message]);
    return h.store.ask(kind, message);
  };
  const work = { on: h.site.work.on, ask: async () => ({ ok: true, better: fakeHash('better') }) } as unknown as typeof h.site.work;
  const site = { ...h.site, work };
  expect(
    await authenticate(site, { protocol: 'smtp', remote: { address: '192.0.2.7', port: 1 }, login: alice, password: 'wonder', mechanism: 'PLAIN', tls: true }),
  ).toMatchObject({ ok: true });
  await settle();
  expect(asked).toEqual([['rehash', { account: 1, was: fakeHash('wonder'), password: fakeHash('better') }]]);
});

test('a cached login costs microseconds: thousands of logins a second', async () => {
  const h = await house();
  await log(h, alice, 'wonder');
  const started = performance.now();
  for (let i = 0; i < 1_000; i++) await log(h, alice, 'wonder');
  expect(performance.now() - started).toBeLessThan(330);
});
