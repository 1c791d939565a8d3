// The site's end of an uplink by POST requests: one request waits for what the portal says; when there is something to
// say to it, that one is given up for another, and nothing is lost by it.

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { pollReply } from '../poll.ts';
import type { Reply, Wire } from './transport.ts';

/** Posts JSON; `signal` gives it up. */
type Post = (url: string, body: string, timeoutMs: number, signal?: AbortSignal) => Promise<Reply>;

const tries = 5;
class Refused extends Error {}

/** Rejects when the first request is not answered. */
export async function openPoll(world: World, portal: string, post: Post): Promise<Wire> {
  const url = `${portal}/v1/uplink/poll`;
  const incoming: (string | null)[] = [];
  const outgoing: string[] = [];
  let reading: ((text: string | null) => void) | null = null;
  let waiting: AbortController | null = null;
  let session: string | null = null;
  let took = 0;
  let over = false;

  const arrive = (text: string | null): void => {
    if (reading === null) incoming.push(text);
    else reading(text);
    reading = null;
  };
  const exchange = async (): Promise<void> => {
    const frames = [...outgoing];
    waiting = frames.length === 0 ? new AbortController() : null;
    const reply = await post(url, JSON.stringify({ session, took, frames }), limits.uplinkPollMs + limits.uplinkConnectMs, waiting?.signal);
    const said = pollReply.safeParse(reply.status === 200 ? JSON.parse(reply.body) : null);
    if (!said.success) throw new Refused(`${portal} does not take polls (HTTP ${reply.status})`);
    outgoing.splice(0, frames.length);
    session = said.data.session;
    for (const [i, text] of said.data.frames.entries()) {
      if (said.data.first + i <= took) continue; // it came before
      took = said.data.first + i;
      arrive(text);
    }
    over ||= said.data.over;
  };
  const run = async (): Promise<void> => {
    for (let failures = 0; !over; ) {
      try {
        await exchange();
        failures = 0;
      } catch (error) {
        if ((waiting as AbortController | null)?.signal.aborted === true) continue;
        // what stands between ends connections as it likes: what was lost is asked for again
        over ||= error instanceof Refused || ++failures >= tries;
        if (!over) await world.sleep(100 * failures);
      }
    }
    arrive(null);
  };
  await exchange();
  void run();
  return {
    send(text) {
      outgoing.push(text);
      waiting?.abort();
    },
    read() {
      const next = incoming.shift();
      if (next !== undefined) return Promise.resolve(next);
      if (over) return Promise.resolve(null);
      return new Promise((done) => {
        reading = done;
      });
    },
    close() {
      over = true;
      waiting?.abort();
    },
  };
}
