// Damage harms what it touches and nothing else: over real sessions, with the store, IMAP and SMTP as they are.

import { beforeEach, expect, test } from 'vitest';
import { encodeKey, type Key } from '../../../storage/rows.ts';
import { contentOf } from '../../../protocols/mime/intake.ts';
import type { TableName } from '../../../storage/schema.ts';
import { mailboxByName, page, queued } from '../../../storage/views.ts';
import { deliver, type House, house, message } from './house.ts';
import type { Engine } from '../../../storage/engine.ts';

let h: House;
let inbox: number;
beforeEach(async () => {
  h = await house();
  inbox = mailboxByName(h.engine, h.account(), 'INBOX')?.id ?? 0;
});

async function flip<N extends TableName>(table: N, key: Key<N>): Promise<void> {
  const name = encodeKey(table, key);
  const stored = Uint8Array.from(h.engine.get(name) as Uint8Array);
  stored[stored.length - 1] = (stored.at(-1) as number) ^ 16;
  await (h.engine as Engine).commit([[name, stored]]);
}
const blobOf = (uid: number): number => page(h.engine, inbox, Math.floor(uid / 32)).find((e) => e.uid === uid)?.blob ?? 0;
const lines = (text: string, pattern: RegExp): string[] => text.split('\r\n').filter((line) => pattern.test(line));

test('FETCH tells all but the message whose info is damaged, says so, and the session goes on', async () => {
  await deliver(
    h,
    ['one', 'two', 'three'].map((subject) => message(subject)),
  );
  await flip('info', { blob: blobOf(2) });
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  const reply = await c.say('FETCH 1:3 (FLAGS ENVELOPE)');
  expect(lines(reply, /^\* \d FETCH \(.*ENVELOPE .*\)$/).map((l) => l.slice(0, 9))).toEqual(['* 1 FETCH', '* 3 FETCH']);
  expect(reply).toMatch(/NO \[SERVERBUG\] Some of the messages are damaged/);
  // what needs no info is told, the body too
  expect(lines(await c.say('FETCH 1:3 (FLAGS RFC822.SIZE)'), /^\* /).length).toBe(3);
  expect(await c.say('FETCH 2 BODY.PEEK[TEXT]')).toMatch(/Hello[\s\S]* OK/);
  expect(await c.say('NOOP')).toContain('OK');
  expect(h.crashed).toEqual([]);
});

