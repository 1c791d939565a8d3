// The queue manager on the real store: who gets what, when it is tried again, and what the sender hears (Q1).

import { describe, expect, test } from 'vitest';
import { LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { refuse } from '../../../actors/wire.ts';
import { notify, type StoreProtocol } from '../../../storage/messages.ts';
import type { Address } from '../../../actors/actor.ts';
import { accountByAddress } from '../../../storage/views.ts';
import { accountRow, alice, type House, house, remote, siteOf, through } from './house.ts';
import { settle } from './network.ts';
import { everyExtension, type Script, type Sink, sink } from './sink.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A house with one mail host at 192.0.2.1, started. */
async function sending(script: Script = {}, rows: Parameters<typeof house>[0] = {}): Promise<House & { host: Sink }> {
  const h = await house(rows);
  const host = sink(script);
  h.world.listen('192.0.2.1:25', host.serve);
  h.startOutbound();
  return { ...h, host };
}
const refusing = (reply: string): Script => ({ on: (c) => (c.startsWith('RCPT') ? reply : undefined) });

describe('delivery', () => {
  test('Q1: goes to the mail host at once, without what is ours alone, and is gone from the queue', async () => {
    const h = await sending();
    await h.submit({});
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(h.host.mails).toMatchObject([{ from: alice, to: ['bob@remote.test'], data: 'Subject: hello\r\nMessage-ID: <1@our.test>\r\n\r\nhello\r\n' }]);
    expect(h.world.logged('queue.delivered')).toMatchObject([{ fields: { to: 'bob@remote.test', host: 'mx.remote.test', tls: 'TLSv1.3', code: '2.0.0' } }]);
    expect(h.inbox()).toEqual([]);
  });

  test('RFC 5321 §5.1: hosts in order; the next one when a host is away, busy, or says 4xx to MAIL', async () => {
    const h = await house();
    h.zone.set('remote.test', { kind: 'found', implicit: false, hosts: ['away', 'busy', 'full', 'good', 'never'].map((host, i) => ({ preference: i, host })) });
    ['away', 'busy', 'full', 'good', 'never'].forEach((host, i) => h.hosts.set(host, { kind: 'found', addresses: [`192.0.2.${i}`] }));
    const busy = sink({ greeting: '421 4.3.2 busy' });
    const full = sink({ on: (c) => (c.startsWith('MAIL') ? '452 4.3.1 full' : undefined) });
    const [good, never] = [sink(), sink()];
    [busy, full, good, never].forEach((host, i) => h.world.listen(`192.0.2.${i + 1}:25`, host.serve));
    h.startOutbound();
    await h.submit({});
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect([busy, full, good, never].map((s) => [s.connections, s.mails.length])).toEqual([
      [1, 0],
      [1, 0],
      [1, 1],
      [0, 0],
    ]);
  });

  test('all addresses of a host are tried', async () => {
    const h = await house();
    const host = sink();
    h.hosts.set('mx.remote.test', { kind: 'found', addresses: ['192.0.2.8', '192.0.2.9'] });
    h.world.listen('192.0.2.8:25', 'silent');
    h.world.listen('192.0.2.9:25', host.serve);
    h.startOutbound();
    await h.submit({});
    await h.world.until(() => host.mails.length === 1, 2 * limits.outboundConnectMs);
  });

  test('recipients of one domain share a transaction, of two domains do not', async () => {
    const h = await sending();
    await h.submit({ remote: [remote('a@one.test'), remote('b@two.test'), remote('c@one.test')] });
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(h.host.mails.map((m) => m.to.join()).sort()).toEqual(['a@one.test,c@one.test', 'b@two.test']);
  });

  test('an address literal is its own host (RFC 5321 §4.1.3)', async () => {
    const h = await sending();
    h.hosts.set('[192.0.2.1]', { kind: 'found', addresses: ['192.0.2.1'] });
    await h.submit({ remote: [remote('bob@[192.0.2.1]')] });
    await h.world.until(() => h.host.mails.length === 1, MINUTE);
  });

  test('RFC 5321 §5.1: hosts as good as ourselves or worse are left out; alone, that is a loop', async () => {
    const h = await house();
    const better = sink();
    h.hosts.set('better', { kind: 'found', addresses: ['192.0.2.7'] });
    h.zone.set('a.test', {
      kind: 'found',
      implicit: false,
      hosts: [
        { preference: 5, host: 'better' },
        { preference: 10, host: 'mail.our.test' },
        { preference: 20, host: 'worse' },
      ],
    });
    h.zone.set('b.test', {
      kind: 'found',
      implicit: false,
      hosts: [
        { preference: 10, host: 'mail.our.test' },
        { preference: 20, host: 'worse' },
      ],
    });
    h.startOutbound();
    await h.submit({ remote: [remote('x@a.test'), remote('x@b.test')] });
    await h.world.until(() => h.left().length === 1 && h.inbox().length === 1, MINUTE);
    expect(h.inbox()[0]).toContain('Status: 5.4.6');
    h.world.listen('192.0.2.7:25', better.serve);
    await h.world.until(() => better.mails.length === 1, HOUR);
    expect(h.world.connects.every((place) => place === '192.0.2.7:25')).toBe(true);
  });
});

describe('trying again', () => {
  test('the waits grow from a minute to four hours', async () => {
    const h = await sending(refusing('450 4.2.1 try later'));
    const at: number[] = [];
    await h.submit({});
    for (let n = 1; n <= 9; n++) {
      await h.world.until(() => h.left()[0]?.attempts === n, 6 * HOUR);
      at.push(h.world.now());
    }
    const waits = at.slice(1).map((t, i) => (t - (at[i] as number)) / MINUTE);
    [1, 5, 10, 20, 40, 60, 120, 240].forEach((minutes, i) => {
      expect(waits[i]).toBeGreaterThanOrEqual(minutes * 0.79);
      expect(waits[i]).toBeLessThanOrEqual(minutes * 1.21);
    });
    expect(h.left()[0]).toMatchObject({ code: '4.2.1', error: '450 4.2.1 try later' });
  });

  test('and only for those who were not taken', async () => {
    let full = true;
    const h = await sending({ on: (c) => (full && /^RCPT.*slow/.test(c) ? '452 4.2.2 full' : /^RCPT.*no@/.test(c) ? '550 5.1.1 no' : undefined) });
    await h.submit({ remote: ['a', 'slow', 'no', 'b'].map((n) => remote(`${n}@remote.test`)) });
    await h.world.until(() => h.left().length === 1, MINUTE);
    full = false;
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.host.mails.map((m) => m.to)).toEqual([['a@remote.test', 'b@remote.test'], ['slow@remote.test']]);
    expect(h.inbox().length).toBe(1);
  });

  test('a domain that cannot be looked up is tried again', async () => {
    const h = await sending();
    h.zone.set('remote.test', { kind: 'failed', reason: 'SERVFAIL' });
    await h.submit({});
    await h.world.until(() => h.left()[0]?.attempts === 1, MINUTE);
    expect(h.left()[0]?.code).toBe('4.4.3');
    h.zone.delete('remote.test');
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.host.mails.length).toBe(1);
  });

  test('Q1: after limits.queueExpiryMs it is tried once more and comes back', async () => {
    const h = await sending(refusing('450 4.2.1 try later'));
    const start = h.world.now();
    await h.submit({ remote: [remote('bob@remote.test', notify.failure)] });
    await h.world.until(() => h.left().length === 0);
    expect(h.world.now() - start).toBeGreaterThanOrEqual(limits.queueExpiryMs);
    expect(h.world.now() - start).toBeLessThanOrEqual(limits.queueExpiryMs + HOUR);
    expect(h.inbox().length).toBe(1);
    expect(h.inbox()[0]).toMatch(/Action: failed\r\nStatus: 4\.4\.7\r\nRemote-MTA: dns; mx\.remote\.test\r\nDiagnostic-Code: smtp; 450 4\.2\.1 try later\r\n/);
  });

  test('RFC 3461 §4.1: the sender hears once of a delay, after limits.queueWarnMs, unless told not to', async () => {
    const h = await sending(refusing('450 4.2.1 try later'));
    const start = h.world.now();
    await h.submit({ remote: [remote('a@remote.test'), remote('b@remote.test', notify.failure), remote('c@remote.test', notify.never)] });
    await h.world.until(() => h.inbox().length === 1);
    expect(h.world.now() - start).toBeGreaterThanOrEqual(limits.queueWarnMs);
    expect(h.world.now() - start).toBeLessThanOrEqual(limits.queueWarnMs + 4.9 * HOUR);
    expect(h.inbox()[0]).toContain('Action: delayed');
    expect(h.inbox()[0]?.match(/Final-Recipient: .*/g)).toEqual(['Final-Recipient: rfc822;a@remote.test']);
    await h.world.advance(4 * DAY);
    expect(h.inbox().length).toBe(1);
  });

  test('a host that cannot be reached is not tried by each message for it', async () => {
    const h = await house();
    h.world.listen('192.0.2.1:25', 'silent');
    h.startOutbound();
    for (let i = 0; i < 40; i++) await h.submit({});
    await h.world.until(() => h.left().every((r) => r.attempts === 1), HOUR);
    expect(h.world.connects.length).toBeLessThanOrEqual(2 * limits.destinationConcurrency);
  });
});

