// The real way to a portal: a WebSocket, and HTTP for single questions, both through a proxy where the environment names
// one (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { openPolled } from './poll.ts';
import type { Reply, Transport, Wire } from './transport.ts';

export function networkTransport(world: World): Transport {
  return { open: (portal) => openSocket(world, portal).catch((error: Error) => instead(world, portal, error)), post };
}

/** Something between may let no WebSocket through, and requests all the same. What was wrong with the socket is told, if both fail. */
function instead(world: World, portal: string, why: Error): Promise<Wire> {
  return openPolled(world, post, portal).catch(() => Promise.reject(why));
}

/** The proxy for a URL, by the environment; undefined: none. */
function proxyFor(url: string): string | undefined {
  const { hostname, protocol } = new URL(url);
  const named = (name: string): string | undefined => process.env[name.toLowerCase()] || process.env[name] || undefined;
  const spared = (named('NO_PROXY') ?? '').split(',').map((entry) => entry.trim().replace(/^\*?\./, ''));
  if (spared.some((entry) => entry !== '' && (entry === '*' || hostname === entry || hostname.endsWith(`.${entry}`)))) return undefined;
  return named(protocol === 'https:' || protocol === 'wss:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
}

function openSocket(world: World, portal: string): Promise<Wire> {
  const proxy = proxyFor(portal);
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${portal.replace(/^http/, 'ws')}/v1/uplink`, proxy === undefined ? {} : { proxy });
    const frames: (string | null)[] = [];
    let reading: ((text: string | null) => void) | null = null;
    let ended = false;
    const arrive = (text: string | null): void => {
      if (ended) return;
      ended = text === null;
      if (reading === null) frames.push(text);
      else reading(text);
      reading = null;
    };
    const late = world.after(limits.uplinkConnectMs, () => {
      socket.close();
      reject(new Error(`${portal} does not answer`));
    });
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') arrive(data);
      else socket.close();
    };
    socket.onerror = () => {
      late.cancel();
      reject(new Error(`${portal} cannot be reached${proxy === undefined ? '' : ' through the proxy'}`));
      arrive(null);
    };
    socket.onclose = () => {
      late.cancel();
      reject(new Error(`${portal} closed the connection`));
      arrive(null);
    };
    socket.onopen = () => {
      late.cancel();
      resolve({
        send(text) {
          if (socket.readyState === WebSocket.OPEN) socket.send(text);
        },
        read() {
          const next = frames.shift();
          if (next !== undefined) return Promise.resolve(next);
          if (ended) return Promise.resolve(null);
          return new Promise((done) => {
            reading = done;
          });
        },
        close() {
          socket.close();
          arrive(null);
        },
      });
    };
  });
}

/** `fetch`, through the proxy where the environment names one. */
export function proxied(url: string, init: RequestInit): Promise<Response> {
  const proxy = proxyFor(url);
  return fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(limits.placeRequestMs), ...(proxy === undefined ? {} : { proxy }) });
}

async function post(url: string, body: string, timeoutMs: number): Promise<Reply> {
  const proxy = proxyFor(url);
  const answer = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
    ...(proxy === undefined ? {} : { proxy }),
  });
  return { status: answer.status, body: (await answer.text()).slice(0, 16 * limits.uplinkFrame) };
}
