// Both engines of this program keep the contract, and LMDB tells a full disk from a failing one.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdb, openLmdbReader } from '../../../storage/engines/lmdb.ts';
import { memoryEngine } from '../../../storage/engines/memory.ts';
import { engineContract } from '../../contract/engine.ts';

engineContract('memory', async () => {
  const engine = memoryEngine();
  return { engine, snapshot: engine.snapshot, close: async () => {} };
});

engineContract('lmdb', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'));
  const path = join(folder, 'site.mdb');
  const engine = openLmdb(path);
  const reader = openLmdbReader(path);
  return {
    engine,
    reader,
    snapshot: engine.snapshot,
    reopen: async () => {
      await engine.close();
      return openLmdb(path);
    },
    close: async () => {
      await reader.close();
      await engine.close();
      rmSync(folder, { recursive: true });
    },
  };
});
