// DKIM-Signature fields for one message (RFC 6376, RFC 8463), made from its octets as they go onto the wire: with its final
// encoding, without dot-stuffing. Guarantees: it reads the message once, from its first octet to its last, and holds no more
// of it than the header; a field that is signed cannot be added a second time without breaking the signature.

import { createHash, createPrivateKey, sign } from 'node:crypto';
import { limits } from '../../actors/limits.ts';
import { headerFields } from '../mime/header.ts';
import { RelaxedBody, relaxedField } from './canonical.ts';

export interface SigningKey {
  readonly selector: string;
  readonly algorithm: 'rsa' | 'ed25519';
  /** PKCS #8, DER. */
  readonly privateKey: Uint8Array;
}
export interface Signing {
  /** d=, as A-labels. */
  readonly domain: string;
  readonly keys: readonly SigningKey[];
}

/**
 * What a reader shows or acts upon. Each is listed once more than it stands there, so that nobody can put another one before
 * it (RFC 6376 §8.15): one that is not there must stay away.
 */
const sealed = [
  'from',
  'reply-to',
  'to',
  'cc',
  'subject',
  'date',
  'message-id',
  'in-reply-to',
  'references',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
];
/** Signed where they are there. Lists and forwarders add their own: that must not break what the author wrote. */
const covered = ['sender', 'resent-from', 'resent-to', 'resent-cc', 'resent-date', 'resent-message-id', 'content-disposition', 'content-language'];
// RFC 8058 §4: one-click unsubscribing asks for a signature over both
const lists = ['list-id', 'list-help', 'list-post', 'list-owner', 'list-archive', 'list-subscribe', 'list-unsubscribe', 'list-unsubscribe-post'];

/**
 * The fields to put before the message, with their line endings; empty when it cannot be signed. `next` gives the message
 * chunk by chunk, null at its end; `now` is ms since the epoch; `pause` is awaited between slices of limits.dkimSlice.
 */
export async function signatureOf(next: () => Uint8Array | null, signing: Signing, now: number, pause: () => Promise<void>): Promise<Uint8Array> {
  const header = new Header();
  const hash = createHash('sha256');
  const body = new RelaxedBody((octets) => hash.update(octets));
  let slice = 0;
  for (let chunk = next(); chunk !== null; chunk = next()) {
    const rest = header.push(chunk);
    if (header.tooLong) return new Uint8Array(0);
    body.push(rest);
    slice += chunk.length;
    if (slice < limits.dkimSlice) continue;
    slice = 0;
    await pause();
  }
  body.finish();
  const fields = [...headerFields(header.octets)].map(({ name, from, to }) => ({
    name,
    text: Buffer.from(header.octets.subarray(from, to)).toString('latin1'),
  }));
  const names = namesOf(fields.map(({ name }) => name));
  if (names === null) return new Uint8Array(0);
  const bodyHash = hash.digest('base64');
  const signed = signedText(fields, names);
  return Buffer.from(signing.keys.map((key) => oneSignature(signing.domain, key, names, signed, bodyHash, now)).join(''));
}

/** What h= lists, or null for a header with more fields of a name than anybody writes. */
function namesOf(present: readonly string[]): string[] | null {
  const names: string[] = [];
  for (const name of [...sealed, ...covered, ...lists]) {
    const times = present.filter((other) => other === name).length;
    if (times > limits.dkimFields) return null;
    for (let n = 0; n < times + (sealed.includes(name) ? 1 : 0); n++) names.push(name);
  }
  return names;
}

/** RFC 6376 §5.4.2: of several fields of a name the last one first; a name without a field left is nothing at all. */
function signedText(fields: readonly { readonly name: string; readonly text: string }[], names: readonly string[]): string {
  const left = new Map<string, string[]>();
  for (const { name, text } of fields) left.set(name, [...(left.get(name) ?? []), text]);
  let out = '';
  for (const name of names) {
    const field = left.get(name)?.pop();
    if (field !== undefined) out += relaxedField(field);
  }
  return out;
}

function oneSignature(domain: string, key: SigningKey, names: readonly string[], signed: string, bodyHash: string, now: number): string {
  const field = [
    `DKIM-Signature: v=1; a=${key.algorithm}-sha256; c=relaxed/relaxed; d=${domain};`,
    `s=${key.selector}; t=${Math.floor(now / 1000)};`,
    `h=${folded(names.map((name, i) => (i < names.length - 1 ? `${name}:` : `${name};`)))}`,
    `bh=${bodyHash};`,
    'b=',
  ].join('\r\n\t');
  // RFC 6376 §3.7: itself last, without a value of b= and without its line ending
  const text = Buffer.from(signed + relaxedField(field).slice(0, -2), 'latin1');
  const privateKey = createPrivateKey({ key: Buffer.from(key.privateKey), format: 'der', type: 'pkcs8' });
  // RFC 8463 §3: Ed25519 signs the hash
  const signature = key.algorithm === 'rsa' ? sign('sha256', text, privateKey) : sign(null, createHash('sha256').update(text).digest(), privateKey);
  return `${field}${signature.toString('base64').replace(/.{70}(?=.)/g, '$&\r\n\t')}\r\n`;
}

/** Words in lines of at most 76 octets. */
function folded(words: readonly string[]): string {
  let out = '';
  let line = 4;
  for (const word of words) {
    if (line + word.length > 76) {
      out += '\r\n\t';
      line = 2;
    }
    out += word;
    line += word.length;
  }
  return out;
}

const CR = 13;
const LF = 10;

/** The header of a message, as it comes; every ending becomes CRLF, as on the wire. */
class Header {
  tooLong = false;
  private bytes = new Uint8Array(8 * 1024);
  private filled = 0;
  private lineLength = 0;
  private afterCr = false;
  private ended = false;

  get octets(): Uint8Array {
    return this.bytes.subarray(0, this.filled);
  }

  /** Takes what belongs to the header; gives back what does not. */
  push(chunk: Uint8Array): Uint8Array {
    let i = 0;
    for (; i < chunk.length && !this.ended && !this.tooLong; i++) {
      const octet = chunk[i] as number;
      if (octet === LF) this.endLine();
      else if (this.afterCr) {
        this.endLine();
        if (this.ended) return chunk.subarray(i);
      }
      this.afterCr = octet === CR;
      if (octet === CR || octet === LF) continue;
      this.put(octet);
      this.lineLength++;
    }
    return chunk.subarray(i);
  }

  private endLine(): void {
    this.ended = this.lineLength === 0;
    this.lineLength = 0;
    this.put(CR);
    this.put(LF);
  }

  private put(octet: number): void {
    if (this.filled === this.bytes.length) {
      // what we put before it may come on top of what was let in
      this.tooLong = this.filled >= 2 * limits.header;
      const wider = new Uint8Array(2 * this.filled);
      wider.set(this.bytes);
      this.bytes = wider;
    }
    this.bytes[this.filled++] = octet;
  }
}
