// One holder at a time, by flock(2): the kernel lets go when the holder dies, however it dies. Leases, not locks, for
// everything else; this one only keeps a second writer from opening the same engine.

import { dlopen, FFIType } from 'bun:ffi';
import { openSync } from 'node:fs';

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the lock file at `path` for the rest of this process's life; false when another process has it. */
export function holdAlone(path: string): boolean {
  const libc = dlopen('libc.so.6', { flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } });
  const descriptor = openSync(path, 'a', 0o600); // never closed, and closed on exec
  return libc.symbols.flock(descriptor, LOCK_EX | LOCK_NB) === 0;
}
