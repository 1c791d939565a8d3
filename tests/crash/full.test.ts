// Disk full: new mail is refused for now (452, NO [LIMIT]), reading goes on, and service returns by itself when there is room.

import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Imap, Smtp } from '../bench/lib/conn.ts';
import { messages } from '../clients/mailbox.ts';
import { must, run, until } from '../clients/programs.ts';
import { password, type Site, startSite, temporaryFolder } from '../clients/site.ts';

describe.skipIf(process.getuid?.() !== 0)('disk full', () => {
  let site: Site;
  let folder: string;
  let data: string;
  beforeAll(async () => {
    folder = temporaryFolder();
    data = join(folder, 'data');
    mkdirSync(data);
    await must(['mount', '-t', 'tmpfs', '-o', 'size=96m,mode=700', 'tmpfs', data]);
    site = await startSite({ data });
  });
  afterAll(async () => {
    await site.finish();
    await run(['umount', '-l', data]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Half a megabyte that compresses badly and is like no other. */
  const message = (i: number): Buffer => {
    const noise = Buffer.alloc(400_000);
    for (let at = 0, x = i * 2_654_435_761 + 1; at < noise.length; at += 4) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      noise.writeInt32LE(x, at);
    }
    return Buffer.from(
      `Subject: full-${i}\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n${noise.toString('base64').replace(/.{76}/g, '$&\r\n')}\r\n`,
    );
  };
  const send = async (i: number): Promise<number> => {
    const smtp = await Smtp.open(site.address, site.port('smtp'));
    try {
      return (await smtp.send('x@elsewhere.test', 'alice@example.test', message(i), Buffer.alloc(0))).code;
    } finally {
      smtp.close();
    }
  };
  const login = async (): Promise<Imap> => {
    const imap = await Imap.open(site.address, site.port('imaps'), true);
    await imap.login('alice@example.test', password);
    await imap.must('SELECT INBOX');
    return imap;
  };

  test('452 and NO [LIMIT] without room; reading goes on; room comes back and so does service', async () => {
    const filler = join(data, 'filler');
    const kept: number[] = [];
    for (let i = 0; i < 20; i++) if ((await send(i)) === 250) kept.push(i);
    expect(kept).toHaveLength(20);
    const { bavail, bsize } = statfsSync(data);
    writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - 3_000_000), 1));
    const codes: number[] = [];
    for (let i = 20; i < 60; i++) {
      const code = await send(i);
      codes.push(code);
      if (code === 250) kept.push(i);
    }
    expect(codes.slice(-10), `${codes}`).toEqual(new Array(10).fill(452));

    const imap = await login();
    const refused = await imap.append('INBOX', '', [message(1000)]);
    expect(refused.text).toMatch(/^NO \[LIMIT\]/);
    const read = await imap.must('FETCH 1:* (FLAGS BODY.PEEK[])');
    expect(read.fetches).toBe(kept.length);
    imap.close();

    rmSync(filler);
    await until('mail is taken again', async () => (await send(2_000)) === 250, 60_000, 100);
    kept.push(2_000);
    const again = await login();
    expect((await again.append('INBOX', '', [message(2_001)])).ok).toBe(true);
    kept.push(2_001);
    again.close();
    const subjects = (await messages(site, 'alice')).map((found) => found.subject);
    expect(new Set(subjects).size, 'each once').toBe(subjects.length);
    expect(subjects).toEqual(expect.arrayContaining(kept.map((i) => `full-${i}`)));
  });

  test('kill -9 while the disk is full: it starts, reads, and takes mail once there is room', async () => {
    const filler = join(data, 'filler');
    const { bavail, bsize } = statfsSync(data);
    writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - 65_536), 1));
    for (let i = 3_000; i < 3_005; i++) await send(i);
    await site.kill();
    await site.start();
    expect((await messages(site, 'alice')).length).toBeGreaterThan(0);
    rmSync(filler);
    await until('mail is taken again', async () => (await send(4_000)) === 250, 60_000, 100);
  });
});
