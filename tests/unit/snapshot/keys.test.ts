// The recovery kit: opens what was wrapped for it, here and in age itself, and is found in whatever a person pastes.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kitText, makeKit, parseKit, unwrapKey, WrongKey, wrapKey } from '../../../storage/snapshot/keys.ts';
import { Damaged } from '../../../storage/snapshot/seal.ts';

const dataKey = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);

test('a wrapped key opens with the kit of any of its recipients, and with no other', async () => {
  const [alice, bob, mallory] = [await makeKit(), await makeKit(), await makeKit()];
  const wrapped = await wrapKey(dataKey, [alice.recipient, bob.recipient]);
  expect(wrapped).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  for (const { identity } of [alice, bob]) expect(await unwrapKey(wrapped, [mallory.identity, identity])).toEqual(dataKey);
  await expect(unwrapKey(wrapped, [mallory.identity])).rejects.toThrow(WrongKey);
  await expect(unwrapKey(wrapped, [])).rejects.toThrow(WrongKey);
  await expect(unwrapKey(wrapped, ['AGE-SECRET-KEY-1NOTHING'])).rejects.toThrow('typing error');
  await expect(wrapKey(dataKey, ['age1nobody'])).rejects.toThrow(WrongKey);
});

test('a wrapped key that was changed is damaged, or has lost its recipient; it never opens', async () => {
  const { identity, recipient } = await makeKit();
  const wrapped = await wrapKey(dataKey, [recipient]);
  for (let at = 36; at < wrapped.length - 36; at += 3) {
    if (/\s/.test(wrapped[at] as string)) continue;
    const changed = `${wrapped.slice(0, at)}${wrapped[at] === 'A' ? 'B' : 'A'}${wrapped.slice(at + 1)}`;
    const error = await unwrapKey(changed, [identity]).catch((e: unknown) => e);
    expect(error instanceof Damaged || error instanceof WrongKey, `octet ${at}`).toBe(true);
  }
  await expect(unwrapKey('', [identity])).rejects.toThrow(Damaged);
  await expect(unwrapKey(await wrapKey(new Uint8Array(31), [recipient]), [identity])).rejects.toThrow(Damaged);
});

test('a kit is found in itself, and however it was typed or pasted', async () => {
  const { identity } = await makeKit();
  const kit = kitText('the mail site mail.example.test', 'mail, accounts', '0123456789abcdef', identity);
  expect(kit).toContain(identity);
  expect(kit).toContain(`check letters: ${identity.slice(-6)}`);
  const ways: ((text: string) => string)[] = [
    (text) => text,
    (text) => text.toLowerCase(),
    (text) => text.replaceAll('\n', '\r\n> '),
    (text) => text.replaceAll('-', '‑').replaceAll(' ', '\u00a0'),
  ];
  for (const way of ways) for (const text of [kit, identity, `\t${identity}\n\n`]) expect(await parseKit(way(text))).toBe(identity);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(identity.length), fc.constantFrom(' ', '\n', '\r\n', '  ', '-\n')), { maxLength: 8 }), async (breaks) => {
      let typed = identity;
      for (const [at, space] of breaks) typed = `${typed.slice(0, at)}${space}${typed.slice(at)}`;
      expect(await parseKit(`my key: ${typed} and more`)).toBe(identity);
    }),
  );
});

test('one wrong letter is a typing error, and not another key', async () => {
  const { identity } = await makeKit();
  for (let at = 16; at < identity.length; at++) {
    const typed = `${identity.slice(0, at)}${identity[at] === 'Q' ? 'P' : 'Q'}${identity.slice(at + 1)}`;
    await expect(parseKit(typed), `letter ${at}`).rejects.toThrow('typing error');
  }
  await expect(parseKit(identity.slice(0, -1))).rejects.toThrow('not whole');
  for (const text of ['', 'hello', 'age1qqqq', '\0'.repeat(1_000)]) await expect(parseKit(text)).rejects.toThrow('no recovery key');
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (text) => {
      expect(await parseKit(text).catch((e: unknown) => e)).toBeInstanceOf(WrongKey);
    }),
  );
});

const age = spawnSync('age', ['--version']).status === 0;

test.skipIf(!age)(`age itself opens what we wrap, and we open what it wraps${age ? '' : ' (age is not installed)'}`, async () => {
  const { identity, recipient } = await makeKit();
  const folder = mkdtempSync(join(tmpdir(), 'mailsite-age-'));
  try {
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, `${identity}\n`);
    const opened = spawnSync('age', ['-d', '-i', keyFile], { input: await wrapKey(dataKey, [recipient]) });
    expect(opened.stderr.toString()).toBe('');
    expect(new Uint8Array(opened.stdout)).toEqual(dataKey);
    const wrapped = spawnSync('age', ['-a', '-r', recipient], { input: dataKey });
    expect(await unwrapKey(wrapped.stdout.toString(), [identity])).toEqual(dataKey);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
