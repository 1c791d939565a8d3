// One message on its way in: its header is gathered and looked at, then all of it streams into the store's intake.
// Guarantees: memory is one header (limits.header), charged to the account of all messages on their way in, and the
// intake's own bound; a message that will be refused costs no more from the moment this is known; nothing is kept before a
// command claims it (M1).
//
// States: `header` (gathering) → `body` (streaming) → claimed by deliver.ts; from each → refused: the octets that still come
// are counted and dropped, and the refusal is the reply at their end.

import { isAscii } from 'node:buffer';
import { limits } from '../../actors/limits.ts';
import { type Content, Intake, IntakeFailed } from '../mime/intake.ts';
import { Charge } from '../mime/memory.ts';
import type { Site } from '../site.ts';
import { examineHeader, type HeaderFacts, headerEnd } from './trace.ts';

/** What goes before the message's own header, or the reply that refuses it. Asked once, when the header is complete. */
export type Prefix = (header: HeaderFacts) => Uint8Array | string;

const empty = new Uint8Array(0);
const noRoom = '452 4.3.1 There is no room on this host now';
/** The first octets of a header that are waited for; then twice as many each time. */
const leastGathered = 4_096;

export class Incoming {
  /** The reply at the end of the data, when it is not accepted. */
  refusal: string | null = null;
  /** Octets of the message as the client sent it, unstuffed. */
  octets = 0;
  /** As the client sent it, with its empty line; empty unless it is to be kept. */
  header: Uint8Array = empty;
  headerAscii = true;
  ascii = true;
  private readonly site: Site;
  private readonly prefix: Prefix;
  private readonly keepHeader: boolean;
  /** For what is gathered, then for the header that is kept. */
  private readonly charge: Charge;
  private intake: Intake | null = null;
  /** The header so far, while its end has not come: the first `filled` octets. */
  private gathered: Uint8Array = empty;
  private filled = 0;

  constructor(site: Site, prefix: Prefix, keepHeader: boolean) {
    this.site = site;
    this.prefix = prefix;
    this.keepHeader = keepHeader;
    this.charge = new Charge(site.world);
  }

  /** The first refusal stays. What came so far is dropped. */
  refuse(reply: string): void {
    this.refusal ??= reply;
    this.abort();
  }

  /** Back-pressure: wait for it before the next octets are read. Never rejects. */
  write(bytes: Uint8Array): Promise<void> | null {
    this.octets += bytes.length;
    if (this.refusal !== null || bytes.length === 0) return null;
    if (this.octets > limits.message) {
      this.refuse(`552 5.3.4 The message is larger than ${limits.message} octets`);
      return null;
    }
    if (this.intake !== null) return this.take(this.intake, bytes);
    const end = this.filled === 0 ? headerEnd(bytes, 0) : -1;
    const all = end < 0 ? this.gather(bytes) : bytes;
    if (all === null) {
      this.refuse(noRoom);
      return null;
    }
    const found = end < 0 ? headerEnd(all, all.length - bytes.length) : end;
    if ((found < 0 ? all.length : found) > limits.header) {
      this.refuse(`552 5.3.4 The header is larger than ${limits.header} octets`);
      return null;
    }
    return found < 0 ? null : this.begin(all, found);
  }

  /** All octets so far, in one piece that doubles when it is full: tiny chunks cost no more than big ones. null: no room. */
  private gather(bytes: Uint8Array): Uint8Array | null {
    const length = this.filled + bytes.length;
    if (length > this.gathered.length) {
      let size = leastGathered;
      while (size < length) size *= 2;
      if (!this.charge.allows(size)) return null;
      this.charge.set(size);
      const wider = Buffer.allocUnsafe(size);
      wider.set(this.gathered.subarray(0, this.filled));
      this.gathered = wider;
    }
    this.gathered.set(bytes, this.filled);
    this.filled = length;
    return this.gathered.subarray(0, length);
  }

  /** The header is complete: `all` begins with it. */
  private begin(all: Uint8Array, end: number): Promise<void> | null {
    this.gathered = empty;
    this.filled = 0;
    const header = all.subarray(0, end);
    const facts = examineHeader(header);
    this.headerAscii = facts.ascii;
    if (facts.hops > limits.receivedHops) {
      this.refuse(`554 5.4.6 The message has passed more than ${limits.receivedHops} hosts: a mail loop`);
      return null;
    }
    const prefix = this.prefix(facts);
    if (typeof prefix === 'string') {
      this.refuse(prefix);
      return null;
    }
    // A copy: the octets behind the header are not kept for its sake
    if (this.keepHeader) this.header = new Uint8Array(header);
    if (!this.charge.allows(this.header.length)) {
      this.refuse(noRoom);
      return null;
    }
    return this.start(prefix, all);
  }

  private async start(prefix: Uint8Array, all: Uint8Array): Promise<void> {
    this.intake = new Intake(this.site.world, this.site.store);
    await this.take(this.intake, prefix, all);
    this.charge.set(this.header.length);
  }

  private async take(intake: Intake, first: Uint8Array, second: Uint8Array = empty): Promise<void> {
    try {
      this.ascii &&= isAscii(first) && isAscii(second);
      await intake.write(first);
      if (second.length > 0) await intake.write(second);
    } catch (error) {
      this.fail(error);
    }
  }

  /** All octets have come: the content, or null when it is refused. */
  async finish(): Promise<Content | null> {
    if (this.intake === null && this.refusal === null) await this.begin(this.gathered.subarray(0, this.filled), this.filled);
    if (this.intake === null) return null;
    try {
      return await this.intake.finish();
    } catch (error) {
      this.fail(error);
      return null;
    }
  }

  private fail(error: unknown): void {
    if (!(error instanceof IntakeFailed)) throw error;
    const crowded = error.code === 'full' || error.code === 'crowded';
    this.refuse(crowded ? noRoom : '451 4.3.0 The message cannot be stored now: try again');
  }

  /** The store has answered: nothing of it is in memory any more. */
  release(): void {
    this.intake?.release();
    this.intake = null;
    this.drop();
  }

  /** Nobody will claim it. */
  abort(): void {
    this.intake?.abort();
    this.intake = null;
    this.drop();
  }

  private drop(): void {
    this.gathered = empty;
    this.filled = 0;
    this.header = empty;
    this.charge.set(0);
  }
}
