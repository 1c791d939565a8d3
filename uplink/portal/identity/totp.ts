// One-time passwords by time (RFC 6238, on RFC 4226), and the codes for whoever lost the device. Guarantees: a code is taken
// once, in its own step or one beside it.

import { createHmac } from 'node:crypto';
import type { World } from '../../../actors/world.ts';
import { hashOf, readableSecret, sameText } from './secret.ts';

const STEP_MS = 30_000;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** 160 bits (RFC 4226 §4), in Base32 (RFC 4648 §6). */
export function newTotpSecret(world: World): string {
  const bits = [...world.random(20)].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join('');
}

function octetsOf(secret: string): Buffer {
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)));
}

/** Six digits for one step of 30 seconds since 1970. */
export function totpCode(secret: string, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', octetsOf(secret)).update(counter).digest();
  const at = (mac.at(-1) as number) & 15; // RFC 4226 §5.3
  return String((mac.readUInt32BE(at) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}

/** The step whose code this is, after `last` (RFC 6238 §5.2: a code is used once), or null. Clocks may differ by one step. */
export function totpStep(secret: string, code: string, now: number, last: number): number | null {
  const bare = code.replace(/\s/g, '');
  const here = Math.floor(now / STEP_MS);
  let found: number | null = null;
  for (const step of [here - 1, here, here + 1]) if (sameText(totpCode(secret, step), bare) && step > last) found = step;
  return found;
}

/** What an app reads from a QR code. */
export function totpUri(secret: string, email: string, issuer: string): string {
  return `otpauth://totp/${encodeURIComponent(`${issuer}:${email}`)}?secret=${secret}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=6&period=30`;
}

/** Ten codes of 80 bits: shown once, kept as hashes. */
export function newRecoveryCodes(world: World): { readonly codes: string[]; readonly hashes: string[] } {
  const codes = Array.from({ length: 10 }, () => readableSecret(world, 4, 4));
  return { codes, hashes: codes.map(recoveryHash) };
}
export const recoveryHash = (code: string): string => hashOf(code.toLowerCase().replace(/[^a-z0-9]/g, ''));
