// What must hold of a site and its portal, looked at in each durable commit of either (U2, U3), and of all that was told
// at the end. Guarantees: it knows what was wanted and what was recorded from those who did it, not from the parts.

import { canonical } from '../../uplink/canonical.ts';
import { documentOf } from '../../uplink/portal/want.ts';
import type { RecordOf } from '../../uplink/portal/kinds.ts';
import { kinds } from '../../uplink/portal/kinds.ts';
import type { Reader } from '../../storage/engine.ts';
import { decodeKey, decodeRow, getRow, type Row, scanRows, tableOf } from '../../storage/rows.ts';
import type { Changed } from './disk.ts';
import { Broken } from './ledger.ts';

/** What a test event says, so that it can be told from all others. */
export interface Mark {
  readonly mark: string;
}
const markOf = (body: string): string | null => (JSON.parse(body) as Partial<Mark>).mark ?? null;

/** One history of a site's disk: a copy has its own from there on. */
export class SiteRules {
  readonly reader: Reader;
  /** How often the effect of each command happened here. */
  readonly effects: Map<string, number>;
  private readonly documents: ReadonlyMap<string, string>;
  private was: Row<'uplink'> | undefined;

  constructor(reader: Reader, documents: ReadonlyMap<string, string>, before?: SiteRules) {
    this.reader = reader;
    this.documents = documents;
    this.effects = new Map(before?.effects);
    this.was = before?.was;
  }

  look(changes: readonly Changed[]): void {
    this.countEffects(changes);
    if (!changes.some(({ key }) => ['uplink', 'config'].includes(tableOf(key) ?? ''))) return;
    this.reader.refresh();
    const row = getRow(this.reader, 'uplink', {});
    const config = getRow(this.reader, 'config', {});
    if (row === undefined) return;
    const wanted = this.documents.get(row.runningHash);
    if (row.runningHash !== '' && wanted === undefined) throw new Broken('U2', `rev ${row.runningRev} is in force, and nobody wanted it`);
    if (wanted !== undefined && canonical(JSON.parse(config?.document ?? '{}')) !== wanted)
      throw new Broken('U2', `rev ${row.runningRev} is said to be in force, and another document is`);
    if (row.runningRev > row.seenRev) throw new Broken('U2', `rev ${row.runningRev} is in force, and only ${row.seenRev} was dealt with`);
    const { was } = this;
    if (was && was.portalId === row.portalId) {
      if (row.seenRev < was.seenRev) throw new Broken('U2', `rev ${row.seenRev} was dealt with after rev ${was.seenRev}`);
      if (row.runningRev < was.runningRev && row.seenStatus !== 'rolledback')
        throw new Broken('U2', `rev ${row.runningRev} is in force after rev ${was.runningRev}`);
      if (row.epoch < was.epoch) throw new Broken('U3', `epoch ${row.epoch} after epoch ${was.epoch}`);
      if (row.machine === was.machine && row.counter < was.counter) throw new Broken('U3', `session ${row.counter} after session ${was.counter}`);
    }
    this.was = row;
  }

  private countEffects(changes: readonly Changed[]): void {
    const moved = new Map<string, number>();
    for (const { key, was, now } of changes) {
      if (tableOf(key) !== 'event') continue;
      for (const [octets, by] of [[was, -1] as const, [now, 1] as const]) {
        const row = octets && decodeRow('event', octets);
        if (row?.name !== 'effect') continue;
        const command = markOf(row.body) ?? '';
        moved.set(command, (moved.get(command) ?? 0) + by);
      }
    }
    for (const [command, by] of moved) {
      if (by <= 0) continue; // told to the portal, or renumbered
      const times = (this.effects.get(command) ?? 0) + by;
      this.effects.set(command, times);
      if (times > 1) throw new Broken('U2', `command ${command} took effect ${times} times`);
    }
  }
}

/** Documents in canonical JSON: all that anybody wanted, and those that were signed, by their hash. */
export interface Wanted {
  readonly texts: Set<string>;
  readonly byHash: Map<string, string>;
}

