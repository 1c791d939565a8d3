// Actors inside a process, and what becomes of the process when one of them crashes: the second level of the tree.

import { dlopen, FFIType } from 'bun:ffi';
import { logCrash } from './actor.ts';
import { link } from './link.ts';
import { limits } from './limits.ts';
import { Supervision, type SupervisionProtocol } from './supervision.ts';
import type { ChildRow } from './tree.ts';
import { type Answer, isRefusal } from './wire.ts';
import type { World } from './world.ts';

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/** Runs an actor's whole life under its row: an exception is logged once, then forget, restart or exit as the row says. */
export function startChild(world: World, row: ChildRow, life: () => Promise<unknown>): void {
  let crashes: number[] = [];
  const begin = (): void => {
    life().catch((error: unknown) => {
      logCrash(world, row.name, error);
      if ('forget' in row.onCrash) return;
      if ('exit' in row.onCrash) process.exit(1);
      const { restart, seconds } = row.onCrash;
      const now = world.monotonicMs();
      crashes = [...crashes.filter((at) => now - at < seconds * 1000), now];
      if (crashes.length <= restart) return begin();
      world.log('actor.budget', { actor: row.name, restarts: restart, seconds });
      process.exit(1);
    });
  };
  begin();
}

export type Sibling = Answer<SupervisionProtocol, 'processes'>['processes'][number];
export interface Supervised {
  /** Tells that this process serves. */
  ready(): void;
  /** All processes of the site, as the supervisor knows them. */
  processes(): Promise<readonly Sibling[]>;
}

/** The kernel ends this process with the one that started it. */
export function dieWithParent(): void {
  const { symbols } = dlopen('libc.so.6', { prctl: { args: [FFIType.i32, FFIType.u64, FFIType.u64, FFIType.u64, FFIType.u64], returns: FFIType.i32 } });
  symbols.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/**
 * Ties this process to its supervisor `pid`: heartbeats while it lives, and the end, at once, when the supervisor is gone
 * or does not know us. The kernel sees to it as well (PR_SET_PDEATHSIG): a child that is stuck cannot read its link.
 */
export function reportToSupervisor(world: World, socketPath: string, pid: number, role: string, index: number): Supervised {
  dieWithParent();
  if (process.ppid !== pid) process.exit(1);
  const supervisor = link(world, socketPath, Supervision, { onLost: () => process.exit(1) });
  const gone = (): void => process.exit(1);
  const beat = (): void => {
    supervisor.ask('beat', { pid: process.pid }).then((answer) => {
      if (isRefusal(answer)) gone();
    }, gone);
    world.after(limits.heartbeatMs, beat);
  };
  beat();
  return {
    ready: () => void supervisor.ask('ready', { role, index, pid: process.pid }).catch(gone),
    async processes() {
      const answer = await supervisor.ask('processes', {});
      return isRefusal(answer) ? [] : answer.processes;
    },
  };
}
