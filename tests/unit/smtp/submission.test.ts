// Submission: logging in, TLS, whose addresses one may use, and what is put into the message.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { alice, bob, codesOf, greeted, house, loggedIn, plain } from './house.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('RFC 6409 §4.3: nobody submits without having logged in, and nobody logs in in clear', async () => {
  const h = await house();
  const c = await greeted(h, 'submission');
  expect(await c.codes('MAIL FROM:<alice@our.test>', `AUTH PLAIN ${plain(alice, 'wonder')}`)).toEqual(['530 5.7.0', '538 5.7.11']);
  expect(await c.say('EHLO x')).not.toMatch(/AUTH/);
  expect(h.hashed).toEqual([]);
  // port 25 has the same rule; who has logged in there submits, who has not is a stranger with mail for us
  const old = await greeted(h);
  expect(await old.codes(`AUTH PLAIN ${plain(alice, 'wonder')}`)).toEqual(['538 5.7.11']);
  await old.say('STARTTLS');
  expect(await old.say('EHLO x')).toMatch(/AUTH PLAIN LOGIN/);
  expect(await old.codes('MAIL FROM:<x@y.test>', 'RCPT TO:<z@elsewhere.test>', 'RSET')).toEqual(['250 2.1.0', '550 5.7.1', '250 2.0.0']);
  expect(await old.codes(`AUTH PLAIN ${plain(alice, 'wonder')}`, 'MAIL FROM:<x@y.test>')).toEqual(['235 2.7.0', '550 5.7.1']);
  expect(await old.codes(`MAIL FROM:<${alice}>`, 'RCPT TO:<z@elsewhere.test>')).toEqual(['250 2.1.0', '250 2.1.5']);
});

test('RFC 3207 §4.2: what is pipelined behind STARTTLS is dropped, and what was said before is forgotten', async () => {
  const h = await house();
  const c = await greeted(h);
  expect(await c.say('EHLO x')).toMatch(/STARTTLS/);
  await c.say('MAIL FROM:<x@y.test>');
  expect(codesOf(await c.raw('STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@y.test>\r\n'))).toEqual(['220 2.0.0']);
  expect(c.secured).toBe(true);
  expect(await c.codes('MAIL FROM:<x@y.test>', 'EHLO x', `RCPT TO:<${alice}>`, 'STARTTLS')).toEqual(['503 5.5.1', '250', '503 5.5.1', '503 5.5.1']);
  expect(await c.codes('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA')).toEqual(['250 2.1.0', '250 2.1.5', '354']);
  await c.say('Subject: x', '', 'x', '.');
  expect(h.folder()[0]).toMatch(/with ESMTPS \(TLSv1\.3 FAKE\) id/);
});

test('AUTH PLAIN and LOGIN, with and without initial response', async () => {
  const h = await house();
  const ways: string[][] = [
    [`AUTH PLAIN ${plain(alice, 'wonder')}`],
    ['auth plain', plain(alice, 'wonder')],
    [`AUTH PLAIN ${plain('ALICE@our.test', 'wonder', 'alice@our.test')}`],
    ['AUTH LOGIN', base64(alice), base64('wonder')],
    [`AUTH LOGIN ${base64(alice)}`, base64('wonder')],
  ];
  for (const way of ways) {
    const c = await greeted(h, 'submissions');
    const codes: string[] = [];
    for (const line of way) codes.push(...(await c.codes(line)));
    expect(codes).toEqual([...way.slice(1).map(() => '334'), '235 2.7.0']);
    expect(await c.codes(`AUTH PLAIN ${plain(alice, 'wonder')}`, 'MAIL FROM:<alice@our.test>')).toEqual(['503 5.5.1', '250 2.1.0']);
  }
  const c = await greeted(h, 'submissions');
  expect(await c.say('AUTH LOGIN')).toBe('334 VXNlcm5hbWU6\r\n');
  expect(await c.say(base64(alice))).toBe('334 UGFzc3dvcmQ6\r\n');
  expect(await c.codes('*', 'MAIL FROM:<alice@our.test>')).toEqual(['501 5.7.0', '530 5.7.0']);
});

