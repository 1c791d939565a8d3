// A portal process: HTTP and WebSocket over records, and nothing kept in its memory that another process would need.
// Requests go by their first path segment: /api/v1 (people and programs), /v1 (sites), all else is the web UI.

import type { Address } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { parseEndpoint } from '../../storage/addresses.ts';
import type { Reader } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { respondObjects } from './objects.ts';
import { ensureIdentity } from './identity.ts';
import { Busy, openRecords, type Records } from './records.ts';
import { pruneForever } from './timeline.ts';
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
}

/** Serves until it crashes. */
export async function portalRole(options: PortalOptions): Promise<never> {
  const { world, store, view, url, objects, listen } = options;
  const portal: Portal = { world, records: openRecords(store, view), url: url.replace(/\/+$/, ''), objects };
  const at = parseEndpoint(listen, 8025);
  if (at === null) throw new Error(`${listen} is no address to listen on`);
  await ensureIdentity(portal);
  const uplink = uplinkServer(portal);
  Bun.serve({
    hostname: at.address,
    port: at.port,
    reusePort: true,
    maxRequestBodySize: limits.sealedObject, // of a parked object; all else has limits of its own
    websocket: uplink.websocket,
    fetch: (request, server) => respond(portal, request, () => uplink.fetch(request, server)),
  });
  return pruneForever(portal);
}

async function respond(portal: Portal, request: Request, site: () => Promise<Response | undefined | null>): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  try {
    if (pathname === '/v1/objects' || pathname.startsWith('/v1/objects/')) return await respondObjects(portal, request);
    if (pathname.startsWith('/v1/')) return (await site()) ?? new Response('there is nothing here', { status: 404 });
    const found = await portal.records.get('portal');
    return Response.json({ path: pathname, portal: found?.portal ?? null }, { status: 404 });
  } catch (error) {
    if (error instanceof Busy) return new Response('busy', { status: 503 });
    throw error;
  }
}
