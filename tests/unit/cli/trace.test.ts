// What `mailsite trace` prints, for people.

import { expect, test } from 'vitest';
import { drawTrace } from '../../../cli/trace.ts';
import { trace } from '../../../storage/trace.ts';
import { contentOf, mailOf, testStore } from '../storage/fixture.ts';

test('one timeline in plain words, without what would move a cursor', async () => {
  const store = await testStore();
  const mail = mailOf(contentOf('a', 1_500), [[1, 'INBOX']], ['far@one.test', 'b@one.test']);
  const origin = { session: 's.1', ip: '192.0.2.9', helo: 'cli\x1b[2Jent.test', tls: 'TLSv1.3 X', named: ['alice@example.test', 'far@one.test', 'b@one.test'] };
  const { queues } = await store.ok('deliver', { mails: [{ ...mail, account: 2, origin }] });
  const [queue = 0] = queues;
  await store.ok('claimQueue', { leaseMs: 1_000, limit: 9, skipDomains: [] });
  const base = { queue, due: store.world.time + 60_000, warned: false, attempted: true, host: 'mx.one.test', ip: '192.0.2.5', tls: '' };
  await store.ok('reportQueue', {
    outcomes: [
      { ...base, n: 0, outcome: 'later', event: 'deferred', code: '4.7.1', error: '451 4.7.1 come\tback' },
      { ...base, n: 1, outcome: 'done', event: 'delivered', code: '2.0.0', error: '250 2.0.0 taken as 77' },
    ],
    mails: [],
  });
  await store.ok('holdQueue', { by: 'root on the command line', of: [{ queue, n: 0 }] });
  const at = '2023-11-14 22:13:20';
  expect(Bun.stripANSI(drawTrace('x', trace(store.engine, { about: 'far@one.test', since: 0, limit: 5 }))).split('\n')).toEqual([
    '<1@example.test>',
    `  ${at}  received from 192.0.2.9 (cli [2Jent.test) under TLS, logged in as bob@example.test, from sender@elsewhere.test to alice@example.test, far@one.test, b@one.test, 1.5 kB`,
    `  ${at}  stored for alice@example.test in INBOX, UID 1`,
    `  ${at}  queued as 1 for far@one.test, b@one.test`,
    `  ${at}  not yet delivered to far@one.test by mx.one.test [192.0.2.5]: 451 4.7.1 come back; tried again at 2023-11-14 22:14:20`,
    `  ${at}  delivered to b@one.test by mx.one.test [192.0.2.5]: 250 2.0.0 taken as 77`,
    `  ${at}  held for far@one.test by root on the command line`,
    '  now                  held in the queue as 1: far@one.test',
  ]);
  expect(drawTrace('x@y.test', trace(store.engine, { about: 'x@y.test', since: 0, limit: 5 }))).toContain('Nothing is known of x@y.test');
});
