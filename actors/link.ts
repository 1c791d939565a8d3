// Links: the checked messages of a protocol over a Unix socket, as frames [u32 length][msgpack array]. Guarantees:
// a frame that is not exactly as declared ends the link; nobody buffers without bound what the other side has not
// taken; when a link ends, every open question on it is rejected with LinkLost, once.

import { chmodSync, unlinkSync } from 'node:fs';
import type { Socket } from 'bun';
import { type Address, LinkLost, type Peer, peerId, type Running } from './actor.ts';
import { assert } from './assert.ts';
import { limits } from './limits.ts';
import {
  type AnyProtocol,
  type Call,
  type Calls,
  type Event,
  type Events,
  type Fields,
  openFrame,
  packMessage,
  type Refusal,
  refuse,
  text,
  unpackMessage,
} from './wire.ts';
import type { World } from './world.ts';

const REFUSED = 0;
const refusal = { refused: text(40), detail: text(1000) } as const satisfies Fields;

/** Octets in, frames out; frames in, octets out. One per socket. */
class Framing {
  private readonly frame: (message: readonly unknown[]) => void;
  private parts: Uint8Array[] = [];
  private have = 0;
  private need = 4;
  private out: Uint8Array[] = [];
  private flushing = false;
  socket: Socket<unknown> | null = null;
  unsent = 0;

  constructor(frame: (message: readonly unknown[]) => void) {
    this.frame = frame;
  }

