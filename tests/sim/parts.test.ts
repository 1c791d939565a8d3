// The parts of the simulator keep what they promise: otherwise a thousand seeds prove nothing.

import { expect, test } from 'vitest';
import { DiskFull, type Write } from '../../storage/engine.ts';
import { SimDisk } from './disk.ts';
import { Network } from './network.ts';
import { Channel, type Life, Scheduler } from './scheduler.ts';
import { simWorld } from './world.ts';

const key = new Uint8Array([1]);
const put = (n: number): Write[] => [[key, new Uint8Array([n])]];
const newLife = (): Life => ({ name: 'test', alive: true });
const drain = (s: Scheduler): void => {
  while (s.step());
};

test('SIM3 a commit is visible at its flush, and to a reader at its next refresh', () => {
  const scheduler = new Scheduler(1);
  const disk = new SimDisk(scheduler);
  const life = newLife();
  const engine = disk.engine(life);
  const reader = disk.reader(newLife());
  let resolved = false;
  void engine.commit(put(7)).then(() => {
    resolved = true;
  });
  reader.refresh();
  expect([resolved, reader.get(key), engine.get(key)]).toEqual([false, undefined, undefined]);
  drain(scheduler);
  expect([resolved, reader.get(key), engine.get(key)?.[0]]).toEqual([true, undefined, 7]);
  reader.refresh();
  expect(reader.get(key)?.[0]).toBe(7);
});

test('SIM3 power loss: what was in flight happened whole or not at all; what was flushed stays', () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const scheduler = new Scheduler(seed);
    const disk = new SimDisk(scheduler);
    const life = newLife();
    const engine = disk.engine(life);
    void engine.commit(put(1));
    drain(scheduler);
    void engine.commit([...put(2), [new Uint8Array([2]), new Uint8Array([2])]]);
    disk.lose();
    life.alive = false;
    drain(scheduler);
    const after = disk.reader(newLife());
    outcomes.add(`${after.get(key)?.[0]} ${after.get(new Uint8Array([2]))?.[0]}`);
  }
  expect([...outcomes].sort()).toEqual(['1 undefined', '2 2']);
});

test('SIM3 a full disk refuses and keeps; a failed sync is never tried again', async () => {
  const scheduler = new Scheduler(1);
  const disk = new SimDisk(scheduler);
  const engine = disk.engine(newLife());
  disk.room = 0;
  const refused = engine.commit(put(1)).catch((e: unknown) => e);
  drain(scheduler);
  expect(await refused).toBeInstanceOf(DiskFull);
  disk.room = 1;
  disk.failNextSync = true;
  const failed = engine.commit(put(1)).catch((e: Error) => e.message);
  drain(scheduler);
  expect(await failed).toContain('EIO');
  expect(() => engine.commit(put(1))).toThrow('never retried');
});

test('SIM3 what `peek` lends is spoilt by the next read; a range is not kept across a step', () => {
  const scheduler = new Scheduler(1);
  const disk = new SimDisk(scheduler);
  const engine = disk.engine(newLife());
  void engine.commit([...put(1), [new Uint8Array([2]), new Uint8Array([2])]]);
  drain(scheduler);
  const lent = engine.peek(key);
  engine.get(key);
  expect(lent?.[0]).toBe(0xee);
  const rows = engine.range(key, new Uint8Array([9]))[Symbol.iterator]();
  rows.next();
  scheduler.at(1, 'step', newLife(), () => {});
  scheduler.step();
  expect(() => rows.next()).toThrow('without an await');
});

test('SIM4 a channel keeps its order, two channels do not; the dead do nothing', () => {
  const orders = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const scheduler = new Scheduler(seed);
    const seen: string[] = [];
    const dead: Life = { name: 'dead', alive: true };
    const [a, b] = [new Channel(scheduler, 100), new Channel(scheduler, 100)];
    for (let i = 0; i < 3; i++) {
      a.send('', newLife(), () => seen.push(`a${i}`));
      b.send('', newLife(), () => seen.push(`b${i}`));
      a.send('', dead, () => seen.push('dead'));
    }
    dead.alive = false;
    drain(scheduler);
    expect(seen.filter((s) => s.startsWith('a'))).toEqual(['a0', 'a1', 'a2']);
    expect(seen.filter((s) => s.startsWith('b'))).toEqual(['b0', 'b1', 'b2']);
    expect(seen).not.toContain('dead');
    orders.add(seen.join());
  }
  expect(orders.size).toBeGreaterThan(5);
});

test('SIM4 octets arrive in order whatever they are cut into, under TLS too', () => {
  for (let seed = 0; seed < 50; seed++) {
    const scheduler = new Scheduler(seed);
    const network = new Network(scheduler);
    const server = newLife();
    const client = newLife();
    let got = '';
    network.listen({ address: '127.0.0.1', port: 1 }, () => ({
      life: server,
      accepted: (connection) =>
        void (async () => {
          await connection.secureServer();
          for (let chunk = await connection.read(); chunk !== null; chunk = await connection.read()) got += Buffer.from(chunk).toString('latin1');
        })(),
    }));
    const world = simWorld(scheduler, network, client, '127.0.0.2', () => {});
    const text = Array.from({ length: 300 }, (_, i) => `line ${i}`).join('\n');
    void world.connect({ address: '127.0.0.1', port: 1 }, { timeoutMs: 1_000 }).then(async (connection) => {
      await connection.secureClient({ serverName: 'x', verify: false });
      for (let at = 0; at < text.length; at += 700) connection.write(text.slice(at, at + 700));
      connection.end();
    });
    drain(scheduler);
    expect(got).toBe(text);
  }
});