describe('what cannot be delivered', () => {
  test.each([
    ['a null MX (RFC 7505)', 'null', '5.1.10'],
    ['a domain that does not exist', 'notFound', '5.1.2'],
  ] as const)('%s comes back at once', async (_name, kind, status) => {
    const h = await sending();
    h.zone.set('remote.test', { kind });
    await h.submit({});
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(h.inbox()[0]).toContain(`Status: ${status}`);
    expect(h.world.connects).toEqual([]);
  });

  test('a 5xx comes back at once; the report and the end of the recipient are one commit', async () => {
    const h = await house();
    h.world.listen('192.0.2.1:25', sink(refusing('550 5.1.1 no such user')).serve);
    const reports: { outcomes: readonly { outcome: string }[]; mails: readonly object[] }[] = [];
    const watched = through(h.store, (kind, message) => {
      if (kind === 'reportQueue') reports.push(message as never);
      return h.store.ask(kind, message);
    });
    h.startOutbound(siteOf(h.world, watched, h.site.view));
    await h.submit({});
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(reports.map((r) => [r.outcomes.map((o) => o.outcome), r.mails.length])).toEqual([[['failed'], 1]]);
    expect(h.inbox()[0]).toMatch(/Status: 5\.1\.1\r\n/);
    expect(h.world.logged('queue.bounced').length).toBe(1);
  });

  test('RFC 5321 §6.1: nobody hears of a notification that cannot be delivered', async () => {
    const h = await sending(refusing('550 5.1.1 no such user'));
    await h.submit({ envelopeFrom: '' });
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(h.inbox()).toEqual([]);
    expect(h.world.logged('queue.doubleBounce').length).toBe(1);
  });

  test('RFC 3461 §4.1: NOTIFY=NEVER is silent', async () => {
    const h = await sending(refusing('550 5.1.1 no such user'));
    await h.submit({ remote: [remote('bob@remote.test', notify.never), remote('eve@remote.test', notify.success)] });
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(h.inbox()).toEqual([]);
  });

  test('a sender elsewhere is told through the queue, and that notification asks for none', async () => {
    const h = await sending({ on: (c) => (/^RCPT.*bob/.test(c) ? '550 5.1.1 no' : undefined) });
    await h.submit({ envelopeFrom: 'list@elsewhere.test' });
    await h.world.until(() => h.host.mails.length === 1, HOUR);
    expect(h.host.mails[0]).toMatchObject({ from: '', to: ['list@elsewhere.test'] });
    expect(h.host.mails[0]?.rcptLines).toEqual(['RCPT TO:<list@elsewhere.test> NOTIFY=NEVER']);
    expect(h.host.mails[0]?.data).not.toContain('Return-Path');
  });

  test('a sender without room is told when there is room', async () => {
    const h = await sending(refusing('550 5.1.1 no such user'), { accounts: [accountRow('full@our.test', { quotaBytes: 10 })] });
    const account = accountByAddress(h.site.view, 'full@our.test')?.account ?? 0;
    await h.submit({ envelopeFrom: 'full@our.test', local: [{ account, mailbox: 'INBOX', flags: 0 }] });
    await h.world.until(() => h.left()[0]?.to === 'full@our.test' && h.left()[0]?.attempts === 1, MINUTE);
    await h.apply({ accounts: [accountRow('full@our.test', { quotaBytes: 0 })] });
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.inbox('full@our.test').length).toBe(2);
    expect(h.inbox('full@our.test')[1]).toMatch(/^Return-Path: <>\r\nDate: /);
  });
});