test.each([
  ['AUTH', '501 5.5.4'],
  ['AUTH GSSAPI', '504 5.5.4'],
  ['AUTH PLAIN =', '501 5.5.2'],
  ['AUTH PLAIN not*base64', '501 5.5.2'],
  [`AUTH PLAIN ${base64('no nul')}`, '501 5.5.2'],
  [`AUTH PLAIN ${plain(alice, '')}`, '501 5.5.2'],
  [`AUTH PLAIN ${plain(alice, 'wonder')} more`, '501 5.5.4'],
  [`AUTH PLAIN ${plain(alice, 'wrong')}`, '535 5.7.8'],
  [`AUTH PLAIN ${plain('nobody@our.test', 'wonder')}`, '535 5.7.8'],
  [`AUTH PLAIN ${plain('off@our.test', 'off')}`, '535 5.7.8'],
  [`AUTH PLAIN ${plain(alice, 'wonder', bob)}`, '535 5.7.8'],
  [`AUTH PLAIN ${'A'.repeat(20_000)}`, '500 5.5.2'],
])('%s is answered %s', async (line, code) => {
  const h = await house();
  const c = await greeted(h, 'submissions');
  expect(await c.codes(line)).toEqual([code]);
  expect(await c.codes('MAIL FROM:<alice@our.test>')).toEqual(['530 5.7.0']);
});

test('RFC 4954 §4: the response to a challenge may be 12,288 octets and no more', async () => {
  const h = await house();
  const c = await greeted(h, 'submissions');
  expect(await c.codes('AUTH PLAIN', 'A'.repeat(12_288))).toEqual(['334', '501 5.5.2']);
  expect(await c.codes('AUTH PLAIN', 'A'.repeat(12_289))).toEqual(['334', '500 5.5.6']);
  expect(codesOf(await c.raw(`AUTH PLAIN\r\n${plain(alice, 'wonder')}\n`))).toEqual(['334', '501 5.5.2']);
});

test('the fifth wrong password ends the session', async () => {
  const h = await house();
  const c = await greeted(h, 'submissions');
  const codes = await c.codes(...new Array<string>(8).fill(`AUTH PLAIN ${plain(alice, 'wrong')}`));
  for (let i = 0; i < 4; i++) codes.push(...(await c.codes('NOOP')).slice(0, 0));
  await c.session;
  expect([...codes, ...codesOf(await c.heardNow())]).toEqual([...new Array<string>(limits.smtpAuthTries).fill('535 5.7.8'), '421 4.7.0']);
});

test('no password reaches the log or a reply', async () => {
  const h = await house();
  const c = await greeted(h, 'submissions');
  let heard = await c.say(`AUTH PLAIN ${plain(alice, 'secret-wrong')}`);
  heard += await c.say(`AUTH PLAIN ${plain(alice, 'wonder')}`);
  await c.say('QUIT');
  const all = heard + JSON.stringify(h.world.logs);
  for (const secret of ['secret-wrong', 'wonder', plain(alice, 'wonder'), plain(alice, 'secret-wrong')]) expect(all).not.toContain(secret);
  expect(h.world.logged('auth.failed')[0]?.fields).toMatchObject({ login: alice, reason: 'credentials', remote: '192.0.2.7' });
});

test('RFC 6409 §6.1: the sender is one of the own addresses; the null reverse-path is for receipts', async () => {
  const h = await house();
  const c = await loggedIn(h);
  for (const [path, code] of [
    [alice, '250 2.1.0'],
    ['alice+lists@our.test', '250 2.1.0'],
    ['alice@also.test', '250 2.1.0'],
    ['both@our.test', '250 2.1.0'],
    ['', '250 2.1.0'],
    [bob, '550 5.7.1'],
    ['x@elsewhere.test', '550 5.7.1'],
    ['anything@all.test', '550 5.7.1'],
    ['"bob"@our.test', '550 5.7.1'],
  ])
    expect(await c.codes(`MAIL FROM:<${path}>`, 'RSET'), path).toEqual([code, '250 2.0.0']);
});

