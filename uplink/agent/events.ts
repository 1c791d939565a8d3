// What happens on a site and is worth telling its portal: what the log says, by the rows below, and what is noticed by
// looking. Guarantees: an event is told once it is in the store, and stays there until the portal has it; what could not be
// stored is counted, and the count is told.

import type { Address } from '../../actors/actor.ts';
import { LinkLost } from '../../actors/actor.ts';
import type { Log, LogEvent } from '../../actors/log.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { Reader } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { getRow, scanRows } from '../../storage/rows.ts';

interface Told {
  readonly name: string;
  /** The same again within so long is not told. */
  readonly quietMs: number;
}
/** By the name in the log of the control process. */
const rows: { readonly [E in LogEvent]?: Told } = {
  'queue.bounced': { name: 'mail.bounced', quietMs: 0 },
  'queue.doubleBounce': { name: 'mail.doubleBounce', quietMs: 0 },
  'snapshot.parked': { name: 'snapshot.parked', quietMs: 3_600_000 },
  'snapshot.failed': { name: 'snapshot.failed', quietMs: 0 },
  'snapshot.proven': { name: 'snapshot.proven', quietMs: 0 },
  'snapshot.notWhole': { name: 'snapshot.notWhole', quietMs: 0 },
  'snapshot.notProven': { name: 'snapshot.notProven', quietMs: 0 },
  'tls.certificate': { name: 'certificate.made', quietMs: 0 },
};

interface Event {
  readonly name: string;
  readonly body: string;
}
export interface Recorder {
  /** The log, and what of it is told. */
  readonly log: Log;
  tell(name: string, body: object): void;
  /** Runs until it crashes. `told`: something was stored. */
  run(store: Address<StoreProtocol>, view: Reader, told: () => void): Promise<never>;
}

const mostWaiting = 1_000;
const flushMs = 500;

export function createRecorder(world: World): Recorder {
  const waiting: Event[] = [];
  const lastMs = new Map<string, number>();
  let dropped = 0;
  let wake = (): void => {};
  const tell = (name: string, body: object): void => {
    waiting.push({ name, body: short(body) });
    if (waiting.length > mostWaiting) dropped += waiting.splice(0, waiting.length - mostWaiting).length;
    wake();
  };
  const flush = async (store: Address<StoreProtocol>): Promise<boolean> => {
    const lost = dropped === 0 ? [] : [{ name: 'events.dropped', body: JSON.stringify({ count: dropped }) }];
    const batch = waiting.slice(0, mostWaiting - 1);
    const kept = await store.ask('recordEvents', { now: world.now(), events: [...lost, ...batch] });
    if (isRefusal(kept)) return false;
    waiting.splice(0, batch.length);
    if (lost.length > 0) dropped = 0;
    return true;
  };
  return {
    tell,
    log: (event, fields) => {
      world.log(event, fields);
      const row = rows[event];
      if (row === undefined) return;
      const now = world.monotonicMs();
      if (now - (lastMs.get(row.name) ?? Number.NEGATIVE_INFINITY) < row.quietMs) return;
      lastMs.set(row.name, now);
      tell(row.name, fields);
    },
    async run(store, view, told) {
      for (;;) {
        const more = new Promise<void>((done) => {
          wake = done;
        });
        if (waiting.length === 0) await more;
        await world.sleep(flushMs); // what comes together is one commit
        view.refresh();
        if (getRow(view, 'uplink', {}) === undefined) waiting.length = 0; // there is nobody to tell
        try {
          if (waiting.length > 0 && (await flush(store))) told();
        } catch (error) {
          if (!(error instanceof LinkLost)) throw error; // stored or not: told twice is better than never
        }
      }
    },
  };
}

const mostOctets = 3_500;
function short(body: object): string {
  const text = JSON.stringify(body);
  if (text.length <= mostOctets) return text;
  return JSON.stringify({ cut: text.slice(0, mostOctets / 2).replace(/[\ud800-\udfff]/g, '') });
}

/** Looks now and then for what no log of this process says: a full disk, damage. Runs until it crashes. */
export async function watchStore(
  { world, store, view }: { readonly world: World; readonly store: Address<StoreProtocol>; readonly view: Reader },
  tell: Recorder['tell'],
  everyMs: number,
): Promise<never> {
  let full = false;
  let damage = 0;
  for (;;) {
    try {
      const stats = await store.ask('stats', {});
      if (!isRefusal(stats) && stats.full !== full) tell(stats.full ? 'disk.full' : 'disk.room', {});
      if (!isRefusal(stats)) full = stats.full;
      view.refresh();
      const rotten = [...scanRows(view, 'damage', [], { skipDamaged: true })];
      if (rotten.length > damage) tell('store.damaged', { rows: rotten.length, first: rotten[0]?.row.what ?? '' });
      damage = rotten.length;
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
    }
    await world.sleep(everyMs);
  }
}

/** A start of the whole site is told once, however often this process starts. `start`: what tells it from others. */
export function tellStart(view: Reader, tell: Recorder['tell'], start: string, version: string): void {
  view.refresh();
  if (getRow(view, 'eventLog', {})?.started !== start) tell('site.started', { start, version });
}
