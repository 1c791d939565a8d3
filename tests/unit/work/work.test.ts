// Password hashes against what other programs make, and the certificate against Node's reader.

import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { local, run } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { realWorld } from '../../../actors/platform.ts';
import { hashPassword, verifyPassword, worker } from '../../../protocols/work.ts';
import { isPasswordHash } from '../../../storage/document.ts';

const actor = local(
  await run(
    realWorld(() => {}),
    worker,
  ),
);

// made with: openssl passwd -1 | -apr1 | -5 | -6, and crypt(3) of libxcrypt
const foreign: readonly (readonly [password: string, hash: string])[] = [
  ['secret', '$1$W.yA6Bx2$sQItKMIgWIiET9YUOmRfg0'],
  ['secret', '$apr1$2clx6J/C$yfNknarqbDcxB6wFOzeyP0'],
  ['secret', '$5$VjPbtFfXg9pgFgiV$k2TgJ.HZikXWR97udR28gLCE9IzZEp67DB38bCXs0o4'],
  ['secret', '$6$XUVV1dF./uBdDRjb$kYUv/cDBzSQ1F9gnvOzpu5rd/RYT4Pzxpj0SeejjuYBV2UXmhDKl28K95m5IZ2rU312RuEd3xQRW.E89ySco//'],
  ['pässwörd ✓', '$1$h5/jJxkr$RmxwNuxPy3Gb7f7u4HY.M0'],
  ['pässwörd ✓', '$apr1$3XfWGW2a$zpm2CHqfP3/o1bT89zEA/1'],
  ['pässwörd ✓', '$5$vMDxXJa31SM8Jdoe$mgrv5lucvuCcBJiAe6YYJ2e8dnTvIIV3lSkPSPpdoCB'],
  ['pässwörd ✓', '$6$0HlFoCDHHzLSpwTI$1ixmPErpf2bqmELKHti/wH.ntS558uP9.sKA501ZSs0eaIj2RjX4u/BbvkoX7g/ZCsWTy/eZrn1/2MAlH/ld40'],
  ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '$1$HtBsMfeq$XfLwXJ.WqiEdAjRjJoYiG.'],
  ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '$apr1$pWUYqpEv$GSllM7XpN1OHQLu8K1HUh/'],
  ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '$5$C4D4EbrtxVjCWUe/$zzhcOKmpprQNzvhsKCfr97wVuogfF8TCuJctzCBw8G5'],
  [
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    '$6$qj5ziotzCHspyhdz$TrTLnI0uY.6FOwFZe.Pl.qLyt5Zj/0O2Lkoy/itPMmdaSZk9YdIHhw5uIsgVChMddzcz3yFmr7KTVIBL.NTdI0',
  ],
  ["quo'te\\", '$1$PRgRNcL1$6MWorMafSbftYuofU0xvj0'],
  ["quo'te\\", '$apr1$FcZtXDC/$eE.n26ehcqc3jqHZ9nJHh0'],
  ["quo'te\\", '$5$nTYJkJm32vC3q7A8$F979y0FPg9Umo8QfKneckY8PgOHJbuNeN2JHpoMCBo3'],
  ["quo'te\\", '$6$PTnAlJDf.ZEPEBPd$EdNakudMYlzA8cZvrmvQFW7jdvfirXqysIS/XRoihUiHFWg5/iSs3X4SOxekUG1TOQVipazg0dKqOjeQbStyZ0'],
  ['secret', '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'],
  ['secret', '$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'],
  ['secret', '$6$rounds=1000$salt$HNxBeBnDfSfUrTj6KiLnmd7tGCvHEmcExh8kl/S0cZ5WrCciNZgfhbpkeFQ4JfkHX.8vPq45lY0iINnCx1Lkm.'],
  ['secret', '$5$rounds=4321$$/533AcR2ftwLSHB0tQD968o1lAsH5K7/c7LI1o6qv4D'],
  ['pässwörd ✓', '$2b$05$abcdefghijklmnopqrstuucXzl.EdFiYZ8M9ef3QFcQ5vnOe67Nqe'],
  ['pässwörd ✓', '$2y$05$abcdefghijklmnopqrstuucXzl.EdFiYZ8M9ef3QFcQ5vnOe67Nqe'],
  ['pässwörd ✓', '$6$rounds=1000$salt$J7DPHmJEKP4.4NBrjT0tiHEm.Z9oLr9Jh4VkykbAPkZnT8ME.FGVrB/Ec.qDPGbI.tljeyWbGQsdVAvYsZw771'],
  ['pässwörd ✓', '$5$rounds=4321$$VdK1APR8lRSxMJP7NfQZ5qnG0cSv8iFfc/r3ddwmDN4'],
];

