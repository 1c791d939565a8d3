// A portal whose records are older than the site: what people want under a number that the site knows for another rev is
// wanted again above it, not too often; and no site fills the records of its portal.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { hashOf, signValue } from '../../../uplink/keys.ts';
import { siteAnswer } from '../../../uplink/portal/api/state.ts';
import { signerFor } from '../../../uplink/portal/identity.ts';
import { ordered } from '../../../uplink/portal/kinds.ts';
import { documentOf as documentIn, want } from '../../../uplink/portal/want.ts';
import { doDeed } from '../../../uplink/portal/uplink/deeds.ts';
import type { Deed } from '../../../uplink/states/portal.ts';
import type { House } from '../portal/house.ts';
import { documentOf } from '../storage/fixture.ts';
import { portalWith } from './known.ts';

const who = { organisation: 'o', site: 's', machine: 'm', epoch: 1, counter: 5 };
type Applied = Extract<Deed, { name: 'applied' }>['body'];
const confused = { is: 'bye', reason: 'confused' };

/** A portal that wants rev 1. */
async function wanting(): Promise<House> {
  const here = await portalWith({ online: true, seenAt: 1_700_000_000_000 });
  await here.write(async (tx) => void (await want(tx, here.portal, { organisation: 'o', site: 's', document: documentOf(), by: 'me', summary: 'one' })));
  here.world.time += limits.uplinkReportMs;
  return here;
}
const site = async ({ portal: { records } }: House) => {
  const found = await records.get('site', 'o', 's');
  if (found === undefined) throw new Error('there is no site');
  return found;
};
const tell = ({ portal }: House, body: Partial<Applied>) =>
  doDeed(portal, { name: 'applied', who, body: { rev: 1, hash: 'x', status: 'applied', errors: [], runningRev: 1, runningHash: 'x', ...body } });
const wordOf = async (here: House): Promise<string> => (await siteAnswer(here.portal, 's', await site(here))).word;

test.each<[string, Partial<Applied>, number]>([
  ['runs another rev 1', {}, 2],
  ['runs another rev 1, and rejected rev 4', { rev: 4, status: 'rejected' }, 5],
  ['rejected another rev 1', { status: 'rejected', runningRev: 0, runningHash: '' }, 2],
  ['runs none, and rejected rev 4', { rev: 4, status: 'rejected', runningRev: 0, runningHash: '' }, 5],
])('U2: of a site that %s the same document is wanted again', async (_what, body, rev) => {
  const here = await wanting();
  expect(await tell(here, body)).toEqual({ is: 'nothing' });
  expect(await site(here)).toMatchObject({ wantedRev: rev });
  const again = await here.portal.records.get('desired', 's', ordered(rev));
  expect(again).toMatchObject({ by: 'me', summary: 'one' });
  expect(documentIn(again?.signed ?? '')).toEqual(documentOf());
  // a site that says so again and again makes no revs
  expect(await tell(here, { ...body, rev, hash: 'y' })).toEqual(confused);
  expect(await site(here)).toMatchObject({ wantedRev: rev });
});

test('U2: nothing is wanted again of a site that runs what is wanted, or what was put in force by hand', async () => {
  const here = await wanting();
  const { wantedHash: hash } = await site(here);
  for (const runningHash of ['', hash]) {
    expect(await tell(here, { hash, runningHash })).toEqual({ is: 'nothing' });
    expect(await site(here)).toMatchObject({ wantedRev: 1 });
    expect(await wordOf(here)).toBe(runningHash === '' ? 'Runs what was put in force by hand' : 'All well');
  }
  await here.write(async (tx) => tx.put('site', ['o', 's'], { ...(await site(here)), appliedHash: 'x' }));
  expect(await wordOf(here)).toBe('Runs another document than rev 1');
});

test('U2: a rev that was forgotten comes back, unless somebody went on from an older copy', async () => {
  for (const [before, rev] of [
    ['', 2],
    ['another', 3],
  ] as const) {
    const here = await wanting();
    const { signer } = await signerFor(here.portal.records);
    const { wantedHash } = await site(here);
    await here.write(async (tx) => tx.put('site', ['o', 's'], { ...(await site(here)), seenRev: 2 }));
    const kept = {
      siteId: 's',
      epoch: 1,
      rev: 2,
      prevHash: before || wantedHash,
      schema: 1,
      minAgent: '',
      auditHead: '',
      doc: documentOf({ host: 'kept.test' }),
    };
    const signed = signValue(signer, 'desired', kept);
    expect(await doDeed(here.portal, { name: 'kept', who, signed })).toEqual({ is: 'nothing' });
    expect((await site(here)).wantedRev).toBe(rev);
    expect((await site(here)).wantedHash === hashOf(signed.signed)).toBe(rev === 2);
  }
});

test('a site says no more of itself than fits its record', async () => {
  const here = await wanting();
  const report = (text: string, whole = true) =>
    doDeed(here.portal, { name: 'reported', who, body: { reportSeq: 1, whole, set: { [text.slice(0, 1)]: text }, gone: [] } });
  const most = limits.uplinkReport - 20;
  expect(await report('a'.repeat(most))).toMatchObject({ is: 'took' });
  expect(await report('b'.repeat(most), false)).toEqual(confused);
  expect(await report('c'.repeat(limits.uplinkReport))).toEqual(confused);
  expect((await site(here)).reported.length).toBeLessThan(limits.uplinkReport);
});

test('errors and revs of a site are bounded', async () => {
  const here = await wanting();
  const errors = Array.from({ length: 100 }, () => ({ path: 'p', code: 'c', message: 'm'.repeat(2_000) }));
  await tell(here, { hash: (await site(here)).wantedHash, runningRev: 0, runningHash: '', status: 'rejected', errors });
  expect(JSON.stringify((await site(here)).appliedErrors).length).toBeLessThan(64 * 1024);
  const most = 1 + limits.desiredAhead;
  for (const body of [{ rev: most + 1 }, { runningRev: most + 1 }]) expect(await tell(here, body)).toEqual(confused);
  expect(await tell(here, { rev: most, runningRev: most })).toEqual({ is: 'nothing' });
});
