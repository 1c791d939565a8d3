// Looks at every change of a simulated place and holds it against what the sites were. Rules:
//   P1 a manifest is put when all that it names is there, and all of it stays as long as the manifest does
//   P2 every snapshot restores to the rows of its commit, and to nothing else: digest, `check` and all
//   P3 one state for one commit of one lineage
//   P4 an older copy of a site is refused once its history is another one, and nothing else is
//   P5 pruning leaves the newest whole snapshot of each lineage, and nothing that nobody names
//   P6 a restore begins a new lineage of a higher epoch; what was acknowledged by its commit is there, what came later is not
//   P7 whatever was cut off before, the next snapshot succeeds

import { drainMicrotasks } from 'bun:jsc';
import { check } from '../../storage/check.ts';
import { digestOf, sameDigest } from '../../storage/digest.ts';
import type { Reader } from '../../storage/engine.ts';
import { memoryEngine } from '../../storage/engines/memory.ts';
import { getRow, octetText, type Row, scanRows, tableOf } from '../../storage/rows.ts';
import { type Manifest, readLineage, readManifest } from '../../storage/snapshot/manifest.ts';
import { openSnapshot } from '../../storage/snapshot/read.ts';
import { restoreSnapshot } from '../../storage/snapshot/restore.ts';
import type { World } from '../../actors/world.ts';
import type { Branch, Rows } from './branch.ts';
import type { Depot, DepotWatcher } from './depot.ts';
import { Broken } from './ledger.ts';
import type { Life } from './scheduler.ts';

/** What the auditor reads of a manifest, by its own means. */
interface Plain {
  readonly lineage: string;
  readonly commit: number;
  readonly catalog: readonly [string, number];
  readonly increments: readonly { readonly objects: readonly (readonly [string, number])[] }[];
}
interface State {
  readonly branch: Branch;
  readonly site: Row<'site'>;
}

const objectName = (hash: string): string => `objects/${hash.slice(0, 2)}/${hash}`;
const parse = (octets: Uint8Array): Plain => JSON.parse(Buffer.from(octets).toString()) as Plain;
const lineageOf = (name: string): string => name.split('/')[1] as string;

/** Work that waits for nothing but itself, done before anything else happens. */
function atOnce<T>(work: Promise<T>): T {
  const done: { value?: T; error?: unknown; over?: true } = {};
  work.then(
    (value) => Object.assign(done, { value, over: true }),
    (error: unknown) => Object.assign(done, { error, over: true }),
  );
  drainMicrotasks();
  if (!done.over) throw new Error('the work waits for something outside');
  if ('error' in done) throw done.error;
  return done.value as T;
}

export class Auditor implements DepotWatcher {
  /** Objects that the place lost by itself, or that went between the last look for them and the manifest that names them. */
  readonly lost = new Set<string>();
  private readonly removedUs = new Map<string, number>();
  snapshots = 0;
  private readonly depot: Depot;
  private readonly world: World;
  private readonly branchOf: (life: Life) => Branch;
  private readonly states = new Map<string, State>();
  private readonly named = new WeakMap<Uint8Array, ReadonlySet<string>>();
  private waiting: string[] = [];

  constructor(depot: Depot, world: World, branchOf: (life: Life) => Branch) {
    this.depot = depot;
    this.world = world;
    this.branchOf = branchOf;
    depot.watcher = this;
  }

  put(name: string, octets: Uint8Array, by: Life, seen: ReadonlyMap<string, number>): void {
    if (!name.startsWith('manifests/')) return;
    const { lineage, commit } = parse(octets);
    // no place can put one thing on the condition that others are there
    for (const object of this.missing(name)) if ((this.removedUs.get(object) ?? 0) >= (seen.get(object) ?? Number.POSITIVE_INFINITY)) this.lost.add(object);
    const missing = this.missing(name).filter((object) => !this.lost.has(object));
    if (missing.length > 0) throw new Broken('P1', `${name} is put, and ${missing.join(', ')} is not there`);
    const branch = this.branchOf(by);
    const site = branch.siteAt(commit);
    if (!site || site.lineage !== lineage) throw new Broken('P2', `${name} is put by a site that is not at that commit of that lineage`);
    const before = this.states.get(name);
    if (before && !sameDigest(before.site, site)) throw new Broken('P3', `${name} was another state`);
    this.states.set(name, { branch, site });
    this.snapshots++;
    this.waiting.push(name);
  }

  removed(name: string, octets: Uint8Array, unknowing: boolean): void {
    this.removedUs.set(name, this.depot.nowUs);
    const manifests = this.depot.names('manifests/');
    if (name.startsWith('manifests/')) {
      const newer = manifests.filter((other) => lineageOf(other) === lineageOf(name) && other > name);
      const whole = [...this.namesOf(octets)].every((object) => this.depot.objects.has(object));
      if (whole && !newer.some((other) => this.missing(other).length === 0)) throw new Broken('P5', `${name} is removed, and was the newest whole one`);
    }
    const user = manifests.find((manifest) => (name.startsWith('lineages/') ? lineageOf(manifest) === lineageOf(name) : this.objectsOf(manifest).has(name)));
    // nor remove a thing on the condition that it is still the old one
    if (user !== undefined && unknowing) this.lost.add(name);
    else if (user !== undefined) throw new Broken('P1', `${name} is removed, and ${user} needs it`);
  }

  /** Looks at what was put since. Between two steps. */
  audit(): void {
    for (const name of this.waiting.splice(0)) if (this.missing(name).length === 0) this.restores(name);
  }

  /** Manifests of a lineage, or all, that are there. */
  manifests(lineage = ''): string[] {
    return this.depot.names(`manifests/${lineage}`);
  }

  missing(name: string): string[] {
    return [...this.objectsOf(name)].filter((object) => !this.depot.objects.has(object));
  }

