// The World of one simulated process: its clock, randomness and network are the simulator's. Guarantees: nothing it
// started outlives its process.

import type { Log } from '../../actors/log.ts';
import type { World } from '../../actors/world.ts';
import type { Network } from './network.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** The first moment of every simulation: 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000;

/** What a process wrote to its log. */
export type Logged = (life: Life, event: string, fields: Readonly<Record<string, unknown>>) => void;

export function simWorld(scheduler: Scheduler, network: Network, life: Life, address: string, logged: Logged): World {
  const after: World['after'] = (ms, run) => {
    const step = scheduler.at(Math.max(0, Math.round(ms * 1000)), 'timer', life, run);
    return { cancel: () => scheduler.cancel(step) };
  };
  return {
    now: () => EPOCH_MS + scheduler.jumpedMs + Math.floor(scheduler.nowUs / 1000),
    monotonicMs: () => scheduler.nowUs / 1000,
    random: (octets) => scheduler.random.octets(octets),
    after,
    sleep: (ms) => new Promise((done) => void after(ms, done)),
    connect: (to, options) => network.connect(life, address, to, options),
    exchange: (to, datagram, accept, timeoutMs) => network.exchange(life, to, datagram, accept, timeoutMs),
    log: ((event: string, fields: Readonly<Record<string, unknown>>) => {
      logged(life, event, fields);
      scheduler.watch?.(`  ${life.name} logs ${event} ${JSON.stringify(fields)}`);
    }) as Log,
  };
}
