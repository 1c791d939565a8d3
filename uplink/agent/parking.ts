// The site parks with its portal, where its document names no place of its own. Guarantees: only while it is the site's
// primary, by a grant that its machine's key has proved; what is parked there the portal cannot read.

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import type { Reader } from '../../storage/engine.ts';
import { getRow } from '../../storage/rows.ts';
import type { Beside } from '../../storage/snapshot/parking.ts';
import { PlaceError, type Place } from '../../storage/snapshot/place.ts';
import { type Signer, signerOf, signValue } from '../keys.ts';
import { readMachineKey } from './machine.ts';
import { networkTransport, proxied } from './network.ts';
import { portalPlace } from './place.ts';
import type { Transport } from './transport.ts';

/** How often it parks what changed. */
const everySeconds = 10;

/** Who asks a portal for grants. */
export interface Member {
  /** Its address. */
  readonly url: string;
  readonly site: string;
  readonly machine: string;
  readonly signer: Signer;
}

/** Where this site parks now beside what its document says; null: nowhere. */
export function parkingBeside(world: World, view: Reader): Beside | null {
  const row = getRow(view, 'uplink', {});
  const key = readMachineKey();
  if (row === undefined || key === null || !['enrolled', 'active', 'offline'].includes(row.state)) return null;
  const signer = signerOf(key.seed);
  if (signer.publicKey !== row.signPublic) return null;
  const member = { url: row.portal, site: row.site, machine: row.machine, signer };
  return { to: `the portal ${row.portal}, epoch ${row.epoch}`, everySeconds, open: async () => openPortal(world, member, 'park') };
}

export function openPortal(world: World, member: Member, may: 'park' | 'read'): Place {
  const { post } = networkTransport(world);
  let held: { readonly grant: string; readonly endsMs: number } | null = null;
  const grant = async (anew: boolean): Promise<string> => {
    if (anew || held === null || held.endsMs < world.monotonicMs()) held = await grantFrom(world, post, member, may);
    return held.grant;
  };
  return portalPlace({ world, url: member.url, grant, fetch: proxied });
}

async function grantFrom(world: World, post: Transport['post'], member: Member, may: 'park' | 'read') {
  const { challenge, portal } = await challengeFrom(post, member.url);
  const { site, machine, signer } = member;
  const { grant, forMs } = await told(post, `${member.url}/v1/grant`, signValue(signer, 'grant', { challenge, portal, site, machine, may }));
  if (typeof grant !== 'string' || typeof forMs !== 'number') throw new PlaceError(`the portal ${member.url} gave no grant`);
  return { grant, endsMs: world.monotonicMs() + forMs / 2 };
}

/** What a statement to a portal must hold. Throws as `told`. */
export async function challengeFrom(post: Transport['post'], url: string): Promise<{ readonly challenge: string; readonly portal: string }> {
  const { challenge, portal } = await told(post, `${url}/v1/grant`, { challenge: true });
  if (typeof challenge !== 'string' || typeof portal !== 'string') throw new PlaceError(`the portal ${url} gave no challenge`);
  return { challenge, portal };
}

/** The object that a portal answers. Throws PlaceError where it refuses, and another Error where a later try may do. */
export async function told(post: Transport['post'], url: string, ask: object): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await post(url, JSON.stringify(ask), limits.uplinkConnectMs);
  let answer: Readonly<Record<string, unknown>> = {};
  try {
    answer = JSON.parse(body) as typeof answer;
  } catch {
    // an answer of something between
  }
  if (status === 200) return answer;
  const why = `${url} refuses: ${typeof answer['error'] === 'string' ? answer['error'] : `HTTP ${status}`}`;
  throw status >= 500 || status === 429 ? new Error(why) : new PlaceError(why);
}
