// Sessions by POST requests. Guarantees: what was said is kept until the site says that it has it, or the session ends;
// a session that nobody asks for ends; how many of them there are is bounded.

import type { z } from 'zod';
import { limits } from '../../../actors/limits.ts';
import { seedFrom } from '../../keys.ts';
import type { pollReply, pollRequest } from '../../poll.ts';
import type { Portal } from '../process.ts';
import { openSession, type Seat, type Session } from './session.ts';

interface Polled {
  readonly session: Session;
  /** What was said and not taken, from number `first` on. */
  out: string[];
  first: number;
  over: boolean;
  askedMs: number;
  wake: () => void;
}

export interface Polls {
  /** Null: there is no such session, or no room for one more. */
  ask(request: z.infer<typeof pollRequest>, address: string): Promise<z.infer<typeof pollReply> | null>;
}

/** `seatFor`: for one more of an address; null: there is none. */
export function pollServer(portal: Portal, seatFor: (address: string) => Seat | null): Polls {
  const { world } = portal;
  const sessions = new Map<string, Polled>();
  const end = (id: string, polled: Polled): void => {
    if (!sessions.delete(id)) return;
    polled.session.gone();
    polled.wake();
  };
  const expire = (id: string, polled: Polled): void => {
    if (world.monotonicMs() - polled.askedMs > limits.uplinkSilentMs) end(id, polled);
    else if (sessions.has(id)) world.after(limits.uplinkSilentMs / 2, () => expire(id, polled));
  };
  const begin = (address: string): readonly [string, Polled] | null => {
    const seat = seatFor(address);
    if (seat === null) return null;
    const id = seedFrom(world.random);
    const out: string[] = [];
    const peer = {
      send(text: string): void {
        polled.out.push(text);
        if (polled.out.length > limits.uplinkWaiting) end(id, polled);
        polled.wake();
      },
      close(): void {
        polled.over = true;
        polled.wake();
      },
    };
    const session = openSession(portal, peer, seat);
    const polled: Polled = { session, out, first: 1, over: false, askedMs: world.monotonicMs(), wake: () => {} };
    sessions.set(id, polled);
    expire(id, polled);
    return [id, polled];
  };
  return {
    async ask({ session, took, frames }, address) {
      const known = session === null ? undefined : sessions.get(session);
      const found = session === null ? begin(address) : known === undefined ? null : ([session, known] as const);
      if (found === null) return null;
      const [id, polled] = found;
      polled.wake(); // who waited before has gone, or has us now
      polled.askedMs = world.monotonicMs();
      const taken = Math.max(0, Math.min(took - polled.first + 1, polled.out.length));
      polled.out.splice(0, taken);
      polled.first += taken;
      for (const text of frames) polled.session.hear(text);
      if (polled.out.length === 0 && !polled.over)
        await new Promise<void>((done) => {
          const timer = world.after(limits.uplinkPollMs, done);
          polled.wake = () => {
            timer.cancel();
            done();
          };
        });
      polled.askedMs = world.monotonicMs();
      const reply = { session: id, first: polled.first, frames: fitting(polled.out), over: false };
      const whole = reply.frames.length === polled.out.length;
      if (polled.over && whole) end(id, polled);
      return { ...reply, over: polled.over && whole };
    },
  };
}

/** As many as make one answer. */
function fitting(out: readonly string[]): string[] {
  let octets = 0;
  const end = out.findIndex((text, i) => {
    octets += text.length;
    return i > 0 && octets > limits.uplinkFrame;
  });
  return end < 0 ? [...out] : out.slice(0, end);
}
