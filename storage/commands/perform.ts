// A portal's command takes effect at most once (U2): its effect and the row that remembers it are one commit. What a
// portal may make the store do is listed here.

import { assert } from '../../actors/assert.ts';
import { type Fields, isRefusal, refuse } from '../../actors/wire.ts';
import { Store } from '../messages.ts';
import type { Tx } from '../tx.ts';
import { authSucceeded } from './configuration.ts';
import type { Command } from './site.ts';
import { deleteQueue, holdQueue, releaseQueue, retryQueue } from './tend.ts';
import { commandRow, recordEvents } from './uplink.ts';

const performable = { authSucceeded, recordEvents, holdQueue, releaseQueue, retryQueue, deleteQueue } as const;
type Performable = keyof typeof performable;
const isPerformable = (kind: string): kind is Performable => Object.hasOwn(performable, kind);

export const perform: Command<'perform'> = (tx, { now, command, name, kind, ask, state, value }) => {
  const known = commandRow(tx, command, now);
  if (known) return { state: known.state, value: known.value, again: true };
  const done = kind === '' ? {} : run(tx, kind, JSON.parse(ask) as Readonly<Record<string, unknown>>);
  if (isRefusal(done)) return done;
  // of the queue: what is being tried at this moment is not done, and whoever asked must know
  const told = 'leased' in done ? JSON.stringify(done) : value;
  tx.put('commandResult', { command }, { name, state, value: told, at: now, told: false });
  return { state, value: told, again: false };
};

function run(tx: Tx, kind: string, ask: Readonly<Record<string, unknown>>): object {
  if (!isPerformable(kind)) return refuse('conflict', `a portal may not ask for ${kind}`);
  for (const [name, field] of Object.entries(Store.calls[kind].ask as Fields)) assert(field.check(ask[name]), `${name} is ${field.is}`);
  return performable[kind](tx, ask as never);
}
