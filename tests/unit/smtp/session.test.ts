// The SMTP session against the real store: what is accepted, what is refused and how, and when 250 is said.

import { expect, test } from 'vitest';
import { LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { alice, bob, codesOf, greeted, house, settle } from './house.ts';

const letter = 'Subject: hi\r\nMessage-ID: <1@client.test>\r\n\r\nhello\r\n';

test('M1: a message from elsewhere is in the mailbox when 250 is said, with Return-Path and Received on top', async () => {
  const h = await house();
  const c = h.dial();
  expect(await c.heardNow()).toBe('220 mail.our.test ESMTP\r\n');
  expect(await c.say('EHLO client.test')).toMatch(/^250-mail\.our\.test\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n/);
  expect(await c.codes('MAIL FROM:<x@elsewhere.test>')).toEqual(['250 2.1.0']);
  expect(await c.codes(`RCPT TO:<${alice}>`)).toEqual(['250 2.1.5']);
  expect(await c.codes('DATA')).toEqual(['354']);
  expect(h.folder()).toEqual([]);
  expect(await c.raw(`${letter}.\r\n`)).toMatch(/^250 2\.6\.0 /);
  const [got = ''] = h.folder();
  expect(got).toMatch(/^Return-Path: <x@elsewhere\.test>\r\nReceived: from client\.test \(\[192\.0\.2\.7\]\)\r\n\tby mail\.our\.test with ESMTP id/);
  expect(got).toMatch(/ id [0-9a-f]{12}\.1\r\n\tfor <alice@our\.test>;\r\n\t.* \+0000\r\nSubject: hi/);
  expect(got.endsWith(letter)).toBe(true);
  expect(await c.codes('QUIT')).toEqual(['221 2.0.0']);
  await c.session;
  expect(h.world.logged('smtp.accepted')[0]?.fields).toMatchObject({ from: 'x@elsewhere.test', recipients: 1, messageId: '1@client.test', queue: 0 });
});

test('RFC 2920: replies to pipelined commands go out in one write, in order', async () => {
  const h = await house();
  const c = await greeted(h);
  c.writes = 0;
  const codes = await c.codes('MAIL FROM:<x@elsewhere.test>', `RCPT TO:<${alice}>`, 'RCPT TO:<nobody@our.test>', `RCPT TO:<${bob}>`, 'DATA');
  expect(codes).toEqual(['250 2.1.0', '250 2.1.5', '550 5.1.1', '250 2.1.5', '354']);
  expect(c.writes).toBe(1);
  expect(await c.codes('hi', '.', 'RSET', 'QUIT')).toEqual(['250 2.6.0', '250 2.0.0', '221 2.0.0']);
  expect(h.folder(alice)).toHaveLength(1);
  expect(h.folder(bob)).toHaveLength(1);
});

test('no open relay: what is not ours is refused to who has not logged in, in every spelling', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say('MAIL FROM:<alice@our.test>');
  for (const path of [
    'far@remote.test',
    '"far"@remote.test',
    'a@[192.0.2.1]',
    'a@[IPv6:::1]',
    '@our.test:far@remote.test',
    '@our.test,@also.test:far@remote.test',
    '"alice@our.test"@remote.test',
  ])
    expect(await c.codes(`RCPT TO:<${path}>`), path).toEqual(['550 5.7.1']);
  for (const path of ['far%remote.test@our.test', 'remote.test!far@our.test', '"far@remote.test"@our.test', 'nobody@our.test'])
    expect(await c.codes(`RCPT TO:<${path}>`), path).toEqual(['550 5.1.1']);
  for (const path of ['far@remote.test@our.test', 'far@our.test@remote.test']) expect(await c.codes(`RCPT TO:<${path}>`), path).toEqual(['501 5.1.3']);
  // a catch-all takes it for itself and passes nothing on
  expect(await c.codes('RCPT TO:<far%remote.test@all.test>', 'DATA')).toEqual(['250 2.1.5', '354']);
  await c.raw(`${letter}.\r\n`);
  expect(h.queued()).toEqual([]);
  expect(h.folder(alice)).toHaveLength(1);
});