  /** Is this snapshot a part of the history of that branch? */
  agrees(branch: Branch, name: string): boolean {
    const site = branch.siteAt(Number(name.slice(-16)));
    return site !== undefined && site.lineage === lineageOf(name) && sameDigest(site, this.stateOf(name).site);
  }

  stateOf(name: string): State {
    const state = this.states.get(name);
    if (!state) throw new Error(`nobody made ${name}`);
    return state;
  }

  /** P6, P2 of a site that was restored from `name`. */
  restored(name: string, reader: Reader, lineage: string): void {
    const { branch, site } = this.stateOf(name);
    const found = getRow(reader, 'site', {});
    if (!found) throw new Broken('P6', `${name} is restored, and there is no site`);
    if (found.lineage !== lineage || lineage === site.lineage) throw new Broken('P6', `${name} is restored, and goes on with its lineage`);
    if (found.epoch <= site.epoch) throw new Broken('P6', `${name} is restored, and its epoch is still ${found.epoch}`);
    sameRows(name, branch.rowsAt(site.commit), reader);
    if (!sameDigest(found, site) || !sameDigest(digestOf(reader), site)) throw new Broken('P2', `${name}: the digest is another one`);
    for (const field of ['commit', 'nextAccount', 'nextMailbox', 'nextBlob', 'nextQueue', 'lastUidValidity'] as const)
      if (found[field] !== site[field]) throw new Broken('P2', `${name}: ${field} is ${found[field]}, and was ${site[field]}`);
    const ids = new Set([...scanRows(reader, 'info', [])].map(({ row }) => row.messageId.replace(/^<|@.*$/g, '')));
    const { sure, never } = branch.promisedAt(site.commit);
    for (const id of sure) if (!ids.has(id)) throw new Broken('P6', `${name}: ${id} was acknowledged by then, and is not there`);
    for (const id of never) if (ids.has(id)) throw new Broken('P6', `${name}: ${id} is there, and was sent later`);
  }

  private restores(name: string): void {
    const place = this.depot.still();
    const engine = memoryEngine();
    const { problems } = atOnce(
      (async () => {
        const manifest = await readManifest(place, name);
        const snapshot = await openSnapshot(place, manifest, await this.keyOf(manifest));
        return restoreSnapshot(engine, snapshot, { world: this.world, lineage: 'audit', deep: true });
      })().catch((error: unknown) => {
        throw new Broken('P2', `${name} cannot be restored: ${String(error)}`);
      }),
    );
    const [problem] = problems;
    if (problem) throw new Broken('P2', `${name}: ${problem.rule}: ${problem.what}`);
    this.restored(name, engine, 'audit');
  }

  /** The recovery kit of a simulation: the key is wrapped in nothing. */
  private async keyOf(manifest: Manifest): Promise<Uint8Array> {
    const record = await readLineage(this.depot.still(), manifest.lineage);
    return new Uint8Array(Buffer.from(record?.wrapped[0] ?? '', 'hex'));
  }

  objectsOf(name: string): ReadonlySet<string> {
    const kept = this.depot.objects.get(name);
    return kept ? this.namesOf(kept.octets) : new Set();
  }

  /** Everything that a manifest names; what a lost catalog names, nobody knows. */
  private namesOf(octets: Uint8Array): ReadonlySet<string> {
    const known = this.named.get(octets);
    if (known) return known;
    const { catalog, increments } = parse(octets);
    const found = this.depot.objects.get(objectName(catalog[0]))?.octets;
    const length = found ? new DataView(found.buffer, found.byteOffset).getUint32(0) : 0;
    const below = found ? (JSON.parse(Buffer.from(found.subarray(4, 4 + length)).toString()) as [string, number][]) : [];
    const names = new Set([catalog, ...below, ...increments.flatMap((i) => i.objects)].map(([hash]) => objectName(hash)));
    if (found) this.named.set(octets, names);
    return names;
  }
}

const left = new Set<string | undefined>(['site', 'journal', 'transfer', 'garbage']);

/** P2: no row more, none less, none other. Chunks count where there is a body of theirs. */
function sameRows(name: string, rows: Rows, reader: Reader): void {
  const was = snapshotRows(rows);
  const found = snapshotRows(new Map([...reader.range(new Uint8Array([0]), new Uint8Array([255]))].map(([key, value]) => [octetText(key), value])));
  for (const [key, value] of was) {
    const now = found.get(key);
    const table = tableOf(Buffer.from(key, 'latin1'));
    if (now === undefined) throw new Broken('P2', `${name}: a row of ${table} is missing`);
    if (!Buffer.from(now.buffer, now.byteOffset, now.length).equals(value)) throw new Broken('P2', `${name}: a row of ${table} is another one`);
    found.delete(key);
  }
  for (const key of found.keys()) throw new Broken('P2', `${name}: a row of ${tableOf(Buffer.from(key, 'latin1'))} is there that was not`);
}

function snapshotRows(rows: Rows): Map<string, Uint8Array> {
  const bodies = new Set<string>();
  for (const key of rows.keys()) if (tableOf(Buffer.from(key.slice(0, 1), 'latin1')) === 'blob') bodies.add(key.slice(1, 9));
  const out = new Map<string, Uint8Array>();
  for (const [key, value] of rows) {
    const table = tableOf(Buffer.from(key.slice(0, 1), 'latin1'));
    if (!left.has(table) && (table !== 'chunk' || bodies.has(key.slice(1, 9)))) out.set(key, value);
  }
  return out;
}

/** S1–S5 of a site as it is on its disk. */
export function sound(reader: Reader): void {
  const [problem] = check(reader, { deep: true }).problems;
  if (problem) throw new Broken(problem.rule, `check: ${problem.what}`);
}
