// A certificate that a host signs for itself, in DER (X.690) as RFC 5280 lays it out. It serves until a certificate
// authority gives a better one: mail servers take any certificate from their peers (RFC 7435), people confirm it once.

import { generateKeyPairSync, sign } from 'node:crypto';

/** EC P-256, `host` as the subject and as its only alternative name. `serial`: 16 random octets. Times in ms since the epoch. */
export function selfSignedCertificate(host: string, serial: Uint8Array, notBefore: number, notAfter: number): { certificatePem: string; keyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // §4.1.2.6, ub-common-name: a CN holds at most 64 characters; the alternative name is what clients compare
  const name = sequence(tlv(0x31, sequence(oid(0x55, 0x04, 0x03), tlv(0x0c, Buffer.from(host.slice(0, 64))))));
  const positive = Uint8Array.from(serial, (octet, i) => (i === 0 ? (octet & 0x7f) | 0x40 : octet)); // §4.1.2.2
  const body = sequence(
    tlv(0xa0, integer(2)), // version 3
    tlv(0x02, positive),
    ecdsaWithSha256,
    name,
    sequence(time(notBefore), time(notAfter)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions(host))),
  );
  const signature = sign('sha256', body, privateKey);
  const certificate = sequence(body, ecdsaWithSha256, tlv(0x03, Uint8Array.of(0), signature));
  return { certificatePem: pem('CERTIFICATE', certificate), keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function extensions(host: string): Uint8Array[] {
  const extension = (id: Uint8Array, critical: boolean, value: Uint8Array): Uint8Array =>
    sequence(id, ...(critical ? [tlv(0x01, Uint8Array.of(0xff))] : []), tlv(0x04, value));
  return [
    extension(oid(0x55, 0x1d, 0x13), true, sequence()), // §4.2.1.9 basicConstraints: not a CA
    extension(oid(0x55, 0x1d, 0x0f), true, tlv(0x03, Uint8Array.of(7, 0x80))), // §4.2.1.3 keyUsage: digitalSignature
    extension(oid(0x55, 0x1d, 0x25), false, sequence(serverAuth, clientAuth)), // §4.2.1.12 extKeyUsage
    extension(oid(0x55, 0x1d, 0x11), false, sequence(tlv(0x82, Buffer.from(host)))), // §4.2.1.6 subjectAltName: dNSName
  ];
}

/** One DER value: tag, definite length, contents (X.690 §8.1). */
function tlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const inside = Buffer.concat(contents);
  const n = inside.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...length), inside]);
}
const sequence = (...contents: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...contents);
const integer = (value: number): Uint8Array => tlv(0x02, Uint8Array.of(value));
const oid = (...octets: readonly number[]): Uint8Array => tlv(0x06, Uint8Array.from(octets));
const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const serverAuth = oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01);
const clientAuth = oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02);

/** UTCTime until 2049, GeneralizedTime from 2050 on (§4.1.2.5). */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.[0-9]+/g, ''); // YYYYMMDDHHMMSSZ
  return digits < '2050' ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits));
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
