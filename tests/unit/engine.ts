// The engine of unit tests: MAILSITE_TEST_ENGINE is `memory` (where it is not said), `lmdb` or `lsm`. Those of the disk are made in
// memory (/dev/shm) where there is some, and are closed and removed after the tests of a file.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, Snapshot } from '../../storage/engine.ts';
import { memoryEngine } from '../../storage/engines/memory.ts';
import { openEngine } from '../../storage/engines/open.ts';

export interface TestEngine extends Engine {
  snapshot(): Snapshot;
}

const kind = process.env['MAILSITE_TEST_ENGINE'] ?? 'memory';
const closing: (() => Promise<void>)[] = [];
// what a fixture makes of messages is also used where no tests run
if (kind !== 'memory')
  (await import('vitest')).afterAll(async () => {
    for (const close of closing.splice(0)) await close();
  });

let committing = 0;
/** Is a disk at work? Who has a clock of their own lets it stand still meanwhile. */
export const isCommitting = (): boolean => committing > 0;

/** `first`: runs after the first commit. */
function counted<E extends Engine>(engine: E, first: () => void): E {
  const commit = engine.commit.bind(engine);
  let then = first;
  return Object.assign(engine, {
    commit(...given: Parameters<Engine['commit']>) {
      committing++;
      return commit(...given).finally(() => {
        committing--;
        then();
        then = () => {};
      });
    },
  });
}

/** An empty engine. */
export async function freshEngine(): Promise<TestEngine> {
  if (kind === 'memory') return memoryEngine();
  if (kind !== 'lmdb' && kind !== 'lsm') throw new Error(`MAILSITE_TEST_ENGINE is ${kind}, not memory, lmdb or lsm`);
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'unit-'));
  // what an LSM site keeps for the day its disk is full would be memory here, for hundreds of engines
  const light = (): void => rmSync(join(folder, 'mail.lsm', 'ballast'), { force: true });
  const engine = counted(await openEngine(folder, kind), light);
  closing.push(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });
  return engine;
}

const first = new Uint8Array(0);
const last = new Uint8Array(64).fill(255);

export const rowCount = (engine: Engine): number => [...engine.keys(first, last)].length;

/** Another engine with the rows that this one has now. */
export async function copyOf(engine: Engine): Promise<TestEngine> {
  const copy = await freshEngine();
  await copy.commit([...engine.range(first, last)]);
  return copy;
}
