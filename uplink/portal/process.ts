// A portal process: HTTP and WebSocket over records, and nothing kept in its memory that another process would need.
// Requests go by their first path segment: /api/v1 (people and programs), /v1 (sites), all else is the web UI.

import type { Address } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { parseEndpoint } from '../../storage/addresses.ts';
import type { Reader } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { Busy, openRecords, type Records } from './records.ts';
import { serveUi } from './ui.ts';

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
  Bun.serve({
    hostname: at.address,
    port: at.port,
    reusePort: true,
    maxRequestBodySize: limits.portalRequest,
    fetch: (request) => respond(portal, request),
  });
  return new Promise(() => {});
}

async function respond(portal: Portal, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  try {
    if (pathname.startsWith('/api/') || pathname.startsWith('/v1/')) {
      const found = await portal.records.get('portal');
      return Response.json({ path: pathname, portal: found?.portal ?? null }, { status: 404 });
    }
    return await serveUi(request);
  } catch (error) {
    if (error instanceof Busy) return new Response('busy', { status: 503 });
    throw error;
  }
}
