// What a message on its way in may hold of the memory, and what becomes of one for which there is no room.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { intakeMemory } from '../../../protocols/mime/memory.ts';
import { Incoming } from '../../../protocols/smtp/incoming.ts';
import { alice, type Client, type House, house } from './house.ts';

const line = Buffer.from(`X-Long: ${'y'.repeat(1_014)}\r\n`);
const inAll = limits.intakeMemory;

async function ready(h: House): Promise<Client> {
  const c = h.dial();
  await c.say('EHLO client.test');
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  return c;
}

test('B1: headers that do not end share the memory of all messages; 452 for those that find none, ordinary mail comes in', async () => {
  const h = await house();
  const { site } = h;
  const prefix = (): Uint8Array => Buffer.from('X: y\r\n');
  const slow: Incoming[] = [];
  while (slow.length < 500) {
    const message = new Incoming(site, prefix, false);
    slow.push(message);
    for (let i = 0; i < 300; i++) await message.write(line);
  }
  expect(intakeMemory(site.world)).toBeGreaterThan(inAll - limits.header);
  expect(intakeMemory(site.world)).toBeLessThanOrEqual(inAll + slow.length * limits.intakeFloor);
  const refused = slow.filter((m) => m.refusal !== null);
  expect(refused.length).toBeGreaterThan(300);
  expect(refused[0]?.refusal).toMatch(/^452 4\.3\.1 /);
  expect(await refused[0]?.finish()).toBeNull();

  const c = await ready(h);
  for (let i = 0; i < 12; i++) await c.raw(line);
  expect(await c.codes('Subject: small', '', 'x', '.')).toEqual(['250 2.6.0']);
  await c.say('MAIL FROM:<x@y.test>', `RCPT TO:<${alice}>`, 'DATA');
  for (let i = 0; i < 30; i++) await c.raw(line);
  expect(await c.codes('Subject: long', '', 'x', '.')).toEqual(['452 4.3.1']);
  expect(h.folder().length).toBe(1);

  for (const message of slow) message.abort();
  expect(intakeMemory(site.world)).toBe(0);
});

test('B1: a header is counted as it is gathered, and no more when the connection has ended', async () => {
  const h = await house();
  const c = await ready(h);
  for (let i = 0; i < 100; i++) await c.raw(line);
  expect(intakeMemory(h.world)).toBeGreaterThan(100 * line.length);
  c.end.destroy();
  await c.session;
  expect(intakeMemory(h.world)).toBe(0);
});

test.each([[''], [' NOTIFY=SUCCESS']])('B1: a message is counted until the store has answered (RCPT with%j)', async (notify) => {
  const h = await house();
  const held: number[] = [];
  h.ask = async (kind, message) => {
    held.push(intakeMemory(h.world));
    return h.store.ask(kind, message);
  };
  const c = h.dial();
  await c.say('EHLO client.test');
  await c.say('MAIL FROM:<bob@else.test>', `RCPT TO:<${alice}>${notify}`, 'DATA');
  expect(await c.codes(`Subject: x\r\n\r\n${'0123456789'.repeat(90)}\r\n.`)).toEqual(['250 2.6.0']);
  expect(held.length).toBeGreaterThan(0);
  expect(held.at(-1)).toBeGreaterThan(900);
  expect(intakeMemory(h.world)).toBe(0);
});
