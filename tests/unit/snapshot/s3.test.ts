// A place that is a bucket: what fails for a while is repeated, what will not get better is said at once.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { openPlace, type Place, PlaceError } from '../../../storage/snapshot/place.ts';
import { prune } from '../../../storage/snapshot/prune.ts';
import { type Bucket, type Fault, keys, openTestBucket } from './bucket.ts';
import { conforms, names, octetsOf, world } from './conformance.ts';

/** Pauses are counted, not waited for. */
function hurried(): { world: typeof world; pauses: number[] } {
  const pauses: number[] = [];
  return { pauses, world: { ...world, sleep: async (ms) => void pauses.push(ms) } };
}
const open = (bucket: Bucket, url = 's3://mail/site/a', inWorld = world): Promise<Place> =>
  openPlace(url, { world: inWorld, s3: { ...keys, endpoint: bucket.endpoint, region: 'eu' }, environment: {} });

conforms({
  removes: true,
  open: async () => {
    const bucket = await openTestBucket('mail', 3);
    return { place: await open(bucket), reopened: () => open(bucket), end: bucket.end };
  },
});

async function withBucket(run: (bucket: Bucket) => Promise<void>): Promise<void> {
  const bucket = await openTestBucket('mail');
  try {
    await run(bucket);
  } finally {
    bucket.end();
  }
}

test('objects are under the prefix, and what is not ours is not listed', () =>
  withBucket(async (bucket) => {
    const place = await open(bucket);
    expect(place.url).toBe('s3://mail/site/a/');
    await place.put('objects/ab/x', octetsOf('x'));
    expect([...bucket.objects.keys()]).toEqual(['site/a/objects/ab/x']);
    for (const key of ['site/a/Other', 'site/ab', 'site/a', 'zzz']) bucket.objects.set(key, octetsOf('y'));
    expect(await names(place)).toEqual(['objects/ab/x']);
    const whole = await open(bucket, 's3://mail');
    await whole.put('y', octetsOf('y'));
    expect(await names(whole, 'y')).toEqual(['y']);
  }));

test('an object of the largest size is one request', () =>
  withBucket(async (bucket) => {
    const place = await open(bucket);
    const octets = new Uint8Array(limits.sealedObject + (1 << 20)).fill(7);
    bucket.requests.length = 0;
    await place.put('a', octets);
    expect(bucket.requests).toEqual(['PUT site/a/a']);
    expect((await place.get('a'))?.length).toBe(octets.length);
  }));

const passing: Fault[] = [
  'drop',
  'drop after',
  'cut',
  'not xml',
  [500, 'InternalError'],
  [503, 'SlowDown'],
  [503, 'ServiceUnavailable'],
  [429, 'TooManyRequests'],
];

test.each(passing)('what fails for a while is done in the end: %s', (...fault) =>
  withBucket(async (bucket) => {
    const { world, pauses } = hurried();
    const place = await open(bucket, undefined, world);
    const wrong = (fault.length === 1 ? fault[0] : fault) as Fault;
    let left = 0;
    bucket.fault = () => (left-- > 0 ? wrong : null);
    const twice = async <T>(request: () => Promise<T>): Promise<T> => {
      left = 2;
      pauses.length = 0;
      return request();
    };
    const octets = octetsOf('x'.repeat(100_000));
    await twice(() => place.put('a', octets));
    expect(bucket.objects.get('site/a/a')).toEqual(octets);
    expect(await twice(() => place.get('a'))).toEqual(octets);
    expect(await twice(() => place.size('a'))).toBe(100_000);
    expect(await twice(() => place.size('b'))).toBeNull();
    expect(await twice(() => names(place))).toEqual(['a']);
    await twice(() => place.remove('a'));
    expect(await twice(() => place.get('a'))).toBeNull();
  }),
);

test('pauses grow, and end in an error that says so', () =>
  withBucket(async (bucket) => {
    const { world, pauses } = hurried();
    const place = await open(bucket, undefined, world);
    bucket.fault = () => [503, 'SlowDown'];
    bucket.requests.length = 0;
    const error = await place.put('a', octetsOf('x')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(PlaceError);
    expect((error as Error).message).toContain(`failed ${limits.placeTries} times (SlowDown)`);
    expect(bucket.requests.length).toBe(limits.placeTries);
    expect(pauses.length).toBe(limits.placeTries - 1);
    pauses.forEach((ms, i) => {
      const longest = Math.min(limits.placeRetryMs * 2 ** i, limits.placeRetryMaxMs);
      expect(ms >= longest / 2 && ms <= longest).toBe(true);
    });
  }));

test.each([
  [403, 'AccessDenied', 'access is denied'],
  [403, 'SignatureDoesNotMatch', 'the secret key is wrong'],
  [403, 'RequestTimeTooSkewed', 'the clock'],
  [404, 'NoSuchBucket', 'no such bucket'],
] as const)('what will not get better is said at once: %i %s', (status, code, said) =>
  withBucket(async (bucket) => {
    const { world, pauses } = hurried();
    const place = await open(bucket, undefined, world);
    bucket.fault = () => [status, code];
    for (const run of [() => place.put('a', octetsOf('x')), () => place.get('a'), () => names(place), () => place.remove('a')]) {
      const error = await run().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(PlaceError);
      expect((error as Error).message).toContain(said);
    }
    if (status === 403) await expect(place.size('a')).rejects.toThrow(said);
    expect(pauses).toEqual([]);
  }),
);

test('a place that cannot work is refused when it is opened', () =>
  withBucket(async (bucket) => {
    await expect(open(bucket, 's3://other/x')).rejects.toThrow('no such bucket');
    for (const url of ['s3://', 's3://A/b', 's3://mail/../x', 's3://mail/a?b', 's3://mail/.hidden'])
      await expect(open(bucket, url), url).rejects.toThrow('names no bucket');
    await expect(openPlace('s3://mail/x', { world, environment: {} })).rejects.toThrow('needs keys: set AWS_ACCESS_KEY_ID');
    await expect(openPlace('s3://mail/x', { world, environment: {}, s3: { ...keys, endpoint: 'nowhere', region: '' } })).rejects.toThrow('is no address');
  }));

test('keys and endpoint come from the environment, too', () =>
  withBucket(async (bucket) => {
    for (const by of ['AWS', 'S3']) {
      const environment = { [`${by}_ACCESS_KEY_ID`]: keys.accessKeyId, [`${by}_SECRET_ACCESS_KEY`]: keys.secretAccessKey, [`${by}_ENDPOINT`]: bucket.endpoint };
      expect(await names(await openPlace('s3://mail', { world, environment }))).toEqual([]);
      await expect(openPlace('s3://mail', { world, environment: { ...environment, [`${by}_ACCESS_KEY_ID`]: 'OTHER' } })).rejects.toThrow('not known there');
    }
  }));

test('what a list gives no date is of this moment: pruning does not take it for an old one', () =>
  withBucket(async (bucket) => {
    const { world } = hurried();
    const place = await open(bucket, undefined, world);
    const name = `objects/00/${'0'.repeat(64)}`;
    await place.put(name, octetsOf('x'));
    bucket.dated = false;
    expect(await prune(place, world.now(), false)).toMatchObject({ objects: 0 });
    expect(await place.size(name)).toBe(1);
    expect(await prune(place, world.now() + 25 * 3_600_000, true)).toMatchObject({ objects: 1 });
  }));
