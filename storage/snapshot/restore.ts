// A snapshot into an empty engine: a new lineage of the same site. Guarantees: what comes out has the digest that went in,
// and is checked by every rule before it is called restored; the site row is written last, so that what was not finished
// is no site; UIDs, flags, passwords, keys and the queue are as they were.

import { assert } from '../../actors/assert.ts';
import type { World } from '../../actors/world.ts';
import { check, type Problem } from '../check.ts';
import { addRow, covered, type Digest, digestOf, sameDigest } from '../digest.ts';
import type { Engine, Write } from '../engine.ts';
import { migrate } from '../migrate.ts';
import { sealBatch } from '../journal.ts';
import { decodeKey, decodeRow, encodeKey, encodeRow, type Row, scanRows, sealRow, tableOf } from '../rows.ts';
import { createBatch } from '../tx.ts';
import { rowTables } from './create.ts';
import type { SnapshotView } from './read.ts';

export interface RestoreOptions {
  readonly world: World;
  /** The name of the history that begins here. */
  readonly lineage: string;
  /** Also hash every body. */
  readonly deep: boolean;
  readonly progress?: (done: number, of: number) => void;
}
export interface Restored {
  /** What is wrong with the site, as it was when the snapshot was taken. */
  readonly problems: readonly Problem[];
  readonly site: Row<'site'>;
  /** Octets of rows and stored chunks. */
  readonly octets: number;
}

/** The engine is not what the snapshot was: a fault of this program or of the machine. Nothing of it may serve. */
export class NotTheSame extends Error {}

const batchOctets = 16 * 1024 * 1024;
const batchRows = 4_000;

/** Throws Damaged, NotTheSame, DiskFull, or what the place throws; the engine is then to be thrown away. */
export async function restoreSnapshot(engine: Engine, snapshot: SnapshotView, options: RestoreOptions): Promise<Restored> {
  const loader = new Loader(engine, snapshot, options);
  const site = await loader.rows();
  await loader.packs();
  await loader.end();
  const { digest } = snapshot.secrets;
  const next = { ...site, lineage: options.lineage, epoch: site.epoch + 1, journalFloor: site.commit };
  await engine.commit([[encodeKey('site', {}), sealRow('site', encodeKey('site', {}), encodeRow('site', next))]]);
  engine.refresh();
  const found = digestOf(engine);
  if (!sameDigest(found, loader.digest)) throw new NotTheSame('the rows that were written are not those of the snapshot');
  await migrate(options.world, engine, async () => () => {});
  const problems = [...check(engine, { deep: options.deep }).problems];
  if (!sameDigest(found, digest)) problems.unshift({ rule: 'D1', what: 'the digest of the site in the manifest is not that of its rows' });
  return { problems, site: next, octets: loader.octets };
}

/** More messages, and more changes, than a mailbox has seen between the snapshot and the loss of what it is restored for. */
const beyond = 1_000_000;
const mailboxesAtOnce = 1_000;

/**
 * What clients were told after the snapshot was taken is not told again with another meaning: each mailbox goes on far
 * above the UIDs and the modification sequences that it may have reached. A client that has messages of the lost time sees that
 * they are gone, and never takes one of them for a new one (S1, S2).
 */
export async function moveOn(engine: Engine): Promise<void> {
  for (let from = { account: 0, mailbox: 0 }; ; ) {
    engine.refresh();
    const batch = createBatch(engine);
    const rows = [...scanRows(engine, 'mailbox', [], { from, limit: mailboxesAtOnce, skipDamaged: true })];
    for (const { key, row } of rows) {
      const uidNext = Math.min(row.uidNext + beyond, Math.max(row.uidNext, highestUid));
      batch.put('mailbox', key, { ...row, uidNext, modseq: row.modseq + beyond });
      from = { account: key.account, mailbox: key.mailbox + 1 };
    }
    if (rows.length === 0) return;
    sealBatch(batch);
    await engine.commit(batch.writes());
  }
}
/** Above it a mailbox goes on as it is: there are not enough UIDs left to leave some out. */
const highestUid = 2 ** 31;

class Loader {
  octets = 0;
  /** Of what was put. */
  readonly digest: Digest = { rows: 0, sumA: 0, sumB: 0 };
  private readonly engine: Engine;
  private readonly snapshot: SnapshotView;
  private readonly options: RestoreOptions;
  private batch: Write[] = [];
  private held = 0;
  private committing: Promise<void> = Promise.resolve();
  /** One bit for each blob number: is there such a body? */
  private alive = new Uint8Array(0);

  constructor(engine: Engine, snapshot: SnapshotView, options: RestoreOptions) {
    this.engine = engine;
    this.snapshot = snapshot;
    this.options = options;
  }

  /** All but the site row, which is returned. */
  async rows(): Promise<Row<'site'>> {
    let site: Row<'site'> | null = null;
    const end = new Uint8Array([255]);
    for await (const [key, value] of this.snapshot.rows(new Uint8Array([0]), end)) {
      const table = tableOf(key);
      assert(table !== undefined && rowTables.includes(table), 'a row belongs to a table of a snapshot');
      if (table === 'site') {
        site = decodeRow('site', value, key);
        this.alive = new Uint8Array(Math.ceil(site.nextBlob / 8));
        continue;
      }
      if (table === 'blob') {
        const { blob } = decodeKey('blob', key);
        this.alive[blob >>> 3] = (this.alive[blob >>> 3] as number) | (1 << (blob & 7));
      }
      await this.put(key, value);
    }
    assert(site !== null, 'a site has its row');
    return site;
  }

  async packs(): Promise<void> {
    for await (const rows of this.snapshot.packs()) {
      for (const [key, value] of rows) {
        assert(tableOf(key) === 'chunk' && value !== null, 'a pack holds chunks');
        const { blob } = decodeKey('chunk', key);
        if (((this.alive[blob >>> 3] ?? 0) & (1 << (blob & 7))) !== 0) await this.put(key, value);
      }
    }
  }

  async end(): Promise<void> {
    await this.flush();
    await this.committing;
  }

  private async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    this.batch.push([key, value]);
    if (covered(key)) addRow(this.digest, key, value);
    this.held += key.length + value.length;
    if (this.held >= batchOctets || this.batch.length >= batchRows) await this.flush();
  }

  /** One batch is committed while the next one is made. */
  private async flush(): Promise<void> {
    const { batch, held } = this;
    this.batch = [];
    this.held = 0;
    await this.committing;
    this.committing = batch.length > 0 ? this.engine.commit(batch) : Promise.resolve();
    this.committing.catch(() => {}); // whoever waits for it is told
    this.octets += held;
    this.options.progress?.(this.octets, Math.max(this.octets, this.snapshot.packOctets + this.snapshot.secrets.rowOctets));
  }
}