describe('NOTIFY=SUCCESS', () => {
  const asking = { remote: [remote('bob@remote.test', notify.success | notify.failure, 'rfc822;Bob@remote.test')], ret: 'HDRS', envid: 'QQ1' } as const;
  test('RFC 3461 §5.2.2: "relayed" when the next host knows no DSN', async () => {
    const h = await sending({ extensions: everyExtension.filter((e) => e !== 'DSN') });
    await h.submit(asking);
    await h.world.until(() => h.inbox().length === 1, MINUTE);
    expect(h.inbox()[0]).toMatch(/Original-Envelope-Id: QQ1\r\n/);
    expect(h.inbox()[0]).toMatch(
      /Original-Recipient: rfc822;Bob@remote.test\r\nFinal-Recipient: rfc822;bob@remote.test\r\nAction: relayed\r\nStatus: 2.0.0\r\n/,
    );
  });
  test('the next host is asked to when it knows DSN, and we are silent', async () => {
    const h = await sending();
    await h.submit(asking);
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(h.host.mails[0]?.mailLine).toMatch(/ RET=HDRS ENVID=QQ1$/);
    expect(h.host.mails[0]?.rcptLines).toEqual(['RCPT TO:<bob@remote.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@remote.test']);
    expect(h.inbox()).toEqual([]);
  });
});

