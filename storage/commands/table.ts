// Every message of the store that goes through a transaction, and its handler. What is not here is answered by the actor.

import { type Ask, type CallName, refuse } from '../../actors/wire.ts';
import type { StoreProtocol } from '../messages.ts';
import type { Tx } from '../tx.ts';
import { isFenced } from '../views.ts';
import { applyConfig, authFailed, authSucceeded, makeKeys, proved, putCertificate, putDkim, rehash } from './configuration.ts';
import { deliver } from './deliver.ts';
import { createMailbox, deleteMailbox, renameMailbox, subscribeMailbox } from './mailbox.ts';
import { append, claimRecent, copy, expunge, store } from './message.ts';
import { damaged, mend, mendBody, scrubbed } from './mend.ts';
import { claimQueue, reportQueue } from './queue.ts';
import { changeRecords } from './record.ts';
import type { Command } from './site.ts';
import { deleteQueue, holdQueue, releaseQueue, retryQueue } from './tend.ts';
import { indexTrace, recordRefused } from './trace.ts';
import {
  ackEvents,
  alignEvents,
  applyDesired,
  joined,
  overrideConfig,
  recordEvents,
  rejectDesired,
  settleCommand,
  settleDesired,
  toldCommands,
  uplinkDown,
  uplinkUp,
} from './uplink.ts';
import { perform } from './perform.ts';
import { appendTransfer, beginTransfer, collect, dropTransfer } from './transfer.ts';

type Direct = 'subscribe' | 'readersGone' | 'stats' | 'compact' | 'compacting' | 'publish' | 'tellSessions' | 'pulse';
export type CommandName = Exclude<CallName<StoreProtocol>, Direct>;

const commands: { readonly [K in CommandName]: Command<K> } = {
  beginTransfer,
  appendTransfer,
  dropTransfer,
  deliver,
  append,
  store,
  copy,
  expunge,
  claimRecent,
  createMailbox,
  deleteMailbox,
  renameMailbox,
  subscribeMailbox,
  claimQueue,
  reportQueue,
  applyConfig,
  putCertificate,
  putDkim,
  makeKeys,
  rehash,
  authFailed,
  authSucceeded,
  proved,
  changeRecords,
  collect,
  scrubbed,
  damaged,
  mend,
  mendBody,
  recordRefused,
  indexTrace,
  holdQueue,
  releaseQueue,
  retryQueue,
  deleteQueue,
  joined,
  uplinkUp,
  uplinkDown,
  applyDesired,
  rejectDesired,
  settleDesired,
  perform,
  settleCommand,
  toldCommands,
  recordEvents,
  ackEvents,
  alignEvents,
  overrideConfig,
};

export type CommandAnswer<K extends CommandName> = ReturnType<(typeof commands)[K]>;

/** What only the primary of a site does: another machine has the mail now (U3). */
const ofPrimary: ReadonlySet<CommandName> = new Set<CommandName>([
  'beginTransfer',
  'deliver',
  'append',
  'store',
  'copy',
  'expunge',
  'createMailbox',
  'deleteMailbox',
  'renameMailbox',
  'subscribeMailbox',
  'claimQueue',
]);

/** Runs a command, if this machine may. */
export function runCommand<K extends CommandName>(kind: K, tx: Tx, ask: Ask<StoreProtocol, K>): object {
  if (ofPrimary.has(kind) && isFenced(tx.get('uplink', {}))) return refuse('superseded', 'another machine is this site now');
  return (commands[kind] as (tx: Tx, ask: Ask<StoreProtocol, K>) => object)(tx, ask);
}

/** A command that frees room, or lets others free it: on a full disk it is tried alone, and may use the reserve. */
export function isFrugal<K extends CommandName>(kind: K, ask: Ask<StoreProtocol, K>): boolean {
  if (kind === 'changeRecords') return (ask as Ask<StoreProtocol, 'changeRecords'>).writes.every(({ body }) => body === null);
  return frugal.has(kind);
}

const frugal: ReadonlySet<CommandName> = new Set<CommandName>([
  'expunge',
  'deleteMailbox',
  'dropTransfer',
  'collect',
  'store',
  'claimQueue',
  'reportQueue',
  'deleteQueue',
]);
