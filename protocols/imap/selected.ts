// What a session knows of its selected mailbox, and what all sessions of a process know of one mailbox together.
// Guarantees: the message numbers of a session change only in `sync`; each change of the mailbox is told to each of its
// sessions once it may be (RFC 3501 §7.4.1, §5.5); a session costs a few numbers, since UIDs are kept once a mailbox.
//
// A Watch lives as long as sessions have the mailbox selected. It keeps a log of notices (which pages were touched) from
// the change feed and from the process's own writes; `update` brings its list of UIDs to where the log is. Each
// session remembers how far in the log it has told its client. A modseq that is missing in the log becomes a notice of
// «everything», so that no change is lost whatever comes first, an answer or its event.

import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import { type Entry, pageOf } from '../../storage/page.ts';
import { type MailboxView, mailbox, page, pages } from '../../storage/views.ts';
import type { Change, Site } from '../site.ts';
import { indexOf, inPairs, lowerBound } from './sequence.ts';

/** Touched pages; null: any of them. */
type Notice = readonly number[] | null;
const LOG = 256;
/** Mailboxes kept in case they are selected again. */
const KEPT = 32;

export class Watch {
  readonly site: Site;
  readonly account: number;
  readonly id: number;
  row: MailboxView;
  /** UIDs in force: uids[0, count). Shared with sessions, and only ever appended to; an expunge makes a new one. */
  uids = new Uint32Array(0);
  count = 0;
  /** Grows with each expunge. */
  generation = 0;
  /** Every change up to this modseq is in the log, or was there when the Watch began. */
  covered: number;
  gone = false;
  readonly listeners = new Set<() => void>();
  private log: Notice[] = [];
  private logFrom = 0;
  private settled: number;
  private listAt = 0;
  /** UIDs below are in the list, or gone. */
  private listedTo = 1;
  private claiming: Promise<readonly number[]> | null = null;
  private claimedTo = 0;
  private unseenAt = -1;
  private unseen = 0;
  private stop: (() => void) | null = null;
  private cached: { number: number; at: number; modseq: number; entries: Entry[] } | null = null;

  /** `row` was read after the feed was listened to. */
  constructor(site: Site, account: number, row: MailboxView) {
    this.site = site;
    this.account = account;
    this.id = row.id;
    this.row = row;
    this.covered = row.modseq;
    this.settled = row.modseq;
  }

  /** Where the log ends. */
  get end(): number {
    return this.logFrom + this.log.length;
  }

  /** Begins, or begins again after a rest. The list of before is good if nothing has changed. */
  open(row: MailboxView): void {
    if (this.stop === null) this.stop = this.site.changes.mailbox(this.id, (change) => this.hear(change));
    this.site.view.refresh();
    const now = mailbox(this.site.view, this.account, this.id) ?? row;
    if (this.listAt === 0 || now.modseq !== this.row.modseq || now.uidNext !== this.row.uidNext || now.exists !== this.count) this.tell(null);
    this.covered = Math.max(this.covered, now.modseq);
    this.settled = this.covered;
    this.row = now;
    this.update();
  }

  rest(): void {
    this.stop?.();
    this.stop = null;
    this.cached = null;
  }

  private hear(change: Change): void {
    if (change.kind === 'mailbox') this.tell([]);
    else if (change.modseq === 0 || change.pages.length === 0) this.tell(null);
    else if (change.modseq > this.settled) this.tell(change.pages);
    else return;
    this.covered = Math.max(this.covered, change.modseq);
    this.broadcast();
  }

  /** A write of this process was answered. Its event may come before or after. */
  note(modseq: number, touched: Notice): void {
    if (modseq <= this.settled) return;
    // What lies between was done by somebody else, and its event is on its way
    this.tell(modseq > this.covered + 1 ? null : touched);
    this.covered = Math.max(this.covered, modseq);
    this.settled = Math.max(this.settled, modseq);
    this.broadcast();
  }

  private tell(notice: Notice): void {
    this.log.push(notice);
    if (this.log.length > LOG) {
      this.log.splice(0, LOG / 2);
      this.logFrom += LOG / 2;
    }
  }