describe('relays', () => {
  const relay = { for: '*', host: 'relay.test', port: 2587, user: 'u', password: 'p' };
  const accepting: Script = { extensions: ['STARTTLS', 'AUTH PLAIN'], on: (c) => (c.startsWith('AUTH') ? '235 2.7.0 ok' : undefined) };

  test('take what the document gives them, with a login, over one connection per destination', async () => {
    const h = await house({ relays: [relay] });
    const host = sink(accepting);
    h.hosts.set('relay.test', { kind: 'found', addresses: ['192.0.2.50'] });
    h.world.listen('192.0.2.50:2587', host.serve, { trusted: true });
    h.startOutbound();
    await h.submit({ remote: [remote('a@one.test'), remote('b@two.test')] });
    await h.world.until(() => h.left().length === 0, MINUTE);
    expect(host.mails.map((m) => m.to)).toEqual([['a@one.test', 'b@two.test']]);
    expect(host.commands).toContain(`AUTH PLAIN ${Buffer.from('\0u\0p').toString('base64')}`);
  });

  test('a relay for one domain takes that domain; a new document counts at the next attempt', async () => {
    const h = await house({ relays: [{ ...relay, for: 'one.test', user: '', password: '' }] });
    const host = sink();
    const direct = sink(refusing('450 4.2.0 wait'));
    h.hosts.set('relay.test', { kind: 'found', addresses: ['192.0.2.50'] });
    h.world.listen('192.0.2.50:2587', host.serve);
    h.world.listen('192.0.2.1:25', direct.serve);
    h.startOutbound();
    await h.submit({ remote: [remote('a@one.test'), remote('b@two.test')] });
    await h.world.until(() => host.mails.length === 1 && h.left()[0]?.attempts === 1, MINUTE);
    expect(host.mails[0]?.to).toEqual(['a@one.test']);
    await h.apply({ relays: [{ ...relay, user: '', password: '' }] });
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(host.mails[1]?.to).toEqual(['b@two.test']);
  });
});

test('a new document counts for what waits already', async () => {
  const h = await house();
  h.world.listen(
    '192.0.2.1:25',
    sink({ on: async (c) => (c.startsWith('MAIL') ? await h.world.sleep(MINUTE).then(() => '451 4.3.0 busy') : undefined) }).serve,
  );
  const relay = sink();
  h.hosts.set('relay.test', { kind: 'found', addresses: ['192.0.2.50'] });
  h.world.listen('192.0.2.50:587', relay.serve);
  h.startOutbound();
  for (let i = 0; i < limits.destinationConcurrency + 3; i++) await h.submit({});
  await h.world.advance(1_000);
  await h.apply({ relays: [{ for: '*', host: 'relay.test' }] });
  await h.world.until(() => relay.mails.length === 3, 2 * MINUTE);
  expect(h.left().length).toBe(limits.destinationConcurrency);
});

