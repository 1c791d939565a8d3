// A machine that nobody has claimed yet shows a code; who types it into the portal claims it (RFC 8628 in its shape).
// Guarantees: the code alone gives nothing: the claim goes to the machine that asked, by the secret it was given; codes end
// after a quarter of an hour, and one address gets only so many.

import { z } from 'zod';
import { limits } from '../../../actors/limits.ts';
import { sameText, seedFrom } from '../../keys.ts';
import type { RecordOf } from '../kinds.ts';
import type { Portal } from '../process.ts';
import type { Transaction } from '../records.ts';

/** A machine that is newer than its portal may say more: it is not kept. */
export const deviceAsk = z.object({
  signPublic: z.string().length(43),
  wrapPublic: z.string().max(200),
  // shown to people: nothing in it that could pass for words of ours
  host: z
    .string()
    .regex(/^[A-Za-z0-9._-]{0,253}$/)
    .default(''),
  version: z
    .string()
    .regex(/^[A-Za-z0-9.+-]{0,40}$/)
    .default(''),
});
export const pollAsk = z.strictObject({ code: z.string().max(20), secret: z.string().length(43) });
type Here = Pick<Portal, 'world' | 'records'>;

export interface DeviceAnswer {
  /** `KTRW-9MXH` in its shape. */
  readonly code: string;
  readonly secret: string;
  readonly expiresAt: number;
  /** How often to ask. */
  readonly everyMs: number;
}

/** RFC 8628 §6.1: letters that make no words and are not taken for one another. */
const letters = 'BCDFGHJKLMNPQRSTVWXZ';

export async function newDevice({ world, records }: Here, ask: z.infer<typeof deviceAsk>, address: string): Promise<DeviceAnswer> {
  const secret = seedFrom(world.random);
  const expiresAt = world.now() + limits.deviceMs;
  const code = await records.transact(async (tx) => {
    for (;;) {
      const text = [...world.random(8)].map((octet) => letters[octet % letters.length]).join('');
      const made = `${text.slice(0, 4)}-${text.slice(4)}`;
      if ((await tx.get('device', made)) !== undefined) continue;
      tx.put('device', [made], { ...ask, secret, claim: '', address, createdAt: world.now(), expiresAt });
      return made;
    }
  });
  return { code, secret, expiresAt, everyMs: limits.devicePollMs };
}

export type Polled = { readonly state: 'waiting' | 'gone' } | { readonly state: 'claimed'; readonly claim: string };

/** The machine that shows this code and that nobody has claimed yet. `typed`: as people type it, in small letters, without the dash. */
export async function waitingDevice(
  tx: Pick<Transaction, 'get'>,
  typed: string,
  now: number,
): Promise<(RecordOf<'device'> & { readonly code: string }) | null> {
  const code = typed
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .replace(/^(.{4})(?=.)/, '$1-');
  const device = await tx.get('device', code);
  return device === undefined || device.expiresAt <= now || device.claim !== '' ? null : { ...device, code };
}

/** What became of a code. Asked again it says the same, until the code ends. */
export async function pollDevice({ world, records }: Here, { code, secret }: z.infer<typeof pollAsk>): Promise<Polled> {
  const device = await records.get('device', code);
  if (device === undefined || device.expiresAt < world.now() || !sameText(device.secret, secret)) return { state: 'gone' };
  return device.claim === '' ? { state: 'waiting' } : { state: 'claimed', claim: device.claim };
}
