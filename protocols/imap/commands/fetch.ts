// FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4). Guarantees: memory does not grow with the number of messages, their size or
// the slowness of the client; messages are read page by page, bodies chunk by chunk; others have their turn meanwhile.
//
// The items are compiled once a command into steps that write straight from stored octets into the output buffer.

import { limits } from '../../../actors/limits.ts';
import { isRefusal } from '../../../actors/wire.ts';
import { type Entry, flag, pageOf } from '../../../storage/page.ts';
import { blob, body, header, info, page, peekInfo, RowDamaged } from '../../../storage/views.ts';
import { selectFields } from '../../mime/header.ts';
import { enclosedMessage, findPart, type Part, unpackParts } from '../../mime/parts.ts';
import type { Call } from '../commands.ts';
import type { Fetch, Item, Section } from '../items.ts';
import { internalDate, writeFlags } from '../render.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import type { Selected } from '../selected.ts';
import { addToPairs, inPairs, resolve } from '../sequence.ts';
import type { ImapSession } from '../session.ts';
import { tellKeywords } from '../sync.ts';
import { pagesOf } from '../watch.ts';

/** A message that was expunged by somebody else, and its body collected, while it was being told. */
class Gone extends Error {}

/** One FETCH under way. */
interface Run {
  readonly s: ImapSession;
  readonly selected: Selected;
  /** The part tree of `partsOf`, read at the first need. */
  parts: Part | null;
  partsOf: number;
  /** The rendered texts of the message being told. They are gone with the next read. */
  texts: ReturnType<typeof peekInfo>;
  /** Some message could not be told because of damage to its rows. */
  damaged: boolean;
}
type Step = (run: Run, entry: Entry) => Promise<void> | void;

export async function fetch(s: ImapSession, { set, items, changedSince }: Fetch, { uid }: Call): Promise<Reply> {
  const selected = s.selected as Selected;
  // RFC 7162 §3.1: CONDSTORE enabling commands
  if (changedSince !== null || items.some((i) => i.kind === 'modseq')) s.condstore = true;
  const ranges = resolve(set, selected.uids, selected.count, uid);
  if (ranges === null) return bad('There is no message of that number');
  s.site.view.refresh();
  // Keywords are named before a message carries them
  selected.watch.update();
  tellKeywords(s, selected);
  const seen = items.some((i) => i.kind === 'section' && !i.peek) && !selected.readOnly ? await setSeen(s, selected, ranges) : [];
  const wanted = withImplied(items, uid, changedSince !== null);
  const plain = wanted.map(compile);
  // Before the octets of a body, so that a client knows them when those have come
  const flagsToo = wanted.some((i) => i.kind === 'flags') ? plain : [compile({ kind: 'flags' }), ...plain];
  const run: Run = { s, selected, parts: null, partsOf: 0, texts: undefined, damaged: false };
  const whole = await fetchRanges(run, ranges, changedSince ?? -1, (entry) => (seen.length > 0 && inPairs(seen, entry.uid) ? flagsToo : plain));
  if (run.damaged) return no('[SERVERBUG] Some of the messages are damaged on the disk of the server');
  // RFC 2180 §4.1.2: what others have expunged cannot be told
  return whole || uid ? ok('Fetched') : no('[EXPUNGEISSUED] Some of the messages are gone');
}

/** What is told besides what was asked: the UID in answers to UID FETCH, MODSEQ with CHANGEDSINCE (RFC 7162 §3.1.4.1). */
function withImplied(items: readonly Item[], uid: boolean, changedSince: boolean): readonly Item[] {
  const out = [...items];
  if (uid && !items.some((i) => i.kind === 'uid')) out.unshift({ kind: 'uid' });
  if (changedSince && !items.some((i) => i.kind === 'modseq')) out.push({ kind: 'modseq' });
  return out;
}

/** Sets \Seen where it is not (RFC 3501 §6.4.5). UID pairs of those that were not seen. A full disk does not stop reading. */
async function setSeen(s: ImapSession, selected: Selected, ranges: readonly number[]): Promise<readonly number[]> {
  const unseen: number[] = [];
  await eachEntry(s, selected, ranges, (entry) => {
    if ((entry.flags & flag.seen) === 0) addToPairs(unseen, entry.uid);
  });
  if (unseen.length === 0) return unseen;
  const { watch } = selected;
  const ask = { account: s.account, mailbox: watch.id, uids: unseen, mode: 'add', flags: flag.seen, keywords: [], unchangedSince: null } as const;
  const answer = await s.site.store.ask('store', ask);
  if (isRefusal(answer)) return [];
  watch.note(answer.modseq, pagesOf(unseen));
  s.own = { modseq: answer.modseq, uids: unseen };
  // What is told now is not told again: a keyword that somebody has just made must have its name
  watch.update();
  tellKeywords(s, selected);
  s.site.view.refresh();
  return unseen;
}

