// A world for tests of what goes out: virtual time, connections in memory, datagrams answered by a function. Guarantees:
// nothing happens unless a test lets time pass; octets arrive in order; TLS is a mark on both ends.

import { isCommitting } from '../engine.ts';
import type { LogEvent } from '../../../actors/log.ts';
import type { Connection, Endpoint, TlsConnectOptions, TlsState, World } from '../../../actors/world.ts';

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}
export type Serve = (connection: End) => Promise<void>;
/** `silent`: connecting takes until its deadline. */
export interface Host {
  readonly serve: Serve | 'silent';
  /** The handshake fails. */
  readonly brokenTls?: boolean;
  /** The certificate is good for the name asked for. */
  readonly trusted?: boolean;
}
export interface Logged {
  readonly event: LogEvent;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Turns of the event loop without a commit, so that promises and immediates settle. */
export async function settle(turns = 6): Promise<void> {
  for (let quiet = 0; quiet < turns; quiet++) {
    await new Promise((done) => setImmediate(done));
    if (isCommitting()) quiet = -1;
  }
}

export class FakeWorld implements World {
  readonly start = 1_800_000_000_000;
  private clock = 0;
  private order = 0;
  private seed = 1;
  private timers: Due[] = [];
  readonly hosts = new Map<string, Host>();
  readonly connects: string[] = [];
  readonly logs: Logged[] = [];
  /** Answers a datagram, or nothing; several answers arrive in order. */
  answer: (datagram: Uint8Array, to: Endpoint) => readonly Uint8Array[] = () => [];

  now(): number {
    return this.start + this.clock;
  }
  monotonicMs(): number {
    return this.clock;
  }
  random(octets: number): Uint8Array {
    const out = new Uint8Array(octets);
    for (let i = 0; i < octets; i++) {
      this.seed = (Math.imul(this.seed, 1_103_515_245) + 12_345) >>> 0;
      out[i] = this.seed >>> 16;
    }
    return out;
  }
  after(ms: number, run: () => void): { cancel(): void } {
    const due: Due = { at: this.clock + Math.max(0, ms), order: this.order++, run };
    this.timers.push(due);
    return { cancel: () => void (this.timers = this.timers.filter((t) => t !== due)) };
  }
  sleep(ms: number): Promise<void> {
    return new Promise((done) => void this.after(ms, done));
  }
  readonly log: World['log'] = (event, fields) => void this.logs.push({ event, fields });
  logged(event: LogEvent): readonly Logged[] {
    return this.logs.filter((row) => row.event === event);
  }

  listen(at: string, serve: Serve | 'silent', how: Omit<Host, 'serve'> = {}): void {
    this.hosts.set(at, { serve, ...how });
  }
  async connect(to: Endpoint, options: { readonly timeoutMs: number; readonly tls?: TlsConnectOptions }): Promise<Connection> {
    const place = `${to.address}:${to.port}`;
    this.connects.push(place);
    const host = this.hosts.get(place);
    if (!host) throw new Error('refused');
    if (host.serve === 'silent') {
      await this.sleep(options.timeoutMs);
      throw new Error('timed out');
    }
    const near = new End({ address: '127.0.0.1', port: 40_000 }, to, host);
    const far = new End(to, near.local, host);
    near.peer = far;
    far.peer = near;
    if (options.tls) await near.secureClient(options.tls);
    void host.serve(far);
    return near;
  }
  exchange(to: Endpoint, datagram: Uint8Array, accept: (reply: Uint8Array) => boolean, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      for (const reply of this.answer(datagram, to)) if (accept(reply)) return resolve(reply);
      this.after(timeoutMs, () => reject(new Error('no answer')));
    });
  }

  /** Lets `ms` pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.clock + ms;
    await settle();
    for (let next = this.next(); next !== undefined && next.at <= end; next = this.next()) {
      this.fire(next);
      await settle(3);
    }
    this.clock = end;
  }
  /** Lets time pass until `reached`; throws when it is not within `withinMs`. */
  async until(reached: () => boolean, withinMs = 10 * 24 * 3_600_000): Promise<void> {
    const end = this.clock + withinMs;
    await settle();
    while (!reached()) {
      const next = this.next();
      if (next === undefined || next.at > end) throw new Error(`not reached within ${withinMs} ms`);
      this.fire(next);
      await settle(3);
    }
  }
  private next(): Due | undefined {
    return this.timers.reduce<Due | undefined>((a, b) => (a === undefined || b.at < a.at || (b.at === a.at && b.order < a.order) ? b : a), undefined);
  }
  private fire(due: Due): void {
    this.timers = this.timers.filter((t) => t !== due);
    this.clock = Math.max(this.clock, due.at);
    due.run();
  }
}

/** One end of a stream in memory. */
export class End implements Connection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  tls: TlsState | null = null;
  closed = false;
  readonly unsent = 0;
  peer: End | null = null;
  private readonly host: Host;
  private received: Uint8Array[] = [];
  private ended = false;
  private reader: ((bytes: Uint8Array | null) => void) | null = null;

  constructor(local: Endpoint, remote: Endpoint, host: Host) {
    this.local = local;
    this.remote = remote;
    this.host = host;
  }
  read(): Promise<Uint8Array | null> {
    const bytes = this.received.shift();
    if (bytes !== undefined) return Promise.resolve(bytes);
    if (this.ended || this.closed) return Promise.resolve(null);
    return new Promise((done) => {
      this.reader = done;
    });
  }
  unread(bytes: Uint8Array): void {
    this.received.unshift(bytes);
  }
  write(bytes: Uint8Array | string): void {
    if (this.closed || bytes.length === 0) return;
    this.peer?.arrive(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes.slice());
  }
  private arrive(bytes: Uint8Array): void {
    if (this.reader) {
      const reader = this.reader;
      this.reader = null;
      reader(bytes);
    } else this.received.push(bytes);
  }
  drained(): Promise<void> {
    return Promise.resolve();
  }
  async secureServer(): Promise<void> {
    if (this.host.brokenTls === true) throw new Error('handshake failed');
    this.tls = { protocol: 'TLSv1.3', cipher: 'FAKE', authorized: false };
  }
  async secureClient(options: TlsConnectOptions): Promise<void> {
    const authorized = this.host.trusted === true;
    if (this.host.brokenTls === true || (options.verify && !authorized)) {
      this.destroy();
      throw new Error(this.host.brokenTls === true ? 'handshake failed' : 'self-signed certificate');
    }
    this.tls = { protocol: 'TLSv1.3', cipher: 'FAKE', authorized };
  }
  end(): void {
    this.destroy();
  }
  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.finish();
    this.peer?.finish();
  }
  private finish(): void {
    this.ended = true;
    this.reader?.(null);
    this.reader = null;
  }
}
