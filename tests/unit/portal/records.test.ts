// R1 whoever changes the same as others gets a turn; R2 a watcher hears of what is below its prefix, and of nothing else;
// R3 sites behind a proxy are counted by their own addresses.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { Busy } from '../../../uplink/portal/records.ts';
import { house } from './house.ts';

test('R1: of a hundred changes to one record at the same time none is refused or lost', async () => {
  const { portal } = await house();
  const { records } = portal;
  const add = (by: string) =>
    records.transact(async (tx) => {
      const before = await tx.get('attempts', 'k');
      await tx.get('attempts', by);
      await Bun.sleep(0);
      tx.put('attempts', ['k'], { count: (before?.count ?? 0) + 1, since: 0 });
    });
  await Promise.all(Array.from({ length: 100 }, (_, i) => add(`${i}`)));
  expect(await records.get('attempts', 'k')).toMatchObject({ count: 100 });
  // two that want each other's: nobody waits for ever
  const cross = (a: string, b: string) =>
    records.transact(async (tx) => {
      const [first, second] = [await tx.get('attempts', a), await tx.get('attempts', b)];
      await Bun.sleep(0);
      for (const [name, row] of [
        [a, first],
        [b, second],
      ] as const)
        tx.put('attempts', [name], { count: (row?.count ?? 0) + 1, since: 0 });
    });
  const done = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? cross('x', 'y') : cross('y', 'x'))));
  const made = done.filter(({ status }) => status === 'fulfilled').length;
  for (const one of done) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(Busy);
  expect(await records.get('attempts', 'x')).toMatchObject({ count: made });
  expect(made).toBeGreaterThan(1);
});

test('R1: a turn ends also with what throws', async () => {
  const { records } = (await house()).portal;
  const work = (fail: boolean) =>
    records.transact(async (tx) => {
      const before = await tx.get('attempts', 'k');
      await Bun.sleep(0);
      if (fail) throw new Error('no');
      tx.put('attempts', ['k'], { count: (before?.count ?? 0) + 1, since: 0 });
    });
  await Promise.allSettled(Array.from({ length: 60 }, (_, i) => work(i % 3 === 0)));
  expect(await records.get('attempts', 'k')).toMatchObject({ count: 40 });
  await work(false);
});

test('R2: a watcher hears of its own', async () => {
  const { records } = (await house()).portal;
  const heard: string[] = [];
  const end = records.watch('siteOf', ['s1'], (id) => void heard.push(`one ${id.join('/')}`));
  records.watch('siteOf', [], (id) => void heard.push(`all ${id.join('/')}`));
  records.watch('commandOpen', ['s1'], (id) => void heard.push(`open ${id.join('/')}`));
  const write = (site: string) =>
    records.transact(async (tx) => {
      tx.put('siteOf', [site], { organisation: 'o' });
      tx.put('commandOpen', [site, 'c'], {});
    });
  await write('s1');
  await write('s11');
  end();
  await write('s1');
  expect(heard).toEqual(['all s1', 'one s1', 'open s1/c', 'all s11', 'all s1', 'open s1/c']);
});

test('R3: more sites than one address may have come through a proxy on this machine', async () => {
  const { url } = await house();
  const sockets: WebSocket[] = [];
  const open = (address: string): Promise<boolean> =>
    new Promise((done) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/uplink`, { headers: { 'X-Forwarded-For': address } } as never);
      sockets.push(socket);
      socket.onmessage = () => done(true); // the challenge
      socket.onerror = () => done(false);
      socket.onclose = () => done(false);
    });
  const some = await Promise.all(Array.from({ length: limits.uplinkPerAddress + 20 }, (_, i) => open(`10.0.0.${i % 2}`)));
  expect(some.every(Boolean)).toBe(true);
  const many = await Promise.all(Array.from({ length: limits.uplinkPerAddress }, () => open('10.0.0.0')));
  expect(many.filter(Boolean).length).toBe(limits.uplinkPerAddress - some.length / 2);
  for (const socket of sockets) socket.close();
});
