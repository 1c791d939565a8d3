// Key pairs to sign mail with. Guarantees: RSA of 2048 bits, which every verifier must take and which fits a DNS answer
// (RFC 8301 §3.2), and Ed25519 beside it (RFC 8463); the public halves are the octets that `p=` of the DNS record encodes.

import { generateKeyPair, type KeyObject } from 'node:crypto';

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
const rsa = (): Promise<Pair> =>
  new Promise((done, fail) =>
    generateKeyPair('rsa', { modulusLength: 2_048 }, (error, publicKey, privateKey) => (error ? fail(error) : done({ publicKey, privateKey }))),
  );
const ed25519 = (): Promise<Pair> =>
  new Promise((done, fail) => generateKeyPair('ed25519', {}, (error, publicKey, privateKey) => (error ? fail(error) : done({ publicKey, privateKey }))));

const secret = ({ privateKey }: Pair): Uint8Array => new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }));
const open = ({ publicKey }: Pair): Uint8Array => new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));

/** 50 to 500 ms of one core, off this thread. */
export async function makeDkimKeys() {
  const [large, small] = await Promise.all([rsa(), ed25519()]);
  return {
    rsaPrivate: secret(large),
    // RFC 6376 §3.6.1: the whole SubjectPublicKeyInfo
    rsaPublic: open(large),
    ed25519Private: secret(small),
    // RFC 8463 §4: the 32 octets alone, which are the last ones of it
    ed25519Public: open(small).slice(-32),
  };
}
