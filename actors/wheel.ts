// Deadlines that are nearly always cancelled: one for each line that a session waits for. Setting and cancelling one
// costs a set insertion instead of a timer of the runtime; in return it may run up to one tick late.

import type { Timer } from './world.ts';

const TICK_MS = 250;

interface Entry {
  readonly run: () => void;
}

/** `nowMs` never goes back. `later` is a plain timer. Deadlines shorter than `leastMs` do not belong here. */
export function createWheel(nowMs: () => number, later: (ms: number, run: () => void) => void) {
  const slots = new Map<number, Set<Entry>>();
  let turning = false;
  let next = 0;

  const tick = (): void => {
    const current = Math.floor(nowMs() / TICK_MS);
    for (; next <= current && slots.size > 0; next++) {
      const due = slots.get(next);
      if (due === undefined) continue;
      slots.delete(next);
      for (const entry of due) {
        due.delete(entry);
        entry.run();
      }
    }
    turning = slots.size > 0;
    if (turning) later(TICK_MS, tick);
  };

  return {
    leastMs: 4 * TICK_MS,
    after(ms: number, run: () => void): Timer {
      const now = nowMs();
      const at = Math.floor((now + ms) / TICK_MS) + 1;
      let slot = slots.get(at);
      if (slot === undefined) slots.set(at, (slot = new Set()));
      const entry: Entry = { run };
      slot.add(entry);
      if (!turning) {
        turning = true;
        next = Math.floor(now / TICK_MS);
        later(TICK_MS, tick);
      }
      const mine = slot;
      return {
        cancel() {
          if (mine.delete(entry) && mine.size === 0 && slots.get(at) === mine) slots.delete(at);
        },
      };
    },
  };
}
