// A message body on its way into the store: scanned, hashed, cut into chunk rows while it streams. Guarantees: memory
// per message is at most limits.inlineBody + limits.transferWindow, limits.header and a chunk; all intakes of a process
// together keep limits.intakeMemory (memory.ts), past which they stream early, and long headers are refused; nothing is in
// the store's tables before a command claims it (M1).
//
// States: gathering → streaming (a transfer is open; chunks go out, at most limits.transferWindow not yet written)
// → done → released, or failed or aborted. The commit point is the command which claims the content, not `finish`.

import { type Address, LinkLost } from '../../actors/actor.ts';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { type Ask, isRefusal, type Refusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { RefusalCode, StoreProtocol } from '../../storage/messages.ts';
import { Charge } from './memory.ts';
import { type Scanned, Scanner } from './scanner.ts';

/** A message body and what was computed of it, as the store takes it. */
export type Content = Ask<StoreProtocol, 'append'>['content'];

/** The body was not taken. `linkLost`: the store died; nobody will claim what it had. `crowded`: no memory for its header. */
export class IntakeFailed extends Error {
  readonly code: RefusalCode | 'busy' | 'linkLost' | 'crowded';
  constructor(code: IntakeFailed['code'], detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'IntakeFailed';
    this.code = code;
  }
}

const RAW = 0;
const ZSTD = 1;
/** Shorter chunks are not worth a try. */
const leastToCompress = 1_024;
/** After a chunk that did not shrink by half, so many go by untried: attachments are long. */
const skipAfterMiss = 15;
/** Chunks a message to the store carries, and a command may carry (storage/messages.ts). */
const chunksPerAppend = Math.floor((128 * 1024) / limits.chunk);
const inlineChunks = 64;

/** Cuts octets into chunk values: the header block first, then limits.chunk raw octets each (storage/schema.ts, `chunk`). */
class Chunks {
  /** Codec octet, then raw octets: the chunk being filled. */
  #open = Buffer.allocUnsafe(limits.chunk + 1);
  #filled = 0;
  #headerDone = false;
  #skip = 0;
  /** Chunk values that nobody took yet. */
  ready: Uint8Array[] = [];
  readyOctets = 0;
  count = 0;

  /** `headerSize`: null until the scanner, which is ahead of us, has seen the end of the header. */
  add(octets: Uint8Array, headerSize: number | null): void {
    for (let at = 0; at < octets.length; ) {
      const take = Math.min(octets.length - at, limits.chunk - this.#filled);
      this.#open.set(take === octets.length ? octets : octets.subarray(at, at + take), this.#filled + 1);
      this.#filled += take;
      at += take;
      if (!this.#headerDone) this.#tryHeader(headerSize);
      if (this.#filled === limits.chunk) this.#close();
    }
  }

  /** Chunk 0 ends with the header, or is full of it. It is never compressed, so that HEADER.FIELDS is fast. */
  #tryHeader(headerSize: number | null): void {
    if (headerSize === null && this.#filled < limits.chunk) return;
    const size = Math.min(headerSize ?? limits.chunk, limits.chunk);
    if (this.#filled < size) return;
    this.#headerDone = true;
    this.#put(this.#copy(size));
    this.#open.copyWithin(1, size + 1, this.#filled + 1);
    this.#filled -= size;
  }

  /** The first `size` octets of the open chunk as a raw chunk value of its own. */
  #copy(size: number): Uint8Array {
    const value = Buffer.allocUnsafe(size + 1);
    value.set(this.#open.subarray(0, size + 1));
    value[0] = RAW;
    return value;
  }

  #close(): void {
    if (this.#filled === 0) return;
    this.#put(this.#compressed() ?? this.#copy(this.#filled));
    this.#filled = 0;
  }

  /** The open chunk under zstd, or null where that would not save half: less leaves the row on a page of its own. */
  #compressed(): Uint8Array | null {
    if (this.#filled < leastToCompress) return null;
    if (this.#skip > 0) {
      this.#skip--;
      return null;
    }
    const packed = Bun.zstdCompressSync(this.#open.subarray(1, this.#filled + 1), { level: 1 });
    if (packed.length * 2 > this.#filled) {
      this.#skip = skipAfterMiss;
      return null;
    }
    const value = Buffer.allocUnsafe(packed.length + 1);
    value[0] = ZSTD;
    value.set(packed, 1);
    return value;
  }

  #put(value: Uint8Array): void {
    this.ready.push(value);
    this.readyOctets += value.length;
    this.count++;
  }

  /** The last chunk, and the header where it never ended. */
  end(headerSize: number): void {
    if (!this.#headerDone) this.#tryHeader(headerSize);
    this.#close();
  }

  take(count: number): Uint8Array[] {
    const taken = this.ready.splice(0, count);
    for (const chunk of taken) this.readyOctets -= chunk.length;
    return taken;
  }

  /** Can all of it travel inside the command? */
  get inline(): boolean {
    return this.readyOctets <= limits.inlineBody && this.count <= inlineChunks;
  }
}

/** One message body. Calls must not overlap; after a failure only `abort` makes sense. */
export class Intake {
  readonly #world: World;
  readonly #charge: Charge;
  readonly #store: Address<StoreProtocol>;
  readonly #scanner = new Scanner();
  readonly #hasher = new Bun.CryptoHasher('sha256');
  readonly #chunks = new Chunks();
  #size = 0;
  /** 0: gathering. */
  #transfer = 0;
  #sent = 0;
  /** Appends that were not answered yet, oldest first. They never reject. */
  #writing: { readonly octets: number; readonly done: Promise<void> }[] = [];
  #unwritten = 0;
  /** Why nothing goes on: IntakeFailed, or a broken invariant on its way to whoever awaits us. */
  #failure: unknown = null;

  constructor(world: World, store: Address<StoreProtocol>) {
    this.#world = world;
    this.#charge = new Charge(world);
    this.#store = store;
  }

  /** Octets taken so far. */
  get size(): number {
    return this.#size;
  }

  /** Takes the next octets; the caller may re-use them afterwards. Resolves when more may come. Rejects with IntakeFailed. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; at += limits.readChunk) {
      if (this.#failure) throw this.#failure;
      this.#take(chunk.length <= limits.readChunk ? chunk : chunk.subarray(at, at + limits.readChunk));
      const { crowded } = this.#charge;
      if (crowded && this.#scanner.held > limits.intakeFloor) this.#fail(new IntakeFailed('crowded', 'too much mail is on its way in'));
      if (this.#failure) throw this.#failure;
      if (this.#transfer > 0 || !this.#chunks.inline || crowded) await this.#stream(crowded ? 1 : chunksPerAppend);
    }
  }

  #take(octets: Uint8Array): void {
    this.#size += octets.length;
    this.#hasher.update(octets);
    this.#scanner.push(octets);
    this.#chunks.add(octets, this.#scanner.headerSize);
    this.#account();
  }

  #account(): void {
    this.#charge.set(this.#chunks.readyOctets + this.#unwritten + limits.chunk + this.#scanner.held);
  }

  /** Sends what is ready, as long as there are `least` chunks of it, and waits until the window is open again. */
  async #stream(least: number): Promise<void> {
    if (this.#transfer === 0) {
      const begun = await this.#ask(() => this.#store.ask('beginTransfer', { now: this.#world.now() }));
      this.#transfer = begun.transfer;
      // Aborted meanwhile: the transfer must go as well.
      if (this.#failure) this.#fail(this.#failure);
    }
    while (!this.#failure && this.#chunks.ready.length >= least && this.#chunks.ready.length > 0) {
      this.#append(this.#chunks.take(chunksPerAppend));
      while (this.#unwritten > limits.transferWindow) await this.#oldestWritten();
    }
    if (this.#failure) throw this.#failure;
  }

  #append(chunks: Uint8Array[]): void {
    const octets = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const first = this.#sent;
    this.#sent += chunks.length;
    this.#unwritten += octets;
    const asked = this.#ask(() => this.#store.ask('appendTransfer', { transfer: this.#transfer, first, chunks }));
    // A failure is kept: the next `write` or `finish` tells it.
    const done = asked.then(
      () => {},
      () => {},
    );
    this.#writing.push({ octets, done });
  }

  async #oldestWritten(): Promise<void> {
    const oldest = this.#writing.shift();
    assert(oldest !== undefined, 'what is unwritten is being written');
    await oldest.done;
    if (this.#failure) throw this.#failure;
    this.#unwritten -= oldest.octets;
    this.#account();
  }

  /** Asks the store; whatever goes wrong becomes the failure of this intake. */
  async #ask<T extends object>(question: () => Promise<T | Refusal>): Promise<T> {
    try {
      const answer = await question();
      if (!isRefusal(answer)) return answer;
      this.#fail(new IntakeFailed(answer.refused as RefusalCode, answer.detail));
    } catch (error) {
      this.#fail(error instanceof LinkLost ? new IntakeFailed('linkLost', error.message) : error);
    }
    throw this.#failure;
  }

  /** The first failure counts. The store forgets what it has; a link that is lost dropped it already. */
  #fail(failure: unknown): void {
    this.#failure ??= failure;
    this.#charge.set(0);
    const transfer = this.#transfer;
    this.#transfer = 0;
    if (transfer > 0) this.#store.ask('dropTransfer', { transfer }).catch(() => {});
  }

  /** The end of the body. The content must be claimed by a command, and then `release` called; or else `abort`. */
  async finish(): Promise<Content> {
    if (this.#failure) throw this.#failure;
    const scanned = this.#scanner.finish();
    this.#chunks.end(scanned.headerSize);
    if (this.#transfer > 0 || !this.#chunks.inline) {
      await this.#stream(1);
      while (this.#writing.length > 0) await this.#oldestWritten();
    }
    const content = contentFrom(scanned, this.#hasher, this.#chunks, this.#transfer);
    this.#charge.set(octetsOf(content));
    return content;
  }

  /** The store has answered the command that carried the content: it is in memory no more. */
  release(): void {
    this.#charge.set(0);
  }

  /** Forgets the body, here and in the store. May be called at any time and repeatedly; not after the content was claimed. */
  abort(): void {
    this.#fail(new IntakeFailed('noSuchTransfer', 'the body was aborted'));
  }
}

/** What a content weighs in its command. */
function octetsOf({ chunks, info }: Content): number {
  const body = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return body + info.envelope.length + info.structure.length + info.body.length + info.parts.length;
}

function contentFrom(scanned: Scanned, hasher: Bun.CryptoHasher, chunks: Chunks, transfer: number): Content {
  return {
    hash: hasher.digest(),
    size: scanned.size,
    headerSize: scanned.headerSize,
    transfer,
    chunks: transfer > 0 ? [] : chunks.take(chunks.count),
    chunkCount: chunks.count,
    info: scanned.info,
  };
}

/** The content of a message that is in memory: bounces, samples, tests. At most limits.inlineBody octets. */
export function contentOf(bytes: Uint8Array): Content {
  assert(bytes.length <= limits.inlineBody, 'a message in memory travels inside its command');
  const scanner = new Scanner();
  scanner.push(bytes);
  const scanned = scanner.finish();
  const chunks = new Chunks();
  chunks.add(bytes, scanned.headerSize);
  chunks.end(scanned.headerSize);
  return contentFrom(scanned, new Bun.CryptoHasher('sha256').update(bytes), chunks, 0);
}