test('recipients: aliases, alias domains, subaddresses, source routes, quotes; one copy for each mailbox', async () => {
  const h = await house();
  const c = await greeted(h);
  const paths = [
    alice,
    '"alice"@our.test',
    'ALICE@OUR.test',
    'alice@also.test',
    '@x.test:alice@our.test',
    'both@our.test',
    'alice+nofolder@our.test',
    'alice+junk@our.test',
    'mixed@our.test',
    'away@our.test',
  ];
  expect(await c.codes('MAIL FROM:<x@elsewhere.test>', ...paths.map((p) => `RCPT TO:<${p}>`), 'DATA')).toEqual([
    '250 2.1.0',
    ...paths.map(() => '250 2.1.5'),
    '354',
  ]);
  expect(await c.codes('Subject: one', '', 'text', '.')).toEqual(['250 2.6.0']);
  expect(h.folder(alice)).toHaveLength(1);
  expect(h.folder(bob)).toHaveLength(1);
  expect(h.folder(alice, 'Junk')).toHaveLength(1);
  const [queued] = h.queued();
  expect(h.queued()).toHaveLength(1);
  expect(queued?.recipients.map((r) => r.row.address)).toEqual(['far@remote.test']);
  // what goes out begins after Return-Path
  const [text = ''] = h.folder(alice);
  expect(text.slice(queued?.row.skip).startsWith('Received: from client.test')).toBe(true);
});

test('RFC 5321 §4.5.1: postmaster is taken with and without a domain', async () => {
  const h = await house();
  const c = await greeted(h);
  expect(
    await c.codes('MAIL FROM:<>', 'RCPT TO:<Postmaster>', 'RCPT TO:<postmaster@our.test>', 'RCPT TO:<postmaster@all.test>', 'RCPT TO:<postmaster@remote.test>'),
  ).toEqual(['250 2.1.0', '250 2.1.5', '250 2.1.5', '250 2.1.5', '550 5.7.1']);
});

test('a mailbox that is disabled or has no room says so at RCPT', async () => {
  const h = await house();
  const c = await greeted(h);
  expect(await c.codes('MAIL FROM:<x@y.test>', 'RCPT TO:<off@our.test>', 'RCPT TO:<small@our.test>', 'RSET')).toEqual([
    '250 2.1.0',
    '550 5.2.1',
    '250 2.1.5',
    '250 2.0.0',
  ]);
  expect(await c.codes('MAIL FROM:<x@y.test> SIZE=3000', 'RCPT TO:<small@our.test>')).toEqual(['250 2.1.0', '452 4.2.2']);
  // the last message may be larger than the room, as nobody said its size; the next one finds the mailbox full
  await c.say('RSET', 'MAIL FROM:<x@y.test>', 'RCPT TO:<small@our.test>', 'DATA');
  expect(await c.codes('Subject: long', '', 'x'.repeat(2_000), '.')).toEqual(['250 2.6.0']);
  expect(await c.codes('MAIL FROM:<x@y.test>', 'RCPT TO:<small@our.test>', `RCPT TO:<${alice}>`)).toEqual(['250 2.1.0', '452 4.2.2', '250 2.1.5']);
});

test('RFC 5321 §4.1.4: order', async () => {
  const h = await house();
  const c = h.dial();
  await c.heardNow();
  expect(await c.codes('MAIL FROM:<x@y.test>', 'RCPT TO:<x@y.test>', 'DATA', 'RSET', 'NOOP')).toEqual([
    '503 5.5.1',
    '503 5.5.1',
    '503 5.5.1',
    '250 2.0.0',
    '250 2.0.0',
  ]);
  expect(await c.codes('EHLO a', `RCPT TO:<${alice}>`, 'DATA', 'MAIL FROM:<x@y.test>', 'MAIL FROM:<x@y.test>', 'DATA')).toEqual([
    '250',
    '503 5.5.1',
    '503 5.5.1',
    '250 2.1.0',
    '503 5.5.1',
    '554 5.5.1',
  ]);
  // EHLO ends the transaction
  expect(await c.codes(`RCPT TO:<${alice}>`, 'EHLO a', 'DATA')).toEqual(['250 2.1.5', '250', '503 5.5.1']);
});

