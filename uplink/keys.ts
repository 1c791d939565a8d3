// Keys of machines and of portals, and what is signed with them. Guarantees: what is signed says what it is (`what`), so
// that no signature serves for something else; a signature is over canonical JSON (RFC 8785); what cannot be read is
// refused, never thrown at a caller. All octets are base64url.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { signerFrom, verifySignature } from '../storage/snapshot/seal.ts';
import { canonical } from './canonical.ts';

/** One who signs, by Ed25519. */
export interface Signer {
  readonly publicKey: string;
  sign(text: string): string;
}

/** A value as it was signed: `signed` is its canonical JSON. */
export const signedValue = z.strictObject({ signed: z.string(), signature: z.string().max(200) });
export type SignedValue = z.infer<typeof signedValue>;

/** `seed`: 32 octets of randomness, in base64url. */
export function signerOf(seed: string): Signer {
  const signer = signerFrom(Buffer.from(seed, 'base64url'));
  const url = (text: string): string => Buffer.from(text, 'base64').toString('base64url');
  return { publicKey: url(signer.publicKey), sign: (text) => url(signer.sign(Buffer.from(text))) };
}

export const seedFrom = (random: (octets: number) => Uint8Array): string => Buffer.from(random(32)).toString('base64url');

/** `what` names the kind of statement; members of the value come beside it. */
export function signValue(signer: Signer, what: string, value: Readonly<Record<string, unknown>>): SignedValue {
  const signed = canonical({ ...value, what });
  return { signed, signature: signer.sign(signed) };
}

/** The value, if `publicKey` signed it as a `what`; else null. */
export function openValue(publicKey: string, what: string, { signed, signature }: SignedValue): Readonly<Record<string, unknown>> | null {
  if (!holds(publicKey, signed, signature)) return null;
  const value = parseSigned(signed);
  return value !== null && value['what'] === what ? value : null;
}

/** The object in what was signed, whoever signed it; null: there is none. */
export function parseSigned(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Did `publicKey` sign this? */
export const holds = (publicKey: string, text: string, signature: string): boolean => verifySignature(publicKey, Buffer.from(text), signature);

/** SHA-256 in hexadecimal. */
export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** HMAC-SHA-256 under a secret in base64url: what only those who know the secret can say. */
export const macOf = (secret: string, what: string, value: Readonly<Record<string, unknown>>): string =>
  createHmac('sha256', Buffer.from(secret, 'base64url'))
    .update(canonical({ ...value, what }))
    .digest('base64url');

/** Takes as long for a wrong one as for a right one. */
export function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** A portal's signing key is good when its root, which never changes, says so. */
export const portalKeyHolds = (rootPublic: string, signPublic: string, signProof: string): boolean => holds(rootPublic, keyStatement(signPublic), signProof);

/** What a root signs of a signing key. */
export const keyStatement = (signPublic: string): string => canonical({ what: 'mailsite portal key', signPublic });

const consonants = 'bdfghjklmnprstvz';
const vowels = 'aeio';

/** Six words that two people can compare: 72 bits of a hash over the keys of a machine. */
export function fingerprintWords(signPublic: string, wrapPublic: string): string[] {
  const octets = createHash('sha256').update(canonical({ signPublic, wrapPublic })).digest();
  return Array.from({ length: 6 }, (_, i) => {
    const bits = ((octets[3 * (i >> 1)] as number) << 16) | ((octets[3 * (i >> 1) + 1] as number) << 8) | (octets[3 * (i >> 1) + 2] as number);
    const word = i % 2 === 0 ? bits >> 12 : bits & 0xfff;
    const letter = (of: string, at: number): string => of[at] as string;
    return letter(consonants, (word >> 8) & 15) + letter(vowels, (word >> 6) & 3) + letter(consonants, (word >> 2) & 15) + letter(vowels, word & 3);
  });
}
