// What leaves the site is sealed: nothing is lost, nothing is told, and no damage passes.

import { createDecipheriv, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { Damaged, objectName, openObject, openText, sealObject, sealText, signer, verifySignature } from '../../../storage/snapshot/seal.ts';

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const one = new Uint8Array(32).fill(7);
const text = (size: number): Buffer => Buffer.alloc(size, 'From: alice@example.test\r\nSubject: the same over and over\r\n');
/** Octets that no compressor makes smaller. */
const noise = (size: number): Uint8Array => {
  const octets = new Uint8Array(size);
  let x = 1;
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    octets[i] = x >>> 24;
  }
  return octets;
};
const plain = fc.oneof(fc.uint8Array({ maxLength: 2_000 }), fc.nat(5_000).map(text));

test('what was sealed is opened, and equal text under one key becomes equal octets', async () => {
  await fc.assert(
    fc.asyncProperty(key, plain, async (dataKey, octets) => {
      const sealed = await sealObject(dataKey, 'rows', octets);
      expect(sealed.name).toBe(objectName(sealed.octets));
      expect(await sealObject(dataKey, 'rows', octets.slice())).toEqual(sealed);
      expect(Buffer.compare(await openObject(dataKey, 'rows', sealed.octets), octets)).toBe(0);
    }),
  );
});

test.each([0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])('%i octets of noise and of text come back, over the borders of frames', async (size) => {
  for (const octets of [noise(size), text(size)]) {
    const sealed = await sealObject(one, 'rows', octets);
    expect(Buffer.compare(await openObject(one, 'rows', sealed.octets), octets)).toBe(0);
  }
});

test('one flipped bit, wherever it is, is found', async () => {
  await fc.assert(
    fc.asyncProperty(key, plain, fc.nat(), fc.nat(7), async (dataKey, octets, where, bit) => {
      const sealed = (await sealObject(dataKey, 'rows', octets)).octets.slice();
      const at = where % sealed.length;
      sealed[at] = (sealed[at] as number) ^ (1 << bit);
      await expect(openObject(dataKey, 'rows', sealed)).rejects.toThrow(Damaged);
    }),
    { numRuns: 300 },
  );
  // and every octet of a small one
  const sealed = (await sealObject(one, 'rows', text(300))).octets;
  for (let at = 0; at < sealed.length; at++) {
    const damaged = sealed.slice();
    damaged[at] = (damaged[at] as number) ^ 1;
    await expect(openObject(one, 'rows', damaged), `octet ${at}`).rejects.toThrow(Damaged);
  }
});

test('what was cut, lengthened, or put together from frames is found', async () => {
  const sealed = (await sealObject(one, 'rows', noise(3 << 20))).octets;
  const frame = (1 << 20) + 16;
  for (const cut of [0, 1, 24, 25, 40, 41, 25 + frame, 25 + 2 * frame, sealed.length - 1]) {
    await expect(openObject(one, 'rows', sealed.subarray(0, cut)), `cut at ${cut}`).rejects.toThrow(Damaged);
  }
  for (const more of [1, 15, 16, 17, frame]) {
    await expect(openObject(one, 'rows', Buffer.concat([sealed, Buffer.alloc(more)])), `${more} more`).rejects.toThrow(Damaged);
  }
  const swapped = Buffer.concat([
    sealed.subarray(0, 25),
    sealed.subarray(25 + frame, 25 + 2 * frame),
    sealed.subarray(25, 25 + frame),
    sealed.subarray(25 + 2 * frame),
  ]);
  await expect(openObject(one, 'rows', swapped)).rejects.toThrow(Damaged);
  // two frames less, with a size that agrees: only the mark of the last frame tells
  const shorter = Buffer.from(sealed.subarray(0, 25 + frame));
  shorter.writeUInt32BE(1 << 20, 21);
  await expect(openObject(one, 'rows', shorter)).rejects.toThrow(Damaged);
});

test('what is packed already stays as it is, what is not is packed', async () => {
  const kept = async (octets: Uint8Array): Promise<number | undefined> => (await sealObject(one, 'rows', octets)).octets[20];
  const half = Buffer.concat([noise(1 << 20), text(1 << 20), noise(1 << 20), text(1 << 20)]);
  expect(await Promise.all([noise(4 << 20), noise(900), text(4 << 20), text(900), half].map(kept))).toEqual([0, 0, 1, 1, 1]);
});

