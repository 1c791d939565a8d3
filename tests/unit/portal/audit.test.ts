// The audit log: L1 a change and its entry are written together or not at all; L2 whoever rewrites, removes or cuts off
// entries is found out.

import { beforeEach, expect, test } from 'vitest';
import { exportEntries, verify } from '../../../uplink/portal/identity/audit.ts';
import { ordered, type RecordOf } from '../../../uplink/portal/kinds.ts';
import type { Portal } from '../../../uplink/portal/process.ts';
import { routes } from '../../../uplink/portal/api/table.ts';
import { type Client, type House, house } from './house.ts';
import { bodyOf, build, headersOf, keyOf, pathIn } from './town.ts';

let here: House;
let owner: Client;
let org: string;
beforeEach(async () => {
  here = await house();
  ({ client: owner, org } = await here.owner());
  for (const name of ['Berlin', 'Paris', 'Rome']) await owner.post(`/organisations/${org}/sites`, { name });
});
const proof = () => verify(here.portal.records, org);
const change = (n: number, to: Partial<RecordOf<'audit'>>) =>
  here.write(async (tx) => {
    const row = await tx.get('audit', org, ordered(n));
    if (row !== undefined) tx.put('audit', [org, ordered(n)], { ...row, ...to });
  });

test('L2: the log is whole, newest first, and can be taken along', async () => {
  expect(await proof()).toMatchObject({ ok: true, entries: 4, problem: '' });
  expect((await owner.get(`/organisations/${org}/audit/proof`)).body).toEqual(await proof());
  const page = (await owner.get(`/organisations/${org}/audit?limit=3`)).body;
  expect(page.items.map((row: { n: number; action: string }) => `${row.n} ${row.action}`)).toEqual(['4 site.create', '3 site.create', '2 site.create']);
  expect((await owner.get(`/organisations/${org}/audit?after=${page.next}`)).body).toMatchObject({
    items: [{ n: 1, action: 'organisation.create', actor: 'olga@example.org' }],
    next: null,
  });
  const exported = await owner.get(`/organisations/${org}/audit/export`);
  expect(exported.headers.get('content-type')).toBe('application/x-ndjson');
  const rows: unknown[] = [];
  for await (const row of exportEntries(here.portal.records, org)) rows.push(row);
  expect(
    (exported.body as string)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(rows);
});
test('L2: an entry that was changed, removed or cut off is found', async () => {
  await change(2, { actor: 'somebody else' });
  expect(await proof()).toMatchObject({ ok: false, entries: 1, problem: 'entry 2 was changed' });
  await change(2, { actor: 'olga@example.org' });
  expect((await proof()).ok).toBe(true);
  const head = await here.portal.records.get('auditHead', org);
  await here.write(async (tx) => tx.remove('audit', org, ordered(4)));
  expect(await proof()).toMatchObject({ ok: false, problem: 'entry 4 is missing: the head says 4' });
  await here.write(async (tx) => tx.remove('audit', org, ordered(2)));
  expect(await proof()).toMatchObject({ ok: false, entries: 1, problem: 'entry 2 is missing' });
  // a whole history that somebody made up has another head than the one that the sites were given
  expect((await proof()).head).not.toBe(head?.hash);
});

test('L1: what is refused leaves no entry and no change', async () => {
  const before = await proof();
  const site = (await owner.get(`/organisations/${org}/sites`)).body.items[0].id;
  expect((await owner.post(`/organisations/${org}/sites/${site}/accounts`, { address: 'x@nowhere.test' })).status).toBe(422);
  expect(await proof()).toEqual(before);
});

const writes = routes.filter((route) => Array.isArray(route.who) && route.method !== 'GET' && route.reads !== true);
test.each(writes.map((route) => [keyOf(route), route] as const))('L1: %s tells the log in the transaction of its change', async (key, route) => {
  const town = await build(here);
  const n = async (): Promise<number> => (await here.portal.records.get('auditHead', 'org-a'))?.n ?? 0;
  const before = await n();
  // how many transactions wrote something, and which of them wrote the log
  const written: boolean[] = [];
  const watched = watchTransactions(here.portal, (kinds) => written.push(kinds.has('audit')));
  const answer = await town.person('owner').send(route.method, pathIn(route, 'a'), bodyOf(key, 'a'), { headers: headersOf(route) });
  watched();
  if (answer.status < 300) {
    expect(await n()).toBeGreaterThan(before);
    expect(written).toEqual([true]);
  } else {
    expect([409, 422]).toContain(answer.status);
    expect([await n(), written]).toEqual([before, []]);
  }
});

/** Calls after each transaction that wrote, with the kinds that it wrote. */
function watchTransactions(portal: Portal, told: (kinds: ReadonlySet<string>) => void): () => void {
  const { records } = portal as { records: { transact: Portal['records']['transact'] } };
  const real = records.transact;
  records.transact = async (run) => {
    let kinds = new Set<string>();
    const result = await real((tx) => {
      kinds = new Set();
      return run({
        ...tx,
        put(kind, id, body) {
          kinds.add(kind);
          tx.put(kind, id, body);
        },
        remove(kind, ...id) {
          kinds.add(kind);
          tx.remove(kind, ...id);
        },
      });
    });
    if (kinds.size > 0) told(kinds);
    return result;
  };
  return () => {
    records.transact = real;
  };
}
