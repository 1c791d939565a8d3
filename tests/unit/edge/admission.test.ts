// Who is let in: connections are counted by origin, which for IPv6 is the /64 a customer has.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { forget } from '../../../actors/tree.ts';
import { admission } from '../../../protocols/edge.ts';
import { End, settle } from '../outbound/network.ts';
import { house } from '../smtp/house.ts';

test.each([
  ['the addresses of one /64', (i: number) => `2001:db8:1:2::${(i + 1).toString(16)}`, limits.connectionsPerAddress],
  ['one IPv4 address', () => '192.0.2.7', limits.connectionsPerAddress],
  ['the addresses of two /64', (i: number) => `2001:db8:1:${i % 2}::7`, limits.connectionsPerAddress + 5],
  ['this host', () => '::1', limits.connectionsPerAddress + 5],
])('connections from %s', async (_name, from, most) => {
  const h = await house();
  const admit = admission(h.site, { name: 'smtp', actor: 'smtp', max: 10_000, onCrash: forget });
  const host = { serve: 'silent' as const };
  const greetings: string[] = [];
  const peers = Array.from({ length: limits.connectionsPerAddress + 5 }, (_, i) => {
    const near = { address: from(i), port: 40_000 };
    const here = { address: '192.0.2.1', port: 25 };
    const peer = new End(near, here, host);
    const server = new End(here, near, host);
    peer.peer = server;
    server.peer = peer;
    admit(server);
    void peer.read().then((bytes) => greetings.push(Buffer.from(bytes ?? []).toString()));
    return peer;
  });
  await settle(20);
  expect(greetings.filter((g) => g.startsWith('220 ')).length).toBe(most);
  expect(greetings.filter((g) => g.startsWith('421 4.7.0')).length).toBe(peers.length - most);
  for (const peer of peers) peer.destroy();
  await settle(20);
  const again = new End({ address: from(0), port: 1 }, { address: '192.0.2.1', port: 25 }, host);
  const server = new End(again.remote, again.local, host);
  again.peer = server;
  server.peer = again;
  admit(server);
  expect(Buffer.from((await again.read()) ?? []).toString()).toMatch(/^220 /);
});
