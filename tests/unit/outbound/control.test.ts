// The control role: the certificate of the site's host, and the queue with the document's resolvers.

import dns from 'dns-packet';
import { expect, test } from 'vitest';
import { LinkLost } from '../../../actors/actor.ts';
import { controlRole } from '../../../protocols/control.ts';
import type { Site } from '../../../protocols/site.ts';
import { certificate, dkimKeys as keysOf } from '../../../storage/views.ts';
import { dkimKeys } from '../../sim/dkimkeys.ts';
import { type House, house } from './house.ts';
import { sink } from './sink.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Controlled extends House {
  readonly made: string[];
  readonly keysMade: number[];
  /** One kind of work is not done from now on. */
  fail(kind: string | null): void;
  failed(): number;
}

/** A house whose work process makes certificates that tell when they were made, and always the same signing keys. */
async function controlled(lost = 0, rows: Parameters<typeof house>[0] = {}): Promise<Controlled> {
  const h = await house(rows);
  const made: string[] = [];
  const keysMade: number[] = [];
  let failing: string | null = null;
  let failed = 0;
  const ask = async (kind: string, { host = '' }: { host?: string }): Promise<object> => {
    if (lost-- > 0) throw new LinkLost('work');
    if (kind === failing) {
      failed++;
      throw new LinkLost('work');
    }
    if (kind === 'makeDkimKeys') {
      keysMade.push(h.world.now());
      return dkimKeys;
    }
    made.push(host);
    return { certificatePem: `certificate ${made.length}`, keyPem: 'key' };
  };
  const site: Site = { ...h.site, work: { ask: ask as unknown as Site['work']['ask'], on: () => () => {} } };
  void controlRole(site, () => [{ address: '10.0.0.53', port: 53 }]);
  return { ...h, made, keysMade, fail: (kind) => void (failing = kind), failed: () => failed };
}

test('the host of the document has a self-signed certificate, made once', async () => {
  const h = await controlled();
  await h.world.until(() => certificate(h.site.view, 'mail.our.test') !== undefined);
  await h.world.advance(3 * HOUR);
  expect(h.made).toEqual(['mail.our.test']);
  expect(h.world.logged('tls.certificate')).toMatchObject([{ fields: { host: 'mail.our.test', selfSigned: true } }]);
});

test('U1: a new one is made before the old one ends; one from elsewhere is left alone', async () => {
  const h = await controlled();
  await h.world.until(() => h.made.length === 1);
  const row = { host: 'mail.our.test', certificatePem: 'x', keyPem: 'y' };
  await h.store.ask('putCertificate', { ...row, notAfter: h.world.now() + 30 * DAY + 5 * HOUR, selfSigned: true });
  await h.world.advance(4 * HOUR);
  expect(h.made.length).toBe(1);
  await h.world.advance(2 * HOUR);
  expect(h.made.length).toBe(2);
  await h.store.ask('putCertificate', { ...row, notAfter: h.world.now() + DAY, selfSigned: false });
  await h.world.advance(2 * HOUR);
  expect(h.made.length).toBe(2);
});

test('a lost link is waited out', async () => {
  const h = await controlled(3);
  await h.world.until(() => h.made.length === 1, 60_000);
});

test('mail is looked up at the resolvers of the machine when the document names none', async () => {
  const h = await controlled();
  const asked = new Set<string>();
  h.world.answer = (query, to) => {
    asked.add(to.address);
    const packet = dns.decode(Buffer.from(query));
    const question = packet.questions?.[0];
    const answers: dns.Answer[] =
      question?.type === 'MX'
        ? [{ type: 'MX', name: question.name, ttl: 60, data: { preference: 1, exchange: 'mx.remote.test' } }]
        : question?.type === 'A'
          ? [{ type: 'A', name: question.name, ttl: 60, data: '192.0.2.1' }]
          : [];
    return [dns.encode({ type: 'response', id: packet.id ?? 0, questions: packet.questions ?? [], answers })];
  };
  const host = sink();
  h.world.listen('192.0.2.1:25', host.serve);
  await h.submit({});
  await h.world.until(() => host.mails.length === 1, 60_000);
  expect([...asked]).toEqual(['10.0.0.53']);
});

test('every domain has an RSA and an Ed25519 key, alias domains too, made once and never again', async () => {
  const h = await controlled(0, { domains: [{ name: 'alias.test', aliasOf: 'our.test' }] });
  await h.world.until(() => keysOf(h.site.view, 'alias.test').length === 2);
  const before = ['our.test', 'alias.test'].map((domain) => keysOf(h.site.view, domain));
  expect(before[0]?.map(({ selector, algorithm, state }) => [selector, algorithm, state])).toEqual([
    ['s1', 'rsa', 'current'],
    ['s2', 'ed25519', 'current'],
  ]);
  await h.world.advance(3 * HOUR);
  expect(h.keysMade.length).toBe(2);
  // a domain that leaves keeps its keys: it may come back, and they are published
  await h.apply({});
  await h.world.advance(HOUR);
  await h.apply({ domains: [{ name: 'alias.test', aliasOf: 'our.test' }, { name: 'late.test' }] });
  await h.world.until(() => keysOf(h.site.view, 'late.test').length === 2, 10_000);
  expect(['our.test', 'alias.test'].map((domain) => keysOf(h.site.view, domain))).toEqual(before);
  expect(h.keysMade.length).toBe(3);
  expect(h.world.logged('dkim.keys').map((row) => row.fields['domain'])).toEqual(['our.test', 'alias.test', 'late.test']);
});

test('keys that could not be made are made a little later, not in a loop, and not for each domain in vain', async () => {
  const h = await controlled(0, { domains: ['a.test', 'b.test', 'c.test', 'd.test'].map((name) => ({ name })) });
  h.fail('makeDkimKeys');
  await h.world.advance(60_000);
  expect(h.failed()).toBeGreaterThan(5);
  expect(h.failed()).toBeLessThan(20);
  h.fail(null);
  await h.world.until(() => keysOf(h.site.view, 'd.test').length === 2, 10_000);
});
