// Real streams: plain, TLS, STARTTLS, and what breaks them.

import { createSecureContext } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { realWorld } from '../../../actors/platform.ts';
import { listenOn } from '../../../actors/sockets.ts';
import { acceptOn } from '../../../actors/stream.ts';
import type { Connection } from '../../../actors/world.ts';
import { LineReader } from '../../../protocols/reader.ts';
import { worker } from '../../../protocols/work.ts';

const world = realWorld(() => {});
const pem = async () => {
  const made = await worker.handle.selfSign({ world, running: 0, waiting: [] }, { host: 'mail.example.test' }, {} as never);
  if ('refused' in made) throw new Error('selfSign');
  return createSecureContext({ cert: made.certificatePem, key: made.keyPem });
};

async function pair(port: number, served: (c: Connection) => Promise<void>): Promise<Connection> {
  acceptOn(listenOn({ address: '127.0.0.1', port }), pem, (c) => void served(c));
  return world.connect({ address: '127.0.0.1', port }, { timeoutMs: 1000 });
}
const text = (bytes: Uint8Array | null | 'timeout') => (bytes instanceof Uint8Array ? Buffer.from(bytes).toString() : String(bytes));

describe('streams', () => {
  test('lines cross, TLS starts in the middle, and what was sent before it does not count after it', async () => {
    const client = await pair(20_125, async (c) => {
      const reader = new LineReader(c, world);
      const line = await reader.line(100, 1000);
      expect(line.kind === 'line' && text(line.bytes)).toBe('STARTTLS');
      expect(reader.buffered()).toBe(true); // EVIL came in the same packet
      reader.drop();
      c.write('220 go\r\n');
      await c.secureServer();
      const after = await reader.line(100, 1000);
      c.write(`250 ${after.kind === 'line' ? text(after.bytes) : after.kind}\r\n`);
      c.end();
    });
    client.write('STARTTLS\r\nEVIL\r\n');
    expect(text(await client.read())).toBe('220 go\r\n');
    await client.secureClient({ serverName: 'mail.example.test', verify: false });
    expect(client.tls?.protocol).toMatch(/TLSv1\.[23]/);
    client.write('GOOD\r\n');
    expect(text(await client.read())).toBe('250 GOOD\r\n');
    expect(await client.read()).toBeNull();
  });

  test('a peer that does not read stops the writer; one that does gets every octet', async () => {
    let most = 0;
    const total = 32 * 1024 * 1024;
    const client = await pair(20_126, async (c) => {
      const block = new Uint8Array(65_536).fill(65);
      for (let sent = 0; sent < total; sent += block.length) {
        c.write(block);
        most = Math.max(most, c.unsent);
        await c.drained();
      }
      c.end();
    });
    await world.sleep(100);
    let got = 0;
    for (;;) {
      const bytes = await client.read();
      if (bytes === null) break;
      got += bytes.length;
    }
    expect(got).toBe(total);
    expect(most).toBeLessThan(1024 * 1024);
  });

  test('a line over its limit is dropped as it comes; the next one is whole; a late one is told', async () => {
    const client = await pair(20_127, async (c) => {
      c.write(`${'x'.repeat(300_000)}\r\nshort\nlast`);
    });
    const reader = new LineReader(client, world);
    expect((await reader.line(1000, 1000)).kind).toBe('tooLong');
    expect(await reader.line(1000, 1000)).toMatchObject({ kind: 'line', ending: 'lf' });
    expect((await reader.line(1000, 50)).kind).toBe('timeout');
    expect(text(await reader.chunk(3, 1000))).toBe('las');
    client.destroy();
  });

  test('a handshake with garbage fails and closes, and nothing else happens', async () => {
    let failed = '';
    const client = await pair(20_128, async (c) => {
      await c.secureServer().catch((error) => {
        failed = String(error);
      });
    });
    client.write('not a client hello at all\r\n\r\n');
    while ((await client.read()) !== null);
    expect(failed).not.toBe('');
  });
});