describe('a domain that became ours after the mail was queued', () => {
  const rows = {
    domains: [{ name: 'remote.test' }],
    accounts: [accountRow('bob@remote.test')],
    aliases: [{ address: 'all@remote.test', to: ['bob@remote.test', alice] }],
  };
  test('is delivered here, once, with its trace', async () => {
    const h = await sending(refusing('450 4.2.0 wait'));
    await h.submit({ remote: [remote('bob@remote.test'), remote('all@remote.test'), remote('nobody@remote.test')] });
    await h.world.until(() => h.left().every((r) => r.attempts === 1), MINUTE);
    await h.apply(rows);
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.inbox('bob@remote.test').at(0)).toBe(`Return-Path: <${alice}>\r\nSubject: hello\r\nMessage-ID: <1@our.test>\r\n\r\nhello\r\n`);
    const mine = h.inbox();
    expect(mine.filter((m) => m.includes('Status: 5.1.1')).length).toBe(1);
    expect(mine.filter((m) => m.startsWith(`Return-Path: <${alice}>`)).length).toBe(1);
  });

  test('with a message larger than a command', async () => {
    const h = await sending(refusing('450 4.2.0 wait'));
    const text = `Subject: big\r\n\r\n${'0123456789abcdef\r\n'.repeat(limits.inlineBody / 16)}`;
    await h.submit({}, text);
    await h.world.until(() => h.left()[0]?.attempts === 1, MINUTE);
    await h.apply(rows);
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.inbox('bob@remote.test')[0]).toBe(`Return-Path: <${alice}>\r\n${text}`);
  });

  test('a full mailbox is tried again', async () => {
    const h = await sending(refusing('450 4.2.0 wait'));
    await h.submit({});
    await h.world.until(() => h.left()[0]?.attempts === 1, MINUTE);
    await h.apply({ ...rows, accounts: [accountRow('bob@remote.test', { quotaBytes: 5 })] });
    const account = accountByAddress(h.site.view, 'bob@remote.test')?.account ?? 0;
    await h.submit({ local: [{ account, mailbox: 'INBOX', flags: 0 }], remote: [] });
    await h.world.until(() => h.left()[0]?.attempts === 2, HOUR);
    await h.apply(rows);
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.inbox('bob@remote.test').length).toBe(2);
  });
});

