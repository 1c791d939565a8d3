// A site's document through the API: each edit is one rev, nobody is overwritten, secrets stay inside.

import { beforeAll, expect, test } from 'vitest';
import { type Client, type House, house, passphrase } from './house.ts';

let here: House;
let owner: Client;
let site: string;
beforeAll(async () => {
  here = await house();
  const first = await here.owner();
  owner = first.client;
  const made = await owner.post(`/organisations/${first.org}/sites`, { name: 'Berlin' });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  expect(made.body.claim.text).toMatch(/^ms1\.http:\/\/127\.0\.0\.1:\d+\.[\w-]{22}\.[\w-]{43}$/);
  expect(made.body.site).toMatchObject({ name: 'Berlin', state: 'waiting', word: 'Waiting for its machine', wantedRev: 0 });
  site = `/organisations/${first.org}/sites/${made.body.site.id}`;
});

test('a domain, an account and an alias are three revs', async () => {
  expect(await owner.post(`${site}/domains`, { name: 'Example.org' })).toMatchObject({ status: 201, body: { wantedRev: 1 } });
  expect(await owner.post(`${site}/accounts`, { address: 'ann@example.org', name: 'Ann', password: passphrase })).toMatchObject({
    status: 201,
    body: { wantedRev: 2, password: null },
  });
  expect(await owner.post(`${site}/aliases`, { address: 'info@example.org', to: ['ann@example.org', 'else@where.test'] })).toMatchObject({
    status: 201,
    body: { wantedRev: 3 },
  });
  expect((await owner.get(`${site}/domains`)).body.items).toEqual([
    { name: 'example.org', aliasOf: null, catchAll: null, subaddress: '+', accounts: 1, aliases: 1 },
  ]);
  expect((await owner.get(`${site}`)).body).toMatchObject({ host: 'mail.example.org', wantedRev: 3, domains: 1, accounts: 1 });
  const { body } = await owner.get(`${site}/document`);
  expect(body.rev).toBe(3);
  expect(body.document.accounts[0]).toMatchObject({ address: 'ann@example.org', password: '' });
});
