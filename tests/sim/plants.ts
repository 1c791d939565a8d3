// Bugs on purpose: each one wraps a part of the site and breaks one promise. The simulator must find every one of them
// (sim.test.ts), or it could not find the same bug in the parts themselves.

import type { Address } from '../../actors/actor.ts';
import type { Engine, Write } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { decodeKey, decodeRow, encodeKey, encodeRow, sealRow, tableOf } from '../../storage/rows.ts';
import { SimDisk, type SimReader } from './disk.ts';
import type { Life } from './scheduler.ts';
import type { Options } from './simulate.ts';

type Ask = Address<StoreProtocol>['ask'];
type Message = { readonly [field: string]: unknown };
/** A question on its way to the store, to be changed or answered by somebody else. */
type Tamper = (kind: string, message: Message, pass: (message: Message) => Promise<object>) => Promise<object>;

const tampered = (who: RegExp, tamper: Tamper): Options => ({
  plants: {
    store: (store, role) => {
      if (!who.test(role)) return store;
      const ask = (kind: string, message: Message): Promise<object> => tamper(kind, message, (m) => store.ask(kind as never, m as never));
      return { ask: ask as unknown as Ask, on: store.on };
    },
  },
});

const writing = (change: (write: Write, engine: Engine) => Write): Options => ({
  plants: { engine: (engine) => ({ ...engine, commit: (writes) => engine.commit(writes.map((w) => change(w, engine))) }) },
});

/** Says that a commit is done when it has only been begun; a crash takes it back. */
class LyingDisk extends SimDisk {
  private durable = 0;

  protected override commit(life: Life, writes: readonly Write[], reader: SimReader): Promise<void> {
    this.apply(writes.map(([key, value]) => [Buffer.from(key).toString('latin1'), value === null ? null : new Uint8Array(value)] as const));
    const { lastCommit, scheduler } = this;
    scheduler.at(scheduler.delay(scheduler.pace.flushUs), 'flush', life, () => {
      this.durable = Math.max(this.durable, lastCommit);
    });
    reader.refresh();
    return Promise.resolve();
  }

  override lose(): void {
    for (const versions of this.rows.values()) while ((versions.at(-1)?.commit ?? 0) > this.durable) versions.pop();
    this.lastCommit = this.durable;
  }

  protected override notice(): void {} // the history goes back: that is not what is to be found
}

/** A crash in the middle of a commit leaves half of it. */
class TornDisk extends SimDisk {
  protected override survives(writes: readonly (readonly [string, Uint8Array | null])[]): readonly (readonly [string, Uint8Array | null])[] {
    return writes.slice(0, this.scheduler.random.between(1, Math.max(1, writes.length - 1)));
  }
}

let flagsLost = 0;
let untold = 0;

export const plants: Readonly<Record<string, Options>> = {
  'M1: a 250 before the sync': tampered(/edge/, async (kind, message, pass) => {
    if (kind !== 'deliver') return pass(message);
    void pass(message).catch(() => {});
    return { queues: [0], placed: [] };
  }),
  'M1: an engine whose commit resolves before the flush': { disk: (scheduler) => new LyingDisk(scheduler) },
  'M2: half a commit survives a crash': { disk: (scheduler) => new TornDisk(scheduler) },
  'M1: a flag is answered OK and lost': tampered(/edge/, async (kind, message, pass) =>
    kind === 'store' && flagsLost++ % 4 === 0 ? { modseq: 1, modified: [] } : pass(message),
  ),
  'M1: an APPEND is stored twice': tampered(/edge/, async (kind, message, pass) => {
    if (kind === 'append') await pass(message);
    return pass(message);
  }),
  'Q1: a bounce is lost': tampered(/control/, async (kind, message, pass) => pass(kind === 'reportQueue' ? { ...message, mails: [] } : message)),
  'Q1: what was delivered is sent again': tampered(/control/, async (kind, message, pass) => {
    if (kind !== 'reportQueue') return pass(message);
    const outcomes = (message['outcomes'] as readonly Message[]).map((o) =>
      o['outcome'] === 'done' ? { ...o, outcome: 'later', due: Number(message['now']) + 1_000_000 } : o,
    );
    return pass({ ...message, outcomes });
  }),
  'IMAP: a change is not told to who idles': {
    plants: {
      store: (store) => ({
        ask: store.ask,
        on: (kind, run) =>
          store.on(kind, (event) => {
            if (kind !== 'changed' || untold++ % 3 !== 0) run(event);
          }),
      }),
    },
  },
  'U2: a document is applied without its addresses': writing(([key, value]) => {
    const known = tableOf(key) === 'address' && decodeKey('address', key).address.startsWith('extra');
    return known ? [encodeKey('address', { address: 'nobody@example.test' }), value] : [key, value];
  }),
  'S2: a UID is used again': writing((write, engine) => {
    const [key, value] = write;
    const was = tableOf(key) === 'mailbox' ? engine.get(key) : undefined;
    if (was === undefined || value === null) return write;
    const before = decodeRow('mailbox', was);
    const now = decodeRow('mailbox', value);
    return now.exists < before.exists ? [key, sealRow('mailbox', key, encodeRow('mailbox', { ...now, uidNext: now.uidNext - 1 }))] : write;
  }),
  'S3: a counter is not kept': writing((write) => {
    const [key, value] = write;
    if (tableOf(key) !== 'mailbox' || value === null) return write;
    const row = decodeRow('mailbox', value);
    return [key, sealRow('mailbox', key, encodeRow('mailbox', { ...row, unseen: row.unseen + (row.exists > 3 ? 1 : 0) }))];
  }),
};
