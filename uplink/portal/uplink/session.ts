// One session with a site in a portal process: it feeds states/portal.ts, and does what comes out. Guarantees: inputs are
// taken one at a time, and the effects of one are done before the next; an end of the process at any moment leaves only
// what the records hold; whatever goes wrong ends this session alone.

import { LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import type { World } from '../../../actors/world.ts';
import { frameText } from '../../frames.ts';
import { seedFrom } from '../../keys.ts';
import { portalBegins, type PortalEffect, type PortalInput, portalNext, type PortalSeen, type PortalSession, type Who } from '../../states/portal.ts';
import { signerFor } from '../identity.ts';
import type { Portal } from '../process.ts';
import { Busy } from '../records.ts';
import { answerChannel, askChannel, type Asked } from '../query.ts';
import { doDeed, leave } from './deeds.ts';

export interface Peer {
  /** Never throws. */
  send(text: string): void;
  close(): void;
}

export interface Session {
  /** The site said something. */
  hear(text: string): void;
  /** The connection is gone. */
  gone(): void;
}

/** What a session takes of what strangers may hold open: nothing any more once it is live. */
export interface Seat {
  leave(): void;
}

type Here = Pick<Portal, 'records'> & { readonly world: World };

interface Inbox {
  /** False: there is too much in it. */
  put(input: PortalInput): boolean;
  take(): PortalInput | undefined;
  clear(): void;
}

function createInbox(): Inbox {
  const inputs: PortalInput[] = [];
  let text = 0;
  const sizeOf = (input: PortalInput): number => (input.is === 'heard' ? input.text.length : 0);
  return {
    put(input) {
      // what the records say is looked at once, however often they changed meanwhile
      if (input.is === 'changed' && inputs.some((before) => before.is === 'changed')) return true;
      if (inputs.length >= limits.uplinkWaiting || text + sizeOf(input) > limits.uplinkWaitingText) return false;
      inputs.push(input);
      text += sizeOf(input);
      return true;
    },
    take() {
      const input = inputs.shift();
      if (input !== undefined) text -= sizeOf(input);
      return input;
    },
    clear: () => void inputs.splice(0),
  };
}

const noSeat: Seat = { leave: () => {} };

/** Begins with the challenge. */
export function openSession(portal: Here, peer: Peer, seat: Seat = noSeat): Session {
  const { world } = portal;
  const nonce = seedFrom(world.random);
  const inbox = createInbox();
  const ended: (() => void)[] = [];
  let session: PortalSession = portalBegins(world.monotonicMs());
  let running = false;
  let sent = 0;
  let signing: Awaited<ReturnType<typeof signerFor>> | null = null;
  let over = false;
  let who: Who | null = null;

  const finish = (): undefined => {
    if (over) return;
    over = true;
    inbox.clear();
    seat.leave();
    for (const end of ended.splice(0)) end();
    peer.close();
    const attended = who;
    if (attended !== null) void leave(portal, attended).catch(forgive);
  };
  const forgive = (error: unknown): void => {
    if (!(error instanceof LinkLost || error instanceof Busy)) world.log('portal.refused', { remote: '', what: 'session', why: String(error) });
  };
  const tell = (input: PortalInput): undefined => {
    if (over) return;
    if (!inbox.put(input)) return finish();
    if (!running) void drain();
  };
  const drain = async (): Promise<void> => {
    running = true;
    try {
      signing ??= await signerFor(portal.records);
      const { identity, signer } = signing;
      const seen = (): PortalSeen => {
        const { portal: id, signPublic, signProof } = identity;
        return { now: world.now(), monotonicMs: world.monotonicMs(), portal: id, signPublic, signProof, signer, nonce };
      };
      const step = async (input: PortalInput): Promise<void> => {
        const { session: next, effects } = portalNext(session, input, seen());
        session = next;
        for (const effect of effects) await perform(effect, step);
      };
      for (let input = inbox.take(); input !== undefined && !over; input = inbox.take()) await step(input);
    } catch (error) {
      forgive(error);
      finish(); // it comes back, and what it said and was not told that we took it says again
    }
    running = false;
  };
  const perform = async (effect: PortalEffect, step: (input: PortalInput) => Promise<void>): Promise<void> => {
    switch (effect.do) {
      case 'say':
        return peer.send(frameText(effect.frame, ++sent));
      case 'deed':
        return step({ is: 'did', done: await doDeed(portal, effect.deed) });
      case 'attend':
        who = effect.who;
        seat.leave();
        return attend(effect.who);
      case 'answer':
        return portal.records.publish(answerChannel(effect.query), JSON.stringify({ ok: effect.ok, value: effect.value ?? null }));
      case 'end':
        return finish();
    }
  };
  const attend = ({ organisation, site, machine }: Who): void => {
    const changed = (): void => tell({ is: 'changed' });
    ended.push(portal.records.watch('site', [organisation, site], changed));
    ended.push(portal.records.watch('machine', [site, machine], changed));
    ended.push(portal.records.watch('commandOpen', [site], changed));
    ended.push(portal.records.hear(askChannel(site), (payload) => tell({ is: 'asked', ...(JSON.parse(payload) as Asked) })));
  };
  const tick = (): void => {
    tell({ is: 'tick' });
    if (!over) timer = world.after(limits.uplinkLookMs, tick);
  };
  let timer = world.after(limits.uplinkLookMs, tick);
  ended.push(() => timer.cancel());
  tell({ is: 'opened' });
  return { hear: (text) => tell({ is: 'heard', text }), gone: finish };
}