  /** Throws on a frame that is too long or no message. */
  receive(chunk: Uint8Array): void {
    this.parts.push(chunk);
    this.have += chunk.length;
    if (this.have < this.need) return;
    const bytes = this.parts.length === 1 ? chunk : Buffer.concat(this.parts);
    let at = 0;
    this.need = 4;
    while (bytes.length - at >= 4) {
      const length = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
      assert(length > 0 && length <= limits.frame, 'a frame has a length within the limit');
      if (bytes.length - at < 4 + length) {
        this.need = 4 + length;
        break;
      }
      this.frame(openFrame(bytes.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    this.parts = at < bytes.length ? [bytes.subarray(at)] : [];
    this.have = bytes.length - at;
  }

  send(message: Uint8Array): void {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, message.length);
    this.out.push(head, message);
    this.unsent += 4 + message.length;
    if (this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => {
      this.flushing = false;
      this.flush();
    });
  }

  /** All frames of one turn go out in one write. */
  flush(): void {
    if (this.socket === null || this.out.length === 0) return;
    const bytes = this.out.length === 1 ? (this.out[0] as Uint8Array) : Buffer.concat(this.out);
    const sent = Math.max(0, this.socket.write(bytes));
    this.out = sent < bytes.length ? [bytes.subarray(sent)] : [];
    this.unsent = bytes.length - sent;
  }
}

/** Serves an actor on a Unix socket at `path` (mode 0600). `lost` runs when a peer's link ends. */
export function serve(world: World, path: string, target: Running<AnyProtocol>, lost: () => void = () => {}): void {
  try {
    unlinkSync(path);
  } catch {}
  const byTag = new Map(Object.entries(target.protocol.calls as Calls).map(([kind, row]) => [row.tag, [kind, row] as const]));
  Bun.listen<ServedPeer>({
    unix: path,
    socket: {
      open(socket) {
        socket.data = new ServedPeer(world, target, byTag, socket);
      },
      data: (socket, bytes) => socket.data.receive(bytes),
      drain: (socket) => socket.data.drain(),
      close(socket) {
        socket.data.close();
        lost();
      },
      error: (socket) => socket.data.close(),
    },
  });
  chmodSync(path, 0o600);
}

class ServedPeer implements Peer<AnyProtocol> {
  readonly id = peerId();
  private readonly world: World;
  private readonly target: Running<AnyProtocol>;
  private readonly socket: Socket<ServedPeer>;
  private readonly framing: Framing;
  private gone: (() => void)[] = [];
  private pending = 0;
  private paused = false;
  private closed = false;

  constructor(world: World, target: Running<AnyProtocol>, byTag: ReadonlyMap<number, readonly [string, Call<Fields, Fields>]>, socket: Socket<ServedPeer>) {
    this.world = world;
    this.target = target;
    this.socket = socket;
    this.framing = new Framing((message) => {
      const found = byTag.get(message[0] as number);
      assert(found !== undefined, `tag ${String(message[0])} is declared`);
      this.call(found[0], found[1], message);
    });
    this.framing.socket = socket as Socket<unknown>;
  }

  private call(kind: string, row: Call<Fields, Fields>, message: readonly unknown[]): void {
    const id = message[1] as number;
    this.pending++;
    this.target.receive(kind, unpackMessage(row.ask, message), this).then(
      (answer) => {
        this.pending--;
        if (this.closed) return;
        if ('refused' in answer) this.framing.send(packMessage(REFUSED, id, refusal, clip(answer as Refusal)));
        else this.framing.send(packMessage(row.tag, id, row.answer, answer as never));
        this.throttle();
      },
      () => this.socket.end(), // the actor is dead: its supervisor has been told
    );
  }

  receive(bytes: Uint8Array): void {
    try {
      this.framing.receive(bytes);
    } catch (error) {
      this.world.log('link.lost', { to: this.target.protocol.name, error: String(error) });
      this.socket.end();
    }
    this.throttle();
  }

  drain(): void {
    this.framing.flush();
    this.throttle();
  }

  /** Stops reading while too much is in hand or the peer does not take its answers. */
  private throttle(): void {
    const full = this.pending >= limits.linkInFlight || this.framing.unsent > limits.linkUnsent;
    if (full === this.paused) return;
    this.paused = full;
    if (full) this.socket.pause();
    else this.socket.resume();
  }

  emit(kind: string, event: unknown): void {
    if (this.closed) return;
    const row = (this.target.protocol.events as Events)[kind] as Event<Fields>;
    this.framing.send(packMessage(row.tag, 0, row.event, event as never));
    // a subscriber that has stopped reading is gone: it looks at everything when it comes back
    if (this.framing.unsent > 8 * limits.linkUnsent) this.socket.end();
  }

  onGone(run: () => void): void {
    if (this.closed) run();
    else this.gone.push(run);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const run of this.gone.splice(0)) run();
  }
}

const clip = (r: Refusal) => ({ refused: r.refused, detail: r.detail.slice(0, 1000) });

/** How a link behaves when the other side is not there. */
export interface LinkOptions {
  /** Runs after each (re)connection, before questions that waited are sent. */
  readonly onUp?: () => void;
  /** Set: the link is never made again, and this runs when it is lost or could not be made. */
  readonly onLost?: (error: string) => void;
}

interface Open {
  readonly row: Call<Fields, Fields>;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}
interface Waiting {
  readonly send: () => void;
  readonly reject: (error: Error) => void;
  readonly since: number;
}

/** One connection: its octets go through `framing`; a frame that is not as declared ends it. Rejects when nobody listens. */
function dial(path: string, framing: Framing, on: { up(): void; drained(): void; lost(error: string): void }): Promise<unknown> {
  return Bun.connect({
    unix: path,
    socket: {
      open(socket) {
        framing.socket = socket as Socket<unknown>;
        on.up();
      },
      data(socket, bytes) {
        try {
          framing.receive(bytes);
        } catch (error) {
          socket.end();
          on.lost(String(error));
        }
      },
      drain() {
        framing.flush();
        on.drained();
      },
      close: () => on.lost('closed'),
      error: (_socket, error) => on.lost(error.message),
    },
  });
}

/**
 * The address of an actor behind a Unix socket. Reconnects by itself; questions asked meanwhile wait up to
 * limits.linkWaitMs. More than limits.linkInFlight open questions wait their turn.
 */
export function link<P extends AnyProtocol>(world: World, path: string, protocol: P, options: LinkOptions = {}): Address<P> {
  const open = new Map<number, Open>();
  const waiting: Waiting[] = [];
  const listeners = new Map<string, Set<(event: never) => void>>();
  const eventByTag = new Map(Object.entries(protocol.events as Events).map(([kind, row]) => [row.tag, [kind, row] as const]));
  let framing: Framing | null = null;
  let nextId = 1;

  const answer = (message: readonly unknown[]): void => {
    const [tag, id] = message as readonly [number, number];
    const happened = eventByTag.get(tag);
    if (happened !== undefined) {
      const event = unpackMessage(happened[1].event as Fields, message) as never;
      for (const listener of listeners.get(happened[0]) ?? []) listener(event);
      return;
    }
    const question = open.get(id);
    assert(question !== undefined && (tag === REFUSED || tag === question.row.tag), 'an answer has a question');
    open.delete(id);
    question.resolve(unpackMessage(tag === REFUSED ? refusal : question.row.answer, message) as never);
    pump();
  };

  const lost = (error: string): void => {
    if (framing === null && options.onLost === undefined) return;
    framing = null;
    const questions = [...open.values()];
    open.clear();
    for (const q of questions) q.reject(new LinkLost(protocol.name));
    if (options.onLost !== undefined) {
      options.onLost(error);
      return;
    }
    world.log('link.lost', { to: protocol.name, error });
    connect();
  };

  const pump = (): void => {
    while (framing !== null && waiting.length > 0 && open.size < limits.linkInFlight && framing.unsent <= limits.linkUnsent) waiting.shift()?.send();
  };

  const connect = (): void => {
    const mine = new Framing(answer);
    dial(path, mine, {
      up() {
        framing = mine;
        options.onUp?.();
        pump();
      },
      drained: pump,
      lost: (error) => {
        if (framing === mine) lost(error);
      },
    }).catch((error: Error) => {
      if (options.onLost !== undefined) return options.onLost(error.message);
      const now = world.monotonicMs();
      while (waiting.length > 0 && now - (waiting[0] as Waiting).since > limits.linkWaitMs) waiting.shift()?.reject(new LinkLost(protocol.name));
      world.after(limits.linkReconnectMs, connect);
    });
  };
  connect();

  return {
    on(kind, run) {
      const set = listeners.get(kind) ?? new Set();
      listeners.set(kind, set);
      set.add(run as (event: never) => void);
      return () => void set.delete(run as (event: never) => void);
    },
    ask(kind, message) {
      const row = (protocol.calls as Calls)[kind] as Call<Fields, Fields>;
      return new Promise((resolve, reject) => {
        const id = nextId++;
        const frame = packMessage(row.tag, id, row.ask, message as never);
        // one message fails, and not the link with everybody's questions on it
        if (frame.length > limits.frame) return resolve(refuse('limit', `${String(kind)} has ${frame.length} octets, a message may have ${limits.frame}`));
        const send = (): void => {
          open.set(id, { row, resolve: resolve as (answer: never) => void, reject });
          framing?.send(frame);
        };
        if (framing !== null && waiting.length === 0 && open.size < limits.linkInFlight && framing.unsent <= limits.linkUnsent) send();
        else waiting.push({ send, reject, since: world.monotonicMs() });
      });
    },
  };
}