test.each(foreign)('%s is verified against %s, and nothing else is', async (password, hash) => {
  expect(isPasswordHash(hash)).toBe(true);
  expect(await verifyPassword(password, hash)).toBe(true);
  expect(await verifyPassword(`${password} `, hash)).toBe(false);
  expect(await verifyPassword(password.toUpperCase(), hash)).toBe(false);
});

test('a verified hash that is not argon2id comes with a better one, which verifies', async () => {
  const [password, old] = foreign[0] as (typeof foreign)[number];
  const first = await actor.ask('verifyPassword', { password, hash: old });
  if ('refused' in first) throw new Error(first.refused);
  expect(first.ok).toBe(true);
  expect(first.better).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await actor.ask('verifyPassword', { password, hash: first.better })).toEqual({ ok: true, better: '' });
  expect(await actor.ask('verifyPassword', { password: 'wrong', hash: old })).toEqual({ ok: false, better: '' });
});

test('a hash that cannot be read, an empty and an overlong password are wrong, and nobody crashes', async () => {
  for (const hash of [
    '',
    'x',
    '$',
    '$6$',
    '$5$x',
    '$1$',
    '$apr1$',
    '$2b$04$x',
    '$argon2id$rubbish',
    '$argon2id$v=19$m=8,t=1,p=1$AAAA$',
    '$y$j9T$x$y',
    '$6$ä$x',
  ])
    expect(await verifyPassword('x', hash)).toBe(false);
  const hash = await hashPassword('x');
  expect(await verifyPassword('', hash)).toBe(false);
  expect(await verifyPassword('ä'.repeat(limits.passwordOctets), hash)).toBe(false);
});

test('hashes are salted, and more than may run at once wait their turn', async () => {
  const { hash } = Bun.password;
  let running = 0;
  let most = 0;
  const counted = vi.spyOn(Bun.password, 'hash').mockImplementation(async (...words) => {
    most = Math.max(most, ++running);
    const made = await hash(...words);
    running--;
    return made;
  });
  const answers = await Promise.all(Array.from({ length: limits.hashConcurrency + 3 }, () => actor.ask('hashPassword', { password: 'same' })));
  counted.mockRestore();
  expect(most).toBe(limits.hashConcurrency);
  const hashes = answers.map((a) => ('hash' in a ? a.hash : ''));
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(hashes.every(isPasswordHash)).toBe(true);
});

test('the self-signed certificate: for this host only, ten years, its own key, its own signature', async () => {
  const host = `mail.${'long-label-'.repeat(5)}.example.test`;
  const made = await actor.ask('selfSign', { host });
  if ('refused' in made) throw new Error(made.refused);
  const certificate = new X509Certificate(made.certificatePem);
  expect(certificate.subjectAltName).toBe(`DNS:${host}`);
  expect(certificate.checkHost(host)).toBe(host);
  expect(certificate.checkHost('example.test')).toBeUndefined();
  expect(certificate.ca).toBe(false);
  expect(certificate.checkPrivateKey(createPrivateKey(made.keyPem))).toBe(true);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  const years = (Date.parse(certificate.validTo) - Date.now()) / (365 * 86_400_000);
  expect(years).toBeGreaterThan(9.9);
  expect(years).toBeLessThan(10.1);
  const other = await actor.ask('selfSign', { host });
  expect('certificatePem' in other && new X509Certificate(other.certificatePem).serialNumber).not.toBe(certificate.serialNumber);
});

test('signing keys: RSA of 2048 bits and Ed25519, each half the other one, never the same twice', async () => {
  const made = await actor.ask('makeDkimKeys', {});
  if ('refused' in made) throw new Error(made.refused);
  const secret = (der: Uint8Array) => createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  const rsa = secret(made.rsaPrivate);
  expect(rsa.asymmetricKeyDetails?.modulusLength).toBe(2048);
  expect(createPublicKey(rsa).export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(made.rsaPublic));
  expect(made.ed25519Public).toHaveLength(32);
  expect(createPublicKey(secret(made.ed25519Private)).export({ format: 'jwk' }).x).toBe(Buffer.from(made.ed25519Public).toString('base64url'));
  const other = await actor.ask('makeDkimKeys', {});
  expect('rsaPublic' in other && Buffer.from(other.rsaPublic).equals(made.rsaPublic)).toBe(false);
});
