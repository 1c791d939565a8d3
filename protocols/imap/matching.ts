// Does a message match a search? Guarantees: the index decides what it can before a header is read, and the header before
// a body; a body is read a chunk at a time and decoded as it comes; text compares as Unicode, without case.

import { limits } from '../../actors/limits.ts';
import { type Entry, hasKeyword } from '../../storage/page.ts';
import { body, header, info } from '../../storage/views.ts';
import { parseDateTime } from '../mime/date.ts';
import { BodyDecoder } from '../mime/decode.ts';
import { decodeHeader, headerFields } from '../mime/header.ts';
import { type Part, unpackParts } from '../mime/parts.ts';
import { costOf, type Key } from './program.ts';
import type { Selected } from './selected.ts';
import { inPairs, resolve } from './sequence.ts';
import type { ImapSession } from './session.ts';

const DAY = 86_400_000;

/** A search made ready for one mailbox. */
export type Prepared =
  | Exclude<Key, { is: 'set' } | { is: 'keyword' } | { is: 'not' } | { is: 'or' } | { is: 'and' }>
  /** Pairs of indexes, both included. */
  | { readonly is: 'indexes'; readonly pairs: readonly number[] }
  | { readonly is: 'position'; readonly position: number; readonly on: boolean }
  | { readonly is: 'not'; readonly key: Prepared }
  | { readonly is: 'any' | 'every'; readonly keys: readonly Prepared[] };

/** Cheapest first. null: a message number that is not there. */
export function prepare(key: Key, selected: Selected): Prepared | null {
  switch (key.is) {
    case 'set': {
      const ranges = resolve(key.set, selected.uids, selected.count, key.uid);
      return ranges && { is: 'indexes', pairs: ranges.map((at, i) => (i % 2 === 1 ? at - 1 : at)) };
    }
    case 'keyword': {
      const position = selected.watch.row.keywords.findIndex((k) => k.toLowerCase() === key.name);
      return { is: 'position', position, on: key.on };
    }
    case 'not': {
      const inner = prepare(key.key, selected);
      return inner && { is: 'not', key: inner };
    }
    case 'or':
    case 'and': {
      const keys = key.is === 'or' ? [key.a, key.b] : [...key.keys];
      keys.sort((a, b) => costOf(a) - costOf(b));
      const prepared: Prepared[] = [];
      for (const k of keys) {
        const one = prepare(k, selected);
        if (one === null) return null;
        prepared.push(one);
      }
      return { is: key.is === 'or' ? 'any' : 'every', keys: prepared };
    }
    default:
      return key;
  }
}

const nobody: Entry = { uid: 0, flags: 0, keywords: 0, modseq: 0, internalDate: 0, size: 0, blob: 0 };

/** One message being looked at. What was read of it is kept as long as that takes. */
export class Candidate {
  private entry: Entry = nobody;
  private index = 0;
  private readonly s: ImapSession;
  private readonly selected: Selected;
  private readonly nowMs: number;
  private block: Uint8Array | null = null;
  private values: Map<string, string> | null = null;
  /** Body keys that were answered, and the one that is to be answered before the rest can be. */
  private readonly answers = new Map<Prepared, boolean>();
  private open: Extract<Prepared, { is: 'body' }> | null = null;

  constructor(s: ImapSession, selected: Selected) {
    this.s = s;
    this.selected = selected;
    this.nowMs = s.site.world.now();
  }

  /** Another message. */
  look(entry: Entry, index: number): this {
    this.entry = entry;
    this.index = index;
    this.block = null;
    this.values = null;
    this.answers.clear();
    return this;
  }

  /** A promise only when a body must be read. */
  matches(key: Prepared): boolean | Promise<boolean> {
    this.open = null;
    const answer = this.test(key);
    return this.open === null ? answer : this.readBodies(key);
  }

  private async readBodies(key: Prepared): Promise<boolean> {
    for (;;) {
      const { open } = this;
      if (open === null) return this.test(key);
      this.answers.set(open, await this.searchBody(open.text, open.headers));
      this.open = null;
      const answer = this.test(key);
      if (this.open === null) return answer;
    }
  }

