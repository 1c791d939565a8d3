// Places for connections that have not said who they are: one network has only so many, and so have all together.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { createSeats } from '../../../uplink/portal/uplink/seats.ts';

const per = limits.uplinkPerAddress;
const take = (seatFor: ReturnType<typeof createSeats>, address: string, n: number) => Array.from({ length: n }, () => seatFor(address));

test('one address has its places, and gets back each that was left, once', () => {
  const seatFor = createSeats();
  const seats = take(seatFor, '192.0.2.1', per);
  expect(seats).not.toContain(null);
  expect(seatFor('192.0.2.1')).toBeNull();
  expect(seatFor('192.0.2.2')).not.toBeNull();
  seats[0]?.leave();
  seats[0]?.leave();
  expect(seatFor('192.0.2.1')).not.toBeNull();
  expect(seatFor('192.0.2.1')).toBeNull();
});

test('RFC 6177: addresses of one /64 share their places', () => {
  const seatFor = createSeats();
  for (let n = 0; n < per; n++) expect(seatFor(`2001:db8:0:1::${n.toString(16)}`)).not.toBeNull();
  expect(seatFor('2001:db8:0:1:ffff::1')).toBeNull();
  expect(seatFor('2001:db8:0:2::1')).not.toBeNull();
});

test('a proxy on this machine that names nobody has more, and all together have a limit', () => {
  const seatFor = createSeats();
  expect(take(seatFor, '127.0.0.1', limits.uplinkStrangers)).not.toContain(null);
  expect(seatFor('127.0.0.1')).toBeNull();
  expect(seatFor('192.0.2.1')).toBeNull();
});
