// How often one may ask. It is a matter of fairness between those who use one process, and so it is counted in its memory;
// guesses at secrets are counted in the records (identity/attempts.ts).

import { limits } from '../../../actors/limits.ts';

const MINUTE_MS = 60_000;

/** Counts one request of `key`. Returns the seconds to wait, 0: go on. */
export function rateCounter(): (key: string, most: number, now: number) => number {
  let begun = 0;
  let counts = new Map<string, number>();
  return (key, most, now) => {
    if (now - begun >= MINUTE_MS || counts.size >= limits.apiCounted) {
      begun = now;
      counts = new Map();
    }
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return count > most ? Math.max(1, Math.ceil((begun + MINUTE_MS - now) / 1_000)) : 0;
  };
}
