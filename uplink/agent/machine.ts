// Who this machine is: the key in the file `machine.key` of the data folder, outside of the store, so that a snapshot that
// is restored elsewhere is never taken for this machine. Guarantees: written whole or not at all, for its owner only.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { z } from 'zod';
import type { World } from '../../actors/world.ts';
import { makeKit } from '../../storage/snapshot/keys.ts';
import { seedFrom, signerOf } from '../keys.ts';

const machineKey = z.strictObject({
  what: z.string(),
  /** Ed25519, 32 octets in base64url. */
  seed: z.string(),
  /** age: what is wrapped for this machine is opened with it. */
  identity: z.string(),
  recipient: z.string(),
});
export type MachineKey = z.infer<typeof machineKey>;

const machineFile = 'machine.key';

/** Null: there is none. Throws for one that is damaged. */
export function readMachineKey(): MachineKey | null {
  let text: string;
  try {
    text = readFileSync(machineFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const found = machineKey.safeParse(parse(text));
  if (!found.success) throw new Error(`${machineFile} is damaged: remove it and join again`);
  return found.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The key of this machine, made where there is none. `not`: the public key of one that must not be used again. */
export async function ensureMachineKey({ random }: Pick<World, 'random'>, not = ''): Promise<MachineKey> {
  const found = readMachineKey();
  if (found !== null && (not === '' || signerOf(found.seed).publicKey !== not)) return found;
  const made = { what: 'the key of this machine: it must not be copied to another one', seed: seedFrom(random), ...(await makeKit()) };
  const file = openSync(`${machineFile}.new`, 'w', 0o600);
  writeSync(file, `${JSON.stringify(made, null, 2)}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(`${machineFile}.new`, machineFile);
  const folder = openSync('.', 'r');
  fsyncSync(folder);
  closeSync(folder);
  return made;
}
