// A network in memory. Guarantees: octets of one direction arrive in order, cut and joined as the seed likes; a
// connection may break at any octet, and then nobody knows what the other side has read; datagrams may be lost.

import type { Connection, Endpoint, TlsConnectOptions, TlsState } from '../../actors/world.ts';
import { Channel, type Life, type Scheduler } from './scheduler.ts';

/** Where connections to a port go. Null: nobody is there just now, but the port is held (the supervisor has it). */
export type Accept = () => { readonly life: Life; readonly accepted: (connection: Connection) => void } | null;
/** Answers a datagram, or nothing. */
export type Answerer = (datagram: Uint8Array) => Uint8Array | null;

const place = (e: Endpoint): string => `${e.address}:${e.port}`;
const simTls: TlsState = { protocol: 'TLSv1.3', cipher: 'SIM', authorized: false };

export class Network {
  /** Chance that a chunk of octets breaks its connection instead of arriving. */
  breakChance = 0;
  /** Chance that a datagram is lost. */
  lossChance = 0;
  readonly scheduler: Scheduler;
  private readonly listeners = new Map<string, Accept>();
  private readonly answerers = new Map<string, Answerer>();
  private readonly open = new Set<SimConnection>();
  private nextPort = 20_000;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  listen(at: Endpoint, accept: Accept): void {
    this.listeners.set(place(at), accept);
  }

  answer(at: Endpoint, answerer: Answerer): void {
    this.answerers.set(place(at), answerer);
  }

  connect(life: Life, from: string, to: Endpoint, options: { readonly timeoutMs: number; readonly tls?: TlsConnectOptions }): Promise<Connection> {
    const { scheduler } = this;
    const local = { address: from, port: this.nextPort++ };
    return new Promise((resolve, reject) => {
      let waitingMs = 0;
      const attempt = (): void => {
        const accept = this.listeners.get(place(to));
        if (!accept) {
          scheduler.at(scheduler.delay(scheduler.pace.netUs), `refused ${place(to)}`, life, () => reject(new Error(`connect to ${place(to)}: refused`)));
          return;
        }
        const server = accept();
        waitingMs += 50;
        if (server) this.establish(life, local, to, server, options.tls !== undefined, resolve);
        else if (waitingMs > options.timeoutMs) reject(new Error(`connect to ${place(to)}: timed out`));
        else scheduler.at(50_000, 'in the backlog', life, attempt);
      };
      scheduler.at(scheduler.delay(scheduler.pace.netUs), `connect ${place(to)}`, life, attempt);
    });
  }

  /** The sockets of a process end with it. After a power loss the peer learns it late. */
  kill(life: Life, afterMs: number): void {
    for (const connection of this.open) if (connection.life === life) connection.orphan(afterMs);
  }

  exchange(life: Life, to: Endpoint, datagram: Uint8Array, accept: (reply: Uint8Array) => boolean, timeoutMs: number): Promise<Uint8Array> {
    const { scheduler } = this;
    return new Promise((resolve, reject) => {
      const timer = scheduler.at(timeoutMs * 1000, 'datagram timeout', life, () => reject(new Error(`no answer from ${place(to)}`)));
      const answerer = this.answerers.get(place(to));
      if (!answerer || scheduler.random.chance(this.lossChance)) return;
      const question = new Uint8Array(datagram);
      scheduler.at(scheduler.delay(scheduler.pace.netUs), 'datagram', life, () => {
        const reply = answerer(question);
        if (!reply || scheduler.random.chance(this.lossChance) || !accept(reply)) return;
        scheduler.note('reply', reply);
        scheduler.cancel(timer);
        resolve(reply);
      });
    });
  }

  forget(connection: SimConnection): void {
    this.open.delete(connection);
  }

  private establish(
    life: Life,
    local: Endpoint,
    remote: Endpoint,
    server: { readonly life: Life; readonly accepted: (connection: Connection) => void },
    tls: boolean,
    connected: (connection: Connection) => void,
  ): void {
    const near = new SimConnection(this, life, local, remote, tls);
    const far = new SimConnection(this, server.life, remote, local, tls);
    near.peer = far;
    far.peer = near;
    this.open.add(near).add(far);
    server.accepted(far);
    this.scheduler.at(this.scheduler.delay(this.scheduler.pace.netUs), 'connected', life, () => connected(near));
  }
}

type Arrival = Uint8Array | 'end' | 'tls';

