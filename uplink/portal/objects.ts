// What sites park: objects by name, below one folder or prefix a site. Guarantees: a site puts and reads only its own, by a
// grant of its present epoch, so that a machine which is not the primary any more changes nothing; an object is what its
// name says (its SHA-256), and a manifest that is there is never replaced by another; a site removes nothing: old
// snapshots go by age, here. Nothing of it can be read without the site's key, which is not here.

import { limits } from '../../actors/limits.ts';
import { readLineage, readManifest } from '../../storage/snapshot/manifest.ts';
import { isName } from '../../storage/snapshot/name.ts';
import { openPlace, type Place, PlaceError } from '../../storage/snapshot/place.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import { type Grant, openToken } from '../grant.ts';
import { bodyWithin } from './body.ts';
import type { Portal } from './process.ts';
import { noteManifest } from './timeline.ts';

/** Where the objects of one site are. */
export function placeOf({ objects, world }: Portal, site: string): Promise<Place> {
  return openPlace(`${objects.replace(/\/+$/, '')}/${site}`, { world, leaves: limits.placeLeaves });
}

const refusal = (status: number, detail: string): Response => Response.json({ detail }, { status });
const path = '/v1/objects';

/** Answers a request below /v1/objects. */
export async function respondObjects(portal: Portal, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const key = (await portal.records.get('portal'))?.grantKey;
  const token = /^Bearer (\S+)$/.exec(request.headers.get('authorization') ?? '')?.[1];
  const grant = key === undefined || token === undefined ? null : openToken(key, 'grant', token, portal.world.now());
  if (grant === null) return refusal(401, 'no grant, or its time is over: ask for a new one');
  if (!(await isPresent(portal, grant))) return refusal(403, 'superseded: another machine is this site now');
  const name = url.pathname.slice(path.length + 1);
  try {
    const place = await placeOf(portal, grant.site);
    if (name === '' && request.method === 'GET') return await list(place, url.searchParams);
    if (!isName(name)) return refusal(400, 'that is no name of an object');
    if (request.method === 'GET') return answer(await place.get(name));
    if (request.method === 'HEAD') return size(await place.size(name));
    if (request.method !== 'PUT') return refusal(405, 'objects are put and read here, and go by age');
    if (grant.may !== 'park') return refusal(403, 'this grant is for reading');
    return await put(portal, place, grant, name, request);
  } catch (error) {
    if (error instanceof PlaceError) return refusal(503, error.message);
    throw error;
  }
}

/** Is the grant's machine still what it was? A reader may be one that is about to take over. */
async function isPresent(portal: Portal, grant: Grant): Promise<boolean> {
  const site = await portal.records.get('site', grant.organisation, grant.site);
  if (site === undefined || site.state === 'decommissioned') return false;
  const machine = await portal.records.get('machine', grant.site, grant.machine);
  if (machine === undefined || machine.state === 'revoked' || machine.state === 'quarantined') return false;
  return grant.may === 'read' ? machine.state !== 'superseded' : site.epoch === grant.epoch && site.machine === grant.machine;
}

async function list(place: Place, query: URLSearchParams): Promise<Response> {
  const prefix = query.get('prefix') ?? '';
  const after = query.get('after') ?? '';
  if (prefix !== '' && !isName(prefix.replace(/\/$/, ''))) return refusal(400, 'no name of an object begins so');
  const items: { name: string; size: number; modifiedMs: number }[] = [];
  for await (const found of place.list(prefix)) {
    if (found.name <= after) continue;
    items.push(found);
    if (items.length >= limits.portalPage) return Response.json({ items, more: true });
  }
  return Response.json({ items, more: false });
}

const answer = (octets: Uint8Array | null): Response =>
  octets === null
    ? refusal(404, 'not there')
    : new Response(octets as Uint8Array<ArrayBuffer>, { headers: { 'content-type': 'application/octet-stream', 'x-content-type-options': 'nosniff' } });
const size = (octets: number | null): Response =>
  octets === null ? new Response(null, { status: 404 }) : new Response(null, { headers: { 'x-object-size': String(octets) } });

async function put(portal: Portal, place: Place, grant: Grant, name: string, request: Request): Promise<Response> {
  const octets = await bodyWithin(request, limits.sealedObject);
  if (octets === null) return refusal(413, `an object has at most ${limits.sealedObject} octets`);
  if (name.startsWith('objects/')) {
    const hash = new Bun.CryptoHasher('sha256').update(octets).digest('hex');
    if (name !== `objects/${hash.slice(0, 2)}/${hash}`) return refusal(422, 'these octets are not what their name says');
    if ((await place.size(name)) !== octets.length) await place.put(name, octets);
    return Response.json({});
  }
  if (!/^(manifests\/[0-9a-f]{1,64}\/\d{16}|lineages\/[0-9a-f]{1,64})$/.test(name)) return refusal(400, 'only snapshots are kept here');
  if (octets.length > limits.parkedManifest) return refusal(413, `a manifest has at most ${limits.parkedManifest} octets`);
  const bad = await faultOf(place, name, octets);
  if (bad !== null) return refusal(422, bad);
  const there = await place.get(name);
  if (there !== null && !Buffer.from(there).equals(octets)) {
    // a lineage is written anew by the same signer only; a manifest never
    return refusal(409, 'there is another one of this name');
  }
  if (there === null) await place.put(name, octets);
  if (name.startsWith('manifests/')) await noteManifest(portal, grant, place, name);
  return Response.json({});
}

/** Why these octets are no manifest or lineage of that name; null: they are, and whose signature they have. */
async function faultOf(place: Place, name: string, octets: Uint8Array): Promise<string | null> {
  const withThis: Place = { ...place, get: async (other) => (other === name ? octets : place.get(other)) };
  try {
    if (name.startsWith('manifests/')) await readManifest(withThis, name);
    else await readLineage(withThis, name.slice('lineages/'.length));
    return null;
  } catch (error) {
    if (error instanceof Damaged) return error.message;
    throw error;
  }
}
