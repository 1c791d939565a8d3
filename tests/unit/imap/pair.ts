// Two ends of a stream in memory, as Connections.

import type { Connection, Endpoint, TlsState } from '../../../actors/world.ts';

export class MemoryEnd implements Connection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  tls: TlsState | null = null;
  closed = false;
  peer: MemoryEnd | null = null;
  /** Octets the other end has not read. */
  unsent = 0;
  /** Octets that were ever unsent at once. */
  mostUnsent = 0;
  private received: Uint8Array[] = [];
  private ended = false;
  private reader: ((bytes: Uint8Array | null) => void) | null = null;
  private drainers: (() => void)[] = [];

  constructor(local: Endpoint, remote: Endpoint) {
    this.local = local;
    this.remote = remote;
  }

  read(): Promise<Uint8Array | null> {
    if (this.reader) throw new Error('a connection has one reader');
    const bytes = this.received.shift();
    if (bytes) {
      this.peer?.taken(bytes.length);
      return Promise.resolve(bytes);
    }
    if (this.ended || this.closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.reader = resolve;
    });
  }

  unread(bytes: Uint8Array): void {
    this.received.unshift(bytes);
  }

  private taken(octets: number): void {
    this.unsent -= octets;
    if (this.unsent < 65_536) for (const done of this.drainers.splice(0)) done();
  }

  write(bytes: Uint8Array | string): void {
    if (this.closed || !this.peer || this.peer.closed) return;
    const octets = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const { peer } = this;
    if (peer.reader) {
      const { reader } = peer;
      peer.reader = null;
      // as a socket does: not within the writer's call
      setImmediate(() => reader(octets));
      return;
    }
    this.unsent += octets.length;
    this.mostUnsent = Math.max(this.mostUnsent, this.unsent);
    peer.received.push(octets);
  }

  drained(octets = 65_536): Promise<void> {
    if (this.closed || this.unsent < octets) return Promise.resolve();
    return new Promise((done) => this.drainers.push(done));
  }

  async secureServer(): Promise<void> {
    this.received = [];
    this.tls = { protocol: 'TLSv1.3', cipher: 'TEST', authorized: false };
  }

  secureClient(): Promise<void> {
    return this.secureServer();
  }

  end(): void {
    if (this.closed) return;
    const { peer } = this;
    setImmediate(() => peer?.finish());
  }

  private finish(): void {
    this.ended = true;
    this.reader?.(null);
    this.reader = null;
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.unsent = 0;
    for (const done of this.drainers.splice(0)) done();
    this.finish();
    const { peer } = this;
    setImmediate(() => peer?.finish());
  }
}

/** The server's end and the client's. */
export function memoryPair(from = '127.0.0.1'): { server: MemoryEnd; client: MemoryEnd } {
  const here = { address: '127.0.0.1', port: 143 };
  const there = { address: from, port: 40_000 };
  const server = new MemoryEnd(here, there);
  const client = new MemoryEnd(there, here);
  server.peer = client;
  client.peer = server;
  return { server, client };
}
