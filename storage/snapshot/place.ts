// Where snapshots are kept: objects by name, in a folder, in one tar file or in a bucket. Guarantees: an object is there
// whole or not at all, and for good once `put` has resolved; every failure is a PlaceError, one line that says what
// failed, why, and what to do.

import type { World } from '../../actors/world.ts';
import { openFolder } from './folder.ts';
import { openBucket, type S3Access } from './s3.ts';
import { openTar } from './tar.ts';

export interface Stored {
  readonly name: string;
  readonly size: number;
  readonly modifiedMs: number;
}

export interface Place {
  /** For people. */
  readonly url: string;
  /** Is what is read from it paid for? */
  readonly far?: true;
  /** Atomic and durable when resolved; writing the same again is fine. The octets must not change meanwhile. */
  put(name: string, octets: Uint8Array): Promise<void>;
  /** The octets belong to the caller. */
  get(name: string): Promise<Uint8Array | null>;
  size(name: string): Promise<number | null>;
  /** All whose name starts with `prefix`, by name, ascending. */
  list(prefix: string): AsyncIterable<Stored>;
  /** The other end prunes and looks after what it keeps: nothing is removed or looked over from here. */
  readonly keepsItself?: true;
  /** Absent is fine. */
  remove(name: string): Promise<void>;
}

export interface PlaceOptions {
  readonly world: Pick<World, 'now' | 'after' | 'sleep' | 'random'>;
  /** false: the place must be there already, as for reading. Default: it is made by the first `put`. */
  readonly create?: boolean;
  /** Of a folder: octets that stay free on its disk; a put which would take them is refused. Default: 0. */
  readonly leaves?: number;
  /** For a bucket; what is absent or empty comes from the environment. */
  readonly s3?: S3Access | null;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export class PlaceError extends Error {
  /** Did the disk itself fail to give or take the octets? */
  readonly medium: boolean;

  constructor(message: string, medium = false) {
    super(message);
    this.name = 'PlaceError';
    this.medium = medium;
  }
}

/** Opens a folder, a file ending in `.tar`, or `s3://bucket/prefix`. Rejects with PlaceError. */
export async function openPlace(url: string, options: PlaceOptions): Promise<Place> {
  if (url === '') throw new PlaceError('a place for snapshots is a folder, a file ending in .tar, or s3://bucket/prefix: name one');
  if (/^s3:\/\//i.test(url)) return openBucket(url, options);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1];
  if (scheme !== undefined) throw new PlaceError(`${url}: ${scheme}:// is not known: name a folder, a file ending in .tar, or s3://bucket/prefix`);
  return url.endsWith('.tar') ? openTar(url, options) : openFolder(url, options);
}
