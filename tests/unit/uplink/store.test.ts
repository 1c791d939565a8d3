// The uplink's commands of the store: whose the site is, revs, commands, events; each changes all that it must or nothing.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { eventMark } from '../../../storage/eventmark.ts';
import { getRow, scanRows } from '../../../storage/rows.ts';
import { unbind } from '../../../storage/snapshot/unbind.ts';
import { fenced } from '../../../storage/views.ts';
import { documentOf, testStore, type TestStore } from '../storage/fixture.ts';

const who = { portal: 'https://portal.test', portalId: 'p', rootPublic: 'r', site: 's', machine: 'm', signPublic: 'k', epoch: 1, identity: '' };
const document = (host: string): string => JSON.stringify(documentOf({ host }));
const rev = (n: number, confirmBy = 0) => ({
  rev: n,
  hash: `h${n}`,
  signed: `signed ${n}`,
  signature: 'x',
  document: document(`mail${n}.example.test`),
  confirmBy,
});
const uplink = (store: TestStore) => getRow(store.engine, 'uplink', {});
const hostOf = (store: TestStore): string => JSON.parse(getRow(store.engine, 'config', {})?.document ?? '{}').host;
const events = (store: TestStore) => [...scanRows(store.engine, 'event', [])].map(({ key, row }) => ({ seq: key.seq, ...row }));

async function joined(): Promise<TestStore> {
  const store = await testStore();
  await store.ok('joined', who);
  return store;
}

test('U1: a joined site takes no document by hand, but with the key of its recovery kit', async () => {
  const store = await joined();
  expect(await store.no('applyConfig', { document: document('other.example.test') })).toBe('locked');
  await store.ok('makeKeys', { dataKey: new Uint8Array(32), wrapped: 'w', identity: 'AGE-SECRET', recipient: 'age1' });
  expect(await store.no('overrideConfig', { document: document('other.example.test'), identity: 'AGE-OTHER' })).toBe('locked');
  expect(await store.no('overrideConfig', { document: document('other.example.test'), identity: '' })).toBe('locked');
  expect(hostOf(store)).toBe('mail.example.test');
  await store.ok('overrideConfig', { document: document('other.example.test'), identity: 'AGE-SECRET' });
  expect(hostOf(store)).toBe('other.example.test');
  expect(events(store).at(-1)?.name).toBe('config.overridden');
  expect(store.problems()).toEqual([]);
});

test('another portal takes a site with its recovery kit only; the same one may be joined again', async () => {
  const store = await joined();
  await store.ok('applyDesired', rev(3));
  await store.ok('joined', who);
  await store.ok('joined', { ...who, machine: 'm2', epoch: 2 });
  expect(uplink(store)).toMatchObject({ machine: 'm2', epoch: 2, counter: 0, seenRev: 3, runningRev: 3 });
  const other = { ...who, portal: 'https://other.test', portalId: 'p2' };
  expect(await store.no('joined', other)).toBe('locked');
  await store.ok('makeKeys', { dataKey: new Uint8Array(32), wrapped: 'w', identity: 'AGE-SECRET', recipient: 'age1' });
  await store.ok('joined', { ...other, identity: 'AGE-SECRET' });
  expect(uplink(store)).toMatchObject({ portalId: 'p2', seenRev: 0, runningRev: 0, state: 'enrolled' });
  expect(hostOf(store)).toBe('mail3.example.test');
});