test.each([
  ['WONDER', '500 5.5.2'],
  ['', '500 5.5.2'],
  ['ETRN x', '502 5.5.1'],
  ['EXPN list', '502 5.5.1'],
  ['VRFY alice', '252 2.1.5'],
  ['HELP', '214 2.0.0'],
  ['NOOP whatever', '250 2.0.0'],
  ['RSET x', '501 5.5.4'],
  ['EHLO', '501 5.5.4'],
  ['MAIL', '501 5.5.4'],
  ['MAIL <x@y.test>', '501 5.5.4'],
  ['MAIL FROM: <x@y.test>', '250 2.1.0'],
  ['mail from:<>', '250 2.1.0'],
  ['MAIL FROM:x@y.test', '501 5.1.7'],
  ['MAIL FROM:<postmaster>', '501 5.1.7'],
  ['MAIL FROM:<x@y.test>SIZE=1', '501 5.5.4'],
  ['MAIL FROM:<x@y.test> WONDER', '555 5.5.4'],
  ['MAIL FROM:<x@y.test> SIZE=99999999', '552 5.3.4'],
  ['MAIL FROM:<x@y.test> BODY=BINARYMIME', '504 5.5.4'],
  ['MAIL FROM:<x@y.test> BODY=8BITMIME SIZE=100 RET=HDRS ENVID=a+2B AUTH=<>', '250 2.1.0'],
  ['MAIL FROM:<é@y.test>', '553 5.6.7'],
  ['MAIL FROM:<é@y.test> SMTPUTF8', '250 2.1.0'],
  ['EHLO é', '500 5.5.2'],
  ['AUTH PLAIN', '538 5.7.11'],
  ['NOOP \0', '500 5.5.2'],
  ['NOOP a\rNOOP', '500 5.5.2'],
  [`NOOP ${'x'.repeat(5_000)}`, '500 5.5.2'],
  [`NOOP ${'x'.repeat(500_000)}`, '500 5.5.2'],
])('%j is answered %s', async (line, code) => {
  const c = await greeted(await house());
  expect(await c.codes(line)).toEqual([code]);
  expect(await c.codes('NOOP')).toEqual(['250 2.0.0']);
});

test('bare LF in a command is no end of a line that counts', async () => {
  const h = await house();
  const c = await greeted(h);
  expect(codesOf(await c.raw('NOOP\nRSET\r\n'))).toEqual(['500 5.5.2', '250 2.0.0']);
});

test.each(['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r.\r\n', '\r\n.\r'])(
  'smuggling: data with %j is refused whole, and what follows is never a command',
  async (ending) => {
    const h = await house();
    const c = await greeted(h);
    await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
    const inner = `MAIL FROM:<evil@y.test>\r\nRCPT TO:<${alice}>\r\nDATA\r\nevil`;
    expect(await c.raw(`Subject: a\r\n\r\nb${ending}${inner}`)).toBe('');
    expect(await c.codes('', '.', 'NOOP')).toEqual(['550 5.6.11', '250 2.0.0']);
    expect(h.folder()).toEqual([]);
  },
);

test('RFC 5321 §4.5.2: dots, however the octets come', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  for (const octet of 'Subject: dots\r\n\r\n..one\r\n...two\r\n.\r\nQUIT\r\n') c.end.write(octet);
  expect(codesOf(await c.heardNow())).toEqual(['250 2.6.0', '221 2.0.0']);
  expect(h.folder()[0]).toMatch(/\r\n\r\n\.one\r\n\.\.two\r\n$/);
});

test('RFC 3030: BDAT in pieces, pipelined, with size zero and LAST', async () => {
  const h = await house();
  const c = await greeted(h);
  const text = 'MAIL FROM:<x@y.test>\r\nRCPT TO:<alice@our.test>\r\nBDAT 15\r\nSubject: abc\r\n\rBDAT 5\r\n\n.\r\n.BDAT 0\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n';
  expect(codesOf(await c.raw(text))).toEqual(['250 2.1.0', '250 2.1.5', '250 2.0.0', '250 2.0.0', '250 2.0.0', '250 2.6.0', '250 2.0.0']);
  expect(h.folder()[0]).toMatch(/Subject: abc\r\n\r\n\.\r\n\.\r\n$/);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`);
  expect(codesOf(await c.raw('BDAT 0 LAST\r\n'))).toEqual(['250 2.6.0']);
});

test('RFC 2920 §3.2: replies are not held back while the octets of BDAT are awaited', async () => {
  const h = await house();
  const c = await greeted(h);
  expect(codesOf(await c.raw('MAIL FROM:<x@y.test>\r\nRCPT TO:<alice@our.test>\r\nBDAT 3 LAST\r\n'))).toEqual(['250 2.1.0', '250 2.1.5']);
  expect(codesOf(await c.raw('a\r\n'))).toEqual(['250 2.6.0']);
});

test('RFC 3030 §2: the octets of a BDAT that is refused are no commands', async () => {
  const h = await house();
  const c = await greeted(h);
  expect(codesOf(await c.raw('BDAT 6\r\nQUIT\r\nNOOP\r\n'))).toEqual(['503 5.5.1', '250 2.0.0']);
  expect(codesOf(await c.raw('MAIL FROM:<x@y.test>\r\nRCPT TO:<nobody@our.test>\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n'))).toEqual([
    '250 2.1.0',
    '550 5.1.1',
    '554 5.5.1',
    '250 2.0.0',
  ]);
  // between two BDAT nothing else goes on but RSET
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`);
  expect(codesOf(await c.raw(`BDAT 3\r\na\r\nDATA\r\nRCPT TO:<${bob}>\r\nMAIL FROM:<>\r\nRSET\r\nBDAT 0 LAST\r\n`))).toEqual([
    '250 2.0.0',
    '503 5.5.1',
    '503 5.5.1',
    '503 5.5.1',
    '250 2.0.0',
    '503 5.5.1',
  ]);
  expect(h.folder()).toEqual([]);
});

