// Where a site lives on this machine. All paths are relative to the data directory, and every process works in it: a
// long directory name never meets the 107 octets of a Unix socket address, and privileges dropped never lose the way.

import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export const place = {
  engine: 'mail.lmdb',
  run: 'run',
  /** Held by the one process that writes to the engine. */
  lock: 'run/lock',
  storeSocket: 'run/store.sock',
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

/** Makes the directory and its private folders where absent, and enters it. */
export function enterData(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  process.chdir(directory);
  for (const folder of [place.run, place.tmp]) mkdirSync(folder, { recursive: true, mode: 0o700 });
}