describe('limits', () => {
  test('at most limits.destinationConcurrency connections to one destination, and they are used again', async () => {
    const h = await sending({ on: async (c) => void (c === '.' ? await h.world.sleep(1_000) : undefined) });
    for (let i = 0; i < 30; i++) await h.submit({});
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.host.mails.length).toBe(30);
    expect(h.host.mostOpen).toBe(limits.destinationConcurrency);
    expect(h.host.connections).toBeLessThanOrEqual(2 * limits.destinationConcurrency);
  });

  test('at most limits.outboundConcurrency connections in all; a slow destination holds up no other', async () => {
    const h = await sending({
      on: async (c) => void (/^RCPT.*@slow/.test(c) ? await h.world.sleep(4 * MINUTE) : c === '.' ? await h.world.sleep(1_000) : undefined),
    });
    for (let i = 0; i < 40; i++) await h.submit({ remote: [remote('x@slow.test')] });
    for (let i = 0; i < 80; i++) await h.submit({ remote: [remote(`x@d${i}.test`)] });
    await h.world.until(() => h.host.mails.filter((m) => !m.to.join().includes('slow')).length === 80, MINUTE);
    expect(h.host.mostOpen).toBeLessThanOrEqual(limits.outboundConcurrency);
    expect(h.host.mostOpen).toBeGreaterThan(limits.outboundConcurrency / 2);
    expect(h.left().length).toBeGreaterThan(30);
  });

  test.each([10, limits.outboundConcurrency])('when %i destinations use all connections, one without comes next', async (busy) => {
    const h = await sending({ on: async (c) => void (c === '.' ? await h.world.sleep(MINUTE) : undefined) });
    for (let i = 0; i < 200; i++) await h.submit({ remote: [remote(`x@busy${i % busy}.test`)] });
    await h.world.advance(1_000);
    expect(h.host.open).toBe(limits.outboundConcurrency);
    await h.submit({ remote: [remote('x@late.test')] });
    await h.world.until(() => h.host.mails.some((m) => m.to.includes('x@late.test')), 2.5 * MINUTE);
    expect(h.left().length).toBeGreaterThan(50);
  });

  /** A host that takes longer for one message than a lease lasts. */
  async function slow(breakRenewal: boolean): Promise<House & { host: Sink }> {
    const h = await house();
    const wait = (): Promise<undefined> => h.world.sleep(limits.outboundReplyMs - 1_000).then(() => undefined);
    const host = sink({
      extensions: [],
      on: async (c) => (/^(EHLO|MAIL|RCPT)/.test(c) ? await wait() : undefined),
      greeting: () => wait().then(() => '220 slow'),
    });
    h.world.listen('192.0.2.1:25', host.serve);
    const link = through(h.store, async (kind, message) => {
      const renewing = kind === 'reportQueue' && !(message as unknown as { outcomes: { attempted: boolean }[] }).outcomes[0]?.attempted;
      if (renewing && breakRenewal) throw new LinkLost('store');
      return h.store.ask(kind, message);
    });
    h.startOutbound(siteOf(h.world, link, h.site.view));
    return { ...h, host };
  }

  test('a lease is made longer while an attempt takes its time', async () => {
    const h = await slow(false);
    const start = h.world.now();
    await h.submit({});
    await h.world.advance(limits.queueLeaseMs - MINUTE);
    expect(h.left()[0]?.due).toBeGreaterThan(start + limits.queueLeaseMs + MINUTE);
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.world.now() - start).toBeGreaterThan(limits.queueLeaseMs);
    expect(h.host.mails.length).toBe(1);
  });

  test('Q1: a lease that could not be made longer sends nothing twice while its process lives', async () => {
    const h = await slow(true);
    await h.submit({});
    await h.world.until(() => h.left().length === 0, HOUR);
    await h.world.advance(HOUR);
    expect(h.host.connections).toBe(1);
    expect(h.host.mails.length).toBe(1);
  });

  test('a destination with enough waiting is passed over', async () => {
    const h = await house();
    h.world.listen('192.0.2.1:25', sink({ on: async (c) => void (c.startsWith('MAIL') ? await h.world.sleep(MINUTE) : undefined) }).serve);
    const skipped = new Set<string>();
    const link = through(h.store, (kind, message) => {
      if (kind === 'claimQueue') for (const domain of (message as unknown as { skipDomains: string[] }).skipDomains) skipped.add(domain);
      return h.store.ask(kind, message);
    });
    h.startOutbound(siteOf(h.world, link, h.site.view));
    for (let i = 0; i < 3 * limits.destinationConcurrency; i++) await h.submit({ remote: [remote('x@slow.test')] });
    await h.submit({ remote: [remote('x@quick.test')] });
    await h.world.until(() => h.left().length === 0, HOUR);
    expect([...skipped]).toEqual(['slow.test']);
  });
});

