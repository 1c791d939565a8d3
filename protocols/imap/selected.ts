// What a session knows of its selected mailbox. Guarantees: the message numbers of a session change only in sync.ts; each
// change of the mailbox is told once it may be (RFC 3501 §7.4.1, §5.5); a session costs a few numbers.

import type { Entry } from '../../storage/page.ts';
import { inPairs, lowerBound } from './sequence.ts';
import type { Watch } from './watch.ts';

/** A session's own view. Message n is uids[n - 1]. */
export class Selected {
  readonly watch: Watch;
  readonly readOnly: boolean;
  uids: Uint32Array;
  count: number;
  generation: number;
  /** How far in the log the client knows, and what had been heard then. */
  seen: number;
  heard: number;
  /** What the mailbox was at when it was selected: older changes are no news. */
  readonly base: number;
  /** UID pairs that are \Recent here. */
  recent: number[] = [];
  /** How many keywords of the mailbox the client knows. */
  keywords = 0;

  constructor(watch: Watch, readOnly: boolean) {
    this.watch = watch;
    this.readOnly = readOnly;
    this.uids = watch.uids;
    this.count = watch.count;
    this.generation = watch.generation;
    this.seen = watch.end;
    this.heard = watch.heard;
    this.base = watch.row.modseq;
  }

  get lastUid(): number {
    return this.count === 0 ? 0 : (this.uids[this.count - 1] as number);
  }

  /** Has the client been told of the message's flags as they are? */
  knows(entry: Entry): boolean {
    return entry.modseq <= Math.max(this.base, this.heard) || this.watch.wasNoted(entry, this.seen);
  }

  isRecent(uid: number): boolean {
    return this.recent.length > 0 && inPairs(this.recent, uid);
  }

  addRecent(pairs: readonly number[]): void {
    for (let i = 0; i < pairs.length; i += 2) {
      const low = pairs[i] as number;
      const high = pairs[i + 1] as number;
      const last = this.recent.length - 1;
      if (last > 0 && (this.recent[last] as number) >= low - 1) this.recent[last] = Math.max(high, this.recent[last] as number);
      else this.recent.push(low, high);
    }
  }

  get recentCount(): number {
    let count = 0;
    for (let i = 0; i < this.recent.length; i += 2) {
      count += lowerBound(this.uids, this.count, (this.recent[i + 1] as number) + 1) - lowerBound(this.uids, this.count, this.recent[i] as number);
    }
    return count;
  }

  /** Is there anything `sync` would look at? */
  get stale(): boolean {
    return this.seen !== this.watch.end || this.generation !== this.watch.generation;
  }
}