test('a bare LF in BDAT is refused, chunk by chunk until the end of the message', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`);
  expect(codesOf(await c.raw('BDAT 3\r\na\nbBDAT 3\r\nabcBDAT 0 LAST\r\nNOOP\r\n'))).toEqual(['550 5.6.11', '550 5.6.11', '550 5.6.11', '250 2.0.0']);
});

test('BDAT that cannot be read ends the session: nobody knows where its octets end', async () => {
  const c = await greeted(await house());
  expect(codesOf(await c.raw('BDAT many\r\nNOOP\r\n'))).toEqual(['501 5.5.4']);
  await c.session;
});

test('limits: a header that is too large, a message that is too large, too many hops', async () => {
  const h = await house();
  const send = async (...chunks: string[]): Promise<string[]> => {
    const c = await greeted(h);
    await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
    for (const chunk of chunks) await c.raw(chunk);
    return c.codes('', '.');
  };
  const megabyte = `${`X: ${'x'.repeat(61)}\r\n`.repeat(1_024 * 16)}`;
  expect(await send(megabyte, 'X: y\r\n')).toEqual(['552 5.3.4']);
  expect(await send('Subject: x\r\n\r\n', ...new Array<string>(51).fill(megabyte))).toEqual(['552 5.3.4']);
  expect(await send('Received: x\r\n'.repeat(limits.receivedHops + 1))).toEqual(['554 5.4.6']);
  expect(await send('Received: x\r\n'.repeat(limits.receivedHops))).toEqual(['250 2.6.0']);
  expect(h.folder()).toHaveLength(1);
});

test('a text without a header gets ours as its own, and nothing of it becomes one', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  expect(await c.codes('just a text', '.')).toEqual(['250 2.6.0']);
  expect(h.folder()[0]).toMatch(/\+0000\r\n\r\njust a text\r\n$/);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  expect(await c.codes('.')).toEqual(['250 2.6.0']);
  expect(h.folder()[1]).toMatch(/\+0000\r\n$/);
});

test('10,000 recipients: as many as the limit are taken, the rest may come in another message', async () => {
  const h = await house();
  const c = await greeted(h);
  const codes = await c.codes('MAIL FROM:<x@y.test>', ...new Array<string>(10_000).fill(`RCPT TO:<${alice}>`));
  expect(codes.filter((code) => code === '250 2.1.5')).toHaveLength(limits.smtpRecipients);
  expect(codes.filter((code) => code === '452 4.5.3')).toHaveLength(10_000 - limits.smtpRecipients);
  expect(await c.codes('DATA')).toEqual(['354']);
  expect(await c.codes('x', '.')).toEqual(['250 2.6.0']);
  expect(h.folder()).toHaveLength(1);
});

test('who guesses, errs or idles too much is sent away with 421', async () => {
  const h = await house();
  const guessing = await greeted(h);
  await guessing.say('MAIL FROM:<x@y.test>');
  const guesses = await guessing.codes(...Array.from({ length: 100 }, (_v, i) => `RCPT TO:<guess${i}@our.test>`));
  expect(guesses).toHaveLength(limits.smtpBadRecipients + 1);
  expect(guesses.at(-1)).toBe('421 4.7.0'.slice(0, 9));
  const erring = await greeted(h);
  expect(await erring.codes(...new Array<string>(50).fill('WONDER'))).toHaveLength(limits.smtpErrors + 1);
  const idling = await greeted(h);
  expect((await idling.codes(...new Array<string>(1_000).fill('NOOP'))).at(-1)).toBe('421 4.7.0');
  const web = h.dial();
  expect(await web.codes('POST / HTTP/1.1', 'Host: x', '', 'MAIL FROM:<x@y.test>')).toEqual(['220', '421 4.7.0']);
  for (const c of [guessing, erring, idling, web]) await c.session;
});

test('slow-loris: commands and data have their time', async () => {
  const h = await house();
  const silent = await greeted(h);
  await h.world.advance(limits.smtpCommandTimeoutMs + 1);
  expect(await silent.heardNow()).toMatch(/^421 4\.4\.2 /);
  await silent.session;
  const dripping = await greeted(h);
  for (let i = 0; i < 40 && !dripping.closed; i++) {
    dripping.end.write('x');
    await h.world.advance(10_000);
  }
  expect(await dripping.heardNow()).toMatch(/^421 4\.4\.2 /);
  const data = await greeted(h);
  await data.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  for (let i = 0; i < 40 && !data.closed; i++) {
    data.end.write('x');
    await h.world.advance(10_000);
  }
  expect(await data.heardNow()).toMatch(/^421 4\.4\.2 .*too slowly/);
  await data.session;
  expect(h.folder()).toEqual([]);
});

test('a connection that ends in the middle leaves nothing', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA', 'Subject: half');
  c.end.destroy();
  await c.session;
  expect(h.folder()).toEqual([]);
});

test.each([
  ['full', '452 4.3.1'],
  ['overQuota', '452 4.2.2'],
  ['noSuchAccount', '451 4.3.0'],
  ['busy', '451 4.3.2'],
  ['lost', '451 4.3.0'],
])('M1: the store says %s, so the reply is %s, and the next message is taken', async (refused, code) => {
  const h = await house();
  const c = await greeted(h);
  h.ask = async (kind, message) => {
    if (kind !== 'deliver') return h.store.ask(kind, message);
    if (refused === 'lost') throw new LinkLost('store');
    return { refused, detail: '' };
  };
  const send = async (): Promise<string[]> => {
    await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
    return c.codes('Subject: x', '', 'x', '.');
  };
  expect(await send()).toEqual([code]);
  expect(h.folder()).toEqual([]);
  h.ask = null;
  expect(await send()).toEqual(['250 2.6.0']);
  expect(h.folder()).toHaveLength(1);
});

test('M1: no 250 before the store has answered', async () => {
  const h = await house();
  const c = await greeted(h);
  let go: () => void = () => {};
  const gate = new Promise<void>((open) => {
    go = open;
  });
  h.ask = async (kind, message) => {
    if (kind === 'deliver') await gate;
    return h.store.ask(kind, message);
  };
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  expect(await c.say('Subject: x', '', 'x', '.')).toBe('');
  await settle(20);
  expect(await c.heardNow()).toBe('');
  go();
  expect(await c.heardNow()).toMatch(/^250 2\.6\.0/);
});

test('RFC 3461: DSN parameters go with the message; success here is reported in the same commit', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say(
    `MAIL FROM:<${bob}> RET=HDRS ENVID=id+2B1`,
    `RCPT TO:<${alice}> NOTIFY=SUCCESS ORCPT=rfc822;a+2Bb@y.test`,
    'RCPT TO:<away@our.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;z@y.test',
    'DATA',
  );
  expect(await c.codes('Subject: wanted', '', 'x', '.')).toEqual(['250 2.6.0']);
  const [notice = ''] = h.folder(bob);
  expect(notice).toMatch(/Action: delivered/);
  expect(notice).toMatch(/Original-Envelope-Id: id\+1/);
  expect(notice).toMatch(/Original-Recipient: rfc822;a\+b@y\.test/);
  expect(notice).toMatch(/Subject: wanted/);
  const [queued] = h.queued();
  expect(queued?.row).toMatchObject({ ret: 'HDRS', envid: 'id+2B1', envelopeFrom: bob });
  expect(queued?.recipients[0]?.row).toMatchObject({ notify: 12, orcpt: 'rfc822;z@y.test' });
});

test('a message is streamed: 20 MB through a small window', async () => {
  const h = await house();
  const c = await greeted(h);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  const line = `${'x'.repeat(76)}\r\n`;
  const block = line.repeat(800);
  await c.raw('Subject: big\r\n\r\n');
  for (let i = 0; i < 320; i++) c.end.write(block);
  let heard = await c.raw('.\r\n');
  for (let i = 0; i < 500 && heard === ''; i++) heard = await c.heardNow();
  expect(heard).toMatch(/^250/);
  expect(h.folder()[0]?.length).toBeGreaterThan(320 * block.length);
});
