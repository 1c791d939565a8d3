// Which mail is signed, by whom, and what happens while there are no keys: the queue on the real store, and somebody else's
// verifier at the other end.

import { beforeEach, describe, expect, test } from 'vitest';
import { LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { keyring } from '../../../protocols/dkim/keyring.ts';
import type { Site } from '../../../protocols/site.ts';
import { dkimKeys } from '../../sim/dkimkeys.ts';
import { verify } from '../dkim/verifier.ts';
import { accountRow, alice, type House, house, remote } from './house.ts';
import { type Received, type Script, type Sink, sink } from './sink.ts';

const MINUTE = 60_000;
let h: House;
let host: Sink;
/** How often the work process fails yet. */
let lost: number;
let asked: number;

async function begin(script: Script = {}, rows: Parameters<typeof house>[0] = {}): Promise<void> {
  h = await house({
    domains: [{ name: 'alias.test', aliasOf: 'our.test' }, { name: 'other.test' }],
    accounts: [accountRow('carol@other.test')],
    aliases: [{ address: 'list@our.test', to: ['bob@remote.test'] }],
    ...rows,
  });
  host = sink(script);
  h.world.listen('192.0.2.1:25', host.serve);
  const ask = async (): Promise<object> => {
    asked++;
    if (lost-- > 0) throw new LinkLost('work');
    return dkimKeys;
  };
  const site: Site = { ...h.site, work: { ask: ask as unknown as Site['work']['ask'], on: () => () => {} } };
  h.startOutbound(site, keyring(site));
}
beforeEach(() => {
  lost = 0;
  asked = 0;
});

const text = (from: string, more = '', body = 'hello\r\n'): string => `From: ${from}\r\nSubject: hello\r\nMessage-ID: <1@our.test>\r\n${more}\r\n${body}`;
const signers = async (mail: Received | undefined): Promise<string[]> =>
  (await verify((mail?.signatures ?? '') + (mail?.data ?? ''), { rsa: dkimKeys.rsaPublic, ed25519: dkimKeys.ed25519Public })).map(
    (s) => `${s.domain} ${s.selector} ${s.result}`,
  );
async function sent(mail: Parameters<House['submit']>[0], message: string): Promise<Received> {
  await h.submit(mail, message);
  await h.world.until(() => host.mails.length === 1, 20 * MINUTE);
  return host.mails[0] as Received;
}
const both = (domain: string): string[] => [`${domain} s1 pass`, `${domain} s2 pass`];

describe('who signs', () => {
  test.each([
    ['the domain of From', alice, 'Alice <alice@our.test>', both('our.test')],
    ['an alias domain by its own name', alice, 'alice@alias.test', both('alias.test')],
    ['From in capitals, quoted and commented', alice, '"A, l" (x) <Alice@OUR.test>', both('our.test')],
    ['the envelope where From is of another account', alice, 'carol@other.test', both('our.test')],
    ['the envelope where From is elsewhere', alice, 'x@remote.test', both('our.test')],
    ['the envelope where there are two From', alice, 'alice@alias.test\r\nFrom: x@remote.test', both('our.test')],
    ['nobody where neither is ours', 'x@remote.test', 'x@remote.test', []],
  ])('%s', async (_what, envelopeFrom, from, expected) => {
    await begin();
    expect(await signers(await sent({ envelopeFrom }, text(from)))).toEqual(expected);
  });

  test('nobody: mail of a stranger that passes through an alias, though its From is ours', async () => {
    await begin();
    const received = 'Received: from evil.test ([192.0.2.66])\r\n\tby mail.our.test with ESMTP id 1;\r\n\tnow\r\n';
    const forged = await sent({ account: 0, envelopeFrom: alice }, received + text(alice));
    expect(await signers(forged)).toEqual([]);
    host.mails.length = 0;
    expect(await signers(await sent({ account: 0, envelopeFrom: '' }, received + text('MAILER-DAEMON@mail.our.test')))).toEqual([]);
  });

  test('this host, in the name of the domain above its own: a notification', async () => {
    await begin({ on: (c) => (c.startsWith('RCPT TO:<gone@') ? '550 5.1.1 no such user' : undefined) });
    const received = 'Received: from remote.test ([192.0.2.9])\r\n\tby mail.our.test with ESMTP id 1;\r\n\tnow\r\n';
    await h.submit({ account: 0, envelopeFrom: 'x@remote.test', remote: [remote('gone@remote.test')] }, received + text('x@remote.test'));
    await h.world.until(() => host.mails.length === 1, 20 * MINUTE);
    expect(host.mails[0]).toMatchObject({ from: '', to: ['x@remote.test'] });
    expect(host.mails[0]?.data).toContain('From: Mail Delivery System <MAILER-DAEMON@mail.our.test>');
    expect(await signers(host.mails[0])).toEqual(both('our.test'));
  });
});

describe('what is signed', () => {
  test('the octets on the wire: after conversion to 7 bits, with lines that begin with a dot', async () => {
    await begin({ extensions: ['PIPELINING', 'SIZE 10000000'] });
    const mail = await sent(
      { eightBit: true },
      text(alice, 'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n', 'grün\r\n.\r\n..two\r\n'),
    );
    expect(mail.data).toContain('gr=C3=BCn');
    expect(await signers(mail)).toEqual(both('our.test'));
  });

  test('SIZE counts the signatures', async () => {
    await begin();
    const mail = await sent({}, text(alice));
    expect(Number(/SIZE=(\d+)/.exec(mail.mailLine)?.[1])).toBe(mail.signatures.length + mail.data.length);
    expect(mail.signatures.length).toBeGreaterThan(500);
  });

  test('2 MiB in chunks from the store', async () => {
    await begin();
    const mail = await sent({}, text(alice, '', `${'x \t'.repeat(20)}\r\n`.repeat(34_000)));
    expect(mail.data.length).toBeGreaterThan(2_000_000);
    expect(await signers(mail)).toEqual(both('our.test'));
  }, 60_000);
});

describe('without keys', () => {
  test('they are made at once, for one message or many', async () => {
    await begin();
    for (let n = 0; n < 5; n++) await h.submit({}, text(alice));
    await h.world.until(() => host.mails.length === 5, MINUTE);
    expect(asked).toBe(1);
    expect(h.world.now() - h.world.start).toBeLessThan(1_000);
    expect(await signers(host.mails[4])).toEqual(both('our.test'));
  });

  test('it waits for some seconds, untried, and is signed', async () => {
    await begin();
    lost = 3;
    await h.submit({}, text(alice));
    await h.world.advance(2 * limits.dkimRetryMs);
    expect(h.left()).toMatchObject([{ attempts: 0, error: '' }]);
    await h.world.until(() => host.mails.length === 1, MINUTE);
    expect(await signers(host.mails[0])).toEqual(both('our.test'));
  });

  test('it goes unsigned after ten minutes, and says so: mail is not lost for want of a signature', async () => {
    await begin();
    lost = 1e9;
    const mail = await sent({}, text(alice));
    expect(mail.signatures).toBe('');
    const waited = h.world.now() - h.world.start;
    expect(waited).toBeGreaterThanOrEqual(limits.dkimWaitMs);
    expect(waited).toBeLessThan(limits.dkimWaitMs + 2 * limits.dkimRetryMs);
    expect(h.world.logged('dkim.unsigned')).toMatchObject([{ fields: { domain: 'our.test' } }]);
  });
});
