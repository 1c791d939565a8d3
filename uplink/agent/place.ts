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
  /** A token for the requests to come; `anew`: the last one is not taken any more. Throws PlaceError where it is refused for good. */
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
  const ask = <T>(method: string, path: string, read: (found: Response) => Promise<T>, body?: Uint8Array): Promise<T> =>
    persist(shown, access, method, base + path, body, read);
  return {
    url: shown,
    keepsItself: true,
    async put(name, octets) {
      assertName(name);
      await ask('PUT', `/${name}`, (found) => found.arrayBuffer(), octets);
    },
    async get(name) {
      assertName(name);
      return ask('GET', `/${name}`, async (found) => (found.status === 404 ? null : new Uint8Array(await found.arrayBuffer())));
    },
    async size(name) {
      assertName(name);
      return ask('HEAD', `/${name}`, async (found) => (found.status === 404 ? null : Number(found.headers.get('x-object-size'))));
    },
    async *list(prefix) {
      for (let after = ''; ; ) {
        const path = `?prefix=${encodeURIComponent(prefix)}&after=${encodeURIComponent(after)}`;
        const { items, more } = await ask('GET', path, async (found) => (await found.json()) as Listing);
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

/** Repeats a request until it is answered for good and `read` has all of the answer. */
function persist<T>(
  shown: string,
  access: PortalAccess,
  method: string,
  url: string,
  body: Uint8Array | undefined,
  read: (found: Response) => Promise<T>,
): Promise<T> {
  let anew = false;
  return patiently(access.world, shown, async () => {
    const headers = { authorization: `Bearer ${await access.grant(anew)}` };
    anew = false;
    const found = await access.fetch(url, { method, headers, ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }) });
    // something between that knows no such page has kept nothing
    if (found.ok || (found.status === 404 && method !== 'PUT')) return read(found);
    const why = (await detailOf(found)) || `HTTP ${found.status}`;
    anew = found.status === 401;
    if (!anew && found.status < 500 && found.status !== 429) throw new PlaceError(`${shown}: ${why}`);
    throw new Error(why);
  });
}

/** Does it again while it throws anything but a PlaceError, at most limits.placeTries times. `shown`: what fails, for people. */
export async function patiently<T>(world: PortalAccess['world'], shown: string, once: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await once();
    } catch (error) {
      if (error instanceof PlaceError) throw error;
      if (tries >= limits.placeTries)
        throw new PlaceError(
          `${shown} failed ${tries} times (${(error as Error).message}): see that this machine gets there; the next try goes on where it was`,
        );
    }
    const longest = Math.min(limits.placeRetryMs * 2 ** (tries - 1), limits.placeRetryMaxMs);
    await world.sleep(longest / 2 + (longest / 2) * ((world.random(1)[0] as number) / 255));
  }
}

async function detailOf(found: Response): Promise<string> {
  try {
    return String(((await found.json()) as { detail?: unknown }).detail ?? '');
  } catch {
    return '';
  }
}
