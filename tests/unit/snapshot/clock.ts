// A clock that a test turns, for actors that look at what they guard every few hours or days.

import type { TestWorld } from '../storage/fixture.ts';

export const hour = 3_600_000;

/** Timers that run when the test says so, and the clock with them. `waiting`: so many actors wait for one timer each. */
export function turned(
  world: TestWorld,
  waiting: number,
): {
  world: TestWorld;
  until(done: () => boolean | Promise<boolean>, mostMs: number): Promise<number>;
  crashed(error: unknown): void;
} {
  let crash: { error: unknown } | null = null;
  const timers: { at: number; step: () => void }[] = [];
  const after: TestWorld['after'] = (ms, step) => {
    const timer = { at: world.time + ms, step };
    timers.push(timer);
    return {
      cancel() {
        if (timers.includes(timer)) timers.splice(timers.indexOf(timer), 1);
      },
    };
  };
  // with fewer, one of them is at work, for which the clock stands still
  const settle = async (): Promise<void> => {
    do await new Promise((done) => setImmediate(done));
    while (timers.length < waiting && crash === null);
    if (crash !== null) throw crash.error;
  };
  return {
    world: Object.assign(world, { after, sleep: (ms: number) => new Promise<void>((done) => void after(ms, done)) }),
    async until(done, mostMs) {
      const began = world.time;
      for (await settle(); !(await done()); await settle()) {
        if (world.time - began > mostMs) throw new Error(`not in ${mostMs / hour} h`);
        timers.sort((a, b) => a.at - b.at);
        const next = timers.shift() as (typeof timers)[number];
        world.time = Math.max(world.time, next.at);
        next.step();
      }
      return world.time - began;
    },
    crashed(error) {
      crash = { error };
    },
  };
}
