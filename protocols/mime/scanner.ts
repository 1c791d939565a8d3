// The MIME structure of a message, found while its octets go by. Guarantees: the same answer for any chunking; time
// linear in the octets; memory bounded by limits.header (captured header octets of the whole message), limits.mimeDepth
// and limits.mimeParts, whatever the message; never throws on octets. LF and CRLF end a line, a bare CR does not.
//
// States: in a header (until its empty line), or in a body. At the start of each line only two things matter: is it the
// empty line of a header, is it a delimiter of an open multipart. Every other line is skipped by a native search for LF.

import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import type { Ask } from '../../actors/wire.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { octetsOf } from './charset.ts';
import { parseDate } from './date.ts';
import { contentType, type EntityFields, entityFields, parameterOf, transferEncoding } from './entity.ts';
import { trimWhite } from './header.ts';
import type { Parameterized } from './parameters.ts';
import { cutNames, type Part, packParts } from './parts.ts';
import { type Entity, renderEnvelope, renderStructure } from './render.ts';
import { baseSubject, messageIdOf, referencesOf } from './thread.ts';

/** What is computed of a message once, as the store keeps it. */
export type Info = Ask<StoreProtocol, 'append'>['content']['info'];

export interface Scanned {
  readonly size: number;
  /** Octets up to and with the empty line; all of them where there is none. */
  readonly headerSize: number;
  readonly info: Info;
  readonly part: Part;
}

const LF = 10;
const CR = 13;
const DASH = 45;
/** Delimiter lines longer than this are none (RFC 2046 §5.1.1 allows 70 octets of boundary). */
const longestLine = 1_024;
const longestBoundary = 1_000;
/** A buffer for header octets that is kept from one part to the next. */
const leastCaptured = 4_096;
const noFields: EntityFields = new Map();
const nothing = Buffer.alloc(0);

/** A part while it is being found. */
interface Node {
  kind: Part['kind'];
  type: string;
  subtype: string;
  encoding: string;
  parameters: Parameterized['parameters'];
  fields: EntityFields;
  readonly headerFrom: number;
  bodyFrom: number;
  bodyTo: number;
  /** LFs before the body, then those in it. */
  lines: number;
  readonly children: Node[];
  /** The delimiter of an open multipart, and the outer multipart it hides, which has the same. */
  boundary: string | null;
  hides: number;
  readonly digest: boolean;
  readonly message: boolean;
}

const newNode = (headerFrom: number, message: boolean, digest: boolean): Node => ({
  kind: 'leaf',
  type: 'text',
  subtype: 'plain',
  encoding: '7bit',
  parameters: [],
  fields: noFields,
  headerFrom,
  bodyFrom: headerFrom,
  bodyTo: headerFrom,
  lines: 0,
  children: [],
  boundary: null,
  hides: -1,
  digest,
  message,
});

export class Scanner {
  /** Octets before the chunk at hand. */
  #base = 0;
  /** LFs seen. */
  #lines = 0;
  readonly #root = newNode(0, true, false);
  /** From the root to the innermost part that has not ended. */
  readonly #open: Node[] = [this.#root];
  /** Open boundaries → index in #open of the innermost multipart that has it. */
  readonly #boundaries = new Map<string, number>();
  #parts = 1;
  #inHeader = true;
  #midLine = false;
  /** The start of a line that may matter and has not ended. */
  #held = nothing;
  #heldLength = 0;
  #heldEnding = 0;
  /** The two octets before #base, the last one first. */
  #before1 = 0;
  #before2 = 0;
  #captured = nothing;
  #capturedLength = 0;
  #headerBudget: number = limits.header;
  /** Octets up to and with the empty line of the message; null until it has come. */
  headerSize: number | null = null;

  /** Octets of headers that are kept: of the one that has not ended, and in the fields of those that have. */
  get held(): number {
    return this.#captured.length + limits.header - this.#headerBudget;
  }

