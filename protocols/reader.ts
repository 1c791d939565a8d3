// Lines and octets of a connection, with limits and deadlines. Guarantees: memory is at most one read chunk plus one
// line of the allowed length; an overlong line is dropped as it comes, never gathered.

import type { Connection, Timer, World } from '../actors/world.ts';

export type Line =
  | { readonly kind: 'line'; readonly bytes: Uint8Array; readonly ending: 'crlf' | 'lf' }
  /** Longer than allowed; all of it up to its LF has been dropped. */
  | { readonly kind: 'tooLong' }
  | { readonly kind: 'end' }
  | { readonly kind: 'timeout' };

const empty = new Uint8Array(0);
const ended: Line = { kind: 'end' };
const late: Line = { kind: 'timeout' };
const tooLong: Line = { kind: 'tooLong' };
const timedOut = Symbol('timeout');

export class LineReader {
  private readonly connection: Connection;
  private readonly world: World;
  private rest: Uint8Array = empty;
  private pendingRead: Promise<Uint8Array | null> | null = null;

  constructor(connection: Connection, world: World) {
    this.connection = connection;
    this.world = world;
  }

  /** Is a whole line here already? Then replies may wait for more commands (RFC 2920 §3.2). */
  buffered(): boolean {
    return this.rest.indexOf(10) >= 0;
  }

  /** Octets received and not yet taken. */
  get pending(): number {
    return this.rest.length;
  }

  /** The next line without its ending, at most `maxOctets` long. All of it must be here within `timeoutMs`: an octet now and
   *  then keeps nobody waiting. */
  async line(maxOctets: number, timeoutMs: number): Promise<Line> {
    let dropping = false;
    let searched = 0;
    let deadline = 0;
    for (;;) {
      const lf = this.rest.indexOf(10, searched);
      if (lf >= 0) {
        const line = this.rest.subarray(0, lf);
        this.rest = this.rest.subarray(lf + 1);
        const crlf = lf > 0 && line[lf - 1] === 13;
        const bytes = crlf ? line.subarray(0, lf - 1) : line;
        if (dropping || bytes.length > maxOctets) return tooLong;
        return { kind: 'line', bytes, ending: crlf ? 'crlf' : 'lf' };
      }
      if (dropping || this.rest.length > maxOctets + 1) {
        dropping = true;
        this.rest = empty;
      }
      searched = this.rest.length;
      const now = this.world.monotonicMs();
      if (deadline === 0) deadline = now + timeoutMs;
      const more = await this.receive(Math.max(0, deadline - now));
      if (more === timedOut) return late;
      if (more === null) return ended;
      this.rest = this.rest.length === 0 ? more : join(this.rest, more);
    }
  }

  /** Whatever comes next, at most `max` octets; null at the end. */
  async chunk(max: number, timeoutMs: number): Promise<Uint8Array | null | 'timeout'> {
    if (this.rest.length === 0) {
      const more = await this.receive(timeoutMs);
      if (more === timedOut) return 'timeout';
      if (more === null) return null;
      this.rest = more;
    }
    const out = this.rest.subarray(0, max);
    this.rest = this.rest.subarray(out.length);
    return out;
  }

  /** Gives octets back; they come first. */
  unread(bytes: Uint8Array): void {
    if (bytes.length > 0) this.rest = this.rest.length === 0 ? bytes : join(bytes, this.rest);
  }

  /** Forgets what was received: nothing sent before a TLS handshake counts after it (RFC 3207 §4.2). */
  drop(): void {
    this.rest = empty;
  }

  /** One read with a deadline. A read that outlives its deadline is kept for the next call: no octet is lost. */
  private receive(timeoutMs: number): Promise<Uint8Array | null | typeof timedOut> {
    this.pendingRead ??= this.connection.read();
    const read = this.pendingRead;
    return new Promise((resolve, reject) => {
      let gaveUp = false;
      const timer: Timer = this.world.after(timeoutMs, () => {
        gaveUp = true;
        resolve(timedOut);
      });
      read.then(
        (bytes) => {
          if (gaveUp) return;
          timer.cancel();
          this.pendingRead = null;
          resolve(bytes);
        },
        (error) => {
          timer.cancel();
          if (!gaveUp) reject(error);
        },
      );
    });
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
