// An actor is a state, a start and one handler per message. There is no stop: it ends by crashing, it begins by
// recovering. Guarantees: a handler never throws into its caller; an exception ends that actor, is logged once as
// `actor.crash`, and its supervisor decides. A mailbox is bounded: past its limit the sender is refused `busy`.

import { limits } from './limits.ts';
import {
  type Answer,
  type Ask,
  type CallName,
  type Calls,
  type EventName,
  type EventOf,
  type Events,
  type Protocol,
  openFrame,
  packMessage,
  type Refusal,
  refuse,
  unpackMessage,
} from './wire.ts';
import type { World } from './world.ts';

/** Where to send messages. The same whether the actor is in this process, behind a socket, or in the simulator. */
export interface Address<P> {
  /** Resolves with the answer or a refusal. Rejects with LinkLost when nobody can tell whether it was done. */
  ask<K extends CallName<P>>(kind: K, message: Ask<P, K>): Promise<Answer<P, K> | Refusal>;
  /** Calls `run` at each event of that kind until the returned function is called. */
  on<K extends EventName<P>>(kind: K, run: (event: EventOf<P, K>) => void): () => void;
}

/** The other side died with questions open: each was done whole or not at all, and nobody can tell which. */
export class LinkLost extends Error {
  constructor(to: string) {
    super(`link to ${to} lost`);
    this.name = 'LinkLost';
  }
}

/** Sends events to one subscriber of an actor. `id` tells subscribers apart; `gone` runs once, when its link ends. */
export interface Peer<P> {
  readonly id: number;
  emit<K extends EventName<P>>(kind: K, event: EventOf<P, K>): void;
  onGone(run: () => void): void;
}

type Maybe<T> = T | Promise<T>;
export type Handlers<P, S> = {
  readonly [K in CallName<P>]: (state: S, message: Ask<P, K>, peer: Peer<P>) => Maybe<Answer<P, K> | Refusal>;
};

export interface Actor<C extends Calls, E extends Events, S, A extends readonly unknown[]> {
  readonly name: string;
  readonly protocol: Protocol<C, E>;
  /** Recovery is the whole of start. */
  start(world: World, ...args: A): Maybe<S>;
  readonly handle: Handlers<Protocol<C, E>, S>;
}

export const actor = <C extends Calls, E extends Events, S, A extends readonly unknown[]>(a: Actor<C, E, S, A>): Actor<C, E, S, A> => a;

/** A running actor, ready to be served on a socket or addressed in this process. */
export interface Running<P> {
  readonly protocol: P;
  /** Runs one message through its handler. Never rejects while the actor lives; after a crash it rejects with LinkLost. */
  receive(kind: string, message: unknown, peer: Peer<P>): Promise<object>;
  readonly crashed: Promise<unknown>;
}

/** Starts an actor. `crashed` resolves with the error that ended it; its supervisor reads it. */
export async function run<C extends Calls, E extends Events, S, A extends readonly unknown[]>(
  world: World,
  a: Actor<C, E, S, A>,
  ...args: A
): Promise<Running<Protocol<C, E>>> {
  const state = await a.start(world, ...args);
  let dead = false;
  let pending = 0;
  let die: (error: unknown) => void = () => {};
  const crashed = new Promise<unknown>((resolve) => {
    die = resolve;
  });
  const crash = (error: unknown): LinkLost => {
    if (!dead) {
      dead = true;
      logCrash(world, a.name, error);
      die(error);
    }
    return new LinkLost(a.name);
  };
  return {
    protocol: a.protocol,
    crashed,
    async receive(kind, message, peer) {
      if (dead) throw new LinkLost(a.name);
      if (pending >= limits.mailbox) return refuse('busy', `${a.name} has ${pending} messages waiting`);
      pending++;
      try {
        const handler = a.handle[kind as CallName<Protocol<C, E>>] as (s: S, m: unknown, p: typeof peer) => Maybe<object>;
        return await handler(state, message, peer);
      } catch (error) {
        throw crash(error);
      } finally {
        pending--;
      }
    },
  };
}

/** Says why an actor ended. One that lost its link to another is not at fault: that one says why it went. */
export function logCrash(world: World, name: string, error: unknown): void {
  if (error instanceof LinkLost) {
    world.log('link.lost', { to: name, error: error.message });
    return;
  }
  const e = error instanceof Error ? error : new Error(String(error));
  world.log('actor.crash', { actor: name, error: `${e.name}: ${e.message}`, stack: (e.stack ?? '').split('\n').slice(1, 6).join(' | ') });
}

/**
 * The address of an actor in this process. Messages pass the same checks as on a socket: they are packed and unpacked,
 * so that nothing is shared and nothing undeclared gets through. `deliver` lets the simulator delay and reorder.
 */
export function local<C extends Calls, E extends Events>(
  target: Running<Protocol<C, E>>,
  deliver: (what: string, step: () => void) => void = (_what, step) => step(),
): Address<Protocol<C, E>> & { gone(): void } {
  type P = Protocol<C, E>;
  const listeners = new Map<string, Set<(event: never) => void>>();
  const onGone: (() => void)[] = [];
  const peer: Peer<P> = {
    id: nextPeer++,
    emit(kind, event) {
      const row = (target.protocol.events as Events)[kind] as Events[string];
      const frame = packMessage(row.tag, 0, row.event, event as never);
      deliver(`event ${kind}`, () => {
        const checked = unpackMessage(row.event, openFrame(frame)) as never;
        for (const listener of listeners.get(kind) ?? []) listener(checked);
      });
    },
    onGone: (f) => void onGone.push(f),
  };
  return {
    gone: () => {
      for (const f of onGone.splice(0)) f();
    },
    on(kind, listener) {
      const set = listeners.get(kind) ?? new Set();
      listeners.set(kind, set);
      set.add(listener as (event: never) => void);
      return () => void set.delete(listener as (event: never) => void);
    },
    ask(kind, message) {
      const row = (target.protocol.calls as Calls)[kind] as Calls[string];
      const frame = packMessage(row.tag, 0, row.ask, message as never);
      return new Promise((resolve, reject) => {
        deliver(`ask ${kind}`, () => {
          target.receive(kind, unpackMessage(row.ask, openFrame(frame)), peer).then(
            (answer) => {
              const back = 'refused' in answer ? answer : unpackMessage(row.answer, openFrame(packMessage(row.tag, 0, row.answer, answer as never)));
              deliver(`answer ${kind}`, () => resolve(back as never));
            },
            (error) => deliver(`lost ${kind}`, () => reject(error)),
          );
        });
      });
    },
  };
}

let nextPeer = 1;
/** Peers are numbered within a process. */
export const peerId = (): number => nextPeer++;