  /** Looks at the next octets; keeps no reference to them. */
  push(chunk: Uint8Array): void {
    const end = chunk.length;
    if (end === 0) return;
    let at = 0;
    while (at < end) at = this.#midLine ? this.#skipLines(chunk, at) : this.#lineStart(chunk, at);
    if (this.#inHeader) this.#capture(chunk, this.#innermost().headerFrom - this.#base, end);
    this.#before2 = end > 1 ? (chunk[end - 2] as number) : this.#before1;
    this.#before1 = chunk[end - 1] as number;
    this.#base += end;
  }

  #innermost(): Node {
    return this.#open[this.#open.length - 1] as Node;
  }

  /** From the middle of a line to the start of the next one that may matter. The hot loop. */
  #skipLines(chunk: Uint8Array, from: number): number {
    const inHeader = this.#inHeader;
    let lines = this.#lines;
    let lf = chunk.indexOf(LF, from);
    let at = chunk.length;
    while (lf >= 0) {
      lines++;
      const c = chunk[lf + 1];
      if (c === DASH || c === undefined || (inHeader && (c === LF || c === CR))) {
        at = lf + 1;
        this.#midLine = false;
        break;
      }
      lf = chunk.indexOf(LF, lf + 1);
    }
    this.#lines = lines;
    return at;
  }

  /** At the start of a line, or where its held start goes on. */
  #lineStart(chunk: Uint8Array, at: number): number {
    const first = this.#heldLength > 0 ? (this.#held[0] as number) : (chunk[at] as number);
    if (first !== DASH && !(this.#inHeader && (first === LF || first === CR))) {
      this.#midLine = true;
      return at;
    }
    const lf = chunk.indexOf(LF, at);
    const to = lf < 0 ? chunk.length : lf;
    if (this.#heldLength + to - at >= longestLine) {
      this.#heldLength = 0;
      this.#midLine = true;
      return at;
    }
    if (lf < 0) {
      if (this.#heldLength === 0) this.#heldEnding = this.#endingBefore(chunk, at);
      if (this.#held === nothing) this.#held = Buffer.allocUnsafe(longestLine);
      this.#held.set(chunk.subarray(at, to), this.#heldLength);
      this.#heldLength += to - at;
      return to;
    }
    const start = this.#base + at - this.#heldLength;
    const ending = this.#heldLength > 0 ? this.#heldEnding : this.#endingBefore(chunk, at);
    const text = (this.#heldLength > 0 ? octetsOf(this.#held.subarray(0, this.#heldLength)) : '') + octetsOf(chunk.subarray(at, to));
    this.#heldLength = 0;
    this.#line(chunk, text, start, ending, this.#base + lf + 1);
    return lf + 1;
  }

  /** The length of the line ending before a line that starts at `at`: it belongs to a delimiter (RFC 2046 §5.1.1). */
  #endingBefore(chunk: Uint8Array, at: number): number {
    if (this.#base + at === 0) return 0;
    const octet = at >= 2 ? chunk[at - 2] : at === 1 ? this.#before1 : this.#before2;
    return octet === CR ? 2 : 1;
  }

  /** A whole line that may matter: its text without LF, its offsets, and the length of the line ending before it. */
  #line(chunk: Uint8Array, text: string, start: number, ending: number, end: number): void {
    if (this.#inHeader && (text === '' || text === '\r')) {
      this.#lines++;
      this.#endHeader(chunk, end);
      return;
    }
    const ended = end > start + text.length ? 1 : 0;
    const found = this.#boundaries.size > 0 && text.startsWith('--') ? this.#findDelimiter(text.slice(2)) : null;
    if (found === null) this.#lines += ended;
    else this.#delimiter(chunk, found, start, ending, end, ended);
  }

  /**
   * Which open multipart a line `--${text}` delimits. DEVIATES RFC 2046 §5.1.1, by which a line that begins with the
   * delimiter is one: white space, `--` or nothing must follow it. Else the delimiter of an inner multipart that begins
   * like an outer one's would end the outer one's part.
   */
  #findDelimiter(text: string): { index: number; last: boolean } | null {
    // Boundaries may have spaces inside, not at their end.
    const name = trimWhite(`x${text}`).slice(1);
    const white = name.search(/[ \t]/);
    return this.#lookUp(name) ?? (white < 0 ? null : this.#lookUp(name.slice(0, white)));
  }

  #lookUp(name: string): { index: number; last: boolean } | null {
    const index = this.#boundaries.get(name);
    if (index !== undefined) return { index, last: false };
    const closing = name.endsWith('--') ? this.#boundaries.get(name.slice(0, -2)) : undefined;
    return closing === undefined ? null : { index: closing, last: true };
  }

  /** A delimiter line [start, end): it ends what is open inside its multipart, and begins a part unless it is the last. */
  #delimiter(chunk: Uint8Array, found: { index: number; last: boolean }, start: number, ending: number, end: number, ended: number): void {
    while (this.#inHeader) this.#endHeader(chunk, start);
    this.#closeDownTo(found.index + 1, start, ending);
    this.#lines += ended;
    const multipart = this.#open[found.index] as Node;
    if (found.last) this.#forget(multipart);
    else this.#openPart(multipart, end);
  }

  /** Ends the innermost parts until `depth` are open. The line ending before `start` is not theirs. */
  #closeDownTo(depth: number, start: number, ending: number): void {
    // Where a header ended just before, its empty line is not given away again.
    let least = 0;
    while (this.#open.length > depth) {
      const node = this.#open.pop() as Node;
      this.#forget(node);
      least = Math.max(least, node.bodyFrom);
      const without = ending > 0 && start - ending >= least;
      node.bodyTo = without ? start - ending : start;
      node.lines = this.#lines - node.lines - (without ? 1 : 0);
    }
  }

  #forget(node: Node): void {
    if (node.boundary === null) return;
    if (node.hides < 0) this.#boundaries.delete(node.boundary);
    else this.#boundaries.set(node.boundary, node.hides);
    node.boundary = null;
  }

  #openPart(multipart: Node, from: number): void {
    const node = newNode(from, false, multipart.subtype === 'digest');
    multipart.children.push(node);
    this.#open.push(node);
    this.#parts++;
    if (this.#parts < limits.mimeParts) {
      this.#inHeader = true;
      this.#capturedLength = 0;
      return;
    }
    // The rest of the message is one opaque leaf.
    node.type = 'application';
    node.subtype = 'octet-stream';
    node.lines = this.#lines;
    for (const open of this.#open) open.boundary = null;
    this.#boundaries.clear();
  }

  /** Keeps header octets [from, to) of the chunk, as far as the budget goes. */
  #capture(chunk: Uint8Array, from: number, to: number): void {
    const start = Math.max(0, from);
    const length = Math.min(to - start, this.#headerBudget - this.#capturedLength);
    if (length <= 0) return;
    const needed = this.#capturedLength + length;
    if (needed > this.#captured.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, Math.min(limits.header, this.#captured.length * 2), leastCaptured));
      larger.set(this.#captured.subarray(0, this.#capturedLength));
      this.#captured = larger;
    }
    this.#captured.set(chunk.subarray(start, start + length), this.#capturedLength);
    this.#capturedLength = needed;
  }

  /** The header of the innermost part, which ends at `end`. What lies in this chunk alone is not copied first. */
  #headerText(chunk: Uint8Array, from: number, end: number): string {
    const start = from - this.#base;
    const length = Math.min(end - from, this.#headerBudget);
    let text: string;
    if (start >= 0) text = octetsOf(chunk.subarray(start, start + length));
    else {
      if (end > this.#base) this.#capture(chunk, 0, end - this.#base);
      text = octetsOf(this.#captured.subarray(0, Math.min(length, this.#capturedLength)));
    }
    this.#capturedLength = 0;
    if (this.#captured.length > leastCaptured) this.#captured = nothing;
    this.#headerBudget -= text.length;
    return text;
  }

  #endHeader(chunk: Uint8Array, end: number): void {
    const node = this.#innermost();
    if (node === this.#root) this.headerSize = end;
    node.bodyFrom = end;
    node.lines = this.#lines;
    this.#inHeader = false;
    const text = this.#headerText(chunk, node.headerFrom, end);
    const fields = text === '' ? noFields : entityFields(text, node.message);
    const { type, subtype, parameters } = contentType(fields.get('content-type'), node.digest);
    Object.assign(node, { fields, type, subtype, parameters, encoding: transferEncoding(fields.get('content-transfer-encoding')) });
    if (type === 'multipart') this.#openMultipart(node);
    // RFC 2046 §5.2.1: no encoding may be used; of a message that has one the inside is not looked at.
    else if (type === 'message' && subtype === 'rfc822' && !/^(base64|quoted-printable)$/.test(node.encoding)) this.#openMessage(node, end);
  }

  #openMultipart(node: Node): void {
    const boundary = trimWhite(`x${parameterOf(node.parameters, 'boundary') ?? ''}`).slice(1);
    if (boundary === '' || boundary.length > longestBoundary || this.#open.length >= limits.mimeDepth) return;
    node.kind = 'multipart';
    node.boundary = boundary;
    node.hides = this.#boundaries.get(boundary) ?? -1;
    this.#boundaries.set(boundary, this.#open.length - 1);
  }

  #openMessage(node: Node, from: number): void {
    if (this.#open.length >= limits.mimeDepth || this.#parts >= limits.mimeParts) return;
    node.kind = 'message';
    const inner = newNode(from, true, false);
    node.children.push(inner);
    this.#open.push(inner);
    this.#parts++;
    this.#inHeader = true;
  }

  /** A delimiter at the very end began nothing. */
  #dropEmpty(size: number): void {
    const node = this.#innermost();
    const parent = this.#open[this.#open.length - 2];
    if (node.headerFrom !== size || parent?.kind !== 'multipart') return;
    this.#open.pop();
    parent.children.pop();
    this.#inHeader = false;
  }

  /** The end of the message. Call once. */
  finish(): Scanned {
    const size = this.#base;
    if (this.#heldLength > 0) {
      const text = octetsOf(this.#held.subarray(0, this.#heldLength));
      if (text.startsWith('--')) this.#line(nothing, text, size - this.#heldLength, this.#heldEnding, size);
    }
    this.#dropEmpty(size);
    while (this.#inHeader) this.#endHeader(nothing, size);
    this.#closeDownTo(0, size, 0);
    const { entity, part } = settle(this.#root);
    return { size, headerSize: this.#root.bodyFrom, info: infoOf(entity, part), part };
  }
}

/** The two faces of a finished node. A multipart in which no part was found is text, so that people can read it. */
function settle(node: Node): { entity: Entity; part: Part } {
  const { headerFrom, bodyFrom, bodyTo, lines, fields, encoding } = node;
  assert(headerFrom <= bodyFrom && bodyFrom <= bodyTo && lines >= 0, 'a part has a body after its header');
  const settled = node.children.map(settle);
  const hollow = node.type === 'multipart' && settled.length === 0;
  const kind = hollow ? 'leaf' : node.kind;
  const type = hollow ? 'text' : node.type;
  const subtype = hollow ? 'plain' : node.subtype;
  const parameters = hollow ? [] : node.parameters;
  const names = cutNames(type, subtype, encoding, (parameterOf(parameters, 'charset') ?? '').toLowerCase());
  return {
    entity: { kind, type, subtype, encoding, parameters, fields, octets: bodyTo - bodyFrom, lines, children: settled.map((s) => s.entity) },
    part: { kind, ...names, headerFrom, bodyFrom, bodyTo, lines, children: settled.map((s) => s.part) },
  };
}

function infoOf(root: Entity, part: Part): Info {
  const { fields } = root;
  return {
    envelope: renderEnvelope(fields, limits.envelope),
    structure: renderStructure(root, true, limits.structure),
    body: renderStructure(root, false, limits.structure),
    parts: packParts(part),
    sentDate: parseDate(fields.get('date') ?? ''),
    messageId: messageIdOf(fields.get('message-id') ?? ''),
    references: referencesOf(fields.get('references') ?? '', fields.get('in-reply-to') ?? '', 100),
    subject: baseSubject(fields.get('subject') ?? ''),
  };
}

/** Scans a message that is in memory. */
export function scan(bytes: Uint8Array): Scanned {
  const scanner = new Scanner();
  scanner.push(bytes);
  return scanner.finish();
}
