// Floods: thousands of connections that say nothing, too little, or hang up at once. The limits hold and the site goes on.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, sleep, tell, until } from '../clients/programs.ts';
import { greeting, isolated, memory, type Site, sampleDocument, startSite } from '../clients/site.ts';
import { Raw } from './raw.ts';
import { Watch } from './watch.ts';

describe('floods', () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite({ document: sampleDocument(['good']), listen: '0.0.0.0' });
  });
  afterAll(() => site?.finish());

  /** All of 127/8 is this machine: where many strangers come from. */
  const stranger = (i: number): string => `127.1.${(i >> 8) % 256}.${i % 256}`;
  const hold = async (count: number, port: number, address: (i: number) => string): Promise<Raw[]> => {
    const open: Raw[] = [];
    for (let i = 0; i < count; i += 100) {
      const some = await Promise.all(Array.from({ length: Math.min(100, count - i) }, (_, k) => Raw.open('127.0.0.1', port, address(i + k)).catch(() => null)));
      open.push(...some.filter((raw) => raw !== null));
    }
    return open;
  };

  test('5,000 silent connections: the good session goes on, and each costs little', async () => {
    const watch = new Watch(site);
    const before = memory(site.pids());
    const held = [...(await hold(2_500, site.port('smtp'), stranger)), ...(await hold(2_500, site.port('imap'), stranger))];
    await sleep(3_000);
    const after = memory(site.pids());
    const alive = held.filter((raw) => !raw.closed).length;
    tell(`  5,000 silent connections: ${alive} held, anonymous memory ${before.anonymous} → ${after.anonymous} MiB`);
    expect(after.anonymous - before.anonymous).toBeLessThan(200);
    for (const raw of held) raw.close();
    await watch.end();
    expect(watch.failures).toEqual([]);
    expect(watch.delivered).toBeGreaterThan(3);
  });

  // loopback has no such limit, so the stranger has an address of the documentation (RFC 5737)
  test.skipIf(!isolated)('one address may not hold all connections', async () => {
    await must(['ip', 'address', 'add', '192.0.2.1/32', 'dev', 'lo']);
    const held: Raw[] = [];
    for (let i = 0; i < 800; i++) held.push(await Raw.open('192.0.2.1', site.port('smtp'), '192.0.2.1'));
    await sleep(1_000);
    const open = held.filter((raw) => !raw.closed).length;
    tell(`  800 connections of one address: ${open} held`);
    expect(open).toBeLessThan(800);
    expect(open).toBeGreaterThan(100);
    for (const raw of held) raw.close();
    await until('the address may come again', async () => (await greeting('192.0.2.1', site.port('smtp'))).startsWith('220'), 10_000, 100);
  });

  test('20,000 connections that hang up at once', async () => {
    const watch = new Watch(site);
    const start = performance.now();
    for (let i = 0; i < 200; i++) {
      const some = await Promise.all(
        Array.from({ length: 100 }, (_, k) => Raw.open('127.0.0.1', site.port(i % 2 ? 'smtp' : 'imap'), stranger(i * 100 + k)).catch(() => null)),
      );
      for (const raw of some) raw?.close();
    }
    tell(`  20,000 connections in ${((performance.now() - start) / 1000).toFixed(1)} s; anonymous memory ${watch.baseMiB} → peak ${watch.peakMiB} MiB`);
    await sleep(500);
    await watch.end();
    expect(watch.failures).toEqual([]);
    expect(watch.peakMiB).toBeLessThan(watch.baseMiB + 300);
  });

  test('slow-loris: an octet now and then does not keep a session for ever, nor does it stop others', async () => {
    const watch = new Watch(site);
    const held = await hold(500, site.port('smtp'), stranger);
    for (let round = 0; round < 10; round++) {
      await Promise.all(held.map((raw) => raw.write('E')));
      await sleep(500);
    }
    for (const raw of held) raw.close();
    await watch.end();
    expect(watch.failures).toEqual([]);
  });

  test('500 TLS handshakes begun and never finished', async () => {
    const watch = new Watch(site);
    const held = await hold(500, site.port('imaps'), stranger);
    await Promise.all(held.map((raw) => raw.write('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')));
    await sleep(2_000);
    for (const raw of held) raw.close();
    await watch.end();
    expect(watch.failures).toEqual([]);
  });
});
