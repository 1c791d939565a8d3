// What all sessions of a process know of one mailbox together. Guarantees: UIDs are kept once a mailbox, whatever the number
// of sessions; each change of the mailbox is in the log until each session has had its chance to tell it.
//
// A Watch lives as long as sessions have the mailbox selected. It keeps a log of notices: which pages were touched, and
// after which modseq. Events of the change feed are complete: what an event of a kind does not name has not happened.
// Notes of this process's own writes only come sooner: whether before or after its event, and whether the modseq of the
// answer was made by that write or stood there before, nothing depends on it. `update` brings the list of UIDs to where the
// log is; each session remembers how far in the log it has told its client.

import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import { type Entry, pageOf } from '../../storage/page.ts';
import { type MailboxView, mailbox, page, pages } from '../../storage/views.ts';
import type { Change, Site } from '../site.ts';
import { indexOf, lowerBound } from './sequence.ts';

/** Touched pages; null: any of them. */
type Pages = readonly number[] | null;
interface Notice {
  /** Changes after this modseq are news. */
  readonly from: number;
  readonly pages: Pages;
}
/** A write of this process that has been told of: its pages, and where in the log. */
interface Noted {
  readonly pages: Pages;
  readonly at: number;
}
/** No change of flags is news. */
const never = Number.MAX_SAFE_INTEGER;
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
  /** Every change up to this modseq has been heard of. */
  heard = 0;
  gone = false;
  readonly listeners = new Set<() => void>();
  /** What had been heard before the commit being told of; -1: none is. */
  private commitFrom = -1;
  private log: Notice[] = [];
  private logFrom = 0;
  private readonly noted = new Map<number, Noted>();
  private listAt = 0;
  /** UIDs below are in the list, or gone. */
  private listedTo = 1;
  private claiming: Promise<readonly number[]> | null = null;
  private claimedTo = 0;
  private unseenAt = -1;
  private unseen = 0;
  private stop: (() => void) | null = null;
  private cached: { number: number; at: number; modseq: number; entries: Entry[] } | null = null;

  constructor(site: Site, account: number, row: MailboxView) {
    this.site = site;
    this.account = account;
    this.id = row.id;
    this.row = row;
  }

  /** Where the log ends. */
  get end(): number {
    return this.logFrom + this.log.length;
  }

  /** Begins, or begins again after a rest. Row and list are of now afterwards. */
  open(): void {
    const fresh = this.stop === null;
    if (this.stop === null) this.stop = this.site.changes.mailbox(this.id, (change) => this.hear(change));
    this.site.view.refresh();
    const now = mailbox(this.site.view, this.account, this.id);
    if (now === undefined) {
      this.gone = true;
      return;
    }
    if (fresh) {
      this.heard = now.modseq;
    }
    const same = now.modseq === this.row.modseq && now.exists === this.count && this.listedTo === now.uidNext;
    this.row = now;
    if (same) return;
    this.cached = null;
    this.appendNew(now.uidNext);
    if (now.exists !== this.count) this.readAll();
    this.listedTo = now.uidNext;
  }

  rest(): void {
    this.stop?.();
    this.stop = null;
    this.cached = null;
  }

  private hear(change: Change): void {
    // The changes of one commit come one after the other, a kind each: what was heard before the first of them counts
    if (this.commitFrom < 0) {
      this.commitFrom = this.heard;
      queueMicrotask(() => {
        this.commitFrom = -1;
      });
    }
    // The link was away: anything may have happened
    const lost = change.modseq === 0;
    const pages = lost || (change.pages.length === 0 && change.kind !== 'mailbox') ? null : change.pages;
    this.heard = Math.max(this.heard, change.modseq);
    this.tell({ from: lost || change.kind === 'flags' ? this.commitFrom : never, pages });
    this.broadcast();
  }

  /** A write of this process was answered. Its event may come before or after. */
  note(modseq: number, touched: Pages): void {
    if (modseq <= this.heard || this.noted.has(modseq)) return;
    this.noted.set(modseq, { pages: touched, at: this.end });
    for (const old of this.noted.keys()) {
      if (this.noted.size <= LOG) break;
      this.noted.delete(old);
    }
    this.tell({ from: modseq - 1, pages: touched });
    this.broadcast();
  }

  /** Was this change told by a note, to a session that is as far as `seen` in the log? */
  wasNoted({ uid, modseq }: Entry, seen: number): boolean {
    const noted = this.noted.get(modseq);
    return noted !== undefined && noted.at < seen && (noted.pages === null || noted.pages.includes(pageOf(uid)));
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

  /** All notices since `at` as one; `heard`: what had been heard then. */
  since(at: number, heard: number): Notice {
    if (at < this.logFrom) return { from: heard, pages: null };
    if (at === this.end - 1) return this.log[this.log.length - 1] as Notice;
    const touched = new Set<number>();
    let from = never;
    let all = false;
    for (let i = at - this.logFrom; i < this.log.length; i++) {
      const notice = this.log[i] as Notice;
      from = Math.min(from, notice.from);
      if (notice.pages === null) all = true;
      else for (const number of notice.pages) touched.add(number);
    }
    return { from, pages: all ? null : [...touched].sort((a, b) => a - b) };
  }

  /** Brings row and list to the end of the log. */
  update(): void {
    if (this.gone || this.listAt === this.end) return;
    const { site, account, id } = this;
    site.view.refresh();
    const row = mailbox(site.view, account, id);
    const { pages: touched } = this.since(this.listAt, 0);
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
      // Nothing is on its way, and still the numbers differ
      if (row.modseq <= this.heard && row.exists !== this.count) this.readAll();
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
export function pagesOf(pairs: readonly number[]): Pages {
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
  watch.open();
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
