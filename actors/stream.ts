// Connections over node:net and node:tls: the real half of World's network. Guarantees: at most limits.readChunk octets
// wait unread (then the peer is paused); errors of a socket end its stream and never reach anything else.

import net from 'node:net';
import tls from 'node:tls';
import { assert } from './assert.ts';
import { limits } from './limits.ts';
import type { Connection, Endpoint, TlsConnectOptions, TlsState } from './world.ts';

/** Where server handshakes take their keys from: asked at each handshake, so a new certificate needs no restart. */
export type SecureContexts = () => Promise<tls.SecureContext>;

const noContext: SecureContexts = () => Promise.reject(new Error('this connection has no server identity'));

class SocketConnection implements Connection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  tls: TlsState | null = null;
  closed = false;
  private socket: net.Socket;
  private readonly contexts: SecureContexts;
  private received: Uint8Array[] = [];
  private receivedOctets = 0;
  private ended = false;
  private reader: ((bytes: Uint8Array | null) => void) | null = null;
  private drainers: { below: number; done: () => void }[] = [];

  constructor(socket: net.Socket, contexts: SecureContexts = noContext) {
    this.socket = socket;
    this.contexts = contexts;
    this.local = { address: plain(socket.localAddress), port: socket.localPort ?? 0 };
    this.remote = { address: plain(socket.remoteAddress), port: socket.remotePort ?? 0 };
    socket.setNoDelay(true);
    this.attach(socket);
  }

  private attach(socket: net.Socket): void {
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('error', this.onEnd);
    socket.on('close', this.onClose);
    socket.on('drain', this.onDrain);
  }

  private readonly onData = (bytes: Uint8Array): void => {
    if (this.reader) {
      const reader = this.reader;
      this.reader = null;
      reader(bytes);
      return;
    }
    this.received.push(bytes);
    this.receivedOctets += bytes.length;
    if (this.receivedOctets >= limits.readChunk) this.socket.pause();
  };

  private readonly onEnd = (): void => {
    this.ended = true;
    this.reader?.(null);
    this.reader = null;
  };

  private readonly onClose = (): void => {
    this.closed = true;
    this.onEnd();
    for (const { done } of this.drainers.splice(0)) done();
  };

  private readonly onDrain = (): void => {
    const unsent = this.unsent;
    this.drainers = this.drainers.filter(({ below, done }) => {
      if (unsent >= below) return true;
      done();
      return false;
    });
  };

  read(): Promise<Uint8Array | null> {
    assert(this.reader === null, 'a connection has one reader');
    const bytes = this.received.shift();
    if (bytes !== undefined) {
      const before = this.receivedOctets;
      this.receivedOctets -= bytes.length;
      if (before >= limits.readChunk && this.receivedOctets < limits.readChunk) this.socket.resume();
      return Promise.resolve(bytes);
    }
    if (this.ended) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.reader = resolve;
    });
  }

  unread(bytes: Uint8Array): void {
    this.received.unshift(bytes);
    this.receivedOctets += bytes.length;
  }

  write(bytes: Uint8Array | string): void {
    if (this.closed || this.socket.destroyed || this.socket.writableEnded) return;
    if (typeof bytes === 'string') this.socket.write(bytes, 'utf8');
    else this.socket.write(bytes);
  }

  get unsent(): number {
    return this.closed ? 0 : this.socket.writableLength;
  }

  drained(octets = limits.readChunk): Promise<void> {
    if (this.closed || this.socket.destroyed || this.unsent < octets) return Promise.resolve();
    // `drain` only fires when the queue is empty, so every waiter is woken then; see onDrain
    return new Promise((done) => this.drainers.push({ below: octets, done }));
  }

  async secureServer(): Promise<void> {
    const raw = this.takeSocket(); // at once: the client's hello may come before the certificate is at hand
    const secureContext = await this.contexts().catch((error) => {
      this.destroy();
      throw error;
    });
    const secure = new tls.TLSSocket(raw, { isServer: true, secureContext });
    await this.handshake(raw, secure, 'secure');
  }

  async secureClient(options: TlsConnectOptions): Promise<void> {
    const raw = this.takeSocket();
    const secure = tls.connect({
      socket: raw,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: options.verify,
      ...(net.isIP(options.serverName) === 0 ? { servername: options.serverName } : {}),
    });
    await this.handshake(raw, secure, 'secureConnect');
  }

  /** Nothing received before the handshake counts after it (RFC 3207 §4.2). */
  private takeSocket(): net.Socket {
    const raw = this.socket;
    raw.removeListener('data', this.onData);
    raw.removeListener('end', this.onEnd);
    raw.removeListener('error', this.onEnd);
    raw.removeListener('close', this.onClose);
    raw.removeListener('drain', this.onDrain);
    raw.on('error', () => {});
    raw.pause();
    this.received = [];
    this.receivedOctets = 0;
    return raw;
  }

  private handshake(raw: net.Socket, secure: tls.TLSSocket, established: 'secure' | 'secureConnect'): Promise<void> {
    this.socket = secure;
    this.attach(secure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(new Error('TLS handshake timed out')), limits.tlsHandshakeMs);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        secure.destroy();
        raw.destroy();
        this.onClose();
        reject(error);
      };
      secure.once('error', fail);
      secure.once('close', () => fail(new Error('closed during the TLS handshake')));
      secure.once(established, () => {
        clearTimeout(timer);
        secure.removeListener('error', fail);
        this.tls = { protocol: secure.getProtocol() ?? 'TLS', cipher: secure.getCipher()?.name ?? '', authorized: secure.authorized };
        resolve();
      });
    });
  }

  end(): void {
    if (!this.closed) this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
    this.onClose();
  }
}

/** IPv4 in an IPv6 socket is IPv4. */
const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/i, '');

/** Opens a TCP stream; see World.connect. */
export function openStream(to: Endpoint, options: { readonly timeoutMs: number; readonly tls?: TlsConnectOptions }): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: to.address, port: to.port });
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`connect to ${to.address}:${to.port}: timed out`)), options.timeoutMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', fail);
      const connection = new SocketConnection(socket);
      if (options.tls === undefined) resolve(connection);
      else
        connection.secureClient(options.tls).then(
          () => resolve(connection),
          (error) => reject(error),
        );
    });
  });
}

/** Accepts on an open listening descriptor. `accepted` must not throw. */
export function acceptOn(fd: number, contexts: SecureContexts, accepted: (connection: Connection) => void): void {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => {
    if (socket.remoteAddress === undefined) socket.destroy();
    else accepted(new SocketConnection(socket, contexts));
  });
  server.on('error', (error) => {
    throw error;
  });
  server.listen({ fd });
}

/** Listens where this process itself may: for what is no part of the site's service. Rejects when the port cannot be had. */
export function acceptAt(at: Endpoint, accepted: (connection: Connection) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => {
      if (socket.remoteAddress === undefined) socket.destroy();
      else accepted(new SocketConnection(socket));
    });
    server.on('error', reject);
    server.listen({ host: at.address, port: at.port }, () => resolve());
  });
}