/** One history of a portal's disk. `boxOf`: which machine of the simulation was offered a session. */
export class PortalRules {
  readonly reader: Reader;
  private readonly boxOf: (counter: number) => number | undefined;
  private readonly sites = new Map<string, RecordOf<'site'>>();
  private readonly spoke = new Map<string, number[]>();
  /** An older copy came back: what it has forgotten it cannot know. */
  private readonly forgets: boolean;
  private readonly wanted: Wanted;

  constructor(reader: Reader, boxOf: (counter: number) => number | undefined, forgets: boolean, wanted: Wanted) {
    this.wanted = wanted;
    this.reader = reader;
    this.boxOf = boxOf;
    this.forgets = forgets;
  }

  look(changes: readonly Changed[]): void {
    for (const { key, now } of changes) {
      if (tableOf(key) !== 'record' || now === null) continue;
      const { kind, id } = decodeKey('record', key);
      const body = JSON.parse(decodeRow('record', now).body) as unknown;
      if (kind === kinds.site.number) this.site(id, body as RecordOf<'site'>);
      if (kind === kinds.desired.number) this.desired(body as RecordOf<'desired'>);
      if (kind === kinds.machine.number) this.machine(id, body as RecordOf<'machine'>);
    }
  }

  /** What is signed is what somebody wanted. */
  private desired({ rev, hash, signed }: RecordOf<'desired'>): void {
    const document = canonical(documentOf(signed));
    if (!this.wanted.texts.has(document)) throw new Broken('U2', `rev ${rev} is signed, and nobody wanted it`);
    this.wanted.byHash.set(hash, document);
  }

  private site(id: string, site: RecordOf<'site'>): void {
    const was = this.sites.get(id);
    this.sites.set(id, site);
    const reporter = site.reported === '' ? '' : String((JSON.parse(site.reported) as { machine?: unknown }).machine);
    if (was !== undefined && site.reported !== was.reported && reporter !== site.machine)
      throw new Broken('U3', `machine ${reporter} reports, and ${site.machine} is the primary`);
    if (was === undefined) return;
    if (site.epoch < was.epoch) throw new Broken('U3', `epoch ${site.epoch} after epoch ${was.epoch}`);
    if (site.machine !== was.machine && site.epoch === was.epoch) throw new Broken('U3', 'another machine in the same epoch');
    if (site.wantedRev < was.wantedRev) throw new Broken('U2', `rev ${site.wantedRev} is wanted after rev ${was.wantedRev}`);
    if (site.eventSeq < was.eventSeq) throw new Broken('E1', `events up to ${site.eventSeq} after events up to ${was.eventSeq}`);
  }

  /** Two copies of one machine do not take turns: the second turn of the first is the end of both. */
  private machine(id: string, { sessionCounter, state }: RecordOf<'machine'>): void {
    const box = this.boxOf(sessionCounter);
    if (box === undefined || sessionCounter === 0 || state !== 'active') return;
    const turns = this.spoke.get(id) ?? [];
    if (turns.at(-1) === box) return;
    if (turns.includes(box) && !this.forgets) throw new Broken('U3', `machine ${id}: two copies of it take turns`);
    this.spoke.set(id, [...turns, box]);
  }
}

/** The events that a portal has: marks, and how many a marker says are gone. Throws for a hole without one. */
export function eventsAt(reader: Reader, site: string): { readonly marks: ReadonlySet<string>; readonly gone: number } {
  reader.refresh();
  const marks = new Set<string>();
  let gone = 0;
  let next = 1;
  for (const { key, row } of scanRows(reader, 'record', [kinds.event.number, `${site}/`])) {
    const event = JSON.parse(row.body) as RecordOf<'event'>;
    const from = event.name === 'gap' ? Number((JSON.parse(event.body) as { from: unknown }).from) : event.seq;
    if (from > next) throw new Broken('E1', `event ${next} is missing before ${key.id}, and nothing says so`);
    if (event.name === 'gap') gone += event.seq - Math.max(next, from) + 1;
    next = event.seq + 1;
    const mark = markOf(event.body);
    if (mark !== null) marks.add(mark);
  }
  return { marks, gone };
}
