// What a client of IMAP can make us hold: messages that are all header, and messages on their way in.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { encodeKey } from '../../../storage/rows.ts';
import type { Engine } from '../../../storage/engine.ts';
import { intakeMemory } from '../../../protocols/mime/memory.ts';
import { type Client, type House, house } from './house.ts';
import { freshEngine } from '../engine.ts';

const MiB = 1024 * 1024;
const field = `X-Long: ${'y'.repeat(990)}\r\n`;
const filler = (octets: number): string => field.repeat(Math.ceil(octets / field.length));
const chunkTag = encodeKey('chunk', { blob: 1, n: 0 })[0];

/** A site that counts the chunks which are read. */
async function counting(): Promise<{ h: House; c: Client; read: () => number }> {
  const engine = await freshEngine();
  let chunks = 0;
  const count = (key: Uint8Array): void => void (chunks += key[0] === chunkTag ? 1 : 0);
  const counted = new Proxy(engine, {
    get(target, name) {
      const own = Reflect.get(target, name, target) as unknown;
      if (name !== 'get' && name !== 'peek') return typeof own === 'function' ? own.bind(target) : own;
      return (key: Uint8Array) => {
        count(key);
        return (own as (key: Uint8Array) => unknown).call(target, key);
      };
    },
  }) as Engine;
  const h = await house(counted);
  const c = await h.dial().login();
  return {
    h,
    c,
    read() {
      const was = chunks;
      chunks = 0;
      return was;
    },
  };
}

/** A chunk is read twice where two pieces of a body meet. */
const most = Math.ceil(limits.header / limits.chunk) + limits.header / limits.readChunk + 5;

test.each([
  ['that is all header', 'Subject: kept\r\n', '', 'BODY.PEEK[HEADER.FIELDS (SUBJECT LAST)]'],
  [
    'that encloses one',
    'Content-Type: multipart/x; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: kept\r\n',
    '\r\nbody\r\n--x--\r\n',
    'BODY.PEEK[1.HEADER.FIELDS (SUBJECT LAST)]',
  ],
])('B1: of a message %s, fields are looked for in limits.header octets', async (_name, head, tail, item) => {
  const { h, c, read } = await counting();
  await c.append('INBOX', `${head}${filler(4 * MiB)}Last: cut\r\n${tail}`);
  await c.say('SELECT INBOX');
  read();
  const told = await c.say(`FETCH 1 ${item}`);
  expect(told).toContain('Subject: kept\r\n\r\n');
  expect(told).not.toContain('Last:');
  expect(read()).toBeLessThan(most);
  expect(h.crashed).toEqual([]);
});

test('B1: SEARCH looks at limits.header octets of a header, of the message and of its parts', async () => {
  const { c, read } = await counting();
  const part = (text: string): string => `--x\r\nX-Name: ${text}\r\n${filler(3 * MiB)}X-Last: cut\r\nContent-Type: a/b\r\n\r\nbody\r\n`;
  await c.append('INBOX', `Content-Type: multipart/mixed; boundary=x\r\n\r\n${part('one')}${part('two')}--x--\r\n`);
  await c.append('INBOX', `Subject: whole\r\n${filler(3 * MiB)}Last: cut\r\n`);
  await c.say('SELECT INBOX');
  read();
  expect(await c.say('SEARCH SUBJECT whole')).toContain('* SEARCH 2\r\n');
  expect(await c.say('SEARCH HEADER LAST cut')).toContain('* SEARCH\r\n');
  expect(read()).toBeLessThan(3 * most);
  expect(await c.say('SEARCH TEXT two')).toContain('* SEARCH 1\r\n');
  expect(read()).toBeLessThan(5 * most);
});

test('the whole header is told where it is asked for, and the fields of many items wait for the client', async () => {
  const { c, h } = await counting();
  const text = `${filler(2 * MiB)}Last: here\r\n`;
  await c.append('INBOX', text);
  await c.say('SELECT INBOX');
  const told = await c.say('FETCH 1 BODY.PEEK[HEADER]');
  expect(told).toContain(`{${text.length}}`);
  expect(told).toContain('Last: here');
  c.paused = true;
  let unsent = 0;
  const items = Array.from({ length: 20 }, (_, i) => `BODY.PEEK[HEADER.FIELDS.NOT (A${i})]`);
  const telling = c.say(`FETCH 1 (${items.join(' ')})`);
  for (let i = 0; i < 20; i++) {
    await new Promise((done) => setTimeout(done, 5));
    unsent = Math.max(unsent, c.server.unsent);
  }
  expect(unsent).toBeGreaterThan(0);
  expect(unsent).toBeLessThan(limits.imapUnsent + 2 * limits.header);
  c.paused = false;
  expect((await telling).length).toBeGreaterThan(20 * (limits.header - field.length));
  expect(h.crashed).toEqual([]);
});

test('B1: a message that is appended is counted until the store has answered', async () => {
  const h = await house();
  const c = await h.dial().login();
  const held: number[] = [];
  for (const refused of [false, true]) {
    h.ask = async (kind, message) => {
      if (kind === 'append') held.push(intakeMemory(h.site.world));
      if (kind === 'append' && refused) return { refused: 'full', detail: '' } as never;
      return h.store.ask(kind, message);
    };
    expect(await c.append('INBOX', `Subject: x\r\n\r\n${'0123456789'.repeat(90)}`)).toContain(refused ? ' NO ' : ' OK ');
    expect(intakeMemory(h.site.world)).toBe(0);
  }
  expect(held.length).toBe(2);
  for (const octets of held) expect(octets).toBeGreaterThan(900);
});
