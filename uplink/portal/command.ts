// A command for a site, which takes effect at most once.

import { canonical } from '../canonical.ts';
import { newId } from './identity/secret.ts';
import type { Portal } from './process.ts';
import type { Transaction } from './records.ts';

export interface Commanded {
  readonly organisation: string;
  readonly site: string;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly by: string;
  /** Milliseconds; later it has no effect. */
  readonly notAfter?: number | undefined;
}

/** Writes it and returns its id; null: there is no such site. */
export async function command(
  tx: Transaction,
  { world }: Portal,
  { organisation, site, name, args, by, notAfter = world.now() + 600_000 }: Commanded,
): Promise<string | null> {
  if ((await tx.get('site', organisation, site)) === undefined) return null;
  const id = newId(world);
  const signed = canonical({ cmdId: id, name, args, notAfter });
  tx.put('command', [site, id], {
    name,
    args: canonical(args),
    signed,
    signature: '',
    state: 'waiting',
    value: '',
    by,
    at: world.now(),
    notAfter,
    endedAt: null,
  });
  tx.put('commandOpen', [site, id], {});
  return id;
}