/** Calls `each` for every message of the ranges that is still there, with its index. False: some are gone. */
async function eachEntry(
  s: ImapSession,
  selected: Selected,
  ranges: readonly number[],
  each: (entry: Entry, index: number) => Promise<void> | void,
): Promise<boolean> {
  const { uids, watch } = selected;
  const { view } = s.site;
  let whole = true;
  let number = -1;
  let entries: readonly Entry[] = [];
  let k = 0;
  for (let r = 0; r < ranges.length; r += 2) {
    for (let i = ranges[r] as number; i < (ranges[r + 1] as number); i++) {
      const wanted = uids[i] as number;
      if (pageOf(wanted) !== number) {
        const wait = s.pressure();
        if (wait !== null) await wait;
        number = pageOf(wanted);
        entries = page(view, watch.id, number);
        k = 0;
      }
      while (k < entries.length && (entries[k] as Entry).uid < wanted) k++;
      const entry = entries[k];
      if (entry?.uid !== wanted) {
        whole = false;
        continue;
      }
      const doing = each(entry, i);
      if (doing === undefined) continue;
      await doing;
      // Others had their turn: what is read from now on may be newer
      number = -1;
    }
  }
  return whole;
}

async function fetchRanges(run: Run, ranges: readonly number[], changedSince: number, stepsOf: (entry: Entry) => readonly Step[]): Promise<boolean> {
  let told = true;
  const whole = await eachEntry(run.s, run.selected, ranges, (entry, index) => {
    if (entry.modseq <= changedSince) return;
    const mark = run.s.out.written;
    try {
      const telling = tell(run, entry, index, stepsOf(entry), 0);
      if (telling !== undefined) return telling.catch((error) => void (told = takeBack(run, mark, error)));
    } catch (error) {
      told = takeBack(run, mark, error);
    }
  });
  return whole && told;
}

/** A response that cannot be finished is taken back, or the connection ends. */
function takeBack(run: Run, mark: number, error: unknown): false {
  const { s } = run;
  if (!(error instanceof Error) || (!(error instanceof Gone) && !(error instanceof RowDamaged) && error.name !== 'BodyGone')) throw error;
  run.damaged ||= error instanceof RowDamaged;
  if (!s.out.rollback(mark)) {
    // Octets were promised that are nowhere
    s.phase = 'over';
    s.connection.destroy();
  }
  return false;
}

/** One FETCH response, from its `from`th step on. A promise only if something is waited for. */
function tell(run: Run, entry: Entry, index: number, steps: readonly Step[], from: number): Promise<void> | undefined {
  const { out } = run.s;
  if (from === 0) {
    run.texts = undefined;
    out.text('* ');
    out.number(index + 1);
    out.text(' FETCH (');
  }
  for (let i = from; i < steps.length; i++) {
    if (i > 0) out.octet(32);
    const waiting = (steps[i] as Step)(run, entry);
    if (waiting) return waiting.then(() => tell(run, entry, index, steps, i + 1));
  }
  out.text(')\r\n');
  return undefined;
}

function compile(item: Item): Step {
  if (item.kind === 'section') return compileSection(item);
  return steps[item.kind];
}

const steps: Readonly<Record<Exclude<Item['kind'], 'section'>, Step>> = {
  uid: ({ s: { out } }, { uid }) => {
    out.text('UID ');
    out.number(uid);
  },
  flags: ({ s: { out }, selected }, { flags, keywords, uid }) => {
    out.text('FLAGS ');
    writeFlags(out, flags, selected.isRecent(uid), keywords, selected.watch.row.keywords);
  },
  size: ({ s: { out } }, { size }) => {
    out.text('RFC822.SIZE ');
    out.number(size);
  },
  internalDate: ({ s: { out } }, entry) => {
    out.text('INTERNALDATE ');
    out.text(internalDate(entry.internalDate));
  },
  modseq: ({ s: { out } }, { modseq }) => {
    out.text('MODSEQ (');
    out.number(modseq);
    out.octet(41);
  },
  envelope: (run, entry) => rendered(run, entry, 'ENVELOPE ', 'envelope'),
  structure: (run, entry) => rendered(run, entry, 'BODYSTRUCTURE ', 'structure'),
  body: (run, entry) => rendered(run, entry, 'BODY ', 'body'),
};

