// Refused mail is remembered, and a flood of it costs a bounded number of rows.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { LinkLost } from '../../../actors/actor.ts';
import { refusalGatherer } from '../../../protocols/smtp/refusals.ts';
import { trace, traceMeter } from '../../../storage/trace.ts';
import type { Refused } from '../../../protocols/site.ts';
import { greeted, house, loggedIn, settle } from './house.ts';

const about = (h: Awaited<ReturnType<typeof house>>, what: string) => trace(h.site.view, { about: what, since: 0, limit: 50 }).refusals;

test('a refused recipient, sender and message are found within seconds, with the reply', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say('MAIL FROM:<x@spam.test>', 'RCPT TO:<nobody@our.test>', 'RCPT TO:<a@elsewhere.test>', 'RCPT TO:<alice@our.test>', 'DATA');
  await c.say('Subject: x\n', '.');
  const own = await loggedIn(h);
  await own.say('MAIL FROM:<bob@our.test>');
  await h.world.advance(limits.refusedEveryMs);
  await settle(20);
  expect(about(h, 'nobody@our.test')).toMatchObject([
    { from: 'x@spam.test', to: 'nobody@our.test', ip: '192.0.2.7', helo: 'client.test', code: '550 5.1.1', words: 'There is no such address here', count: 1 },
  ]);
  expect(
    about(h, 'x@spam.test')
      .map((r) => r.code)
      .sort(),
  ).toEqual(['550 5.1.1', '550 5.6.11', '550 5.7.1']);
  expect(about(h, 'bob@our.test')).toMatchObject([{ to: '', code: '550 5.7.1', words: 'That address is not yours' }]);
});

const one = (i: number): Refused => ({
  at: i,
  envelopeFrom: `s${i}@spam.test`,
  address: `n${i}@our.test`,
  ip: `192.0.${Math.floor(i / 250) % 250}.${i % 250}`,
  helo: 'h',
  code: '550 5.1.1',
  words: 'no',
  count: 1,
});

test('a flood is counted together, told rarely, and loses no count', async () => {
  const h = await house();
  const sizes: number[] = [];
  const gather = refusalGatherer(h.world, {
    on: h.store.on,
    ask: (kind, message) => {
      sizes.push((message as unknown as { refusals: unknown[] }).refusals.length);
      return h.store.ask(kind, message);
    },
  });
  for (let second = 0; second < 130; second++) {
    for (let i = 0; i < 1_000; i++) gather(one(second * 1_000 + i));
    await h.world.advance(1_000);
    await settle(5);
  }
  await h.world.advance(limits.refusedFloodMs);
  await settle(20);
  expect(sizes.length).toBeLessThanOrEqual(4);
  for (const size of sizes) expect(size).toBeLessThanOrEqual(limits.refusedGathered + 1);
  expect(traceMeter(h.site.view).refused).toBe(130_000);
});

test('equal ones are one, and a store that is away loses them and nothing else', async () => {
  const h = await house();
  let away = true;
  const gather = refusalGatherer(h.world, {
    on: h.store.on,
    ask: (kind, message) => (away ? Promise.reject(new LinkLost('store')) : h.store.ask(kind, message)),
  });
  gather(one(1));
  await h.world.advance(limits.refusedEveryMs);
  await settle(20);
  away = false;
  for (let i = 0; i < 7; i++) gather(one(2));
  await h.world.advance(2 * limits.refusedEveryMs);
  await settle(20);
  expect(about(h, 's1@spam.test')).toEqual([]);
  expect(about(h, 's2@spam.test')).toMatchObject([{ count: 7 }]);
});
