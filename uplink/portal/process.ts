// A portal process: HTTP and WebSocket over records, and nothing kept in its memory that another process would need.
// Requests go by their first path segment: /api/v1 (people and programs), /v1 (sites), all else is the web UI.

import type { Address } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import type { Endpoint, World } from '../../actors/world.ts';
import { isLoopback } from '../../protocols/sasl/origin.ts';
import { isIpAddress, parseEndpoint } from '../../storage/addresses.ts';
import type { Reader } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { openApi } from './api/serve.ts';
import { setupLink } from './identity/first.ts';
import { sweepForever } from './identity/sweep.ts';
import { respondObjects } from './objects.ts';
import { ensureIdentity } from './identity.ts';
import { Busy, openRecords, type Records } from './records.ts';
import { pruneForever } from './timeline.ts';
import { serveUi } from './ui.ts';
import { uplinkServer } from './uplink/serve.ts';

/** What every part of a portal is given. */
export interface Portal {
  readonly world: World;
  readonly records: Records;
  /** What people and sites call it by: scheme, host and port, without a slash at the end. */
  readonly url: string;
  /** Where parked objects are kept: a folder or s3://bucket/prefix. */
  readonly objects: string;
}

export interface PortalOptions {
  readonly world: World;
  readonly store: Address<StoreProtocol>;
  readonly view: Reader;
  /** `address:port`. */
  readonly listen: string;
  readonly url: string;
  readonly objects: string;
  /** Tells whoever runs the portal a line which is no log. */
  readonly say: (line: string) => void;
}

/** Serves until it crashes. */
export async function portalRole(options: PortalOptions): Promise<never> {
  const { world, store, view, url, objects, listen, say } = options;
  const portal: Portal = { world, records: openRecords(store, view), url: url.replace(/\/+$/, ''), objects };
  const at = parseEndpoint(listen, 8025);
  if (at === null) throw new Error(`${listen} is no address to listen on`);
  await ensureIdentity(portal);
  await begin(portal, say);
  serveHttp(portal, at);
  return Promise.race([sweepForever(portal), pruneForever(portal)]);
}

/** Listens, for as long as the process lives. */
export function serveHttp(portal: Portal, at: Endpoint): { readonly port: number | undefined; stop(now: boolean): unknown } {
  const api = openApi(portal);
  const uplink = uplinkServer(portal);
  return Bun.serve({
    hostname: at.address,
    port: at.port,
    reusePort: true,
    maxRequestBodySize: limits.sealedObject, // of a parked object; all else has limits of its own
    idleTimeout: limits.portalIdleSeconds,
    fetch: (request, server) => {
      const { pathname } = new URL(request.url);
      const address = originOf(request, server.requestIP(request)?.address ?? '');
      if (pathname.startsWith('/api/v1/')) return api(request, address);
      return respond(portal, request, () => uplink.fetch(request, server, address));
    },
    websocket: uplink.websocket,
  });
}

/** Says where a portal is reached, and how its first owner comes in. */
async function begin(portal: Portal, say: (line: string) => void): Promise<void> {
  const { records, url, world } = portal;
  await records.transact(async (tx) => {
    if ((await tx.get('service'))?.url !== url) tx.put('service', [], { url, since: world.now() });
  });
  const link = await setupLink(portal);
  if (link !== null) say(`This portal has no owner yet. Open this link once to become its owner: ${link}`);
}

/** Behind a proxy on this machine, who it says it asks for: the last name in the list, which is the one that it wrote itself. */
function originOf(request: Request, address: string): string {
  const peer = address.replace(/^::ffff:(?=[0-9.]+$)/, ''); // IPv4 on an IPv6 socket
  if (!isLoopback(peer)) return peer;
  const told = request.headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() ?? '';
  return isIpAddress(told) ? told : peer;
}

async function respond(portal: Portal, request: Request, site: () => Promise<Response | undefined | null>): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  try {
    if (pathname === '/v1/objects' || pathname.startsWith('/v1/objects/')) return await respondObjects(portal, request);
    if (pathname.startsWith('/v1/')) return (await site()) ?? new Response('there is nothing here', { status: 404 });
    if (pathname.startsWith('/api/')) return new Response('there is nothing here', { status: 404 });
    return await serveUi(request);
  } catch (error) {
    if (error instanceof Busy) return new Response('busy', { status: 503 });
    throw error;
  }
}
