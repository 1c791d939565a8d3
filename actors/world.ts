// The world is a parameter: clock, randomness, network and log come in through `World`, so that the simulator can
// give another one. Nothing outside actors/platform.ts reads a clock, draws a random number or opens a socket.

import type { Log } from './log.ts';

/** A pending timer. `cancel` is idempotent; a cancelled timer never runs. */
export interface Timer {
  cancel(): void;
}

/** Where a stream comes from or goes to. `address` is an IP literal without brackets. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What is known of an established TLS layer. */
export interface TlsState {
  readonly protocol: string;
  readonly cipher: string;
  /** Client side only: did the peer's certificate verify for the name we asked for? */
  readonly authorized: boolean;
}

/** Client side of a TLS handshake. `serverName` goes into SNI and is the name verified. */
export interface TlsConnectOptions {
  readonly serverName: string;
  /** false: opportunistic TLS, any certificate will do (RFC 7435). */
  readonly verify: boolean;
}

/** Server side of TLS: looked up at each handshake, so that a new certificate needs no restart. */
export interface TlsIdentity {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/**
 * One byte stream. It never buffers more than its high-water marks: `read` hands out what has come and then lets the
 * peer go on; writers await `drained` when `unsent` passes their limit.
 */
export interface Connection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly tls: TlsState | null;
  /** The next octets, or null at the end of the stream (also after an error or `destroy`). One reader at a time. The
   *  chunk belongs to the caller. */
  read(): Promise<Uint8Array | null>;
  /** Gives octets back: the next `read` returns them first. */
  unread(bytes: Uint8Array): void;
  /** Queues octets; never throws. After the end it does nothing. The bytes must not be changed afterwards. */
  write(bytes: Uint8Array | string): void;
  /** Octets queued and not yet taken by the kernel. */
  readonly unsent: number;
  /** Resolves when `unsent` is below `octets` (default 64 KiB) or the stream is gone. */
  drained(octets?: number): Promise<void>;
  /** Upgrades to TLS as the server. What was received before the handshake must have been read or is dropped. Rejects
   *  when the handshake fails. */
  secureServer(): Promise<void>;
  /** Upgrades to TLS as the client. */
  secureClient(options: TlsConnectOptions): Promise<void>;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  readonly closed: boolean;
}

/** UDP question and answer for the resolver: one datagram out, the first acceptable one in. */
export interface World {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Cryptographically random octets (seeded in the simulator). */
  random(octets: number): Uint8Array;
  after(ms: number, run: () => void): Timer;
  sleep(ms: number): Promise<void>;
  /** Opens a TCP stream. Rejects after `timeoutMs` or on refusal. `localAddress` binds the source. */
  connect(to: Endpoint, options: { readonly timeoutMs: number; readonly tls?: TlsConnectOptions }): Promise<Connection>;
  /** Sends one datagram from a fresh port; resolves with the first reply for which `accept` is true, rejects on timeout. */
  exchange(to: Endpoint, datagram: Uint8Array, accept: (reply: Uint8Array) => boolean, timeoutMs: number): Promise<Uint8Array>;
  readonly log: Log;
}
