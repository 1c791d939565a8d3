// The timer wheel against a clock that jumps.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createWheel } from '../../../actors/wheel.ts';

/** A clock that jumps from timer to timer. */
function clock() {
  const timers: { at: number; run: () => void }[] = [];
  const state = { now: 1000 };
  return {
    state,
    later: (ms: number, run: () => void) => void timers.push({ at: state.now + ms, run }),
    advance(to: number) {
      for (;;) {
        timers.sort((a, b) => a.at - b.at);
        const first = timers[0];
        if (first === undefined || first.at > to) break;
        timers.shift();
        state.now = Math.max(state.now, first.at);
        first.run();
      }
      state.now = to;
    },
    waiting: () => timers.length,
  };
}

test('each deadline runs once, never early, at most two ticks late; a cancelled one never; nothing ticks when idle', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ ms: fc.integer({ min: 1000, max: 400_000 }), start: fc.integer({ min: 0, max: 300_000 }), cancel: fc.boolean() }), {
        maxLength: 60,
      }),
      (plan) => {
        const c = clock();
        const wheel = createWheel(() => c.state.now, c.later);
        const ran = plan.map(() => [] as number[]);
        const due = plan.map(() => 0);
        for (const [i, { ms, start, cancel }] of [...plan.entries()].sort((a, b) => a[1].start - b[1].start)) {
          c.advance(1000 + start);
          due[i] = c.state.now + ms;
          const timer = wheel.after(ms, () => void (ran[i] as number[]).push(c.state.now));
          if (cancel) timer.cancel();
        }
        c.advance(2_000_000);
        plan.forEach(({ cancel }, i) => {
          expect((ran[i] as number[]).length).toBe(cancel ? 0 : 1);
          if (!cancel) {
            expect((ran[i] as number[])[0]).toBeGreaterThanOrEqual(due[i] as number);
            expect((ran[i] as number[])[0]).toBeLessThanOrEqual((due[i] as number) + 500);
          }
        });
        expect(c.waiting()).toBe(0);
      },
    ),
    { numRuns: 200 },
  );
});
