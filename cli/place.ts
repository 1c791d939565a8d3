// Where a site lives on this machine. All paths are relative to the data directory, and every process works in it: a
// long directory name never meets the 107 octets of a Unix socket address, and privileges dropped never lose the way.

import { chmodSync, lchownSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Failure } from './output.ts';

export const place = {
  /** The engine while it is restored: no site yet. */
  restoring: 'restoring',
  run: 'run',
  /** Held by the one process that writes to the engine. */
  lock: 'run/lock',
  /** Held by the one supervisor. */
  supervisorLock: 'run/supervisor.lock',
  /** The demo's log; a site's goes to its standard output. */
  log: 'log',
  storeSocket: 'run/store.sock',
  /** Where the store lets others read an engine which only it has open. */
  readSocket: 'run/read.sock',
  /** What a portal keeps for its sites, where no other place was named. */
  objects: 'objects',
  /** Who this machine is to a portal. It is in no snapshot. */
  machineKey: 'machine.key',
  workSocket: 'run/work.sock',
  supervisorSocket: 'run/supervisor.sock',
  /** Private and executable: the program unpacks its native engine here (a /tmp mounted noexec does not matter). */
  tmp: 'tmp',
} as const;

/** `--data`, else $STATE_DIRECTORY, else /var/lib/mailsite as root, else ~/.local/share/mailsite. Absolute. */
export function dataDirectory(option: string | undefined): string {
  if (option !== undefined) return resolve(option);
  const { STATE_DIRECTORY } = process.env;
  if (STATE_DIRECTORY !== undefined && STATE_DIRECTORY !== '') return resolve(STATE_DIRECTORY.split(':')[0] as string);
  return process.getuid?.() === 0 ? '/var/lib/mailsite' : join(homedir(), '.local/share/mailsite');
}

/** Makes the directory and its private folders where absent, and enters it: as root, or, `asOwner`, as who owns it. */
export function enterData(directory: string, asOwner: boolean): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    process.chdir(directory);
    if (asOwner) becomeOwner();
    const { uid, mode } = statSync('.');
    // all mail, all password hashes and all keys are in here: a directory made by hand is closed to others, too
    if ((mode & 0o077) !== 0 && uid === process.getuid?.()) chmodSync('.', 0o700);
    for (const folder of [place.run, place.tmp]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(directory, error);
  }
}

/** What a crash left half unpacked. Nobody else runs in this directory when this is called. */
export function clearTmp(): void {
  rmSync(place.tmp, { recursive: true, force: true });
  mkdirSync(place.tmp, { mode: 0o700 });
  const { uid, gid } = statSync('.');
  if (process.getuid?.() === 0) lchownSync(place.tmp, uid, gid); // also when the start ends here, at a port that is taken
}

/** Root becomes the owner of the directory it is in, for good: what it writes must be the site's, and no more is needed. */
export function becomeOwner(): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync('.');
  if (uid === 0) return;
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

/** Why a data directory cannot be entered, read or written, in one line. */
export function unusable(directory: string, error: unknown): Failure {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return new Failure(`${directory} is closed to this user: run it as root or as its owner, or name another --data`);
  return new Failure(`${directory} cannot be used (${message}): see that it is a directory on a disk with room, or name another --data`);
}
