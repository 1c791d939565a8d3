// What was promised to whom. Clients and sinks write down what they were told; `verify.ts` compares it with what is
// there. A count is a range: what was answered must be there, what was cut off may be.

import type { Message } from './mail.ts';

/** A rule is broken. `rule` is its number (M1, S2, Q1 …). */
export class Broken extends Error {
  readonly rule: string;
  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`);
    this.name = 'Broken';
    this.rule = rule;
  }
}

/** How many there must be: at least `sure`, at most `sure + maybe`. */
export interface Count {
  sure: number;
  maybe: number;
}

/** A message a sink took for one recipient. */
export interface Taken {
  readonly id: string;
  readonly recipient: string;
  readonly atUs: number;
  /** The client went on after the final reply, so it has it. */
  confirmed: boolean;
}

/** What is known of one message in one mailbox. UIDs are never reused (S2), so a row is for ever. */
export interface Known {
  readonly uid: number;
  id: string | null;
  /** true or false: answered OK or seen. Absent: nobody can tell. */
  readonly flags: Map<string, boolean>;
  /** Somebody asked for \Deleted. */
  deletedAsked: boolean;
  /** Was its removal asked (`maybe`) or answered (`yes`)? */
  removed: 'no' | 'maybe' | 'yes';
  /** A move removes it here and makes it elsewhere, in one. */
  moved: boolean;
  removedAtUs: number;
  modseq: number;
}

/** One incarnation of a mailbox. */
export class Box {
  readonly account: string;
  readonly mailbox: string;
  readonly uidValidity: number;
  readonly messages = new Map<number, Known>();
  highestModseq = 0;
  uidNext = 1;

  constructor(account: string, mailbox: string, uidValidity: number) {
    this.account = account;
    this.mailbox = mailbox;
    this.uidValidity = uidValidity;
  }

  get name(): string {
    return `${this.account} ${this.mailbox} (${this.uidValidity})`;
  }

  at(uid: number): Known {
    let known = this.messages.get(uid);
    if (!known) {
      known = { uid, id: null, flags: new Map(), deletedAsked: false, removed: 'no', moved: false, removedAtUs: 0, modseq: 0 };
      this.messages.set(uid, known);
    }
    return known;
  }

  /** The same UID is the same message, always. */
  identify(uid: number, id: string, how: string): Known {
    const known = this.at(uid);
    if (known.id !== null && known.id !== id) throw new Broken('S2', `${this.name} UID ${uid} was ${known.id} and is ${id} (${how})`);
    known.id = id;
    return known;
  }

  ask(known: Known, moved: boolean): void {
    if (known.removed === 'no') known.removed = 'maybe';
    if (moved) known.moved = true;
  }

  /** Somebody was told that it is gone. */
  gone(uid: number, nowUs: number): void {
    const known = this.at(uid);
    if (known.removed === 'no' && !known.deletedAsked) throw new Broken('M2', `${this.name} UID ${uid} (${known.id}) is gone, and nobody asked for it`);
    if (known.removed !== 'yes') known.removedAtUs = nowUs;
    known.removed = 'yes';
  }
}

export class Ledger {
  readonly messages = new Map<string, Message>();
  /** Who sent it, as in MAIL FROM. */
  readonly senders = new Map<string, string>();
  /** By `account id`: copies that came in (deliveries, appends, copies). */
  readonly created = new Map<string, Count>();
  /** By `recipient id`: promised to be sent on. */
  readonly outgoing = new Map<string, Count>();
  readonly taken: Taken[] = [];
  /** `recipient id` which a sink has refused for good at least once. */
  readonly refused = new Set<string>();
  /** Bounces that a sink took: `recipient id`, and the taking. */
  readonly bounced: { readonly key: string; readonly taken: Taken }[] = [];
  /** Accounts with a quota: a bounce may not fit in. */
  readonly limited = new Set<string>();
  /** Times of events after which a duplicate is nobody's fault. */
  readonly crashesUs: number[] = [];
  readonly boxes = new Map<string, Box>();
  /** Things answered OK, for the report of a run. */
  acknowledged = 0;

  static count(of: Map<string, Count>, key: string): Count {
    let count = of.get(key);
    if (!count) of.set(key, (count = { sure: 0, maybe: 0 }));
    return count;
  }

  box(account: string, mailbox: string, uidValidity: number): Box {
    const key = `${account} ${mailbox} ${uidValidity}`;
    let box = this.boxes.get(key);
    if (!box) this.boxes.set(key, (box = new Box(account, mailbox, uidValidity)));
    return box;
  }
}
