// Parking at once, for who asks: it is done when all that there was then is parked, and otherwise there is a reason why not.

import { expect, test } from 'vitest';
import { getRow } from '../../../storage/rows.ts';
import { manifestNames } from '../../../storage/snapshot/manifest.ts';
import { parkForever } from '../../../storage/snapshot/parking.ts';
import { PlaceError } from '../../../storage/snapshot/place.ts';
import { contentOf, documentOf, mailOf, testStore } from '../storage/fixture.ts';
import { Shelf } from './shelf.ts';

/** A place where nothing comes through, or comes through late. */
class Away extends Shelf {
  away = '';
  gate: Promise<void> = Promise.resolve();

  override async put(name: string, octets: Uint8Array): Promise<void> {
    await this.gate;
    if (this.away === 'crash') throw new Error('nobody foresaw this');
    if (this.away !== '') throw new PlaceError(this.away);
    return super.put(name, octets);
  }
}

/** A site that parks; time does not pass. Its view is of the commit of the last `refresh`, as in another process. */
async function parking(to: string | null) {
  const store = await testStore({ document: documentOf(to === null ? {} : { snapshots: { to, everySeconds: 3_600, s3: null } }) });
  const { engine } = store;
  let pinned = engine.snapshot();
  const view = new Proxy(engine, {
    get(_, name) {
      if (name === 'refresh')
        return () => {
          pinned = engine.snapshot();
        };
      const from = name === 'snapshot' ? engine : pinned;
      const found = Reflect.get(from, name);
      return typeof found === 'function' ? found.bind(from) : found;
    },
  });
  const shelf = new Away();
  let now = (): Promise<void> => Promise.reject(new Error('not yet'));
  const running = parkForever({
    world: Object.assign(store.world, { after: () => ({ cancel() {} }), sleep: () => new Promise<void>(() => {}) }),
    store: store.address,
    view,
    open: async () => shelf,
    hurry: (how) => {
      now = how;
    },
  });
  running.catch(() => {});
  const deliver = (n: number) => store.ok('deliver', { mails: [mailOf(contentOf(`mail ${n}`, 3_000), [[1, 'INBOX']])] } as never);
  const commit = (): number => getRow(engine, 'site', {})?.commit ?? 0;
  const newest = async (): Promise<number> => Number((await manifestNames(shelf)).at(-1)?.slice(-16) ?? 0);
  return { shelf, running, deliver, commit, newest, now: () => now() };
}

test('M1: who asks waits until what there was is parked; the first snapshot of a site makes its keys', async () => {
  const { deliver, now, commit, newest, shelf } = await parking('/parked');
  await deliver(1);
  await now();
  expect(await newest()).toBe(commit());
  await deliver(2);
  let open = (): void => {};
  shelf.gate = new Promise((done) => {
    open = done;
  });
  const first = now();
  await Bun.sleep(20);
  // this one came after the first had begun
  await deliver(3);
  const last = commit();
  const second = now();
  let over = false;
  void first.then(() => {
    over = true;
  });
  await Bun.sleep(20);
  expect(over).toBe(false);
  open();
  await first;
  expect(await newest()).toBeLessThan(last);
  await second;
  expect(await newest()).toBe(last);
});

test('where nothing is parked there is a reason', async () => {
  const nowhere = await parking(null);
  await expect(nowhere.now()).rejects.toThrow(/parks nowhere/);
  const { deliver, now, shelf, running, commit, newest } = await parking('/parked');
  await now();
  await deliver(1);
  shelf.away = 'the line is cut';
  await expect(now()).rejects.toThrow('the line is cut');
  shelf.away = '';
  await now();
  expect(await newest()).toBe(commit());
  await deliver(2);
  shelf.away = 'crash';
  await expect(now()).rejects.toThrow(/parking has crashed/);
  await expect(running).rejects.toThrow('nobody foresaw this');
  await expect(now()).rejects.toThrow(/parking has crashed/);
});
