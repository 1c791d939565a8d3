// What a snapshot is: a signed manifest that names objects (DESIGN §6). Guarantees: without the key it says sizes and
// times only; an octet changed anywhere in it is found; it is written last, so that a snapshot with a manifest is whole.
//
//   lineages/<lineage>              who signs, and the data key wrapped for the recovery kit
//   manifests/<lineage>/<commit>    one snapshot; the commit has 16 digits, so that names sort as commits do
//   objects/<2 hex>/<64 hex>        sealed octets, by their SHA-256
//
// A snapshot is a base and increments on it. The base is a catalog: an object that lists segments (sorted rows) and packs
// (body chunks, which never change). An increment is the rows touched since, and packs of the bodies that are new.

import { z } from 'zod';
import { Damaged, openObject, openText, sealObject, sealText, signer, verifySignature } from './seal.ts';
import { type Place, PlaceError } from './place.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const whole = z.int().min(0);
/** An object, as anyone may know it: name and octets. */
const listed = z.tuple([hash, whole]);
export type Listed = z.infer<typeof listed>;

const lineageSchema = z.object({
  format: z.literal(1),
  lineage: z.string().regex(/^[0-9a-f]{1,64}$/),
  createdAt: whole,
  /** Ed25519 public key of the manifests, base64. */
  signer: z.string(),
  /** The data key for the recovery kit: an armored age file. */
  wrapped: z.array(z.string()).min(1),
  /** By the signer itself: it tells what was written from what became of it. */
  signature: z.string(),
});
export type LineageRecord = z.infer<typeof lineageSchema>;