test('U2: revs only grow; one that was rejected may be tried again, one that went back may not', async () => {
  const store = await joined();
  await store.ok('applyDesired', rev(2));
  expect(await store.no('applyDesired', rev(2))).toBe('conflict');
  expect(await store.no('applyDesired', rev(1))).toBe('conflict');
  await store.ok('rejectDesired', { rev: 3, hash: 'h3', errors: '[]' });
  expect(uplink(store)).toMatchObject({ seenRev: 3, seenStatus: 'rejected', runningRev: 2, runningHash: 'h2' });
  expect(hostOf(store)).toBe('mail2.example.test');
  await store.ok('applyDesired', rev(3));
  await store.ok('applyDesired', rev(4, 5_000));
  expect(hostOf(store)).toBe('mail4.example.test');
  await store.ok('settleDesired', { rev: 3, keep: false }); // of another
  expect(hostOf(store)).toBe('mail4.example.test');
  await store.ok('settleDesired', { rev: 4, keep: false });
  expect(hostOf(store)).toBe('mail3.example.test');
  expect(uplink(store)).toMatchObject({ seenRev: 4, seenStatus: 'rolledback', runningRev: 3, runningHash: 'h3', confirmBy: 0 });
  expect(await store.no('applyDesired', rev(4))).toBe('conflict');
  await store.ok('applyDesired', rev(5, 5_000));
  await store.ok('settleDesired', { rev: 5, keep: true });
  await store.ok('settleDesired', { rev: 5, keep: false });
  expect(hostOf(store)).toBe('mail5.example.test');
  for (let n = 6; n < 40; n++) await store.ok('applyDesired', rev(n));
  expect([...scanRows(store.engine, 'desired', [])].map(({ key }) => key.rev)).toEqual(Array.from({ length: limits.desiredKept }, (_, i) => 20 + i));
  expect(store.problems()).toEqual([]);
});

test('U2: a command is done once, with its row or not at all; what is not in the list is not done', async () => {
  const store = await joined();
  const before = events(store).length;
  const command = (id: string, kind: string, ask: object) => ({ command: id, name: 'n', kind, ask: JSON.stringify(ask), state: 'done' as const, value: 'v' });
  const effect = { now: 1, events: [{ name: 'effect', body: '{}' }] };
  expect(await store.ok('perform', command('c1', 'recordEvents', effect))).toEqual({ state: 'done', value: 'v', again: false });
  expect(await store.ok('perform', command('c1', 'recordEvents', effect))).toEqual({ state: 'done', value: 'v', again: true });
  expect(events(store)).toHaveLength(before + 1);
  expect(await store.no('perform', command('c2', 'mend', { key: '', row: '' }))).toBe('conflict');
  expect(getRow(store.engine, 'commandResult', { command: 'c2' })).toBeUndefined();
  await store.ok('perform', { ...command('c3', '', {}), state: 'running' });
  await store.ok('settleCommand', { command: 'c3', state: 'failed', value: 'why' });
  await store.ok('settleCommand', { command: 'c3', state: 'done', value: 'late' });
  expect(getRow(store.engine, 'commandResult', { command: 'c3' })).toMatchObject({ state: 'failed', value: 'why' });
  store.world.time += 31 * 86_400_000;
  await store.ok('perform', command('c4', '', {}));
  expect([...scanRows(store.engine, 'commandResult', [])].map(({ key }) => key.command)).toEqual(['c4']);
});

test('a session counter only grows, and what is for good stays', async () => {
  const store = await joined();
  await store.ok('uplinkUp', { counter: 4, aheadMs: 0 });
  expect(await store.no('uplinkUp', { counter: 4, aheadMs: 0 })).toBe('conflict');
  await store.ok('uplinkDown', { state: 'offline' });
  expect(uplink(store)).toMatchObject({ state: 'offline', offlineSince: store.world.time });
  await store.ok('uplinkDown', { state: 'superseded' });
  await store.ok('uplinkDown', { state: 'offline' });
  expect(uplink(store)?.state).toBe('superseded');
});

test('E1: events past their room go from the oldest on, and a marker says which', async () => {
  const store = await joined();
  const body = JSON.stringify({ x: 'y'.repeat(3_900) });
  const many = Array.from({ length: 1_000 }, () => ({ name: 'n', body }));
  let last = 0;
  for (let n = 0; n < 18; n++) ({ last } = await store.ok('recordEvents', { events: many }));
  const [first, second] = events(store);
  expect(first?.name).toBe('gap');
  expect(JSON.parse(first?.body ?? '{}')).toEqual({ from: 1 });
  expect(second?.seq).toBe((first?.seq ?? 0) + 1);
  expect(events(store).at(-1)?.seq).toBe(last);
  const octets = events(store).reduce((sum, { name, body }) => sum + 100 + name.length + Buffer.byteLength(body), 0);
  expect(getRow(store.engine, 'eventLog', {})?.octets).toBe(octets);
  expect(octets).toBeLessThanOrEqual(limits.uplinkEvents);
}, 60_000);

