// What a session does to the records of a portal when they are older than the site, and what a site believes of a portal.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { type AuthStatement, frameText, type ToSite } from '../../../uplink/frames.ts';
import { keyStatement, signerOf, signValue } from '../../../uplink/keys.ts';
import { portalBegins, portalNext } from '../../../uplink/states/portal.ts';
import { siteBegins, type SiteEffect, siteNext, type SiteSeen } from '../../../uplink/states/site.ts';
import { doDeed } from '../../../uplink/portal/uplink/deeds.ts';
import { openSession } from '../../../uplink/portal/uplink/session.ts';
import type { House } from '../portal/house.ts';
import { at, machine, portalWith, seed } from './known.ts';

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (let n = 0; !holds(); n++) {
    if (n > 1_000) throw new Error(`never: ${what}`);
    await Bun.sleep(1);
  }
};

const rest = {
  challenge: 'c',
  nonce: 'n',
  portal: 'p',
  site: 's',
  seenRev: 0,
  seenHash: '',
  runningRev: 0,
  runningHash: '',
  version: '',
  lineage: '',
  commit: 0,
};
const admit = ({ portal }: House, epoch: number, waitedMs = 0) => {
  const signed = signValue(machine, 'auth', { ...rest, machine: 'm', epoch, counter: 5 });
  return doDeed(portal, { name: 'admit', statement: JSON.parse(signed.signed) as AuthStatement, signed, waitedMs });
};

test('U3: an answer to a challenge from before the session that was begun is not that of a copy; a later one is', async () => {
  const here = await portalWith({ epoch: 1 }, {});
  const [{ id, body }] = (await here.portal.records.list('machine', ['s'])) as [{ id: readonly string[]; body: object }];
  const begun = { ...body, epoch: 1, sessionCounter: 6, seenAt: here.portal.world.now() - 1_000 };
  await here.portal.records.transact(async (tx) => tx.put('machine', id, begun as never));
  expect(await admit(here, 1, 2_000)).toEqual({ is: 'bye', reason: 'again' });
  expect(await admit(here, 1, 500)).toMatchObject({ verdict: 'quarantined' });
});

test('U3: a portal whose records are older than the machine judges nobody, and tells people once', async () => {
  const here = await portalWith({ state: 'decommissioned' });
  expect(await admit(here, 3)).toEqual({ is: 'bye', reason: 'refused' });
  expect(await admit(here, 3)).toEqual({ is: 'bye', reason: 'refused' });
  const alarms = await here.portal.records.list('alarm', ['o']);
  expect(alarms.map(({ body }) => body.name)).toEqual(['portal.older']);
  const { portal, signPublic, signProof } = { portal: 'p', signPublic: '', signProof: '' };
  const seen = { now: at, monotonicMs: 0, portal, signPublic, signProof, signer: machine, nonce: 'n' };
  const { effects } = portalNext(portalBegins(0), { is: 'did', done: { is: 'bye', reason: 'refused' } }, seen);
  expect(effects[0]).toMatchObject({ frame: { body: { reason: 'refused', retryAfterMs: limits.uplinkRetryMaxMs } } });
});

test('U3: whoever is no machine of the site raises no alarm by a high epoch', async () => {
  const here = await portalWith({}, { signPublic: signerOf(seed(2)).publicKey });
  expect(await admit(here, 3)).toEqual({ is: 'bye', reason: 'refused' });
  expect(await here.count('alarm')).toBe(0);
});

test('U3: a machine whose place was taken is superseded, also when the site is given up', async () => {
  const here = await portalWith({ state: 'decommissioned', epoch: 2, machine: 'other' }, { state: 'superseded' });
  expect(await admit(here, 1)).toMatchObject({ verdict: 'superseded', epoch: 2 });
  expect(await admit(await portalWith({ state: 'decommissioned' }), 1)).toMatchObject({ verdict: 'decommissioned' });
});

