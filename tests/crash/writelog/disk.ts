// A disk that may lose what was not synced. Guarantees: every state it makes is one that POSIX allows after a loss of power:
// synced data is there whole; of the rest any subset is, in any order between files and ranges, cut at sectors of 512
// octets, with the size of a file grown or not, with names there or not. A newer write to the same octets is never undone by
// an older one: there is one page cache.

import { dirname } from 'node:path';
import type { Random } from '../../sim/random.ts';
import type { Event } from './trace.ts';

const sector = 512;

interface Change {
  readonly id: number;
  /** null: the size becomes `at`. */
  readonly data: Buffer | null;
  readonly at: number;
  /** It is on the disk, though what was before it need not be. */
  sure: boolean;
}
interface File {
  /** What is on the disk for certain, and its size. */
  durable: Buffer;
  size: number;
  pending: Change[];
  /** A symbolic link, and where it leads. */
  readonly link?: string;
}
interface Renaming {
  readonly folder: string;
  readonly set?: readonly [path: string, file: File];
  readonly drop?: string;
  /** The folder of `drop`, where it is another. */
  readonly other?: string;
}
/** Octets of files, targets of links, and sizes of files that hold nothing, by their path. */
export type Image = ReadonlyMap<string, Buffer | string | number>;

export class Disk {
  private readonly files = new Map<string, File>();
  private readonly durable = new Map<string, File>();
  private names: Renaming[] = [];
  private readonly rule: 'posix' | 'linux';

  private readonly hollow: RegExp;

  /** `hollow`: files in which only their size is kept. */
  constructor(rule: 'posix' | 'linux', hollow: RegExp) {
    this.rule = rule;
    this.hollow = hollow;
  }

  /** Is nothing left to chance, other than in the files of `but`? */
  settled(but: RegExp): boolean {
    if (this.names.some(({ set, drop }) => !but.test(set?.[0] ?? drop ?? ''))) return false;
    return [...this.durable].every(([path, file]) => file.pending.length === 0 || but.test(path));
  }

  apply(event: Event): void {
    switch (event.kind) {
      case 'mark':
      case 'mkdir':
      case 'rmdir':
        return; // folders are taken to be there
      case 'create':
        this.name({ folder: dirname(event.path), set: [event.path, { durable: Buffer.alloc(0), size: 0, pending: [] }] });
        return;
      case 'link':
        this.name({ folder: dirname(event.path), set: [event.path, { durable: Buffer.alloc(0), size: 0, pending: [], link: event.target }] });
        return;
      case 'unlink':
        this.name({ folder: dirname(event.path), drop: event.path });
        return;
      case 'rename':
        this.name({ folder: dirname(event.to), set: [event.to, this.file(event.path)], drop: event.path, other: dirname(event.path) });
        return;
      case 'write':
        this.file(event.path).pending.push({ id: event.id, data: event.data, at: event.at, sure: false });
        return;
      case 'size':
        this.file(event.path).pending.push({ id: event.id, data: null, at: event.size, sure: false });
        return;
      case 'sync':
        this.sync(event);
        return;
    }
  }

  private file(path: string): File {
    const file = this.files.get(path);
    if (!file) throw new Error(`${path} was not seen to be made`);
    return file;
  }

  private name(renaming: Renaming): void {
    rename(this.files, renaming);
    this.names.push(renaming);
  }

  private sync({ path, covers, only }: Event & { kind: 'sync' }): void {
    const file = this.files.get(path);
    if (!file) {
      this.settle(({ folder, other }) => folder === path || other === path);
      return;
    }
    if (only !== undefined) {
      for (const change of file.pending) if (change.id === only) change.sure = true;
      while (file.pending[0]?.sure === true) settleFirst(file);
    } else {
      const kept = file.pending.filter((change) => !covers.has(change.id));
      for (const change of file.pending) if (covers.has(change.id)) put(file, change.at, change.data);
      file.pending = kept;
    }
    if (this.rule === 'linux') this.settle(({ set }) => set?.[1] === file);
  }

  private settle(which: (renaming: Renaming) => boolean): void {
    for (const renaming of this.names) if (which(renaming)) rename(this.durable, renaming);
    this.names = this.names.filter((renaming) => !which(renaming));
  }

