// What is old goes, and nothing that is needed: of events, revs, commands and alarms.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { sweep } from '../../../uplink/portal/identity/sweep.ts';
import { ordered } from '../../../uplink/portal/kinds.ts';
import { portalWith } from '../uplink/known.ts';

const DAY_MS = 86_400_000;

test('the newest events are kept, without a hole', async () => {
  const more = 450;
  const last = limits.eventsKept + more;
  const here = await portalWith({ eventSeq: last });
  const written = [...Array.from({ length: more + 100 }, (_, i) => i + 1), last];
  await here.write(async (tx) => {
    for (const seq of written) tx.put('event', ['s', ordered(seq)], { seq, at: 0, name: 'x', body: '{}' });
  });
  expect(await sweep(here.portal)).toBe(more);
  const left = await here.portal.records.list('event', ['s']);
  expect(left.map(({ body }) => body.seq)).toEqual(written.slice(more));
  expect(await sweep(here.portal)).toBe(0);
});

test('the newest revs are kept, and the ones that are wanted and in force', async () => {
  const most = limits.revsKept;
  // the site made its portal jump: that is no reason to forget more
  const revs = [...Array.from({ length: most + 25 }, (_, i) => i + 1), 900_000];
  const here = await portalWith({ wantedRev: 900_000, appliedRev: 3 });
  await here.write(async (tx) => {
    for (const rev of revs) tx.put('desired', ['s', ordered(rev)], { rev, hash: '', signed: '{}', signature: '', by: '', at: 0, summary: '' });
  });
  expect(await sweep(here.portal)).toBe(25);
  const left = await here.portal.records.list('desired', ['s'], { limit: 1_000 });
  expect(left.map(({ body }) => body.rev)).toEqual([3, ...revs.slice(26)]);
  expect(await sweep(here.portal)).toBe(0);
});

test('commands go a month after their end, alarms a year after they were raised', async () => {
  const here = await portalWith();
  const { now } = here.world;
  const rest = { name: 'queue.retry', args: '{}', signed: '', signature: '', value: '', by: 'x' };
  const command = (state: 'done' | 'waiting', endedAt: number | null, notAfter: number) => ({ ...rest, state, at: 0, notAfter, endedAt });
  await here.write(async (tx) => {
    tx.put('command', ['s', 'old'], command('done', now() - 30 * DAY_MS, 0));
    tx.put('command', ['s', 'recent'], command('done', now() - 29 * DAY_MS, 0));
    tx.put('command', ['s', 'forgotten'], command('waiting', null, now() - 30 * DAY_MS));
    tx.put('commandOpen', ['s', 'forgotten'], {});
    tx.put('command', ['s', 'open'], command('waiting', null, now()));
    tx.put('commandOpen', ['s', 'open'], {});
    for (const days of [365, 364]) tx.put('alarm', ['o', `${days}`], { at: now() - days * DAY_MS, site: 's', name: 'x', detail: '' });
  });
  expect(await sweep(here.portal)).toBe(3);
  const names = async (kind: 'command' | 'commandOpen' | 'alarm') => (await here.portal.records.list(kind, [])).map(({ id }) => id[1]);
  expect(await names('command')).toEqual(['open', 'recent']);
  expect(await names('commandOpen')).toEqual(['open']);
  expect(await names('alarm')).toEqual(['364']);
});
