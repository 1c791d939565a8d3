// The changes of committed mailboxes, spread to the sessions of one process. Guarantees: a session that listens to a
// mailbox hears of every commit that touches it, or, after the store was away, that anything may have changed.

import type { Address } from '../actors/actor.ts';
import { limits } from '../actors/limits.ts';
import type { World } from '../actors/world.ts';
import type { StoreProtocol } from '../storage/messages.ts';
import type { Change, ChangeFeed } from './site.ts';

type Run = (change: Change) => void;

/** Subscribes on `store`; call `resume` whenever its link is up (again). */
export function changeFeed(world: World, store: Address<StoreProtocol>): ChangeFeed & { resume(): Promise<void> } {
  const byMailbox = new Map<number, Set<Run>>();
  const byAccount = new Map<number, Set<Run>>();
  let lost = false;

  store.on('changed', ({ changes }) => {
    for (const change of changes) {
      for (const run of byMailbox.get(change.mailbox) ?? []) run(change);
      for (const run of byAccount.get(change.account) ?? []) run(change);
    }
  });

  const listen = (listeners: Map<number, Set<Run>>, key: number, run: Run): (() => void) => {
    const set = listeners.get(key) ?? new Set();
    listeners.set(key, set);
    set.add(run);
    return () => {
      set.delete(run);
      if (set.size === 0 && listeners.get(key) === set) listeners.delete(key);
    };
  };

  return {
    mailbox: (mailbox, run) => listen(byMailbox, mailbox, run),
    account: (account, run) => listen(byAccount, account, run),
    async resume() {
      while ('refused' in (await store.ask('subscribe', {}))) await world.sleep(limits.linkReconnectMs);
      if (lost) {
        // events of the time between are gone: `pages: []` means look at everything
        for (const [mailbox, set] of byMailbox) for (const run of set) run({ account: 0, mailbox, modseq: 0, kind: 'exists', pages: [] });
        for (const [account, set] of byAccount) for (const run of set) run({ account, mailbox: 0, modseq: 0, kind: 'mailbox', pages: [] });
      }
      lost = true;
    },
  };
}
