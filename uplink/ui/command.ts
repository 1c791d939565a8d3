// What became of a command: it is asked for until the site has told.

import { ask } from './api.ts';
import { after } from './clock.ts';
import type { Command } from './contract.ts';

const everyMs = 500;

/** Resolves with the command as it ended; undefined: nobody can tell, or not within `forMs`. `path`: of the command in the API. */
export async function followed(path: string, forMs: number): Promise<Command | undefined> {
  for (let waited = 0; waited < forMs; waited += everyMs) {
    await new Promise<void>((done) => after(everyMs, done));
    const { value } = await ask<Command>(path);
    if (value === undefined) return undefined;
    if (['done', 'failed', 'expired'].includes(value.state)) return value;
  }
  return undefined;
}
