// The way to a portal where no WebSocket gets through: the same frames in the bodies of requests. One request waits for what
// the portal says, others carry what we say, one after the other, so that both directions keep their order.

import { z } from 'zod';
import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import type { Transport, Wire } from './transport.ts';

const answered = z.object({ session: z.string(), frames: z.array(z.string()), over: z.boolean() });
type Answered = z.infer<typeof answered>;

/** Rejects when the portal cannot be reached that way either. */
export async function openPolled(world: Pick<World, 'sleep'>, post: Transport['post'], portal: string): Promise<Wire> {
  const ask = async (session: string, frames: readonly string[]): Promise<Answered> => {
    const { status, body } = await post(`${portal}/v1/uplink/poll`, JSON.stringify({ session, frames }), limits.uplinkPollMs + limits.uplinkConnectMs);
    const found = status === 200 ? answered.safeParse(parse(body)) : null;
    if (found?.success !== true) throw new Error(`${portal} answers HTTP ${status} to a poll`);
    return found.data;
  };
  const first = await ask('', []);
  const { session } = first;
  const come: (string | null)[] = [...first.frames];
  let reading: ((text: string | null) => void) | null = null;
  let ended = false;
  const arrive = (text: string | null): void => {
    if (ended) return;
    ended = text === null;
    if (reading === null) come.push(text);
    else reading(text);
    reading = null;
  };
  const listen = async (): Promise<void> => {
    for (let over = first.over; !over && !ended; ) {
      const said = await ask(session, []);
      for (const text of said.frames) arrive(text);
      over = said.over;
      while (come.length > limits.uplinkWaiting && !ended) await world.sleep(10);
    }
    arrive(null);
  };
  listen().catch(() => arrive(null));
  let waiting: string[] = [];
  let saying = false;
  const speak = async (): Promise<void> => {
    saying = true;
    try {
      while (waiting.length > 0 && !ended) {
        const frames = someOf(waiting);
        waiting = waiting.slice(frames.length);
        await ask(session, frames);
      }
    } catch {
      arrive(null);
    }
    saying = false;
  };
  return {
    send(text) {
      if (ended) return;
      waiting.push(text);
      if (!saying) void speak();
    },
    read() {
      const next = come.shift();
      if (next !== undefined) return Promise.resolve(next);
      if (ended) return Promise.resolve(null);
      return new Promise((done) => {
        reading = done;
      });
    },
    close: () => arrive(null),
  };
}

/** As many as one request carries: at least one. */
function someOf(frames: readonly string[]): string[] {
  const some: string[] = [];
  let octets = 0;
  for (const text of frames) {
    octets += text.length;
    if (some.length > 0 && (octets > limits.uplinkFrame / 2 || some.length >= 100)) break;
    some.push(text);
  }
  return some;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
