// What `mailsite status` says of a store, as numbers and as a page.

import { expect, test } from 'vitest';
import { draw, look } from '../../../cli/status.ts';
import { memoryEngine } from '../../../storage/engines/memory.ts';
import { unbind } from '../../../storage/snapshot/unbind.ts';
import { contentOf, mailOf, testStore } from '../storage/fixture.ts';

test('mail, quota and the queue by destination: how many, how old, when next, and why not', async () => {
  const store = await testStore();
  const { world } = store;
  const start = world.time;
  const bob = mailOf(contentOf('one', 1_000), [[2, 'INBOX']], ['x@far.test', 'y@far.test']);
  await store.ok('deliver', { mails: [bob] });
  world.time += 600_000;
  await store.ok('deliver', { mails: [mailOf(contentOf('two', 500), [], ['z@other.test'])] });
  const { due } = await store.ok('claimQueue', { leaseMs: 60_000, limit: 10, skipDomains: [] });
  const far = due.filter((row) => row.domain === 'far.test');
  const outcome = {
    outcome: 'later',
    due: world.time + 300_000,
    warned: false,
    attempted: true,
    code: '4.4.1',
    error: 'timed out',
    host: 'mx.far.test',
    event: 'deferred',
    ip: '192.0.2.5',
    tls: '',
  } as const;
  await store.ok('reportQueue', { outcomes: far.map(({ queue, n }) => ({ ...outcome, queue, n })), mails: [] });

  const found = look(store.engine, { data: '/data', engine: 'lmdb', diskOctets: 4_096 }, null);
  expect(found).toMatchObject({
    host: 'mail.example.test',
    rev: 1,
    accounts: 2,
    messages: 1,
    octets: 1_000,
    supervisor: null,
    queue: [
      { domain: 'far.test', recipients: 2, oldest: start, nextAttempt: world.time + 300_000, attempts: 1, lastError: 'mx.far.test 4.4.1 timed out' },
      { domain: 'other.test', recipients: 1, oldest: start + 600_000, attempts: 0, lastError: '' },
    ],
  });
  expect(Bun.stripANSI(draw(found, world.time)).split('\n')).toEqual([
    'site  mail.example.test, rev 1',
    'runs  no: start it with mailsite run, or mailsite install',
    'mail  1 message, 1.0 kB, in 12 mailboxes of 2 accounts',
    'data  /data, 4.1 kB on disk, lmdb',
    '',
    'Queue',
    '  to          recipients  oldest  next attempt  last error',
    '  far.test    2           10 min  in 5 min      mx.far.test 4.4.1 timed out',
    '  other.test  1           0 s     in 60 s       -',
  ]);
});

test('where the site parks itself, how far that is, and what is wrong with it', async () => {
  const store = await testStore();
  const { world } = store;
  const on = { data: '/data', engine: 'lmdb', diskOctets: 0 } as const;
  const parking = { to: '/backup', everySeconds: 10, takenAt: world.time - 15_000, commit: 3, problem: null };
  expect(Bun.stripANSI(draw(look(store.engine, on, null, parking), world.time))).toContain(
    'snapshots  /backup, the newest 15 s old; mailsite snapshot key prints the recovery kit\n',
  );
  const saying = (lastGood: { takenAt: number; commit: number } | null): string =>
    Bun.stripANSI(draw(look(store.engine, on, null, { ...parking, lastGood }), world.time));
  expect(saying({ takenAt: parking.takenAt, commit: 3 })).toContain('snapshots  /backup, the newest 15 s old;');
  expect(saying({ takenAt: world.time - 7_200_000, commit: 2 })).toContain('the newest 15 s old, but not whole: the last good one 2 h old;');
  expect(saying(null)).toContain('the newest 15 s old, but not whole: none of the last is;');
  const broken = { ...parking, takenAt: null, commit: null, problem: 'it does not answer' };
  expect(Bun.stripANSI(draw(look(store.engine, on, null, broken), world.time))).toContain('snapshots  /backup, it does not answer;');
});