  /** Only good when `open` is null afterwards. */
  private test(key: Prepared): boolean {
    const { entry } = this;
    switch (key.is) {
      case 'all':
        return true;
      case 'indexes':
        return inPairs(key.pairs, this.index);
      case 'flag':
        return ((entry.flags & key.bit) !== 0) === key.on;
      case 'recent':
        return this.selected.isRecent(entry.uid);
      case 'position':
        return (key.position >= 0 && hasKeyword(entry.keywords, key.position)) === key.on;
      case 'size':
        return key.larger ? entry.size > key.octets : entry.size < key.octets;
      case 'age':
        return key.younger ? entry.internalDate >= this.nowMs - key.seconds * 1000 : entry.internalDate <= this.nowMs - key.seconds * 1000;
      case 'modseq':
        return entry.modseq >= key.from;
      case 'date': {
        const day = Math.floor((key.sent ? this.sentMs() : entry.internalDate) / DAY);
        return key.compare === 'before' ? day < key.day : key.compare === 'on' ? day === key.day : day >= key.day;
      }
      case 'header':
        return this.field(key.name)?.includes(key.text) ?? false;
      case 'not':
        return !this.test(key.key);
      case 'every':
        return key.keys.every((k) => this.open === null && this.test(k));
      case 'any':
        return key.keys.some((k) => this.open === null && this.test(k));
      case 'body': {
        const known = this.answers.get(key);
        if (known === undefined) this.open = key;
        return known ?? false;
      }
    }
  }

  private header(): Uint8Array {
    this.block ??= header(this.s.site.view, this.entry.blob);
    return this.block;
  }

  /** The values of a field, decoded, in lower case, one a line; undefined: there is none. */
  private field(name: string): string | undefined {
    if (this.values === null) {
      this.values = new Map();
      const block = this.header();
      for (const f of headerFields(block)) {
        const raw = Buffer.from(block.subarray(f.valueFrom, f.to)).toString('latin1');
        const before = this.values.get(f.name);
        this.values.set(f.name, before === undefined ? raw : `${before}\n${raw}`);
      }
    }
    const raw = this.values.get(name);
    return raw === undefined ? undefined : raw.split('\n').length > 1 || raw.includes('=?') ? decodeLines(raw) : decodeHeader(raw).toLowerCase();
  }

  /** RFC 3501 §6.4.4: the Date header as written, without regard of time and zone. Without one, when it came. */
  private sentMs(): number {
    const block = this.header();
    for (const f of headerFields(block)) {
      if (f.name !== 'date') continue;
      const date = parseDateTime(Buffer.from(block.subarray(f.valueFrom, f.to)).toString('latin1'));
      return date === null ? this.entry.internalDate : date.ms + date.zoneMinutes * 60_000;
    }
    return this.entry.internalDate;
  }

  /** BODY, and with `headers` TEXT. */
  private async searchBody(text: string, headers: boolean): Promise<boolean> {
    if (text === '') return true;
    if (headers && headerText(this.header()).includes(text)) return true;
    const row = info(this.s.site.view, this.entry.blob);
    if (!row) return false;
    return this.searchPart(unpackParts(row.parts), text, headers, true);
  }

  private async searchPart(part: Part, text: string, headers: boolean, isRoot: boolean): Promise<boolean> {
    if (headers && !isRoot && part.bodyFrom > part.headerFrom) {
      const block = Buffer.concat([...body(this.s.site.view, this.entry.blob, part.headerFrom, Math.min(part.bodyFrom, part.headerFrom + limits.header))]);
      if (headerText(block).includes(text)) return true;
    }
    for (const child of part.children) {
      // The header of an enclosed message is text of the body that encloses it
      if (await this.searchPart(child, text, headers || part.kind === 'message', false)) return true;
    }
    return part.kind === 'leaf' && part.type === 'text' ? this.searchLeaf(part, text) : false;
  }

  private async searchLeaf(part: Part, text: string): Promise<boolean> {
    const decoder = new BodyDecoder(part.encoding, part.charset);
    let tail = '';
    const found = (more: string): boolean => {
      const here = tail + more.toLowerCase();
      tail = here.slice(Math.max(0, here.length - text.length + 1));
      return here.includes(text);
    };
    for (const piece of body(this.s.site.view, this.entry.blob, part.bodyFrom, part.bodyTo)) {
      if (found(decoder.write(piece))) return true;
      const wait = this.s.pressure();
      if (wait !== null) await wait;
    }
    return found(decoder.end());
  }
}

/** Values of one field that a header has several times. */
const decodeLines = (raw: string): string =>
  raw
    .replace(/\r?\n(?=[ \t])/g, '')
    .split('\n')
    .map((value) => decodeHeader(value).toLowerCase())
    .join('\n');

/** A header block as people read it, in lower case: a field a line. */
function headerText(block: Uint8Array): string {
  let out = '';
  for (const f of headerFields(block)) out += `${f.name}: ${decodeHeader(block.subarray(f.valueFrom, f.to)).toLowerCase()}\n`;
  return out;
}
