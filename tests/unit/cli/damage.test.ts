// Damage in the file of a real site: the scrub finds it at the first start and mends it while the site serves; what it
// cannot mend is in the log, in `status` and in `check`.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLmdb } from '../../../storage/engines/lmdb.ts';
import { migrate } from '../../../storage/migrate.ts';
import { encodeKey } from '../../../storage/rows.ts';
import { mailboxByName } from '../../../storage/views.ts';
import { look } from '../../upgrade/look.ts';
import { serve } from '../../upgrade/program.ts';
import { testWorld } from '../storage/fixture.ts';
import { executable, mailsite, temporary } from './program.ts';

test('damage in the file is mended while the site serves, and what cannot be is named', async () => {
  const data = join(temporary(), 'data');
  mkdirSync(data, { mode: 0o700 });
  const old = join(import.meta.dirname, '../../upgrade/0.1.0');
  writeFileSync(join(data, 'mail.lmdb'), Bun.zstdDecompressSync(readFileSync(join(old, 'mail.lmdb.zst'))));
  const golden = JSON.parse(readFileSync(join(old, 'golden.json'), 'utf8')) as { accounts: { address: string; password: string; folders: unknown[] }[] };
  const engine = openLmdb(join(data, 'mail.lmdb'));
  await migrate(testWorld(), engine, async () => () => {});
  const archive = mailboxByName(engine, 1, 'Archive');
  const names = [
    encodeKey('info', { blob: 1 }),
    encodeKey('mailboxName', { account: 1, name: 'INBOX' }),
    encodeKey('address', { address: 'info@example.test' }),
    encodeKey('page', { mailbox: archive?.id ?? 0, page: 0 }),
  ];
  // cut: rows of 0.1.0 have no checksum
  await engine.commit(names.map((name) => [name, Uint8Array.from(engine.get(name) as Uint8Array).slice(0, -3)]));
  await engine.close();
  expect(mailsite(['check', '--data', data]).code).toBe(1);
  expect(mailsite(['status', '--data', data]).code).toBe(0);

  const serving = await serve(executable, data);
  try {
    const scrubbed = (): { damage: { table: string }[]; scrubbedAt: number | null } => JSON.parse(mailsite(['status', '--json', '--data', data]).out);
    // mends come one by one, with pauses, and then the digest is counted anew
    const settled = (): boolean =>
      scrubbed().scrubbedAt !== null && scrubbed().damage.length === 1 && !/counted anew/.test(mailsite(['check', '--data', data]).errors.join());
    for (let tries = 0; !settled(); tries++) {
      expect(tries, 'scrubbed and mended within 20 s').toBeLessThan(100);
      await Bun.sleep(200);
    }
    expect(scrubbed().damage.map((d) => d.table)).toEqual(['page']);
    expect(mailsite(['status', '--data', data]).out).toContain('1 row cannot be mended yet');
    const [alice, bob] = golden.accounts as [(typeof golden.accounts)[0], (typeof golden.accounts)[0]];
    const seen = await look(serving.offset + 993, alice);
    const others = (folders: readonly unknown[]) => folders.filter((f) => (f as { path: string }).path !== 'Archive');
    expect(others(seen)).toEqual(others(alice.folders));
    expect(await look(serving.offset + 993, bob)).toEqual(bob.folders);
  } finally {
    await serving.kill();
  }
  const { code, errors } = mailsite(['check', '--deep', '--data', data]);
  expect(code).toBe(1);
  expect(errors.filter((line) => line.includes('is damaged and not mended'))).toHaveLength(1);
  expect(errors.join()).not.toMatch(/info|mailboxName|address|D1/);
}, 60_000);