test('FETCH tells all but the body that does not open', async () => {
  await deliver(
    h,
    ['one', 'two', 'three'].map((subject) => message(subject, 'a long and even line of text\r\n'.repeat(400))),
  );
  const name = encodeKey('chunk', { blob: blobOf(2), n: 1 });
  await (h.engine as Engine).commit([[name, new Uint8Array([1, 2, 3])]]);
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  const reply = await c.say('FETCH 1:3 (UID BODY.PEEK[TEXT]<0.10>)');
  expect(lines(reply, /FETCH \(UID/).map((l) => l.slice(0, 9))).toEqual(['* 1 FETCH', '* 3 FETCH']);
  expect(reply).toContain('NO [SERVERBUG]');
  expect(await c.say('FETCH 2 (ENVELOPE)')).toContain(' OK');
  expect(h.crashed).toEqual([]);
});

test('a damaged page hides its messages and no others', async () => {
  await deliver(
    h,
    Array.from({ length: 40 }, (_, i) => message(`m${i}`)),
  );
  await flip('page', { mailbox: inbox, page: 0 });
  const c = await h.dial().login();
  expect(await c.say('SELECT INBOX')).toMatch(/\* 9 EXISTS/); // 32 to 40
  expect(lines(await c.say('UID FETCH 1:* (FLAGS)'), /FETCH/).length).toBe(9);
  expect(await c.say('UID STORE 33 +FLAGS.SILENT (\\Seen)')).toContain(' OK');
  expect(await c.say('UID STORE 1 +FLAGS.SILENT (\\Seen)')).toMatch(/ (OK|NO)/);
  await deliver(h, [message('new')]);
  expect(await c.say('NOOP')).toMatch(/\* 10 EXISTS[\s\S]* OK/);
  expect(h.crashed).toEqual([]);
});

test.each([
  ['mailbox', () => ({ account: h.account(), mailbox: inbox })],
  ['account', () => ({ account: h.account() })],
  ['mailboxName', () => ({ account: h.account(), name: 'INBOX' })],
  ['address', () => ({ address: 'alice@our.test' })],
] as const)('a damaged row of %s ends no session and no store: others are served', async (table, keyOf) => {
  await deliver(h, [message('one')]);
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  await flip(table, keyOf() as never);
  for (const command of ['STATUS INBOX (MESSAGES)', 'STORE 1 +FLAGS (\\Seen)', 'COPY 1 Archive', 'EXPUNGE', 'LIST "" *', 'SELECT INBOX', 'NOOP']) {
    expect(await c.say(command), command).toMatch(/t\d+ (OK|NO)/);
  }
  expect(await c.append('INBOX', message('two'))).toMatch(/ (OK|NO \[SERVERBUG\])/);
  const other = await h.dial().login('bob');
  expect(await other.append('INBOX', message('for bob'))).toContain(' OK');
  expect(await other.say('SELECT INBOX')).toMatch(/\* 1 EXISTS[\s\S]* OK/);
  expect(h.crashed).toEqual([]);
});

test('SEARCH and LIST leave out what is damaged, and find the rest', async () => {
  await deliver(
    h,
    ['one', 'two', 'three'].map((subject) => message(subject)),
  );
  await flip('info', { blob: blobOf(2) });
  const broken = mailboxByName(h.engine, h.account(), 'Archive')?.id ?? 0;
  await flip('mailbox', { account: h.account(), mailbox: broken });
  const c = await h.dial().login();
  await c.say('SELECT INBOX');
  expect(await c.say('SEARCH FROM ann')).toMatch(/\* SEARCH 1 (2 )?3\r\n[\s\S]* OK/);
  const listed = await c.say('LIST "" *');
  expect(listed).toMatch(/INBOX[\s\S]* OK/);
  expect(listed).not.toContain('Archive');
  expect(h.crashed).toEqual([]);
});

test('a recipient whose row is damaged holds up no other', async () => {
  const now = h.site.world.now();
  const content = contentOf(Buffer.from(message('out')));
  const remote = ['x@one.test', 'y@two.test'].map((address) => ({ address, notify: 0, orcpt: '' }));
  const mail = {
    envelopeFrom: 'alice@our.test',
    content,
    local: [],
    remote,
    ret: '',
    envid: '',
    smtputf8: false,
    eightBit: false,
    skip: 0,
    account: 0,
    origin: { session: '', ip: '', helo: 'client.test', tls: '', named: [] },
  } as const;
  await h.store.ask('deliver', { now, expiryMs: 1_000, mails: [mail] });
  await flip('queueRecipient', { queue: 1, n: 0 });
  const claimed = await h.store.ask('claimQueue', { now, leaseMs: 1_000, limit: 10, skipDomains: [] });
  expect(claimed).toMatchObject({ due: [{ queue: 1, n: 1, domain: 'two.test' }] });
  expect(queued(h.engine, 1)?.recipients.map((r) => r.n)).toEqual([1]);
});

test('the store refuses a command that meets damage, whole, and goes on', async () => {
  await deliver(
    h,
    ['one', 'two'].map((subject) => message(subject)),
    'INBOX',
    8,
  );
  await flip('blob', { blob: blobOf(1) });
  const ask = { account: h.account(), mailbox: inbox, uids: [1, 2] };
  expect(await h.store.ask('expunge', ask)).toMatchObject({ refused: 'damaged' });
  expect(await h.store.ask('expunge', { ...ask, uids: [2, 2] })).toMatchObject({ expunged: [2, 2] });
  expect(h.crashed).toEqual([]);
});
