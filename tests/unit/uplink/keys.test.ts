// Keys, signatures and claims: what was signed holds, and nothing else does.

import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { claimText, parseClaim } from '../../../uplink/claim.ts';
import { fingerprintWords, holds, keyStatement, macOf, openValue, portalKeyHolds, signerOf, signValue } from '../../../uplink/keys.ts';

const seed = (n: number): string => Buffer.alloc(32, n).toString('base64url');

test('RFC 8032 §7.1: the first test vector of Ed25519', () => {
  const signer = signerOf(Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex').toString('base64url'));
  expect(Buffer.from(signer.publicKey, 'base64url').toString('hex')).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
  expect(Buffer.from(signer.sign(''), 'base64url').toString('hex')).toBe(
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  );
});

test('a signed value opens for its key and its kind only, and as it was', () => {
  const [own, other] = [signerOf(seed(1)), signerOf(seed(2))];
  const signed = signValue(own, 'auth', { site: 's', counter: 3 });
  expect(openValue(own.publicKey, 'auth', signed)).toEqual({ what: 'auth', site: 's', counter: 3 });
  expect(openValue(other.publicKey, 'auth', signed)).toBeNull();
  expect(openValue(own.publicKey, 'welcome', signed)).toBeNull();
  expect(openValue(own.publicKey, 'auth', { ...signed, signed: signed.signed.replace('3', '4') })).toBeNull();
  expect(openValue(own.publicKey, 'auth', { ...signed, signature: 'A'.repeat(86) })).toBeNull();
  for (const bad of ['', 'no key', 'A'.repeat(43), 'ß'.repeat(43)]) expect(holds(bad, signed.signed, signed.signature)).toBe(false);
});

test('a signing key is the portal’s when its root says so', () => {
  const [root, online, stranger] = [signerOf(seed(3)), signerOf(seed(4)), signerOf(seed(5))];
  const proof = root.sign(keyStatement(online.publicKey));
  expect(portalKeyHolds(root.publicKey, online.publicKey, proof)).toBe(true);
  expect(portalKeyHolds(root.publicKey, stranger.publicKey, proof)).toBe(false);
  expect(portalKeyHolds(stranger.publicKey, online.publicKey, proof)).toBe(false);
});

test('a MAC is HMAC-SHA-256 over canonical JSON', () => {
  const right = createHmac('sha256', Buffer.alloc(32, 9)).update('{"a":1,"b":"x","what":"enrol"}').digest('base64url');
  expect(macOf(seed(9), 'enrol', { b: 'x', a: 1 })).toBe(right);
});

test('six words, other ones for another key', () => {
  const words = fingerprintWords(signerOf(seed(1)).publicKey, 'age1x');
  expect(words).toHaveLength(6);
  for (const word of words) expect(word).toMatch(/^([bdfghjklmnprstvz][aeio]){2}$/);
  expect(fingerprintWords(signerOf(seed(1)).publicKey, 'age1x')).toEqual(words);
  expect(fingerprintWords(signerOf(seed(2)).publicKey, 'age1x')).not.toEqual(words);
});

test('the text of a claim goes to its parts and back; anything else is none', () => {
  const secret = seed(7);
  for (const portal of ['https://portal.example.org', 'http://127.0.0.1:8025', 'https://[2001:db8::1]:8443', 'https://localhost:8025'])
    expect(parseClaim(`  ${claimText(portal, 'c-1', secret)}\n`)).toEqual({ portal, claim: 'c-1', secret });
  expect(claimText('https://portal.example.org', 'c', secret)).toBe(`ms1.portal.example.org.c.${secret}`);
  for (const bad of ['', 'ms1.', `ms2.portal.example.org.c.${secret}`, `ms1.portal.example.org.c.${secret}x`, `ms1.ftp://x.c.${secret}`, `ms1.a/b.c.${secret}`])
    expect(parseClaim(bad)).toBeNull();
});