test('RFC 6409 §8: a submitted message gets Date and Message-ID, and goes out through the queue', async () => {
  const h = await house();
  const c = await loggedIn(h);
  expect(await c.codes(`MAIL FROM:<${alice}>`, 'RCPT TO:<far@remote.test>', 'RCPT TO:<Far@REMOTE.test>', `RCPT TO:<${bob}>`, 'DATA')).toEqual([
    '250 2.1.0',
    '250 2.1.5',
    '250 2.1.5',
    '250 2.1.5',
    '354',
  ]);
  expect(await c.codes('Subject: x', '', 'é', '.')).toEqual(['250 2.6.0']);
  const [text = ''] = h.folder(bob);
  expect(text).toMatch(/with ESMTPSA \(TLSv1\.3 FAKE\) id [0-9a-f.]+;\r\n\t.*\r\nDate: .* \+0000\r\nMessage-ID: <.*@mail\.our\.test>\r\nSubject: x\r\n/);
  const [queued] = h.queued();
  expect(queued?.recipients.map((r) => r.row.address)).toEqual(['far@remote.test', 'Far@REMOTE.test']);
  expect(queued?.row).toMatchObject({ envelopeFrom: alice, eightBit: true, smtputf8: false, skip: `Return-Path: <${alice}>\r\n`.length });
  await c.say(`MAIL FROM:<${alice}>`, 'RCPT TO:<far@remote.test>', 'DATA');
  await c.say('DATE: then', 'message-id: <mine@x>', '', 'x', '.');
  const second = h.queued()[1]?.row;
  expect(second).toMatchObject({ skip: 0, eightBit: false });
});

test('RFC 6531: SMTPUTF8 is passed on only where something needs it', async () => {
  const h = await house();
  const c = await loggedIn(h);
  const send = async (parameters: string, to: string, subject: string): Promise<boolean | undefined> => {
    await c.say(`MAIL FROM:<${alice}>${parameters}`, `RCPT TO:<${to}>`, 'DATA');
    expect(await c.codes(`Subject: ${subject}`, '', 'x', '.')).toEqual(['250 2.6.0']);
    return h.queued().at(-1)?.row.smtputf8;
  };
  expect(await send(' SMTPUTF8', 'a@remote.test', 'plain')).toBe(false);
  expect(await send(' SMTPUTF8', 'a@remote.test', 'grüße')).toBe(true);
  expect(await send(' SMTPUTF8', 'ä@remote.test', 'plain')).toBe(true);
  await c.say(`MAIL FROM:<${alice}>`);
  expect(await c.codes('RCPT TO:<ä@remote.test>')).toEqual(['553 5.6.7']);
});

test('an account that is disabled later submits no more', async () => {
  const h = await house();
  const c = await loggedIn(h);
  const view = h.site.view;
  const config = (await import('../../../storage/views.ts')).config(view)?.document;
  const accounts = config?.accounts.map((a) => (a.address === alice ? { ...a, enabled: false } : a));
  await h.store.ask('applyConfig', { now: h.world.now(), document: JSON.stringify({ ...config, accounts }) });
  expect(await c.codes(`MAIL FROM:<${alice}>`)).toEqual(['550 5.7.1']);
});

test('the demo takes passwords in clear from loopback, and from nowhere else', async () => {
  const h = await house();
  h.site.plaintextOnLoopback = true;
  for (const name of ['smtp', 'submission'] as const) {
    const here = await greeted(h, name, '127.0.0.1');
    expect(await here.say('EHLO x')).toMatch(/AUTH PLAIN LOGIN/);
    expect(await here.codes(`AUTH PLAIN ${plain(alice, 'wonder')}`, `MAIL FROM:<${alice}>`, 'RCPT TO:<far@remote.test>')).toEqual([
      '235 2.7.0',
      '250 2.1.0',
      '250 2.1.5',
    ]);
    const there = await greeted(h, name);
    expect(await there.codes(`AUTH PLAIN ${plain(alice, 'wonder')}`)).toEqual(['538 5.7.11']);
  }
});