/** One end of a stream. */
export class SimConnection implements Connection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly life: Life;
  tls: TlsState | null;
  closed = false;
  unsent = 0;
  peer: SimConnection | null = null;
  private readonly network: Network;
  private readonly channel: Channel;
  private received: Uint8Array[] = [];
  private ended = false;
  private sentEnd = false;
  private reader: ((bytes: Uint8Array | null) => void) | null = null;
  private drainers: { readonly below: number; readonly done: () => void }[] = [];
  private handshake: { readonly done: () => void; readonly fail: (error: Error) => void } | null = null;
  private peerHello = false;

  constructor(network: Network, life: Life, local: Endpoint, remote: Endpoint, tls: boolean) {
    this.network = network;
    this.life = life;
    this.local = local;
    this.remote = remote;
    this.tls = tls ? simTls : null;
    this.channel = new Channel(network.scheduler, network.scheduler.pace.netUs);
  }

  read(): Promise<Uint8Array | null> {
    if (this.reader) throw new Error('a connection has one reader');
    const next = this.take();
    if (next) return Promise.resolve(next);
    if (this.ended || this.closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.reader = resolve;
    });
  }

  /** What has come: one chunk, or all of it, as the seed likes. */
  private take(): Uint8Array | undefined {
    if (this.received.length > 1 && this.network.scheduler.random.chance(0.5)) {
      const all = new Uint8Array(Buffer.concat(this.received));
      this.received = [];
      return all;
    }
    return this.received.shift();
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length > 0) this.received.unshift(bytes);
  }

  write(bytes: Uint8Array | string): void {
    if (this.closed || this.sentEnd) return;
    const octets = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : new Uint8Array(bytes);
    const { random } = this.network.scheduler;
    let at = 0;
    while (at < octets.length) {
      const rest = octets.length - at;
      const size = random.chance(0.15) ? random.between(1, Math.min(rest, 1_460)) : Math.min(rest, 16_384);
      this.send(octets.subarray(at, at + size), size);
      at += size;
    }
  }

  private send(arrival: Arrival, octets: number): void {
    const { scheduler, breakChance } = this.network;
    const to = this.peer;
    if (!to) return;
    this.unsent += octets;
    const breaks = octets > 0 && scheduler.random.chance(breakChance);
    this.channel.send(breaks ? 'break' : typeof arrival === 'string' ? arrival : 'octets', anyone, () => {
      this.unsent -= octets;
      this.wake();
      if (breaks) this.cut();
      else if (to.life.alive) to.arrive(arrival);
    });
  }

  private arrive(arrival: Arrival): void {
    if (this.closed) return;
    if (arrival === 'tls') {
      this.peerHello = true;
      this.shake();
      return;
    }
    if (arrival === 'end') {
      this.ended = true;
      this.handshake?.fail(new Error('closed during the TLS handshake'));
      this.reader?.(null);
      this.reader = null;
      if (this.sentEnd) this.close();
      return;
    }
    if (this.handshake) {
      this.handshake.fail(new Error('not a TLS hello'));
      this.destroy();
      return;
    }
    this.network.scheduler.note(this.life.name, arrival);
    this.received.push(arrival);
    if (!this.reader) return;
    const reader = this.reader;
    this.reader = null;
    reader(this.take() ?? null);
  }

  private wake(): void {
    if (!this.life.alive) return;
    const { unsent } = this;
    this.drainers = this.drainers.filter(({ below, done }) => {
      if (unsent >= below && !this.closed) return true;
      done();
      return false;
    });
  }

  drained(octets = 65_536): Promise<void> {
    if (this.closed || this.unsent < octets) return Promise.resolve();
    return new Promise((done) => this.drainers.push({ below: octets, done }));
  }

  secureServer(): Promise<void> {
    return this.secure();
  }

  secureClient(_options: TlsConnectOptions): Promise<void> {
    return this.secure();
  }

  /** Each side says hello and waits for the other's; what was received in clear before is dropped. */
  private secure(): Promise<void> {
    this.received = [];
    this.send('tls', 0);
    return new Promise((done, fail) => {
      this.handshake = { done, fail };
      if (this.ended || this.closed) fail(new Error('closed before the TLS handshake'));
      else this.shake();
    });
  }

  private shake(): void {
    if (!this.handshake || !this.peerHello) return;
    const { done } = this.handshake;
    this.handshake = null;
    this.peerHello = false;
    this.tls = simTls;
    done();
  }

  end(): void {
    if (this.closed || this.sentEnd) return;
    this.sentEnd = true;
    this.send('end', 0);
    if (this.ended) this.close();
  }

  destroy(): void {
    if (this.closed) return;
    if (!this.sentEnd) this.send('end', 0);
    this.close();
  }

  /** Both ends are gone at once, and what was on the way with them. */
  cut(): void {
    const { peer } = this;
    this.close();
    peer?.close();
  }

  /** The process of this end is gone: its kernel says so, or after a power loss nobody does for a while. */
  orphan(afterMs: number): void {
    const { peer, network } = this;
    this.closed = true;
    network.forget(this);
    if (!peer || peer.closed) return;
    if (afterMs === 0) this.channel.send('reset', peer.life, () => peer.close());
    else network.scheduler.at(afterMs * 1000, 'reset late', peer.life, () => peer.close());
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.ended = true;
    this.network.forget(this);
    this.handshake?.fail(new Error('connection lost'));
    this.handshake = null;
    if (!this.life.alive) return;
    this.reader?.(null);
    this.reader = null;
    this.wake();
  }
}

const anyone: Life = { name: 'network', alive: true };
