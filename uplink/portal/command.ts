// A command for a site: signed, kept until it has a result, and carried out at most once (U2). Nothing that waited for
// longer than its `notAfter` is done any more.

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { signValue } from '../keys.ts';
import { signerFor } from './identity.ts';
import type { Portal } from './process.ts';
import type { Transaction } from './records.ts';

export interface Commanded {
  readonly organisation: string;
  readonly site: string;
  /** uplink/agent/commands.ts lists them. */
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly by: string;
  /** Ms since the epoch; undefined: ten minutes from now. */
  readonly notAfter?: number | undefined;
}

/** The id of the command, whose record `command` says what comes of it; null: there is no such site. */
export async function command(
  tx: Transaction,
  { world }: Pick<Portal, 'world'>,
  { organisation, site, name, args, by, notAfter }: Commanded,
): Promise<string | null> {
  const row = await tx.get('site', organisation, site);
  if (row === undefined || row.state === 'decommissioned') return null;
  const { signer } = await signerFor(tx);
  const id = timeOrdered(world);
  const until = notAfter ?? world.now() + limits.commandMs;
  const { signed, signature } = signValue(signer, 'command', { site, command: id, name, args, notAfter: until });
  const state = { state: 'waiting', value: '', by, at: world.now(), notAfter: until, endedAt: null } as const;
  tx.put('command', [site, id], { name, args: JSON.stringify(args), signed, signature, ...state });
  tx.put('commandOpen', [site, id], {});
  return id;
}

/** A UUID of version 7 (RFC 9562 §5.7): later ones sort behind. */
export function timeOrdered({ now, random }: Pick<World, 'now' | 'random'>): string {
  const octets = Buffer.from(random(16));
  octets.writeUIntBE(now(), 0, 6);
  octets[6] = ((octets[6] as number) & 0x0f) | 0x70;
  octets[8] = ((octets[8] as number) & 0x3f) | 0x80;
  return octets.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