test.each([
  [1, []],
  [2, []],
  [3, ['uplinkDown']],
])('U3: a site of epoch 2 that is told it was superseded by epoch %d', (epoch, asked) => {
  const [root, signer] = [signerOf(seed(3)), signerOf(seed(4))];
  const row = { portalId: 'p', portal: 'portal.test', rootPublic: root.publicKey, machine: 'm', site: 's', epoch: 2, counter: 5, state: 'active' };
  const told = { seenRev: 0, seenHash: '', runningRev: 0, runningHash: '' };
  const seen = { now: at, monotonicMs: 0, row: { ...row, ...told }, signer: machine, nonce: 'n', version: '', lineage: '', commit: 0 } as unknown as SiteSeen;
  const hear = (session: ReturnType<typeof siteBegins>, frame: ToSite, seq: number) => siteNext(session, { is: 'heard', text: frameText(frame, seq) }, seen);
  const signProof = root.sign(keyStatement(signer.publicKey));
  const greeted = hear(siteBegins(0), { t: 'challenge', body: { nonce: 'c', portal: 'p', signPublic: signer.publicKey, signProof, time: at } }, 1);
  expect(greeted.session.phase).toBe('proving');
  const verdict = signValue(signer, 'verdict', { nonce: 'n', machine: 'm', verdict: 'superseded', epoch });
  const { session, effects } = hear(greeted.session, { t: 'verdict', body: verdict }, 2);
  const kinds = effects.flatMap((effect: SiteEffect) => (effect.do === 'store' ? [effect.kind] : []));
  expect(kinds).toEqual(asked);
  if (asked.length === 0) expect(session.phase).toBe('over');
});

test.each([
  [5_000, null],
  [5_001, '5 s behind'],
  [-60_000, '60 s ahead of'],
])('a portal whose clock is %d ms ahead: the site warns: %s', (aheadMs, warned) => {
  const [root, signer] = [signerOf(seed(3)), signerOf(seed(4))];
  const row = { portalId: 'p', portal: 'portal.test', rootPublic: root.publicKey, machine: 'm', site: 's', epoch: 1, counter: 5, state: 'offline' };
  const told = { seenRev: 0, seenHash: '', runningRev: 0, runningHash: '' };
  const seen = { now: at, monotonicMs: 0, row: { ...row, ...told }, signer: machine, nonce: 'n', version: '', lineage: '', commit: 0 } as unknown as SiteSeen;
  const signProof = root.sign(keyStatement(signer.publicKey));
  const challenge: ToSite = { t: 'challenge', body: { nonce: 'c', portal: 'p', signPublic: signer.publicKey, signProof, time: at } };
  const greeted = siteNext(siteBegins(0), { is: 'heard', text: frameText(challenge, 1) }, seen);
  const statement = { nonce: 'n', machine: 'm', counter: 6, epoch: 1, eventSeq: 0, eventMark: '', wantedRev: 0, time: at + aheadMs };
  const welcome: ToSite = { t: 'welcome', body: signValue(signer, 'welcome', statement) };
  const { effects } = siteNext(greeted.session, { is: 'heard', text: frameText(welcome, 2) }, seen);
  const whys = effects.flatMap((effect: SiteEffect) => (effect.do === 'warn' ? [effect.why] : []));
  expect(whys).toEqual(warned === null ? [] : [expect.stringContaining(`is ${warned} that of its portal`)]);
  expect(effects.at(-1)).toMatchObject({ do: 'store', kind: 'uplinkUp', ask: { counter: 6, aheadMs } });
});

test('a site says that the clocks differ: its people are alarmed, once a day', async () => {
  const here = await portalWith();
  await admit(here, 1);
  const { sessionCounter } = (await here.portal.records.get('machine', 's', 'm')) as { sessionCounter: number };
  const who = { organisation: 'o', site: 's', machine: 'm', epoch: 1, counter: sessionCounter };
  for (const [i, text] of ['{"aheadMs":', '{"aheadMs":12000}', '{"aheadMs":12000}'].entries()) {
    const body = { events: [{ seq: i + 1, at, name: 'clock.differs', body: text }] };
    expect(await doDeed(here.portal, { name: 'events', who, body })).toMatchObject({ is: 'took' });
  }
  const alarms = await here.portal.records.list('alarm', ['o']);
  expect(alarms.map(({ body }) => [body.name, body.detail])).toEqual([['clock.differs', 'the clock of the site is 12 s behind ours']]);
});

test('a site that has said who it is takes no place of strangers any more', async () => {
  const { portal } = await portalWith();
  const said: ToSite[] = [];
  let left = 0;
  const peer = { send: (text: string) => void said.push(JSON.parse(text) as ToSite), close: () => {} };
  const session = openSession(portal, peer, { leave: () => void left++ });
  const bodyOf = async (n: number): Promise<Record<string, unknown>> => {
    await until(`frame ${n}`, () => said.length > n);
    return said[n]?.body as Record<string, unknown>;
  };
  const { nonce, portal: id } = await bodyOf(0);
  const auth = signValue(machine, 'auth', { ...rest, challenge: nonce, portal: id, machine: 'm', epoch: 1, counter: 5 });
  session.hear(frameText({ t: 'auth', body: auth }, 1));
  const { counter } = JSON.parse((await bodyOf(1))['signed'] as string) as { counter: number };
  expect(left).toBe(0);
  session.hear(frameText({ t: 'ready', body: { counter } }, 2));
  await until('it is live', () => left === 1);
  session.gone();
});
