// M1 and the chain of numbered messages: what a kill -9 leaves is one point in time, at or after the last acknowledged, both
// by the data folder and by IMAP; and the check finds a message that is not there, and one that is there twice.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { sleep, tell, until } from '../clients/programs.ts';
import { password, type Site, sampleDocument, startSite } from '../clients/site.ts';
import { Chain, linksByImap, linksInData, linksOf, type Server } from './chain.ts';

const users = 100;
let site: Site;
let server: Server;
beforeAll(async () => {
  site = await startSite({ document: sampleDocument(Array.from({ length: users }, (_, i) => `user${i + 1}`)) });
  server = { host: site.address, port: site.port('imaps'), tls: true, users, login: (user) => `user${user}@example.test`, password };
});
afterAll(() => site?.finish());

test('M1: what is left after kill -9 has every acknowledged message, and no hole', async () => {
  const chain = new Chain(server);
  await chain.begin();
  await sleep(1_500);
  await until('the chain has gone round', () => chain.acknowledged > users + 20, 60_000);
  await site.kill();
  await chain.end().catch(() => {}); // cut off
  const links = await linksInData(site.data);
  tell(`  ${chain.acknowledged} messages acknowledged one after the other over ${users} accounts, ${links.present} there`);
  expect(links).toMatchObject({ pointInTime: true, present: links.last });
  expect(links.last).toBeGreaterThanOrEqual(chain.acknowledged);
  expect(links.last).toBeLessThanOrEqual(chain.acknowledged + 1);
  expect(chain.acknowledged).toBeGreaterThan(users);
  await site.start();
  expect(await linksByImap(server)).toEqual(links);
});

test('a hole, and a message that is there twice, are found', () => {
  expect(linksOf([3, 1, 2])).toEqual({ present: 3, last: 3, holes: 0, firstHole: 0, twice: 0, pointInTime: true });
  expect(linksOf([1, 2, 4, 5])).toMatchObject({ holes: 1, firstHole: 3, pointInTime: false });
  expect(linksOf([1, 2, 2])).toMatchObject({ twice: 1, pointInTime: false });
  expect(linksOf([2])).toMatchObject({ holes: 1, firstHole: 1, pointInTime: false });
});
