// SASL messages, and where a connection comes from.

import { expect, test } from 'vitest';
import { decodeBase64, isExchange, mechanismOf, mechanisms, parsePlain } from '../../../protocols/sasl/mechanism.ts';
import { mayTakePasswords, originPrefix } from '../../../protocols/sasl/origin.ts';
import { End } from '../outbound/network.ts';

const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

test('RFC 4616: PLAIN', () => {
  expect(parsePlain(octets('\0a@b\0pw'))).toEqual({ authzid: '', login: 'a@b', password: 'pw' });
  expect(parsePlain(octets('z\0a@b\0pä ss'))).toEqual({ authzid: 'z', login: 'a@b', password: 'pä ss' });
  for (const text of ['', 'a', '\0a', '\0a\0', '\0\0pw', '\0a\0pw\0', `\0a\0${'x'.repeat(1_025)}`, `\0${'a'.repeat(321)}\0pw`])
    expect(parsePlain(octets(text)), text).toBeNull();
  expect(parsePlain(new Uint8Array([0, 97, 0, 0xff]))).toBeNull();
});

test('LOGIN is two challenges', () => {
  const { start } = mechanisms.LOGIN;
  expect(start.challenge).toBe('Username:');
  const second = start.next(octets('a@b'));
  if (second === null || !isExchange(second)) throw new Error('a second challenge');
  expect(second.challenge).toBe('Password:');
  expect(second.next(octets('pw'))).toEqual({ login: 'a@b', password: 'pw', authzid: '' });
  expect(second.next(octets(''))).toBeNull();
  expect(start.next(octets(''))).toBeNull();
});

test('a mechanism is named in any case', () => {
  expect(mechanismOf('plain')?.name).toBe('PLAIN');
  expect(mechanismOf('XOAUTH2')).toBeUndefined();
  expect(mechanismOf('constructor')).toBeUndefined();
});

test('RFC 4648: base64 is strict', () => {
  expect(decodeBase64('')).toEqual(Buffer.alloc(0));
  expect(decodeBase64('YQ==')).toEqual(Buffer.from('a'));
  for (const text of ['Y', 'YQ', 'YQ=', 'YR==', 'YQ== ', 'Y-==', '====', 'YQ==YQ==']) expect(decodeBase64(text), text).toBeNull();
});

test('brute force is counted by IPv4 address and by IPv6 /64', () => {
  const prefix = (address: string): string => originPrefix({ address, port: 1 });
  expect(prefix('192.0.2.1')).toBe('ip:192.0.2.1/32');
  expect(prefix('2001:db8:0:1:2:3:4:5')).toBe('ip:2001:db8:0:1::/64');
  expect(prefix('2001:DB8:0000:0001::5')).toBe('ip:2001:db8:0:1::/64');
  expect(prefix('2001:db8::5')).toBe('ip:2001:db8:0:0::/64');
  expect(prefix('::1')).toBe('ip:0:0:0:0::/64');
  expect(prefix('fe80::1%eth0')).toBe('ip:fe80:0:0:0::/64');
  expect(prefix('64:ff9b::192.0.2.1')).toBe('ip:64:ff9b:0:0::/64');
});

test('passwords are taken under TLS, or in clear from loopback where the site says so', () => {
  const at = (address: string, tls: boolean): End => {
    const end = new End({ address: '192.0.2.1', port: 25 }, { address, port: 1 }, { serve: 'silent' });
    if (tls) end.tls = { protocol: 'TLSv1.3', cipher: 'x', authorized: false };
    return end;
  };
  for (const [demo, address, tls, want] of [
    [false, '127.0.0.1', false, false],
    [true, '127.0.0.1', false, true],
    [true, '127.9.9.9', false, true],
    [true, '::1', false, true],
    [true, '192.0.2.9', false, false],
    [true, '192.0.2.9', true, true],
    [false, '192.0.2.9', true, true],
  ] as const)
    expect(mayTakePasswords({ plaintextOnLoopback: demo }, at(address, tls))).toBe(want);
});
