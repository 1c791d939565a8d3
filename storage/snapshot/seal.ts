// Sealing of what leaves the site: compressed, encrypted, and named by what it became. Guarantees: without the data key
// an object says its size only; every flipped, cut or appended octet is found, and so is another key or another kind; the
// same content under the same key becomes the same octets, so that an interrupted snapshot finds again what it had written.
//
// An object is: "MSO1", salt (16), codec (1), size of the plain text (u32), then frames of up to 1 MiB, each with its tag
// (16). Key: HKDF-SHA-256(data key, salt, 'mailsite object ' kind). Frames: AES-256-GCM; the nonce is the frame's number; the
// header, the number, whether it is the last, and the kind are authenticated with it.
//
// The salt is an HMAC of exactly what is encrypted, after compression: one key and nonce never meet two texts, even where
// another release of zstd packs the same text otherwise.

import { createCipheriv, createDecipheriv, createHmac, createPrivateKey, createPublicKey, hkdfSync, sign, verify } from 'node:crypto';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';

const magic = Buffer.from('MSO1');
const headerSize = 4 + 16 + 1 + 4;
const frameSize = 1 << 20;
const tagSize = 16;
const codec = { raw: 0, zstd: 1 } as const;

/** What was read is not what was sealed, or was sealed with another key. */
export class Damaged extends Error {
  constructor(what: string) {
    super(`damaged: ${what}`);
    this.name = 'Damaged';
  }
}

interface Packed {
  readonly codec: number;
  readonly octets: Uint8Array;
  readonly plainSize: number;
}

/** Octets from which zstd runs off this thread, so that several go at a time. For less, the way there takes longer. */
const worthAThread = 1 << 20;

/** Memory for so many octets at least. */
type Allocate = (size: number) => Buffer;

/** The sealed octets of `plain` and their name (64 hex digits). */
export async function sealObject(
  dataKey: Uint8Array,
  kind: string,
  plain: Uint8Array,
  memory: Allocate = Buffer.allocUnsafe,
): Promise<{ name: string; octets: Uint8Array }> {
  const compress = plain.length < worthAThread ? Bun.zstdCompressSync : Bun.zstdCompress;
  const octets = encrypt(dataKey, kind, smaller(plain, looksPacked(plain) ? plain : await compress(plain, { level: 1 })), memory);
  return { name: objectName(octets), octets };
}

/** What was sealed. The octets belong to the caller. Rejects with Damaged. */
export async function openObject(dataKey: Uint8Array, kind: string, octets: Uint8Array): Promise<Uint8Array> {
  const packed = decrypt(dataKey, kind, octets);
  const decompress = packed.plainSize < worthAThread ? Bun.zstdDecompressSync : Bun.zstdDecompress;
  return packed.codec === codec.raw ? packed.octets : checkSize(packed, await decompress(packed.octets));
}

/** The name that an object must have, which anyone can check without a key. */
export const objectName = (octets: Uint8Array): string => new Bun.CryptoHasher('sha256').update(octets).digest('hex');

/** Like sealObject for a small text, in base64. */
export function sealText(dataKey: Uint8Array, kind: string, text: string): string {
  const plain = Buffer.from(text);
  return encrypt(dataKey, kind, smaller(plain, Bun.zstdCompressSync(plain, { level: 1 }))).toString('base64');
}

/** Throws Damaged. */
export function openText(dataKey: Uint8Array, kind: string, sealed: string): string {
  const octets = Buffer.from(sealed, 'base64');
  if (octets.toString('base64') !== sealed) throw new Damaged('a sealed text is not base64');
  const packed = decrypt(dataKey, kind, octets);
  return Buffer.from(packed.codec === codec.raw ? packed.octets : checkSize(packed, Bun.zstdDecompressSync(packed.octets))).toString();
}

/**
 * Most of a site is bodies, whose chunks are compressed already: three samples tell, and save two thirds of the work. A pure
 * function of the octets, as all here.
 */
function looksPacked(plain: Uint8Array): boolean {
  const sample = 64 * 1024;
  if (plain.length < 16 * sample) return false;
  let size = 0;
  for (const part of [0, 1, 2]) {
    const from = Math.floor((part * (plain.length - sample)) / 2);
    size += Bun.zstdCompressSync(plain.subarray(from, from + sample), { level: 1 }).length;
  }
  return !worthwhile(size, 3 * sample);
}

/** Less than a sixteenth saved is not worth the time of a restore. */
const worthwhile = (compressed: number, plain: number): boolean => compressed < plain - plain / 16;

function smaller(plain: Uint8Array, compressed: Uint8Array): Packed {
  assert(plain.length <= limits.sealedObject, 'an object is not larger than its limit');
  return worthwhile(compressed.length, plain.length)
    ? { codec: codec.zstd, octets: compressed, plainSize: plain.length }
    : { codec: codec.raw, octets: plain, plainSize: plain.length };
}

function checkSize({ plainSize }: Packed, plain: Uint8Array): Uint8Array {
  if (plain.length !== plainSize) throw new Damaged('an object does not have the size that it declares');
  return plain;
}

