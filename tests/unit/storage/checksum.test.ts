// Row checksums: any octet of a stored row that changes, and a row in another's place, is seen when it is read; rows from
// before there were checksums are read as they are.

import { beforeAll, describe, expect, test } from 'vitest';
import { check } from '../../../storage/check.ts';
import { decodeKey, decodeRow, encodeRow, openRow, RowDamaged, sealRow, tableOf } from '../../../storage/rows.ts';
import type { TableName } from '../../../storage/schema.ts';
import { contentOf, mailOf, type TestStore, testStore } from './fixture.ts';

let store: TestStore;
let rows: [table: TableName, key: Uint8Array, value: Uint8Array][];
beforeAll(async () => {
  store = await testStore();
  await store.ok('deliver', { mails: [mailOf(contentOf('a', 20_000), [[1, 'INBOX']], ['x@one.test'])] });
  await store.ok('store', { account: 1, mailbox: store.mailbox(1, 'INBOX').id, uids: [1, 1], mode: 'add', flags: 4, keywords: [], unchangedSince: null });
  await store.ok('deliver', { mails: [mailOf(contentOf('b'), [[1, 'INBOX']])] });
  await store.ok('expunge', { account: 1, mailbox: store.mailbox(1, 'INBOX').id, uids: [1, 4] });
  await store.ok('authFailed', { windowMs: 1, keys: ['key'] });
  rows = [...store.engine.range(new Uint8Array([0]), new Uint8Array([255]))].map(([key, value]) => [tableOf(key) as TableName, key, value]);
});

describe('every row that the store writes', () => {
  test('carries its checksum, but for chunks and the journal', () => {
    const marked = new Set(rows.filter(([, , value]) => value[0] === 0xc1).map(([table]) => table));
    const plain = new Set(rows.filter(([, , value]) => value[0] !== 0xc1).map(([table]) => table));
    expect([...plain].sort()).toEqual(['chunk', 'journal']);
    for (const table of ['site', 'config', 'account', 'mailbox', 'page', 'blob', 'info', 'queueDue', 'subscription'] as const) expect(marked).toContain(table);
  });

  test('is refused when any of its octets changes', () => {
    for (const [table, key, value] of rows) {
      if (table === 'chunk' || table === 'journal') continue;
      for (let at = 0; at < Math.min(value.length, 400); at++) {
        const damaged = Uint8Array.from(value);
        damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
        expect(() => decodeRow(table, damaged, key), `${table} octet ${at}`).toThrow(RowDamaged);
      }
      expect(() => decodeRow(table, value.subarray(0, -1), key), `${table} cut`).toThrow(RowDamaged);
    }
  });

  test('is refused in the place of another', () => {
    const infos = rows.filter(([table]) => table === 'mailbox');
    const [[, , first], [, other]] = [infos[0], infos[1]] as [(typeof rows)[0], (typeof rows)[0]];
    expect(() => decodeRow('mailbox', first, other)).toThrow('its checksum is wrong');
  });

  test('is found by check', async () => {
    const { engine } = store;
    for (const [table, key, value] of rows) {
      if (table === 'chunk' || table === 'journal' || table === 'site') continue;
      const damaged = Uint8Array.from(value);
      damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
      await engine.commit([[key, damaged]]);
      const name = Buffer.from(key).toString('hex');
      expect(check(engine).problems.filter((p) => p.rule === 'row' && p.what.includes(name)).length, table).toBeGreaterThan(0);
      await engine.commit([[key, value]]);
    }
    expect(check(engine).problems).toEqual([]);
  });
});

test('a row without a checksum is what 0.1.0 wrote', () => {
  for (const [table, key, value] of rows) {
    if (table === 'chunk' || table === 'journal') continue;
    const bare = openRow(table, key, value);
    expect(decodeRow(table, bare, key)).toEqual(decodeRow(table, value, key));
    if (table !== 'page') expect(Buffer.from(encodeRow(table, decodeRow(table, value, key) as never))).toEqual(Buffer.from(bare));
    expect(sealRow(table, key, bare)).toEqual(Uint8Array.from(value));
    expect(decodeKey(table, key)).toBeDefined();
  }
  // a UID whose first octet is the mark: told apart by the length
  const page = new Uint8Array(44).fill(0xc1);
  expect(decodeRow('page', page, new Uint8Array([8]))).toEqual(page);
});