const manifestSchema = z.object({
  format: z.literal(1),
  lineage: z.string().regex(/^[0-9a-f]{1,64}$/),
  epoch: whole,
  commit: whole,
  /** The commit of the snapshot this one was made after; null: the first of its lineage. */
  previous: whole.nullable(),
  takenAt: whole,
  /** The version of the tables. */
  schema: whole,
  catalog: listed,
  increments: z.array(z.object({ commit: whole, objects: z.array(listed) })),
  sealed: z.string(),
  signature: z.string(),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** What the manifest keeps for those who have the key. */
const secretsSchema = z.object({
  host: z.string(),
  digest: z.object({ rows: whole, sumA: whole, sumB: whole }),
  counts: z.object({ accounts: whole, messages: whole, octets: whole }),
  /** By increment, by object: the blobs of a pack, or null for changed rows. Octets of changed rows, unpacked, and of packs. */
  increments: z.array(z.array(z.object({ blobs: z.array(whole).nullable(), size: whole }))),
  /** Octets before compression: of the base's rows, and of all bodies. */
  rowOctets: whole,
});
export type Secrets = z.infer<typeof secretsSchema>;

const catalogSchema = z.object({
  segments: z.array(z.object({ object: listed, first: z.string(), size: whole })),
  /** `blobs` ascending. */
  packs: z.array(z.object({ object: listed, blobs: z.array(whole), size: whole })),
});
export type Catalog = z.infer<typeof catalogSchema>;
export type Pack = Catalog['packs'][number];

export const objectName = (hash: string): string => `objects/${hash.slice(0, 2)}/${hash}`;
export const lineageName = (lineage: string): string => `lineages/${lineage}`;
export const manifestName = (lineage: string, commit: number): string => `manifests/${lineage}/${String(commit).padStart(16, '0')}`;

const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const textOf = (octets: Uint8Array): string => Buffer.from(octets).toString();

/** What is signed: everything but the signature, in declared order. */
function signedOctets(m: Omit<Manifest, 'signature'>): Uint8Array {
  const { format, lineage, epoch, commit, previous, takenAt, schema, catalog, increments, sealed } = m;
  return utf8(JSON.stringify({ format, lineage, epoch, commit, previous, takenAt, schema, catalog, increments, sealed }));
}

export type Unsigned = Omit<Manifest, 'sealed' | 'signature' | 'format'>;

/** Seals the secrets and signs all of it. */
export function signManifest(dataKey: Uint8Array, fields: Unsigned, secrets: Secrets): Manifest {
  const unsigned = { format: 1 as const, ...fields, sealed: sealText(dataKey, 'manifest', JSON.stringify(secrets)) };
  return { ...unsigned, signature: signer(dataKey).sign(signedOctets(unsigned)) };
}

export const writeManifest = (place: Place, m: Manifest): Promise<void> => place.put(manifestName(m.lineage, m.commit), utf8(JSON.stringify(m)));

/** False: there are snapshots of this lineage with another key, and only this record opens them; nothing was written. */
export async function writeLineage(place: Place, dataKey: Uint8Array, lineage: string, createdAt: number, wrapped: string): Promise<boolean> {
  const own = signer(dataKey);
  const record = { format: 1 as const, lineage, createdAt, signer: own.publicKey, wrapped: [wrapped] };
  const octets = utf8(JSON.stringify({ ...record, signature: own.sign(utf8(JSON.stringify(record))) }));
  const there = await place.get(lineageName(lineage));
  if (there !== null && Buffer.from(there).equals(octets)) return true;
  const another = there !== null && ![own.publicKey, null].includes(signerOf(lineage, there));
  if (another && (await manifestNames(place, lineage)).length > 0) return false;
  await place.put(lineageName(lineage), octets);
  return true;
}

function parse<T>(what: string, schema: z.ZodType<T>, octets: Uint8Array): T {
  let json: unknown;
  try {
    json = JSON.parse(textOf(octets));
  } catch {
    throw new Damaged(`${what} is not JSON`);
  }
  const found = schema.safeParse(json);
  if (!found.success)
    throw new Damaged(`${what} is not as it was written: ${found.error.issues[0]?.path.join('.') ?? ''} ${found.error.issues[0]?.message ?? ''}`);
  return found.data;
}

/** The record of a lineage, or null. Throws Damaged. */
export async function readLineage(place: Place, lineage: string): Promise<LineageRecord | null> {
  const octets = await place.get(lineageName(lineage));
  return octets && lineageRecord(lineage, octets);
}

function lineageRecord(lineage: string, octets: Uint8Array): LineageRecord {
  const { signature, ...record } = parse(lineageName(lineage), lineageSchema, octets);
  const holds = record.lineage === lineage && verifySignature(record.signer, utf8(JSON.stringify(record)), signature);
  if (!holds) throw new Damaged(`${lineageName(lineage)} has a signature that does not hold`);
  return { ...record, signature };
}

/** Who signs by this record; null: it is damaged. */
function signerOf(lineage: string, octets: Uint8Array): string | null {
  try {
    return lineageRecord(lineage, octets).signer;
  } catch (error) {
    if (error instanceof Damaged) return null;
    throw error;
  }
}

/** A manifest whose signature holds. `lineages`: records that were read already. Throws Damaged. */
export async function readManifest(place: Place, name: string, lineages = new Map<string, LineageRecord>()): Promise<Manifest> {
  const octets = await place.get(name);
  if (octets === null) throw new Damaged(`${name} is not there`);
  const m = parse(name, manifestSchema, octets);
  if (name !== manifestName(m.lineage, m.commit)) throw new Damaged(`${name} is the manifest of another snapshot`);
  const record = lineages.get(m.lineage) ?? (await readLineage(place, m.lineage));
  if (record === null) throw new Damaged(`${lineageName(m.lineage)} is not there: nobody can tell who signed ${name}`);
  lineages.set(m.lineage, record);
  const { signature, ...unsigned } = m;
  if (!verifySignature(record.signer, signedOctets(unsigned), signature)) throw new Damaged(`${name} has a signature that does not hold`);
  return m;
}

/** Throws Damaged for another key. */
export function openSecrets(dataKey: Uint8Array, m: Manifest): Secrets {
  return parse(`the sealed part of ${manifestName(m.lineage, m.commit)}`, secretsSchema, utf8(openText(dataKey, 'manifest', m.sealed)));
}

/** A catalog names its objects in clear, so that their presence can be proved without the key; the rest is sealed. */
export async function writeCatalog(place: Place, dataKey: Uint8Array, catalog: Catalog, anew: (hash: string) => boolean): Promise<Listed> {
  const clear = utf8(JSON.stringify([...catalog.segments, ...catalog.packs].map((row) => row.object)));
  const { octets } = await sealObject(dataKey, 'catalog', utf8(JSON.stringify(catalog)));
  const all = Buffer.alloc(4 + clear.length + octets.length);
  all.writeUInt32BE(clear.length, 0);
  all.set(clear, 4);
  all.set(octets, 4 + clear.length);
  const name = new Bun.CryptoHasher('sha256').update(all).digest('hex');
  if (anew(name) || (await place.size(objectName(name))) !== all.length) await place.put(objectName(name), all);
  return [name, all.length];
}

/** The octets of an object which are what their name says. Throws Damaged. */
export async function readObject(place: Place, [hash, size]: Listed): Promise<Uint8Array> {
  const octets = await place.get(objectName(hash)).catch(async (error: unknown) => {
    // what the disk holds and cannot read any more. A manifest is not given up like that: it may be there the next time, and
    // who passed over the newest one would take an older copy of the site for the site
    if (!(error instanceof PlaceError) || !error.medium || (await place.size(objectName(hash))) === null) throw error;
    throw new Damaged(`${objectName(hash)} cannot be read: ${error.message}`);
  });
  if (octets === null) throw new Damaged(`${objectName(hash)} is not there`);
  if (octets.length !== size || new Bun.CryptoHasher('sha256').update(octets).digest('hex') !== hash)
    throw new Damaged(`${objectName(hash)} is not what its name says`);
  return octets;
}

function split(listed: Listed, octets: Uint8Array): { clear: Uint8Array; sealed: Uint8Array } {
  const length = octets.length < 4 ? octets.length : new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0);
  if (4 + length > octets.length) throw new Damaged(`${objectName(listed[0])} is not a catalog`);
  return { clear: octets.subarray(4, 4 + length), sealed: octets.subarray(4 + length) };
}

/** The objects of a catalog, without the key. */
export async function listCatalog(place: Place, object: Listed): Promise<Listed[]> {
  return parse(objectName(object[0]), z.array(listed), split(object, await readObject(place, object)).clear);
}

export async function readCatalog(place: Place, dataKey: Uint8Array, object: Listed): Promise<Catalog> {
  const { sealed } = split(object, await readObject(place, object));
  return parse(objectName(object[0]), catalogSchema, await openObject(dataKey, 'catalog', sealed));
}

/** The names of all manifests of a place, or of one lineage: by lineage, then by commit. */
export async function manifestNames(place: Place, lineage?: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of place.list(lineage === undefined ? 'manifests/' : `manifests/${lineage}/`)) names.push(name);
  return names;
}

