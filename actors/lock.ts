// One holder at a time, by flock(2): the kernel lets go when the holder dies, however it dies. Leases, not locks, for
// everything else: one keeps a second writer from opening the same engine, and turns keep who opens it out of a commit.

import { dlopen, FFIType } from 'bun:ffi';
import { closeSync, openSync } from 'node:fs';

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

type Flock = (descriptor: number, operation: number) => number;
let loaded: Flock | null = null;
function flock(descriptor: number, operation: number): boolean {
  loaded ??= dlopen('libc.so.6', { flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } }).symbols.flock;
  return loaded(descriptor, operation) === 0;
}

/**
 * Takes the lock file at `path` for the rest of this process's life; false when another process has it. `waitMs`: for one that was
 * killed just now, and has it until its last thread is gone.
 */
export function holdAlone(path: string, waitMs = 0): boolean {
  const descriptor = openSync(path, 'a', 0o600); // held: never closed, and closed on exec
  for (let waited = 0; !flock(descriptor, LOCK_EX | LOCK_NB); waited += 10) {
    if (waited >= waitMs) {
      closeSync(descriptor);
      return false;
    }
    Bun.sleepSync(10);
  }
  return true;
}

/** Short turns of processes at one file. */
export interface Turns {
  /** Waits for the turn, and not for ever: false when the time is over. */
  take(waitMs: number): boolean;
  give(): void;
  close(): void;
}

/** Turns at the file at `path`, which is there. It is neither read nor written. */
export function turnsAt(path: string): Turns {
  const descriptor = openSync(path, 'r');
  return {
    take(waitMs) {
      for (let waited = 0; ; waited++) {
        if (flock(descriptor, LOCK_EX | LOCK_NB)) return true;
        if (waited >= waitMs) return false;
        Bun.sleepSync(1);
      }
    },
    give: () => void flock(descriptor, LOCK_UN),
    close: () => closeSync(descriptor),
  };
}
