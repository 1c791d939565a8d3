// Actors inside a process, and what becomes of the process when one of them crashes: the second level of the tree.

import { logCrash } from './actor.ts';
import { link } from './link.ts';
import { limits } from './limits.ts';
import { Supervision } from './supervision.ts';
import type { ChildRow } from './tree.ts';
import type { World } from './world.ts';

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

/** Ties this process to its supervisor: heartbeats while it lives, and exit at once when the supervisor is gone. */
export function reportToSupervisor(world: World, socketPath: string, role: string, index: number): { ready(): void } {
  const supervisor = link(world, socketPath, Supervision, { onLost: () => process.exit(1) });
  const gone = (): void => process.exit(1);
  const beat = (): void => {
    supervisor.ask('beat', { pid: process.pid }).catch(gone);
    world.after(limits.heartbeatMs, beat);
  };
  beat();
  return { ready: () => void supervisor.ask('ready', { role, index, pid: process.pid }).catch(gone) };
}