function rendered(run: Run, entry: Entry, label: string, which: 'envelope' | 'structure' | 'body'): void {
  const { out, site } = run.s;
  run.texts ??= peekInfo(site.view, entry.blob);
  if (!run.texts) throw new Gone();
  out.text(label);
  out.raw(run.texts[which]);
}

function compileSection(section: Section): Step {
  const { what, fields, path, partial } = section;
  const label = `${section.label} `;
  if (what === 'fields' || what === 'notFields') {
    return (run, entry) => {
      run.texts = undefined;
      const octets = headerOf(run, entry, path);
      run.s.out.text(label);
      if (octets === null) run.s.out.text('NIL');
      else run.s.out.literal(cut(selectFields(octets, fields, what === 'notFields'), partial));
      // A long header is paced like a body
      if (octets !== null && octets.length > limits.chunk) return run.s.pressure() ?? undefined;
    };
  }
  return (run, entry) => {
    run.texts = undefined;
    const range = rangeOf(run, entry, section);
    run.s.out.text(label);
    if (range === null) {
      run.s.out.text('NIL');
      return;
    }
    const from = partial === null ? range.from : Math.min(range.to, range.from + partial.from);
    const to = partial === null ? range.to : Math.min(range.to, from + partial.count);
    run.s.out.literalOf(to - from);
    if (to > from) return stream(run, entry, from, to);
  };
}

const cut = (octets: Uint8Array, partial: Section['partial']): Uint8Array =>
  partial === null ? octets : octets.subarray(partial.from, partial.from + partial.count);

/** The header that HEADER.FIELDS of a section is about, at most limits.header octets of it; null: there is none. */
function headerOf(run: Run, entry: Entry, path: readonly number[]): Uint8Array | null {
  const { view } = run.s.site;
  if (path.length === 0) return header(view, entry.blob);
  const message = messageAt(run, entry, path);
  if (!message) return null;
  const { headerFrom, bodyFrom } = message;
  return Buffer.concat([...body(view, entry.blob, headerFrom, Math.min(bodyFrom, headerFrom + limits.header))]);
}

function partsOf(run: Run, entry: Entry): Part {
  if (run.parts === null || run.partsOf !== entry.blob) {
    const row = info(run.s.site.view, entry.blob);
    if (!row) throw new Gone();
    run.parts = unpackParts(row.parts);
    run.partsOf = entry.blob;
  }
  return run.parts;
}

/** The message which a part encloses. */
function messageAt(run: Run, entry: Entry, path: readonly number[]): Part | undefined {
  const root = partsOf(run, entry);
  const part = findPart(root, path);
  // Part 1 of a message that is no multipart is its body, and encloses nothing
  return part && part !== root ? enclosedMessage(root, part) : undefined;
}

/** Which octets of the message a section is; null: there is no such part. */
function rangeOf(run: Run, entry: Entry, { path, what }: Section): { readonly from: number; readonly to: number } | null {
  if (path.length === 0) {
    if (what === 'part') return { from: 0, to: entry.size };
    const row = blob(run.s.site.view, entry.blob);
    if (!row) throw new Gone();
    return what === 'header' ? { from: 0, to: row.headerSize } : { from: row.headerSize, to: row.size };
  }
  if (what === 'header' || what === 'text') {
    const message = messageAt(run, entry, path);
    // A part that encloses no message has no octets of one
    if (!message) return findPart(partsOf(run, entry), path) ? { from: 0, to: 0 } : null;
    return what === 'header' ? { from: message.headerFrom, to: message.bodyFrom } : { from: message.bodyFrom, to: message.bodyTo };
  }
  const part = findPart(partsOf(run, entry), path);
  if (!part) return null;
  return what === 'mime' ? { from: part.headerFrom, to: part.bodyFrom } : { from: part.bodyFrom, to: part.bodyTo };
}

/** Octets of the body into the output. A promise only if the client has to be waited for. */
function stream(run: Run, entry: Entry, from: number, to: number): Promise<void> | void {
  const { s } = run;
  const pieces = body(s.site.view, entry.blob, from, to);
  for (;;) {
    const next = pieces.next();
    if (next.done) return;
    s.out.own(next.value);
    const wait = s.pressure();
    if (wait !== null) return streamOn(run, pieces, wait);
  }
}

async function streamOn({ s }: Run, pieces: Generator<Uint8Array, void, undefined>, first: Promise<void>): Promise<void> {
  await first;
  for (const piece of pieces) {
    s.out.own(piece);
    const wait = s.pressure();
    if (wait !== null) await wait;
  }
}
