// What strangers send is held up to its limit only, whether they say how long it is or not.

import net from 'node:net';
import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { bodyWithin } from '../../../uplink/portal/body.ts';
import { openSession } from '../../../uplink/portal/uplink/session.ts';
import { house } from './house.ts';

/** Gives chunks for as long as somebody takes them. */
function endless(chunk: number): { readonly stream: ReadableStream<Uint8Array>; given(): number; cancelled(): boolean } {
  let given = 0;
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      given += chunk;
      controller.enqueue(new Uint8Array(chunk));
    },
    cancel() {
      cancelled = true;
    },
  });
  return { stream, given: () => given, cancelled: () => cancelled };
}
const requestOf = (body: ReadableStream<Uint8Array> | string | null): Request => new Request('http://portal.test/', { method: 'POST', body });

test('a body without an end is given up at the limit', async () => {
  const body = endless(1_000);
  expect(await bodyWithin(requestOf(body.stream), 10_000)).toBeNull();
  expect(body.given()).toBeLessThan(20_000);
  expect(body.cancelled()).toBe(true);
});

test('a body within the limit is whole', async () => {
  expect(Buffer.from((await bodyWithin(requestOf('héllo'), 6)) ?? []).toString()).toBe('héllo');
  expect(await bodyWithin(requestOf('héllo'), 5)).toBeNull();
  expect(await bodyWithin(requestOf(null), 5)).toHaveLength(0);
});

/** Sends a chunked POST until it is answered or closed. Returns the octets sent, and the first line of the answer. */
function pour(port: number, path: string, host: string, most: number): Promise<{ sent: number; line: string }> {
  return new Promise((resolve) => {
    const chunk = `4000\r\n${'a'.repeat(0x4000)}\r\n`;
    let [sent, line, ended] = [0, '', false];
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nX-Mailsite: 1\r\nOrigin: http://${host}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      more();
    });
    const more = (): void => {
      while (!ended && line === '' && sent < most) {
        sent += 0x4000;
        if (!socket.write(chunk)) return void socket.once('drain', more);
      }
    };
    const end = (): void => {
      ended = true;
      socket.destroy();
      resolve({ sent, line });
    };
    socket.on('data', (octets) => {
      line ||= octets.toString().split('\r\n')[0] ?? '';
      end();
    });
    socket.on('error', end);
    socket.on('close', end);
  });
}

test.each([
  ['/api/v1/session', /413/],
  ['/v1/enroll', /400/],
  ['/v1/grant', /400/],
])('a chunked body to %s is refused before it has ended', async (path, answer) => {
  const { url } = await house();
  const { sent, line } = await pour(Number(new URL(url).port), path, new URL(url).host, 32 * 1024 * 1024);
  expect(line).toMatch(answer);
  expect(sent).toBeLessThan(16 * 1024 * 1024);
});

test('a session whose frames nobody takes ends before they fill the memory', async () => {
  const { portal } = await house();
  let closed = false;
  const never = { ...portal, records: { ...portal.records, get: () => new Promise<never>(() => {}) } };
  const session = openSession(never, { send: () => {}, close: () => void (closed = true) });
  const frame = 'x'.repeat(limits.uplinkFrame);
  for (let n = 0; n < limits.uplinkWaitingText / limits.uplinkFrame; n++) session.hear(frame);
  expect(closed).toBe(false);
  session.hear(frame);
  expect(closed).toBe(true);
});