/** What is kept in memory of a snapshot, of which a place may have 100,000. */
export interface Glance {
  readonly name: string;
  readonly lineage: string;
  readonly commit: number;
  readonly takenAt: number;
  /** The object that is the catalog: snapshots of one base have the same one. */
  readonly catalog: string;
  readonly increments: number;
  /** Of the last increment, or of the catalog of a base. */
  readonly octets: number;
}

/**
 * Reads the manifests of these names, a few at a time, and forgets each one when `see` returns: it may keep what it needs.
 * Returns why some cannot be read, by name, in the order of `names`.
 */
export async function eachManifest(place: Place, names: readonly string[], see: (manifest: Manifest, name: string) => void): Promise<Map<string, string>> {
  const lineages = new Map<string, LineageRecord>();
  const damaged: [number, string, string][] = [];
  const rows = names.entries();
  const ask = async (): Promise<void> => {
    for (const [i, name] of rows) {
      try {
        see(await readManifest(place, name, lineages), name);
      } catch (error) {
        if (!(error instanceof Damaged)) throw error;
        damaged.push([i, name, error.message]);
      }
    }
  };
  await Promise.all(Array.from({ length: manifestsAtOnce }, ask));
  return new Map(damaged.sort(([a], [b]) => a - b).map(([, name, why]) => [name, why]));
}
const manifestsAtOnce = 16;

/** All snapshots of these names that can be read, in the order of `names`, and why the others cannot. */
export async function glance(place: Place, names: readonly string[]): Promise<{ readable: Glance[]; damaged: Map<string, string> }> {
  const found = new Map<string, Glance | null>(names.map((name) => [name, null]));
  const same = new Map<string, string>();
  const once = (text: string): string => {
    const known = same.get(text);
    if (known === undefined) same.set(text, text);
    return known ?? text;
  };
  const damaged = await eachManifest(place, names, ({ lineage, commit, takenAt, catalog, increments }, name) => {
    const octets = (increments.at(-1)?.objects ?? [catalog]).reduce((sum, [, size]) => sum + size, 0);
    found.set(name, { name, lineage: once(lineage), commit, takenAt, catalog: once(catalog[0]), increments: increments.length, octets });
  });
  return { readable: [...found.values()].filter((row) => row !== null), damaged };
}

/** The objects which are missing or are not what their names say: all of them are read. */
export async function rottenObjects(place: Place, objects: readonly Listed[]): Promise<Listed[]> {
  const rotten: Listed[] = [];
  for (const row of objects) {
    try {
      await readObject(place, row);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      rotten.push(row);
    }
  }
  return rotten;
}

/** The objects which are missing or have another size. Asks for a few at a time. */
export async function missingObjects(place: Place, objects: readonly Listed[]): Promise<Listed[]> {
  const missing: Listed[] = [];
  const rows = objects.values();
  const ask = async (): Promise<void> => {
    for (const row of rows) if ((await place.size(objectName(row[0]))) !== row[1]) missing.push(row);
  };
  await Promise.all(Array.from({ length: 16 }, ask));
  return missing;
}
