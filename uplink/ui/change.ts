// Changes that were sent from this page, until the site runs them. Kept only as long as the page: the truth is the site's
// record, which says at any time what runs and what is wanted.

import { useSyncExternalStore } from 'react';
import { now } from './clock.ts';

export interface Change {
  readonly org: string;
  readonly site: string;
  readonly rev: number;
  /** What was changed, in words. */
  readonly what: string;
  readonly at: number;
}
let changes: readonly Change[] = [];
const watchers = new Set<() => void>();
const set = (next: readonly Change[]): void => {
  changes = next;
  for (const run of watchers) run();
};

/** The newest change of a site stands for those before it: revs are applied in order. */
export const track = (change: Omit<Change, 'at'>): void => set([...changes.filter((c) => c.site !== change.site), { ...change, at: now() }]);
export const untrack = (site: string): void => set(changes.filter((c) => c.site !== site));

export function useChange(site: string): Change | undefined {
  const all = useSyncExternalStore(
    (run) => {
      watchers.add(run);
      return () => watchers.delete(run);
    },
    () => changes,
  );
  return all.find((change) => change.site === site);
}