  private broadcast(): void {
    for (const run of this.listeners) run();
  }

  /** Pages touched since `at`, ascending; null: all. */
  since(at: number): Notice {
    if (at >= this.end) return [];
    if (at < this.logFrom) return null;
    if (at === this.end - 1) return this.log[this.log.length - 1] as Notice;
    const touched = new Set<number>();
    for (let i = at - this.logFrom; i < this.log.length; i++) {
      const notice = this.log[i] as Notice;
      if (notice === null) return null;
      for (const number of notice) touched.add(number);
    }
    return [...touched].sort((a, b) => a - b);
  }

  /** Brings row and list to the end of the log. */
  update(): void {
    if (this.gone || this.listAt === this.end) return;
    const { site, account, id } = this;
    site.view.refresh();
    const row = mailbox(site.view, account, id);
    const touched = this.since(this.listAt);
    this.listAt = this.end;
    this.cached = null;
    if (row === undefined) {
      this.gone = true;
      return;
    }
    this.row = row;
    if (touched === null) this.readAll();
    else {
      this.dropExpunged(touched);
      this.appendNew(row.uidNext);
      // Nothing is on its way, and still the numbers differ: the notices were not all there was
      if (row.modseq <= this.covered && row.exists !== this.count) this.readAll();
    }
    this.listedTo = row.uidNext;
  }

  private readAll(): void {
    let list = new Uint32Array(this.row.exists + 64);
    let count = 0;
    for (const entries of pages(this.site.view, this.id, 1, this.row.uidNext)) {
      for (const entry of entries) {
        if (count === list.length) list = grown(list);
        list[count++] = entry.uid;
      }
    }
    let same = count >= this.count;
    for (let i = 0; same && i < this.count; i++) same = list[i] === this.uids[i];
    if (!same) this.generation++;
    this.uids = list;
    this.count = count;
  }

  private dropExpunged(touched: readonly number[]): void {
    const lost: number[] = [];
    for (const number of touched) {
      const from = lowerBound(this.uids, this.count, number * limits.pageUids);
      const to = lowerBound(this.uids, this.count, (number + 1) * limits.pageUids);
      if (from === to) continue;
      const entries = this.page(number);
      let k = 0;
      for (let i = from; i < to; i++) {
        while (k < entries.length && (entries[k] as Entry).uid < (this.uids[i] as number)) k++;
        if (entries[k]?.uid !== this.uids[i]) lost.push(i);
      }
    }
    if (lost.length === 0) return;
    const list = new Uint32Array(this.count - lost.length + 64);
    let at = 0;
    let from = 0;
    for (const i of lost) {
      list.set(this.uids.subarray(from, i), at);
      at += i - from;
      from = i + 1;
    }
    list.set(this.uids.subarray(from, this.count), at);
    this.uids = list;
    this.count -= lost.length;
    this.generation++;
  }

  private appendNew(uidNext: number): void {
    if (uidNext <= this.listedTo) return;
    for (let number = pageOf(this.listedTo); number <= pageOf(uidNext - 1); number++) {
      for (const { uid } of this.page(number)) {
        if (uid < this.listedTo || uid >= uidNext) continue;
        if (this.count === this.uids.length) this.uids = grown(this.uids);
        this.uids[this.count++] = uid;
      }
    }
  }

  /** One page. The last one read is kept until something changes: many sessions look at the same. */
  page(number: number): Entry[] {
    const { cached } = this;
    if (cached?.number === number && cached.at === this.end && cached.modseq === this.row.modseq) return cached.entries;
    const entries = page(this.site.view, this.id, number);
    this.cached = { number, at: this.end, modseq: this.row.modseq, entries };
    return entries;
  }

  /** The number of the first message without \Seen, 0 when there is none. */
  firstUnseen(): number {
    if (this.row.unseen === 0) return 0;
    if (this.unseenAt === this.end) return this.unseen;
    this.unseenAt = this.end;
    this.unseen = 0;
    for (const entries of pages(this.site.view, this.id, 1, this.row.uidNext)) {
      const found = entries.find((entry) => (entry.flags & 1) === 0);
      if (!found) continue;
      this.unseen = indexOf(this.uids, this.count, found.uid) + 1;
      break;
    }
    return this.unseen;
  }