  /** Everything that was written. */
  all(): Image {
    return this.image(this.files, (file) => ({ keep: file.pending, size: null, fill: 0 }));
  }

  /** Only what was synced. */
  least(): Image {
    return this.image(this.durable, (file) => ({ keep: file.pending.filter((change) => change.sure), size: file.size, fill: 0 }));
  }

  /** Something between. */
  some(random: Random): Image {
    const names = new Map(this.durable);
    const keep = random.pick([0.1, 0.5, 0.9, 1]);
    for (const renaming of this.names) if (random.chance(keep)) rename(names, renaming);
    return this.image(names, (file) => choose(file, random));
  }

  private image(names: ReadonlyMap<string, File>, chosen: (file: File) => Choice): Image {
    const out = new Map<string, Buffer | string | number>();
    for (const [path, file] of names) out.set(path, file.link ?? (this.hollow.test(path) ? sizeOf(file, chosen(file)) : octetsOf(file, chosen(file))));
    return out;
  }
}

function settleFirst(file: File): void {
  const { at, data } = file.pending.shift() as Change;
  put(file, at, data);
}

function rename(names: Map<string, File>, { set, drop }: Renaming): void {
  if (drop !== undefined) names.delete(drop);
  if (set) names.set(...set);
}

interface Choice {
  readonly keep: readonly Change[];
  /** null: as what is kept makes it. */
  readonly size: number | null;
  /** What is read where the file grew and nothing was written. */
  readonly fill: number;
}

function octetsOf(file: File, { keep, size, fill }: Choice): Buffer {
  const copy: File = { durable: Buffer.alloc(Math.max(file.durable.length, 1), 0), size: file.size, pending: [] };
  file.durable.copy(copy.durable, 0, 0, file.size);
  if (size !== null && size > copy.size) grow(copy, size, fill);
  for (const { at, data } of keep) put(copy, at, data);
  if (size !== null) grow(copy, size, fill);
  return copy.durable.subarray(0, copy.size);
}

const sizeOf = (file: File, { keep, size }: Choice): number =>
  size ?? keep.reduce((most, { at, data }) => (data === null ? at : Math.max(most, at + data.length)), file.size);

function put(file: File, at: number, data: Buffer | null): void {
  if (data === null || file.size < at + data.length) grow(file, at + (data?.length ?? 0), 0);
  data?.copy(file.durable, at);
}

/** Sets the size; what is new holds `fill`. */
function grow(file: File, size: number, fill: number): void {
  if (size > file.durable.length) {
    const larger = Buffer.alloc(Math.max(size, 2 * file.durable.length));
    file.durable.copy(larger, 0, 0, file.size);
    file.durable = larger;
  }
  if (size > file.size) file.durable.fill(fill, file.size, size);
  file.size = size;
}

function choose(file: File, random: Random): Choice {
  const probability = random.pick([0.1, 0.5, 0.9]);
  const unit = random.pick([Number.MAX_SAFE_INTEGER, 4096, sector]);
  const keep: Change[] = [];
  let full = file.size;
  for (const change of file.pending) {
    full = change.data === null ? change.at : Math.max(full, change.at + change.data.length);
    if (change.sure) keep.push(change);
    else if (change.data === null || change.data.length <= unit) {
      if (random.chance(probability)) keep.push(change);
    } else keep.push(...torn(change, unit, () => random.chance(probability)));
  }
  // the size of a file is written apart from its data
  const size = random.pick([null, null, full, file.pending.some((change) => change.sure || change.data === null) ? null : file.size]);
  return { keep, size, fill: random.pick([0, 0xa5]) };
}

/** The pieces of a write that got there, cut where the disk cuts. */
function torn({ id, data, at }: Change, unit: number, kept: () => boolean): Change[] {
  const out: Change[] = [];
  for (let from = at; data !== null && from < at + data.length; ) {
    const to = Math.min(at + data.length, (Math.floor(from / unit) + 1) * unit);
    if (kept()) out.push({ id, at: from, data: data.subarray(from - at, to - at), sure: false });
    from = to;
  }
  return out;
}
