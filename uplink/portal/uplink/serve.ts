// The sites' side of a portal, below /v1: enrolment, codes, the uplink as a WebSocket or by polls. Guarantees: what a
// stranger may send, hold open or wait for is bounded; nothing is answered before it is durable.

import type { Server, ServerWebSocket, WebSocketHandler } from 'bun';
import { limits } from '../../../actors/limits.ts';
import { originPrefix } from '../../../protocols/sasl/origin.ts';
import { enrolAsk } from '../../enrol.ts';
import { respondActivate, respondGrant } from '../grants.ts';
import { pollRequest } from '../../poll.ts';
import { bodyWithin } from '../body.ts';
import type { Portal } from '../process.ts';
import { deviceAsk, newDevice, pollAsk, pollDevice } from './device.ts';
import { enrol } from './enrol.ts';
import { pollServer } from './poll.ts';
import { createSeats } from './seats.ts';
import { openSession, type Seat, type Session } from './session.ts';

interface Attached {
  readonly seat: Seat;
  session: Session | null;
}
export type UplinkSocket = ServerWebSocket<Attached>;

export interface UplinkServer {
  /** Null: not ours. Undefined: it is a WebSocket now. `address`: where it came from, an IP literal. */
  fetch(request: Request, server: Server<Attached>, address: string): Promise<Response | undefined | null>;
  readonly websocket: WebSocketHandler<Attached>;
}

const answered = (body: object): Response => Response.json(body, { headers: { 'cache-control': 'no-store' } });
const problem = (status: number, why: string): Response => Response.json({ error: why }, { status, headers: { 'cache-control': 'no-store' } });

export function uplinkServer(portal: Portal): UplinkServer {
  const seatFor = createSeats();
  const polls = pollServer(portal, seatFor);
  let codes = new Map<string, number>();
  let codesSinceMs = portal.world.monotonicMs();
  const mayHaveCode = (origin: string): boolean => {
    const address = originPrefix({ address: origin, port: 0 });
    const now = portal.world.monotonicMs();
    if (now - codesSinceMs > limits.deviceMs) [codes, codesSinceMs] = [new Map(), now];
    const had = (codes.get(address) ?? 0) + 1;
    codes.set(address, had);
    return had <= limits.devicesPerAddress;
  };
  return {
    async fetch(request, server, address) {
      const { pathname } = new URL(request.url);
      if (pathname === '/v1/uplink') {
        const seat = seatFor(address);
        if (seat === null) return problem(429, 'too many connections that have not said who they are: try again in a few seconds');
        if (server.upgrade(request, { data: { seat, session: null } })) return undefined;
        seat.leave();
        return problem(426, 'this is a WebSocket');
      }
      if (pathname === '/v1/uplink/poll' && request.method === 'POST') {
        const ask = pollRequest.safeParse(await json(request, limits.portalRequest));
        if (!ask.success) return problem(400, 'this is no poll');
        const reply = await polls.ask(ask.data, address);
        return reply === null ? problem(410, 'this session is over') : answered(reply);
      }
      if (pathname === '/v1/enroll' && request.method === 'POST') return enrolling(portal, request, address);
      if (pathname === '/v1/grant' && request.method === 'POST') return respondGrant(portal, await small(request));
      if (pathname === '/v1/activate' && request.method === 'POST') return respondActivate(portal, await small(request));
      if (pathname === '/v1/device' && request.method === 'POST') {
        if (!mayHaveCode(address)) return problem(429, 'too many codes for this address: wait a quarter of an hour');
        const ask = deviceAsk.safeParse(await small(request));
        return ask.success ? answered(await newDevice(portal, ask.data, address)) : problem(400, 'this is no machine');
      }
      if (pathname === '/v1/device/poll' && request.method === 'POST') {
        const ask = pollAsk.safeParse(await small(request));
        return ask.success ? answered(await pollDevice(portal, ask.data)) : problem(400, 'this is no code');
      }
      return pathname.startsWith('/v1/') ? problem(404, 'there is nothing here') : null;
    },
    websocket: {
      data: {} as Attached,
      maxPayloadLength: limits.uplinkFrame,
      backpressureLimit: limits.uplinkBehind,
      closeOnBackpressureLimit: true,
      idleTimeout: 120,
      sendPings: false,
      perMessageDeflate: false,
      open(socket: UplinkSocket) {
        const peer = { send: (text: string) => void socket.send(text), close: () => socket.close() };
        socket.data.session = openSession(portal, peer, socket.data.seat);
      },
      message(socket: UplinkSocket, text) {
        if (typeof text === 'string') socket.data.session?.hear(text);
        else socket.close();
      },
      close(socket: UplinkSocket) {
        socket.data.seat.leave();
        socket.data.session?.gone();
      },
    },
  };
}

const small = (request: Request): Promise<unknown> => json(request, limits.uplinkStranger);

/** The JSON of a request of at most so many octets; undefined: it has none. */
async function json(request: Request, most: number): Promise<unknown> {
  const octets = await bodyWithin(request, most);
  if (octets === null) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(octets));
  } catch {
    return undefined;
  }
}

async function enrolling(portal: Portal, request: Request, remote: string): Promise<Response> {
  const ask = enrolAsk.safeParse(await small(request));
  if (!ask.success) return problem(400, 'this is no enrolment');
  const done = await enrol(portal, ask.data);
  if (done.ok) return answered(done.answer);
  portal.world.log('portal.refused', { remote, what: 'enroll', why: done.why });
  return problem(done.status, done.why);
}
