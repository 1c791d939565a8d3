// Passkeys (WebAuthn level 3): what a browser is asked, and whether its answer proves the key. Guarantees: the challenge,
// the origin and the relying party are ours, the user was verified by the device, the signature is by the stored key, and a
// counter that went back (a copied key) is refused. Attestation is not asked for and not looked at: any device will do.

import { createHash, createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import { sameText } from './secret.ts';

const base64url = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/)
  .max(20_000);
const extensions = z.record(z.string(), z.unknown()).optional();
const about = {
  id: base64url,
  rawId: base64url,
  type: z.literal('public-key'),
  clientExtensionResults: extensions,
  authenticatorAttachment: z.string().nullish(),
};

/** What `navigator.credentials.create()` gives, as `toJSON()` writes it. */
export const creationResponse = z.object({
  ...about,
  response: z.object({ clientDataJSON: base64url, attestationObject: base64url, transports: z.array(z.string().max(40)).max(10).default([]) }),
});
/** What `navigator.credentials.get()` gives, as `toJSON()` writes it. */
export const assertionResponse = z.object({
  ...about,
  response: z.object({ clientDataJSON: base64url, authenticatorData: base64url, signature: base64url, userHandle: base64url.nullish() }),
});

/** Whom the keys are for. */
export interface RelyingParty {
  readonly id: string;
  readonly name: string;
  readonly origin: string;
}
export function relyingParty(url: string): RelyingParty {
  const { hostname, origin } = new URL(url);
  return { id: hostname, name: `mailsite at ${hostname}`, origin };
}

const algorithms = [-8, -7, -257] as const; // EdDSA, ES256, RS256 (RFC 9053)

export const creationOptions = (party: RelyingParty, challenge: string, user: { id: string; email: string; name: string }, known: readonly string[]) => ({
  rp: { id: party.id, name: party.name },
  user: { id: Buffer.from(user.id).toString('base64url'), name: user.email, displayName: user.name },
  challenge,
  pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key' as const, alg })),
  timeout: 300_000,
  attestation: 'none' as const,
  authenticatorSelection: { residentKey: 'required' as const, userVerification: 'required' as const },
  excludeCredentials: known.map((id) => ({ type: 'public-key' as const, id })),
});
export const requestOptions = (party: RelyingParty, challenge: string) => ({
  rpId: party.id,
  challenge,
  timeout: 300_000,
  userVerification: 'required' as const,
  allowCredentials: [],
});

const clientData = z.object({ type: z.string(), challenge: z.string().max(200), origin: z.string(), crossOrigin: z.boolean().optional() });

/** The challenge that an answer says it is for, to look it up; null when it is no answer at all. */
export function challengeOf(clientDataJSON: string): string | null {
  try {
    return clientData.parse(JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString())).challenge;
  } catch {
    return null;
  }
}

function isFor(json: string, type: string, challenge: string, party: RelyingParty): boolean {
  try {
    const data = clientData.parse(JSON.parse(Buffer.from(json, 'base64url').toString()));
    return data.type === type && sameText(data.challenge, challenge) && data.origin === party.origin && data.crossOrigin !== true;
  } catch {
    return false;
  }
}

interface AuthenticatorData {
  readonly counter: number;
  readonly credential: string | null;
  /** COSE_Key, in base64url. */
  readonly publicKey: string | null;
}

/** WebAuthn §6.1. Null: not for us, or the user was not there and verified. */
function authenticatorData(octets: Buffer, party: RelyingParty): AuthenticatorData | null {
  if (octets.length < 37 || !octets.subarray(0, 32).equals(createHash('sha256').update(party.id).digest())) return null;
  const flags = octets[32] as number;
  if ((flags & 0x05) !== 0x05) return null; // user present, user verified
  const counter = octets.readUInt32BE(33);
  if ((flags & 0x40) === 0) return { counter, credential: null, publicKey: null };
  if (octets.length < 55) return null;
  const end = 55 + octets.readUInt16BE(53);
  if (end > octets.length) return null;
  const key = decode(octets, end);
  return { counter, credential: octets.toString('base64url', 55, end), publicKey: octets.toString('base64url', end, key.next) };
}

export interface NewPasskey {
  readonly credential: string;
  readonly publicKey: string;
  readonly counter: number;
  readonly transports: string[];
}

