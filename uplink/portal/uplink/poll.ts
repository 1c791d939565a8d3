// `POST /v1/uplink/poll`: a session for sites whose way to the portal lets no WebSocket through. The same frames go in the
// bodies of requests: one that says something is answered at once, one that says nothing waits for frames. Guarantees: the
// frames of a session come in order or not at all; a session whose site does not ask any more ends; what strangers may hold
// is bounded as for sockets. A session lives in one process: at another one the site begins anew.

import { z } from 'zod';
import { limits } from '../../../actors/limits.ts';
import { seedFrom } from '../../keys.ts';
import type { Portal } from '../process.ts';
import { openSession, type Session } from './session.ts';

const asked = z.strictObject({
  /** Empty: a new one. */
  session: z.string().max(100),
  frames: z.array(z.string().max(limits.uplinkFrame)).max(100),
});

interface Polled {
  readonly session: Session;
  frames: string[];
  octets: number;
  over: boolean;
  /** Somebody waits for frames. */
  wake: () => void;
  heardAtMs: number;
}

export interface PollServer {
  /** `count`: of the connections of its address; false: there are too many. */
  answer(json: unknown, count: (by: 1 | -1) => boolean): Promise<Response>;
}

const say = (status: number, body: object): Response => Response.json(body, { status, headers: { 'cache-control': 'no-store' } });

export function pollServer(portal: Portal): PollServer {
  const { world } = portal;
  const open = new Map<string, Polled>();

  const begin = (count: (by: 1 | -1) => boolean): { id: string; polled: Polled } | null => {
    if (!count(1)) return null;
    const id = seedFrom(world.random);
    const end = (): void => {
      if (polled.over) return;
      polled.over = true;
      count(-1);
      polled.wake();
      world.after(limits.uplinkPollMs, () => open.delete(id));
    };
    const send = (text: string): void => {
      polled.frames.push(text);
      polled.octets += text.length;
      if (polled.octets > 8 * limits.uplinkFrame) polled.session.gone();
      polled.wake();
    };
    const early: string[] = [];
    let keep = (text: string): void => void early.push(text);
    const session = openSession(portal, { send: (text) => keep(text), close: () => end() });
    const polled: Polled = { session, frames: [], octets: 0, over: false, wake: () => {}, heardAtMs: world.monotonicMs() };
    keep = send;
    for (const text of early) send(text);
    open.set(id, polled);
    const watch = (): void => {
      if (polled.over) return;
      if (world.monotonicMs() - polled.heardAtMs > limits.uplinkSilentMs) session.gone();
      else world.after(limits.uplinkLookMs, watch);
    };
    world.after(limits.uplinkLookMs, watch);
    return { id, polled };
  };

  /** Takes what there is; waits for it when `patient`. */
  const take = async (polled: Polled, patient: boolean): Promise<string[]> => {
    polled.wake(); // of two that wait the first goes away
    if (patient && polled.frames.length === 0 && !polled.over) {
      await new Promise<void>((done) => {
        const late = world.after(limits.uplinkPollMs, done);
        polled.wake = () => {
          late.cancel();
          done();
        };
      });
      polled.wake = () => {};
    }
    const { frames } = polled;
    polled.frames = [];
    polled.octets = 0;
    return frames;
  };

  return {
    async answer(json, count) {
      const ask = asked.safeParse(json);
      if (!ask.success) return say(400, { error: 'this is no poll' });
      const known = ask.data.session === '' ? undefined : open.get(ask.data.session);
      if (ask.data.session !== '' && known === undefined) return say(410, { error: 'this session is over: begin anew' });
      const found = known === undefined ? begin(count) : { id: ask.data.session, polled: known };
      if (found === null) return say(429, { error: 'too many connections from this address' });
      const { id, polled } = found;
      polled.heardAtMs = world.monotonicMs();
      for (const text of ask.data.frames) polled.session.hear(text);
      const frames = ask.data.frames.length > 0 ? [] : await take(polled, true);
      polled.heardAtMs = world.monotonicMs();
      return say(200, { session: id, frames, over: polled.over && polled.frames.length === 0 });
    },
  };
}
