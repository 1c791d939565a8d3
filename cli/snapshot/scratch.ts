// The folder in which a snapshot is built up in clear: private, locked while it is used, and gone afterwards. Guarantees: what
// one that was killed left is removed by the next, and by the site that started it; nobody else's is touched.

import { lstatSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { holdAlone } from '../../actors/lock.ts';
import { Failure } from '../output.ts';

const scratchName = 'verify-';

/** Removes what was left in `near`: its lock is free. */
export function sweep(near: string): void {
  for (const name of readdirSync(near).filter((found) => found.startsWith(scratchName))) {
    if (abandoned(join(near, name))) rmSync(join(near, name), { recursive: true, force: true });
  }
}

/** A new folder in `near`, which is swept first. */
export function scratch(near: string): string {
  sweep(near);
  for (let tries = 1; ; tries++) {
    const folder = mkdtempSync(join(near, scratchName));
    try {
      if (holdAlone(join(folder, 'lock'))) return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    // another verify has just taken it for one that was left
    if (tries === 10) throw new Failure(`${folder} cannot be locked: run this again`);
  }
}

/** The lock is the first that is in one. */
function abandoned(folder: string): boolean {
  try {
    if (lstatSync(folder).uid !== process.getuid?.()) return false; // /tmp is everybody's
    const found = readdirSync(folder);
    if (found.includes('lock')) return holdAlone(join(folder, 'lock'));
    if (found.length > 0) return true; // whoever was removing it was killed as well
    rmdirSync(folder); // it was killed before it had a lock
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw error; // another one has removed or taken it
  }
  return false;
}