/** Null: it proves nothing. */
export function verifyCreation(given: z.output<typeof creationResponse>, challenge: string, party: RelyingParty): NewPasskey | null {
  if (!isFor(given.response.clientDataJSON, 'webauthn.create', challenge, party)) return null;
  try {
    const object = decode(Buffer.from(given.response.attestationObject, 'base64url'), 0).value;
    const data = object instanceof Map ? object.get('authData') : null;
    const found = Buffer.isBuffer(data) ? authenticatorData(data, party) : null;
    if (found === null || found.credential === null || found.publicKey === null || found.credential !== given.id) return null;
    keyOf(found.publicKey); // one that we can verify with
    return { credential: found.credential, publicKey: found.publicKey, counter: found.counter, transports: given.response.transports };
  } catch {
    return null;
  }
}

/** The counter to keep, or null: it proves nothing. */
export function verifyAssertion(
  given: z.output<typeof assertionResponse>,
  challenge: string,
  party: RelyingParty,
  stored: { readonly publicKey: string; readonly counter: number },
): number | null {
  const { clientDataJSON, authenticatorData: data, signature } = given.response;
  if (!isFor(clientDataJSON, 'webauthn.get', challenge, party)) return null;
  try {
    const octets = Buffer.from(data, 'base64url');
    const found = authenticatorData(octets, party);
    if (found === null) return null;
    const hash = createHash('sha256').update(Buffer.from(clientDataJSON, 'base64url')).digest();
    const { key, digest } = keyOf(stored.publicKey);
    if (!verify(digest, Buffer.concat([octets, hash]), key, Buffer.from(signature, 'base64url'))) return null;
    const copied = (found.counter !== 0 || stored.counter !== 0) && found.counter <= stored.counter; // §6.1.1
    return copied ? null : found.counter;
  } catch {
    return null;
  }
}

/** COSE_Key (RFC 9052 §7, RFC 9053) of the algorithms that we ask for. Throws otherwise. */
function keyOf(publicKey: string): { key: ReturnType<typeof createPublicKey>; digest: 'sha256' | null } {
  const cose = decode(Buffer.from(publicKey, 'base64url'), 0).value;
  if (!(cose instanceof Map)) throw new Error('no key');
  const text = (label: number): string => (cose.get(label) as Buffer).toString('base64url');
  const type = `${cose.get(1)} ${cose.get(3)}`;
  const jwk =
    type === '2 -7' && cose.get(-1) === 1
      ? { kty: 'EC', crv: 'P-256', x: text(-2), y: text(-3) }
      : type === '1 -8' && cose.get(-1) === 6
        ? { kty: 'OKP', crv: 'Ed25519', x: text(-2) }
        : type === '3 -257'
          ? { kty: 'RSA', n: text(-1), e: text(-2) }
          : null;
  if (jwk === null) throw new Error('no key of ours');
  return { key: createPublicKey({ key: jwk, format: 'jwk' }), digest: type === '1 -8' ? null : 'sha256' };
}

type Cbor = number | string | boolean | null | Buffer | Cbor[] | Map<number | string, Cbor>;

/** One item of CBOR (RFC 8949) of definite length, as authenticators write it. Throws on anything else. */
function decode(octets: Buffer, at: number, depth = 0): { value: Cbor; next: number } {
  const first = octets.readUInt8(at);
  const [major, low] = [first >> 5, first & 31];
  if (depth > 8 || low > 26) throw new Error('no CBOR of an authenticator');
  const width = low < 24 ? 0 : 2 ** (low - 24);
  const n = width === 0 ? low : octets.readUIntBE(at + 1, width);
  let next = at + 1 + width;
  if (major === 0) return { value: n, next };
  if (major === 1) return { value: -1 - n, next };
  if (major === 7 && low >= 20 && low <= 22) return { value: low === 22 ? null : low === 21, next };
  if (major === 2 || major === 3) {
    if (next + n > octets.length) throw new Error('cut off');
    const bytes = octets.subarray(next, next + n);
    return { value: major === 2 ? bytes : bytes.toString(), next: next + n };
  }
  const items: Cbor[] = [];
  if ((major !== 4 && major !== 5) || n > 100) throw new Error('no CBOR of an authenticator');
  for (let i = 0; i < n * (major - 3); i++) {
    const item = decode(octets, next, depth + 1);
    items.push(item.value);
    next = item.next;
  }
  if (major === 4) return { value: items, next };
  const map = new Map<number | string, Cbor>();
  for (let i = 0; i < items.length; i += 2) map.set(items[i] as number | string, items[i + 1] as Cbor);
  return { value: map, next };
}
