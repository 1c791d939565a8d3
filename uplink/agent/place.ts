// The site's portal as a place for snapshots. Guarantees: what fails for a while is tried again with longer and longer
// pauses, within a bound; what will not get better is said at once; nothing is removed (the portal prunes); octets go by
// HTTP requests of their own, never on the uplink's socket.

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { assertName } from '../../storage/snapshot/name.ts';
import { type Place, PlaceError, type Stored } from '../../storage/snapshot/place.ts';

/** How to reach the portal. `fetch`: over the proxy, where there is one. */
export interface PortalAccess {
  readonly world: Pick<World, 'sleep' | 'random'>;
  /** Of the portal. */
  readonly url: string;
  /** A token for the requests to come; `anew`: the last one is not taken any more. Throws PlaceError. */
  grant(anew: boolean): Promise<string>;
  readonly fetch: (url: string, init: { method: string; headers: Record<string, string>; body?: Uint8Array<ArrayBuffer> }) => Promise<Response>;
}

interface Listing {
  readonly items: readonly Stored[];
  readonly more: boolean;
}

export function portalPlace(access: PortalAccess): Place {
  const shown = `the portal ${access.url}`;
  const base = `${access.url}/v1/objects`;
  const ask = (method: string, path: string, body?: Uint8Array): Promise<Response> => persist(shown, access, method, base + path, body);
  return {
    url: shown,
    async put(name, octets) {
      assertName(name);
      await ask('PUT', `/${name}`, octets);
    },
    async get(name) {
      assertName(name);
      const found = await ask('GET', `/${name}`);
      return found.status === 404 ? null : new Uint8Array(await found.arrayBuffer());
    },
    async size(name) {
      assertName(name);
      const found = await ask('HEAD', `/${name}`);
      return found.status === 404 ? null : Number(found.headers.get('x-object-size'));
    },
    async *list(prefix) {
      for (let after = ''; ; ) {
        const { items, more } = (await (await ask('GET', `?prefix=${encodeURIComponent(prefix)}&after=${encodeURIComponent(after)}`)).json()) as Listing;
        yield* items;
        after = items.at(-1)?.name ?? '';
        if (!more || after === '') return;
      }
    },
    remove() {
      return Promise.reject(new PlaceError(`${shown} removes old snapshots itself`));
    },
  };
}

/** Repeats a request until it is answered for good, at most limits.placeTries times. */
async function persist(shown: string, access: PortalAccess, method: string, url: string, body: Uint8Array | undefined): Promise<Response> {
  let anew = false;
  let why = '';
  for (let tries = 1; tries <= limits.placeTries; tries++) {
    try {
      const headers = { authorization: `Bearer ${await access.grant(anew)}` };
      const found = await access.fetch(url, { method, headers, ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }) });
      if (found.ok || found.status === 404) return found;
      why = (await detailOf(found)) || `HTTP ${found.status}`;
      anew = found.status === 401;
      if (!anew && found.status < 500 && found.status !== 429) throw new PlaceError(`${shown}: ${why}`);
    } catch (error) {
      if (error instanceof PlaceError) throw error;
      why = (error as Error).message;
    }
    const longest = Math.min(limits.placeRetryMs * 2 ** (tries - 1), limits.placeRetryMaxMs);
    if (!anew) await access.world.sleep(longest / 2 + (longest / 2) * ((access.world.random(1)[0] as number) / 255));
  }
  throw new PlaceError(`${shown} failed ${limits.placeTries} times (${why}): the next try comes by itself`);
}

async function detailOf(found: Response): Promise<string> {
  try {
    return String(((await found.json()) as { detail?: unknown }).detail ?? '');
  } catch {
    return '';
  }
}
