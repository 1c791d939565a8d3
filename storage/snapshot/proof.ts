// The site proves that it can be restored: its newest parked snapshot is built up beside it every week, held against every
// rule, and thrown away. Guarantees: it is done in a process of its own and mail waits for none of it; what came of it is in
// the store, and a snapshot that does not come to a whole site is told at once; what could not be tried counts as neither.

import { type Address, LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { Reader } from '../engine.ts';
import type { StoreProtocol } from '../messages.ts';
import type { Row } from '../rows.ts';
import { lastProof } from '../views.ts';

/** A snapshot that was restored, and is a whole site. */
export interface Proven {
  readonly commit: number;
  /** ms since the epoch. */
  readonly takenAt: number;
}
/** The snapshot was read and does not come to a whole site. */
export class NotWhole extends Error {}

export interface Proving {
  readonly world: World;
  readonly store: Address<StoreProtocol>;
  readonly view: Reader;
  /** Does it keep itself somewhere now, and has all been there since this process began? */
  readonly parks: () => boolean;
  /** Octets that the site takes on its disk. */
  readonly octets: () => number;
  /** Restores the newest snapshot and throws it away. Throws NotWhole; any other Error says why it could not be tried. */
  readonly restore: () => Promise<Proven>;
  /** Is given how to prove one at once: resolves with what to say of it, rejects with why it is not proven. */
  readonly hurry?: (now: () => Promise<string>) => void;
}

interface Asked {
  done(said: string): void;
  failed(why: Error): void;
}

/** Between two looks whether it is time. */
const lookMs = 60_000;

/** Runs until it crashes. */
export async function proveForever(site: Proving): Promise<never> {
  const { world, view } = site;
  const asked: Asked[] = [];
  let wake = (): void => {};
  site.hurry?.(
    () =>
      new Promise((done, failed) => {
        asked.push({ done, failed });
        wake();
      }),
  );
  let notBefore = world.monotonicMs() + limits.proofAfterMs;
  try {
    for (;;) {
      const woken = new Promise<void>((done) => {
        wake = done;
      });
      view.refresh();
      const due = world.monotonicMs() >= notBefore && site.parks() && isDue(lastProof(view), world.now(), site.octets());
      // what the store did not keep would be due again at once, and a whole restore with it
      if ((due || asked.length > 0) && !(await proveOnce(site, asked))) notBefore = world.monotonicMs() + limits.proofRetryMs;
      const timer = world.after(lookMs, wake);
      await woken;
      timer.cancel();
    }
  } finally {
    const crashed = new Error('the proof of snapshots has crashed: it begins again by itself, see the log');
    site.hurry?.(() => Promise.reject(crashed));
    for (const { failed } of asked) failed(crashed);
  }
}

/** A clock that was set is no reason to wait for years. */
function isDue(row: Row<'proof'> | undefined, now: number, octets: number): boolean {
  if (row === undefined) return true;
  const everyMs = row.state !== 'proven' ? limits.proofRetryMs : octets > limits.proofLarge ? limits.proofLargeEveryMs : limits.proofEveryMs;
  return Math.abs(now - row.triedAt) >= everyMs;
}

/** `asked`: who waits for it; those that come while it is done wait for the next. Resolves with whether the store has kept what came of it. */
async function proveOnce({ world, store, restore }: Proving, asked: Asked[]): Promise<boolean> {
  const began = world.monotonicMs();
  const waiting = asked.splice(0);
  const found = await restore().then(
    (proven) => ({ ...proven, state: 'proven', error: null }) as const,
    (error: Error) => ({ commit: 0, takenAt: 0, state: error instanceof NotWhole ? 'failed' : 'untried', error }) as const,
  );
  const { state, commit, takenAt, error } = found;
  const problem = error === null ? '' : error.message.slice(0, 500);
  if (error === null) world.log('snapshot.proven', { commit, takenAt, ms: Math.round(world.monotonicMs() - began) });
  else world.log(state === 'failed' ? 'snapshot.notWhole' : 'snapshot.notProven', { error: problem });
  try {
    return !isRefusal(await store.ask('proved', { now: world.now(), state, commit, takenAt, problem }));
  } catch (lost) {
    if (!(lost instanceof LinkLost)) throw lost;
    return false;
  } finally {
    for (const { done, failed } of waiting)
      if (error === null) done(`commit ${commit}`);
      else failed(error);
  }
}