test('a site without a document says what to do, a running one lists its listeners and processes', async () => {
  const store = await testStore({ document: null });
  const process = { role: 'edge', pid: 7, startedAt: 0, restarts: 0, ready: 1 };
  const page = Bun.stripANSI(
    draw(
      look(
        store.engine,
        { data: '/data', engine: 'lmdb', diskOctets: 0 },
        {
          pid: 5,
          startedAt: 0,
          processes: [
            { ...process, index: 0 },
            { ...process, index: 1, pid: 8, restarts: 2, ready: 0 },
          ],
          listeners: [{ name: 'smtp', address: '::', port: 25 }],
        },
      ),
      60_000,
    ),
  );
  expect(page).toContain('not configured: give it a document with mailsite apply');
  expect(page).toContain('Listening\n  smtp  *:25\n');
  expect(page).toContain('Processes\n  edge 0  pid 7  up 60 s\n  edge 1  pid 8  starting  2 restarts\n');
  expect(page).toContain('Queue\n  empty');
});

const who = { portal: 'https://portal.test', portalId: 'p', rootPublic: 'r', site: 's', machine: 'm', signPublic: 'k', epoch: 1, identity: '' };
const on = { data: '/data', engine: 'lmdb', diskOctets: 0 } as const;
const running = (ready: number) => ({
  pid: 1,
  startedAt: 0,
  processes: [{ role: 'control', index: 0, pid: 2, startedAt: 0, restarts: 0, ready }],
  listeners: [],
});

test('U3: connected is said of a site whose uplink lives, and of no other', async () => {
  const store = await testStore();
  await store.ok('joined', who);
  await store.ok('uplinkUp', { counter: 1, aheadMs: 0 });
  const said = (processes: Parameters<typeof look>[2]) => {
    const found = look(store.engine, on, processes);
    return [found.uplink?.connected, Bun.stripANSI(draw(found, store.world.time)).match(/uplink +(.*)/)?.[1]];
  };
  expect(said(running(1))).toEqual([true, 'https://portal.test, no rev of it yet, connected; 1 event to tell']);
  await store.ok('uplinkUp', { counter: 2, aheadMs: 12_000 });
  expect(Bun.stripANSI(draw(look(store.engine, on, null), store.world.time))).toMatch(/clock +12 s behind that of the portal/);
  await store.ok('uplinkUp', { counter: 3, aheadMs: 0 });
  expect(said(running(0))[1]).toContain('not connected: mail goes on');
  expect(said(null)).toEqual([false, 'https://portal.test, no rev of it yet, not connected: the site does not run; 2 events to tell']);
  await unbind(store.engine, store.world.time);
  expect(said(running(1))).toEqual([
    false,
    expect.stringMatching(/a copy of site s of https:\/\/portal\.test.*must be off.*mailsite join CLAIM.*mailsite rehome/),
  ]);
});

test('what its portal did with a site, and what is to be done about it', async () => {
  const store = await testStore();
  await store.ok('joined', who);
  await store.ok('uplinkDown', { state: 'quarantined' });
  const said = () => Bun.stripANSI(draw(look(store.engine, on, null), store.world.time));
  expect(said()).toMatch(/two machines say .* new claim/);
  await store.ok('uplinkDown', { state: 'superseded' });
  expect(said()).toMatch(/another machine is this site now.*switch it off/);
});

test('a site without a document says who gives it one', () => {
  const engine = memoryEngine();
  const found = look(engine, on, null);
  expect(draw(found, 0)).toMatch(/mailsite apply.*mailsite join/);
  const uplink = { ...who, state: 'enrolled' as const, connected: false, runningRev: 0, seenRev: 0, seenStatus: 'none' as const, errors: [], unshipped: 0 };
  const joined = draw({ ...found, uplink: { ...uplink, offlineSince: 0, confirmBy: 0 } }, 0);
  expect(joined).toContain('its portal https://portal.test does that');
  expect(joined).not.toContain('mailsite apply');
});