test('the format is as seal.ts says, read by other code', async () => {
  const plain = Buffer.concat([noise(1 << 20), noise(1 << 20), noise(10)]);
  const octets = Buffer.from((await sealObject(one, 'rows', plain)).octets);
  expect([octets.toString('latin1', 0, 4), octets[20], octets.readUInt32BE(21)]).toEqual(['MSO1', 0, plain.length]);
  const objectKey = Buffer.from(hkdfSync('sha256', one, octets.subarray(4, 20), 'mailsite object rows', 32));
  const opened: Buffer[] = [];
  for (let n = 0, at = 25; n < 3; n++) {
    const size = n < 2 ? 1 << 20 : 10;
    const decipher = createDecipheriv('aes-256-gcm', objectKey, Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]));
    decipher.setAAD(Buffer.concat([octets.subarray(0, 25), Buffer.from([0, n, n === 2 ? 1 : 0]), Buffer.from('rows')]));
    decipher.setAuthTag(octets.subarray(at + size, at + size + 16));
    opened.push(decipher.update(octets.subarray(at, at + size)), decipher.final());
    at += size + 16;
  }
  expect(Buffer.concat(opened).equals(plain)).toBe(true);
});

test('what this release seals, every later one must open, and name alike', async () => {
  const sealed = await sealObject(one, 'rows', noise(10));
  expect(sealed.name).toBe('d21845bc4702d27d847ea6fb75e239d8cac4f8166cac2fb6f47876f389a544c3');
  expect(Buffer.from(sealed.octets).toString('base64')).toBe('TVNPMY59MGiwUUn3oTgA/i4j8zcAAAAACgCG3qcd3runDNqlH1pzdSLgw3/tfRAWkq0h');
  expect(signer(one).publicKey).toBe('2vstOdM00ZE/8za+JrUUwJJ+bTSAZVs0sZW/P28N9ac=');
});

test('another key or another kind opens nothing', async () => {
  const sealed = (await sealObject(one, 'rows', text(100))).octets;
  await expect(openObject(new Uint8Array(32), 'rows', sealed)).rejects.toThrow(Damaged);
  await expect(openObject(one, 'pack', sealed)).rejects.toThrow(Damaged);
  expect((await sealObject(one, 'pack', text(100))).octets).not.toEqual(sealed);
});

test('B1: a declared size above the limit is refused before anything is decrypted', async () => {
  const sealed = Buffer.from((await sealObject(one, 'rows', text(100))).octets);
  sealed.writeUInt32BE(limits.sealedObject + 1, 21);
  await expect(openObject(one, 'rows', sealed)).rejects.toThrow(`more than ${limits.sealedObject}`);
  await expect(sealObject(one, 'rows', new Uint8Array(limits.sealedObject + 1))).rejects.toThrow('limit');
});

test('what is sealed shows nothing of the text', async () => {
  const sealed = (await sealObject(one, 'rows', Buffer.from('confidential'))).octets;
  expect(Buffer.from(sealed).includes('confid')).toBe(false);
});

test('small texts', () => {
  fc.assert(
    fc.property(key, fc.string({ unit: 'grapheme', maxLength: 200 }), fc.nat(), (dataKey, said, where) => {
      const sealed = sealText(dataKey, 'manifest', said);
      expect(sealed).toMatch(/^[A-Za-z0-9+/]+=*$/);
      expect(sealText(dataKey, 'manifest', said)).toBe(sealed);
      expect(openText(dataKey, 'manifest', sealed)).toBe(said);
      const at = where % sealed.length;
      const other = sealed[at] === 'A' ? 'B' : 'A';
      expect(() => openText(dataKey, 'manifest', `${sealed.slice(0, at)}${other}${sealed.slice(at + 1)}`)).toThrow(Damaged);
    }),
  );
  for (const bad of ['', 'AAAA', 'no base64!', `${sealText(one, 'manifest', 'x')}\n`]) expect(() => openText(one, 'manifest', bad)).toThrow(Damaged);
});

test('signatures: of this key, of these octets', () => {
  fc.assert(
    fc.property(key, fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), (dataKey, octets, where) => {
      const { publicKey, sign } = signer(dataKey);
      expect(signer(dataKey).publicKey).toBe(publicKey);
      const signature = sign(octets);
      expect(verifySignature(publicKey, octets, signature)).toBe(true);
      const changed = octets.slice();
      changed[where % octets.length] = (changed[where % octets.length] as number) ^ 1;
      expect(verifySignature(publicKey, changed, signature)).toBe(false);
      const other = dataKey.map((octet) => octet ^ 1);
      expect(verifySignature(signer(other).publicKey, octets, signature)).toBe(false);
    }),
  );
  for (const bad of ['', 'x', Buffer.alloc(32, 0xff).toString('base64')]) {
    expect(verifySignature(bad, one, signer(one).sign(one))).toBe(false);
    expect(verifySignature(signer(one).publicKey, one, bad)).toBe(false);
  }
});