describe('crashes', () => {
  /** A second control process, after the first was killed at its present step. */
  function another(h: House): ReturnType<typeof siteOf> {
    return siteOf(h.world, h.store, h.site.view);
  }
  /** A link that dies with its process: nothing more goes through. */
  function mortal(h: House): { address: Address<StoreProtocol>; kill: () => void } {
    let dead = false;
    const never = new Promise<never>(() => {});
    return {
      kill: () => {
        dead = true;
      },
      address: {
        ask: (kind, message) => (dead ? never : h.store.ask(kind, message).then((answer) => (dead ? never : answer))),
        on: (kind, run) => h.store.on(kind, (event) => void (dead || run(event))),
      },
    };
  }

  test('Q1: what was leased when the process died is sent when the lease ends, not before', async () => {
    const h = await house();
    const host = sink({ on: async (c) => (c.startsWith('MAIL') && host.connections === 1 ? await new Promise<string>(() => {}) : undefined) });
    h.world.listen('192.0.2.1:25', host.serve);
    const first = mortal(h);
    h.startOutbound(siteOf(h.world, first.address, h.site.view));
    const start = h.world.now();
    await h.submit({});
    await h.world.until(() => host.commands.some((c) => c.startsWith('MAIL')), MINUTE);
    first.kill();
    h.startOutbound(another(h));
    await h.world.until(() => host.mails.length === 1, HOUR);
    expect(h.world.now() - start).toBeGreaterThanOrEqual(limits.queueLeaseMs);
    await h.world.until(() => h.left().length === 0, MINUTE);
  });

  test('Q1: a message that cannot be read, as the store has gone, comes back with its lease; nobody crashed', async () => {
    const h = await house();
    const host = sink();
    h.world.listen('192.0.2.1:25', host.serve);
    let lost = 0;
    const view: typeof h.site.view = Object.assign(Object.create(h.site.view), {
      refresh: () => h.site.view.refresh(),
      peek: (key: Uint8Array) => {
        if (host.connections === 1 && lost++ === 0) throw new LinkLost('reads');
        return h.site.view.peek(key);
      },
    });
    h.startOutbound(siteOf(h.world, h.store, view));
    await h.submit({});
    await h.world.until(() => h.left().length === 0, HOUR);
    expect([lost > 1, host.mails.length]).toEqual([true, 1]);
    expect(h.world.logged('link.lost')).toMatchObject([{ fields: { to: 'outbound job' } }]);
    expect(h.world.logged('actor.crash')).toEqual([]);
  });

  test('Q1: died between the 250 and the report: sent again, as SMTP forces', async () => {
    const h = await house();
    const host = sink();
    h.world.listen('192.0.2.1:25', host.serve);
    const first = mortal(h);
    const dying = through(first.address, (kind, message) => {
      if (kind === 'reportQueue') first.kill();
      return first.address.ask(kind, message);
    });
    h.startOutbound(siteOf(h.world, dying, h.site.view));
    await h.submit({});
    await h.world.until(() => host.mails.length === 1, MINUTE);
    await settle();
    h.startOutbound(another(h));
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(host.mails.length).toBe(2);
  });

  test('Q1: a report of which nobody heard is not made twice; one that was lost is made again', async () => {
    for (const lost of ['answer', 'question', 'nothing: it was late'] as const) {
      const h = await house();
      h.world.listen('192.0.2.1:25', sink(refusing('550 5.1.1 no')).serve);
      let broken = 0;
      const breaking = through(h.store, async (kind, message) => {
        const late = broken === 1 && lost.startsWith('nothing');
        if (kind === 'reportQueue' && late) await h.store.ask(kind, message);
        if (kind !== 'reportQueue' || broken++ > 0) return h.store.ask(kind, message);
        if (lost === 'answer') await h.store.ask(kind, message);
        throw new LinkLost('store');
      });
      h.startOutbound(siteOf(h.world, breaking, h.site.view));
      await h.submit({});
      await h.world.until(() => h.left().length === 0 && h.world.logged('queue.bounced').length === 1, HOUR);
      expect(h.inbox().length).toBe(1);
      expect(broken).toBe(lost === 'answer' ? 1 : 2);
    }
  });

  test('Q1: a mailbox that fills up between the look and the commit: tried again, and the sender is told through the queue', async () => {
    const h = await house({ domains: [{ name: 'near.test' }], accounts: [accountRow('bob@near.test')] });
    h.world.listen('192.0.2.1:25', sink(refusing('550 5.1.1 no')).serve);
    let shut = true;
    const filling = through(h.store, async (kind, message) => {
      const { mails = [] } = message as unknown as { mails?: { local: object[] }[] };
      return shut && kind === 'reportQueue' && mails.some((m) => m.local.length > 0) ? (refuse('overQuota', 'full') as never) : h.store.ask(kind, message);
    });
    h.startOutbound(siteOf(h.world, filling, h.site.view));
    await h.submit({ remote: [remote('bob@near.test'), remote('eve@remote.test')] });
    await h.world.until(() => h.left().filter((r) => r.code === '4.2.2').length === 2, MINUTE);
    expect(h.left().map((r) => r.to)).toEqual(['bob@near.test', alice]);
    shut = false;
    await h.world.until(() => h.left().length === 0, HOUR);
    expect(h.inbox('bob@near.test').length).toBe(1);
    expect(h.inbox().length).toBe(1);
    expect(h.inbox()[0]).toContain('Status: 5.1.1');
  });

  test('a lost link or a full disk while claiming or reporting is waited out', async () => {
    const h = await house();
    const host = sink();
    h.world.listen('192.0.2.1:25', host.serve);
    let asked = 0;
    const flaky = through(h.store, async (kind, message) => {
      if (kind === 'claimQueue' && asked++ < 3) throw new LinkLost('store');
      if (kind === 'reportQueue' && asked++ < 8) return refuse('full', 'no room') as never;
      return h.store.ask(kind, message);
    });
    h.startOutbound(siteOf(h.world, flaky, h.site.view));
    await h.submit({});
    await h.world.until(() => h.left().length === 0, 10 * MINUTE);
    expect(host.mails.length).toBe(1);
  });
});