test('E1: what the portal has and what it lacks is told apart by its last event', async () => {
  const store = await joined();
  await store.ok('recordEvents', { events: ['a', 'b', 'c'].map((name) => ({ name, body: '{}' })) });
  const names = (): string =>
    events(store)
      .map(({ seq, name }) => `${seq}${name}`)
      .join(' ');
  expect(names()).toBe('1site.joined 2a 3b 4c');
  const [, , b] = events(store);
  if (!b) throw new Error('there is none');
  await store.ok('alignEvents', { seq: 3, mark: eventMark(b) }); // it has b: the answer was lost
  expect(names()).toBe('4c');
  await store.ok('alignEvents', { seq: 4, mark: 'another' }); // somebody else's 4
  expect(names()).toBe('5c');
  await store.ok('alignEvents', { seq: 9, mark: 'another' });
  expect(names()).toBe('10c');
  await store.ok('alignEvents', { seq: 6, mark: 'another' }); // it had up to 9, and forgot
  expect(names()).toBe('9gap 10c');
  expect(events(store)[0]?.body).toBe('{"from":7}');
  await store.ok('ackEvents', { seq: 10 });
  expect(getRow(store.engine, 'eventLog', {})).toMatchObject({ last: 10, octets: 0 });
  expect(store.problems()).toEqual([]);
});

test('a site without a portal records nothing: there is nobody to tell', async () => {
  const store = await testStore();
  await store.ok('recordEvents', { events: [{ name: 'n', body: '{}' }] });
  expect(events(store)).toEqual([]);
});

test('U3: a restored copy of a joined site is not the machine that joined, serves, and joins as the next one', async () => {
  const store = await joined();
  await store.ok('uplinkUp', { counter: 4, aheadMs: 0 });
  await unbind(store.engine, 7_000);
  expect(uplink(store)).toMatchObject({ state: 'restored', offlineSince: 7_000, portal: who.portal, site: 's', machine: 'm' });
  await store.ok('uplinkDown', { state: 'offline' });
  expect(uplink(store)?.state).toBe('restored');
  expect(fenced(store.engine)).toBe(false);
  expect(await store.no('applyConfig', { document: document('other.example.test') })).toBe('locked');
  expect(await store.no('joined', { ...who, site: 's2' })).toBe('locked');
  await store.ok('joined', { ...who, machine: 'm2', signPublic: 'k2', epoch: 2 });
  expect(uplink(store)).toMatchObject({ state: 'enrolled', machine: 'm2', epoch: 2, counter: 0 });
  expect(store.problems()).toEqual([]);
});

test('U3: the same machine joins again after its site was restored in its own folder', async () => {
  const store = await joined();
  await unbind(store.engine, 7_000);
  await store.ok('joined', who);
  expect(uplink(store)?.state).toBe('enrolled');
});

test('U3: a copy of what was superseded stays fenced, one of what was given up stays free', async () => {
  for (const state of ['superseded', 'decommissioned'] as const) {
    const store = await joined();
    await store.ok('uplinkDown', { state });
    await unbind(store.engine, 7_000);
    expect(uplink(store)?.state).toBe(state);
  }
});

test('a clock that differs by more than 5 seconds is told once a session, and known until it does not', async () => {
  const store = await joined();
  const clock = () => getRow(store.engine, 'clock', {});
  await store.ok('uplinkUp', { counter: 1, aheadMs: 5_000 });
  expect([clock(), events(store).length]).toEqual([undefined, 1]);
  await store.ok('uplinkUp', { counter: 2, aheadMs: -5_001 });
  expect(clock()).toEqual({ aheadMs: -5_001, at: store.world.time });
  expect(events(store).at(-1)).toMatchObject({ name: 'clock.differs', body: '{"aheadMs":-5001}' });
  await store.ok('uplinkUp', { counter: 3, aheadMs: 3 });
  expect([clock(), events(store).length]).toEqual([undefined, 2]);
  expect(store.problems()).toEqual([]);
});
