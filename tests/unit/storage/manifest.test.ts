// The list of RocksDB's files after a loss of power, and after damage: a torn end is cut off, and all is there; nothing that
// was whole once is.

import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLsm } from '../../../storage/engines/lsm.ts';
import { cutTornEnd } from '../../../storage/engines/manifest.ts';

let folder: string;
let site: string;
beforeEach(() => {
  folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'manifest-'));
  site = join(folder, 'site');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const key = (n: number): Uint8Array => new Uint8Array([1, n]);
/** Opens the engine in `path`, and tells which keys it has, after `then`. */
async function keysIn(path: string, then: (engine: Awaited<ReturnType<typeof openLsm>>) => Promise<void> = async () => {}): Promise<number[]> {
  const engine = await openLsm(path);
  try {
    await then(engine);
    return [...engine.keys(key(0), key(255))].map((k) => k[1] as number);
  } finally {
    await engine.close();
  }
}
/** Three lives: what the first two committed is in tables, `last` of the third in the log. */
async function live(last: boolean): Promise<number[]> {
  for (const n of [1, 2]) await keysIn(site, (engine) => engine.commit([[key(n), key(n)]]));
  return keysIn(site, (engine) => (last ? engine.commit([[key(3), key(3)]]) : Promise.resolve()));
}
const manifest = (path: string): string => join(path, readdirSync(path).find((name) => name.startsWith('MANIFEST')) as string);

// what was seen: the size grown, and of the sectors some
test.each([
  ['nothing but its beginning', [1, 2, 3, 4, 200, 0, 1, 9]],
  ['noughts for its end', [1, 2, 3, 4, 200, 0, 1, 9, 0, 3, ...new Array(198).fill(0)]],
  ['its beginning lost', [...new Array(100).fill(0), 7, 7, 7]],
  ['garbage', new Array(300).fill(0xa5)],
])('M1: a change of the list that was not synced, of which there is %s, is as if it had not been', async (_what, octets) => {
  for (const last of [true, false]) {
    const wanted = await live(last);
    expect(wanted).toEqual(last ? [1, 2, 3] : [1, 2]);
    appendFileSync(manifest(site), new Uint8Array(octets));
    expect(await keysIn(site)).toEqual(wanted);
    expect(await keysIn(site)).toEqual(wanted);
    rmSync(site, { recursive: true });
  }
});

test.each([true, false])(
  'M1: of a list in which an octet is damaged nothing is cut off that is needed (a commit since: %s)',
  async (last) => {
    const wanted = await live(last);
    const octets = readFileSync(manifest(site));
    const copy = join(folder, 'copy');
    let refused = 0;
    for (let at = 0; at < octets.length; at++) {
      cpSync(site, copy, { recursive: true, filter: (name) => !name.endsWith('ballast') });
      const damaged = Uint8Array.from(octets);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      writeFileSync(manifest(copy), damaged);
      if (cutTornEnd(copy)) expect(await keysIn(copy), `octet ${at} of ${octets.length}`).toEqual(wanted);
      else refused++;
      rmSync(copy, { recursive: true });
    }
    expect(refused).toBeGreaterThan(octets.length / 2);
  },
  120_000,
);
