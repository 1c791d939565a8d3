// Bugs of the uplink on purpose: each one wraps a part and breaks one promise. The simulator of the uplink must find every
// one of them (uplink.test.ts), or it could not find the same bug in the parts themselves.

import type { Address } from '../../actors/actor.ts';
import type { Engine, Write } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { decodeKey, decodeRow, encodeRow, type Row, sealRow, tableOf } from '../../storage/rows.ts';
import type { TableName } from '../../storage/schema.ts';
import { kinds } from '../../uplink/portal/kinds.ts';
import type { Plants } from './machine.ts';
import type { UplinkPlants } from './uplink.ts';

/** Rows of a table as they should not be written; null: not at all. */
const miswritten = <N extends TableName>(table: N, change: (row: Row<N>, old: Row<N> | undefined, all: readonly Write[]) => Row<N> | null): Plants => ({
  engine: (engine: Engine) => ({
    ...engine,
    commit: (writes) =>
      engine.commit(
        writes.flatMap((write): Write[] => {
          const [key, value] = write;
          if (value === null || tableOf(key) !== table) return [write];
          const was = engine.get(key);
          const row = change(decodeRow(table, value, key), was && decodeRow(table, was, key), writes);
          return row === null ? [] : [[key, sealRow(table, key, encodeRow(table, row))]];
        }),
      ),
  }),
});

type Message = { readonly [field: string]: unknown };
const tampered = (kind: string, change: (message: Message, pass: (message: Message) => Promise<object>) => Promise<object>): Plants => ({
  store: (store) => {
    const ask = (asked: string, message: Message): Promise<object> => {
      const pass = (m: Message): Promise<object> => store.ask(asked as never, m as never);
      return asked === kind ? change(message, pass) : pass(message);
    };
    return { ask: ask as unknown as Address<StoreProtocol>['ask'], on: store.on };
  },
});

/** Records of one kind as they should not be written. */
const misrecorded = (kind: number, change: (body: Record<string, unknown>, old: Record<string, unknown> | undefined) => Record<string, unknown>): Plants => ({
  engine: (engine: Engine) => ({
    ...engine,
    commit: (writes) =>
      engine.commit(
        writes.map((write): Write => {
          const [key, value] = write;
          if (value === null || tableOf(key) !== 'record' || decodeKey('record', key).kind !== kind) return write;
          const row = decodeRow('record', value, key);
          const was = engine.get(key);
          const old = was && (JSON.parse(decodeRow('record', was, key).body) as Record<string, unknown>);
          const body = JSON.stringify(change(JSON.parse(row.body) as Record<string, unknown>, old));
          return [key, sealRow('record', key, encodeRow('record', { ...row, body }))];
        }),
      ),
  }),
});

export const uplinkPlants: Readonly<Record<string, UplinkPlants>> = {
  'U2: a command is done and not remembered': { site: miswritten('commandResult', () => null) },
  'U2: a rev is kept without its document': {
    site: miswritten('config', (row, _old, all) => (all.some(([key]) => tableOf(key) === 'desired') ? null : row)),
  },
  'U2: a rev that was dealt with is forgotten': { site: miswritten('uplink', (row, old) => ({ ...row, seenRev: old?.seenRev ?? 0 })) },
  'E1: an event is said to be recorded, and is not': { site: tampered('recordEvents', async () => ({ last: 1 })) },
  'E1: an event is counted by the portal and not kept': {
    portal: {
      engine: (engine) => ({
        ...engine,
        commit: (writes) =>
          engine.commit(writes.filter(([key, value]) => value === null || tableOf(key) !== 'record' || decodeKey('record', key).kind !== kinds.event.number)),
      }),
    },
  },
  'U3: a session counter is used and not kept': { site: miswritten('uplink', (row, old) => ({ ...row, counter: old?.counter ?? 0 })) },
  'U3: a session counter is not kept at the portal': { portal: misrecorded(kinds.machine.number, (body) => ({ ...body, sessionCounter: 0 })) },
  'U3: the epoch does not grow': {
    portal: misrecorded(kinds.site.number, (body, old) => ({ ...body, epoch: Number(old?.['epoch'] ?? 0) > 0 ? old?.['epoch'] : body['epoch'] })),
  },
  'U3: who was superseded is still heard': {
    records: (records) => ({
      ...records,
      transact: (run) =>
        records.transact((tx) => {
          let asking: { readonly id: string; readonly epoch: number } | null = null;
          return run({
            ...tx,
            async get(kind, ...id) {
              const found = await tx.get(kind, ...id);
              if (kind === 'machine' && found !== undefined) {
                const machine = found as { readonly epoch: number };
                asking = { id: id[1] as string, epoch: machine.epoch };
                return { ...found, state: 'active' };
              }
              if (kind !== 'site' || found === undefined) return found;
              // as if the primary were whoever asks
              const last = asking as { readonly id: string; readonly epoch: number } | null;
              return last === null ? found : { ...found, machine: last.id, epoch: last.epoch };
            },
          });
        }),
    }),
  },
  'U1: a joined site takes a document by hand': {
    site: tampered('applyConfig', async (message, pass) => {
      const done = await pass(message);
      return 'refused' in done ? { rev: 1 } : done;
    }),
  },
};