function encrypt(dataKey: Uint8Array, kind: string, packed: Packed, memory: Allocate = Buffer.allocUnsafe): Buffer {
  const frames = frameCount(packed.octets.length);
  const size = headerSize + packed.octets.length + frames * tagSize;
  const out = memory(size).subarray(0, size);
  magic.copy(out);
  saltOf(dataKey, kind, packed).copy(out, 4);
  out[20] = packed.codec;
  out.writeUInt32BE(packed.plainSize, 21);
  const key = keyOf(dataKey, kind, out.subarray(4, 20));
  for (let n = 0, at = headerSize; n < frames; n++) {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(n)).setAAD(authenticated(out, kind, n, n === frames - 1));
    const frame = cipher.update(packed.octets.subarray(n * frameSize, (n + 1) * frameSize));
    at += frame.copy(out, at) + cipher.final().length;
    at += cipher.getAuthTag().copy(out, at);
  }
  return out;
}

function decrypt(dataKey: Uint8Array, kind: string, sealed: Uint8Array): Packed {
  const octets = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
  if (octets.length < headerSize + tagSize || !octets.subarray(0, 4).equals(magic)) throw new Damaged('this is no sealed object, or it was cut short');
  const plainSize = octets.readUInt32BE(21);
  const kept = octets[20];
  if (plainSize > limits.sealedObject || octets.length > limits.sealedObject + 2 * frameSize)
    throw new Damaged(`an object declares more than ${limits.sealedObject} octets`);
  const frames = Math.ceil((octets.length - headerSize) / (frameSize + tagSize));
  const size = octets.length - headerSize - frames * tagSize;
  if (size < 0 || frameCount(size) !== frames) throw new Damaged('an object was cut short');
  if (!(kept === codec.zstd && size < plainSize) && !(kept === codec.raw && size === plainSize))
    throw new Damaged('an object does not have the size that it declares');
  const plain = Buffer.allocUnsafeSlow(size);
  const key = keyOf(dataKey, kind, octets.subarray(4, 20));
  for (let n = 0; n < frames; n++) {
    const from = headerSize + n * (frameSize + tagSize);
    const to = Math.min(from + frameSize, octets.length - tagSize);
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(n), { authTagLength: tagSize })
      .setAAD(authenticated(octets, kind, n, n === frames - 1))
      .setAuthTag(octets.subarray(to, to + tagSize));
    decipher.update(octets.subarray(from, to)).copy(plain, n * frameSize);
    try {
      decipher.final();
    } catch {
      throw new Damaged('an object was changed, or was sealed with another key');
    }
  }
  const packed = { codec: kept, octets: plain, plainSize };
  if (!saltOf(dataKey, kind, packed).equals(octets.subarray(4, 20))) throw new Damaged('an object has the salt of another one');
  return packed;
}

const frameCount = (size: number): number => Math.max(1, Math.ceil(size / frameSize));

function saltOf(dataKey: Uint8Array, kind: string, { codec, octets, plainSize }: Packed): Buffer {
  assert(dataKey.length === 32, 'a data key has 32 octets');
  assert(/^[a-z-]{1,40}$/.test(kind), 'a kind is a word'); // so that it ends where the hash starts
  const hash = new Bun.CryptoHasher('sha256').update(octets).digest();
  return createHmac('sha256', dataKey).update(`mailsite salt ${kind} ${codec} ${plainSize} `).update(hash).digest().subarray(0, 16);
}

const keyOf = (dataKey: Uint8Array, kind: string, salt: Uint8Array): Buffer => Buffer.from(hkdfSync('sha256', dataKey, salt, `mailsite object ${kind}`, 32));

function nonceOf(frame: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(frame, 8);
  return nonce;
}

function authenticated(octets: Buffer, kind: string, frame: number, last: boolean): Buffer {
  return Buffer.concat([octets.subarray(0, headerSize), Buffer.from([frame >>> 8, frame & 0xff, last ? 1 : 0]), Buffer.from(kind)]);
}

/** Signs manifests. */
export interface Signer {
  /** Raw Ed25519 (RFC 8032), base64. */
  readonly publicKey: string;
  /** Base64. */
  sign(octets: Uint8Array): string;
}

// RFC 8410 §7 and §4: what comes before the 32 octets of a private and of a public Ed25519 key in DER
const privatePrefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** The lineage's signing key, which follows from its data key. */
export function signer(dataKey: Uint8Array): Signer {
  assert(dataKey.length === 32, 'a data key has 32 octets');
  return signerFrom(Buffer.from(hkdfSync('sha256', dataKey, Buffer.alloc(0), 'mailsite signer', 32)));
}

/** Who has these 32 octets signs by them. */
export function signerFrom(seed: Uint8Array): Signer {
  assert(seed.length === 32, 'a seed has 32 octets');
  const key = createPrivateKey({ key: Buffer.concat([privatePrefix, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(publicPrefix.length).toString('base64');
  return { publicKey, sign: (octets) => sign(null, octets, key).toString('base64') };
}

/** false also for what is no key or no signature. */
export function verifySignature(publicKey: string, octets: Uint8Array, signature: string): boolean {
  const raw = Buffer.from(publicKey, 'base64');
  const signed = Buffer.from(signature, 'base64');
  if (raw.length !== 32 || signed.length !== 64) return false;
  try {
    return verify(null, octets, createPublicKey({ key: Buffer.concat([publicPrefix, raw]), format: 'der', type: 'spki' }), signed);
  } catch {
    return false; // not every 32 octets are a point of the curve
  }
}