  /** Is there a message nobody has been told is \Recent? */
  get unclaimed(): boolean {
    return this.count > 0 && (this.uids[this.count - 1] as number) > Math.max(this.claimedTo, this.row.recentUid);
  }

  /** Claims \Recent for the caller: UID pairs. Who comes while another one is claiming gets nothing. */
  async claim(): Promise<readonly number[]> {
    if (this.claiming !== null) {
      await this.claiming;
      return [];
    }
    this.claiming = this.claimNow();
    try {
      return await this.claiming;
    } finally {
      this.claiming = null;
    }
  }

  private async claimNow(): Promise<readonly number[]> {
    const { site, account, id } = this;
    // \Recent is a courtesy: without an answer the messages stay unclaimed
    const answer = await site.store.ask('claimRecent', { account, mailbox: id }).catch(() => null);
    if (answer === null || isRefusal(answer)) return [];
    site.view.refresh();
    this.claimedTo = Math.max(this.claimedTo, mailbox(site.view, account, id)?.recentUid ?? 0);
    return this.claimedTo > answer.recentUid ? [answer.recentUid + 1, this.claimedTo] : [];
  }
}

function grown(list: Uint32Array): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(list.length + Math.max(64, list.length >>> 2));
  out.set(list);
  return out;
}

/** All pages that ascending UID pairs lie in; null when they are many. */
export function pagesOf(pairs: readonly number[]): Notice {
  const out: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const last = pageOf(pairs[i + 1] as number);
    let number = pageOf(pairs[i] as number);
    if (out.at(-1) === number) number++;
    if (out.length + last - number > LOG) return null;
    for (; number <= last; number++) out.push(number);
  }
  return out;
}

/** The watches of a process, by site and mailbox. */
interface Watched {
  readonly all: Map<number, Watch>;
  readonly used: Map<number, number>;
}
const watched = new WeakMap<Site, Watched>();

function watchedOf(site: Site): Watched {
  let found = watched.get(site);
  if (!found) watched.set(site, (found = { all: new Map(), used: new Map() }));
  return found;
}

/** The caller lets go with `release`. */
export function acquire(site: Site, account: number, row: MailboxView): Watch {
  const { all, used } = watchedOf(site);
  let watch = all.get(row.id);
  if (watch?.gone || (watch && watch.row.uidValidity !== row.uidValidity)) watch = undefined;
  if (!watch) {
    watch = new Watch(site, account, row);
    used.delete(row.id);
  }
  // The order of `all` is that of use
  all.delete(row.id);
  all.set(row.id, watch);
  used.set(row.id, (used.get(row.id) ?? 0) + 1);
  watch.open(row);
  return watch;
}

export function release(watch: Watch): void {
  const { all, used } = watchedOf(watch.site);
  if (all.get(watch.id) !== watch) {
    if (watch.listeners.size === 0) watch.rest();
    return;
  }
  const left = (used.get(watch.id) ?? 1) - 1;
  used.set(watch.id, left);
  if (left > 0) return;
  watch.rest();
  let idle = 0;
  for (const count of used.values()) if (count === 0) idle++;
  for (const [id] of all) {
    if (idle <= KEPT) return;
    if (used.get(id) !== 0) continue;
    all.delete(id);
    used.delete(id);
    idle--;
  }
}

/** A session's own view. Message n is uids[n - 1]. */
export class Selected {
  readonly watch: Watch;
  readonly readOnly: boolean;
  uids: Uint32Array;
  count: number;
  generation: number;
  /** How far in the log the client knows. */
  seen: number;
  /** Flags changed after this modseq are news. */
  reported: number;
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
    this.reported = watch.covered;
  }

  get lastUid(): number {
    return this.count === 0 ? 0 : (this.uids[this.count - 1] as number);
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
