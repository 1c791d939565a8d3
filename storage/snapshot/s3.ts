// A place that is a bucket, or what starts with a prefix in one. Guarantees: what fails for a while (the network, 5xx,
// "slow down") is tried again with longer and longer pauses, within a bound; what will not get better (keys, rights, no
// such bucket) is said at once. All requests may be repeated: objects are put whole, and the last one wins.

import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { assertName, isName } from './name.ts';
import { type Place, PlaceError, type PlaceOptions, type Stored } from './place.ts';

/** How to reach a bucket. What is empty comes from S3_* or AWS_* of the environment. */
export interface S3Access {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const form = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/((?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/*)*))?$/;

export async function openBucket(url: string, options: PlaceOptions): Promise<Place> {
  const [, bucket, folder = ''] = form.exec(url) ?? [];
  if (bucket === undefined)
    throw new PlaceError(`${url.slice(0, 200)} names no bucket: write s3://bucket or s3://bucket/prefix, of letters, digits, dots and dashes`);
  const prefix = folder
    .split('/')
    .filter((part) => part !== '')
    .map((part) => `${part}/`)
    .join('');
  const shown = `s3://${bucket}/${prefix}`;
  const client = new Bun.S3Client({ bucket, retry: 0, ...access(shown, options) });
  const ask = <T>(request: () => Promise<T>): Promise<T> => persist(shown, options.world, request);
  const page = (below: string, after: string, maxKeys: number) =>
    ask(() => client.list({ prefix: `${prefix}${below}`, maxKeys, ...(after === '' ? {} : { startAfter: `${prefix}${after}` }) }));
  await page('', '', 1); // keys, rights and the name of the bucket are wrong now, not after an hour's work

  return {
    url: shown,
    far: true,
    async put(name, octets) {
      assertName(name);
      await ask(() => client.write(prefix + name, octets));
    },
    async get(name) {
      assertName(name);
      return ask(() =>
        client
          .file(prefix + name)
          .bytes()
          .catch(absent),
      );
    },
    async size(name) {
      assertName(name);
      return ask(() =>
        client.size(prefix + name).catch(async (error) => {
          if (codeOf(error) !== 'UnknownError') return absent(error);
          // an answer to HEAD has no body that tells why: a list does
          const found = await client.list({ prefix: prefix + name, maxKeys: 1 });
          const first = found.contents?.[0];
          return first?.key === prefix + name ? (first.size ?? null) : null;
        }),
      );
    },
    async *list(below) {
      for (let after = ''; ; ) {
        const { contents = [], isTruncated } = await page(below, after, 1_000);
        for (const { key, size = 0, lastModified } of contents) {
          const name = key.slice(prefix.length);
          // one without a date may be of this moment: nothing is removed on that word
          if (isName(name)) yield { name, size, modifiedMs: Date.parse(lastModified ?? '') || options.world.now() } satisfies Stored;
        }
        const last = contents.at(-1)?.key.slice(prefix.length);
        if (isTruncated !== true || last === undefined) return;
        assert(last > after, 'a bucket lists its objects by name');
        after = last;
      }
    },
    async remove(name) {
      assertName(name);
      await ask(() => client.delete(prefix + name).catch(absent));
    },
  };
}

function access(shown: string, { s3, environment = process.env }: PlaceOptions): Bun.S3Options {
  const pick = (given: string | undefined, name: string): string => given || environment[`S3_${name}`] || environment[`AWS_${name}`] || '';
  const accessKeyId = pick(s3?.accessKeyId, 'ACCESS_KEY_ID');
  const secretAccessKey = pick(s3?.secretAccessKey, 'SECRET_ACCESS_KEY');
  if (accessKeyId === '' || secretAccessKey === '')
    throw new PlaceError(`${shown} needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or snapshots.s3 of the document`);
  const endpoint = pick(s3?.endpoint, 'ENDPOINT') || (environment['AWS_ENDPOINT_URL'] ?? '');
  if (endpoint !== '' && !/^https?:\/\/[^/]/.test(endpoint))
    throw new PlaceError(`${shown}: the endpoint ${endpoint} is no address: write https://host or http://host:port`);
  const region = pick(s3?.region, 'REGION') || (environment['AWS_DEFAULT_REGION'] ?? '');
  // keys that were given are no session's
  const sessionToken = s3?.accessKeyId ? '' : pick('', 'SESSION_TOKEN');
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === '' ? {} : { sessionToken }),
    ...(endpoint === '' ? {} : { endpoint }),
    ...(region === '' ? {} : { region }),
  };
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '');

function absent(error: unknown): null {
  if (codeOf(error) === 'NoSuchKey') return null;
  throw error;
}

/** What a person has to change first. Anything else may be better in a while. */
const hopeless: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket: make it first, or name another one',
  InvalidBucketName: 'that is no name of a bucket: name another one',
  AccessDenied: 'access is denied: give the key the rights to list, get, put and delete there',
  AllAccessDisabled: 'access is disabled: see the account at the provider',
  AccountProblem: 'there is a problem with the account: see it at the provider',
  InvalidAccessKeyId: 'the access key is not known there: see accessKeyId and the endpoint',
  SignatureDoesNotMatch: 'the secret key is wrong: see secretAccessKey',
  InvalidToken: 'the session token is wrong: get a new one',
  ExpiredToken: 'the session token has expired: get a new one',
  AuthorizationHeaderMalformed: 'the region is wrong: set AWS_REGION to that of the bucket',
  PermanentRedirect: 'the bucket is in another region: set AWS_REGION to it',
  RequestTimeTooSkewed: 'the clock of this machine is wrong: set it',
  QuotaExceeded: 'the bucket is full: free some room or name another place',
  MethodNotAllowed: 'the bucket does not allow this: it may be locked or read-only',
  ERR_S3_INVALID_ENDPOINT: 'the endpoint is no address: write https://host or http://host:port',
};

/** Repeats a request until it is answered, at most limits.placeTries times. */
async function persist<T>(shown: string, world: Pick<World, 'after' | 'sleep' | 'random'>, request: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await bounded(world, request);
    } catch (error) {
      const code = codeOf(error);
      const known = hopeless[code];
      if (known !== undefined) throw new PlaceError(`${shown}: ${known}`);
      if (tries >= limits.placeTries)
        throw new PlaceError(
          `${shown} failed ${tries} times (${code === '' ? (error as Error).message : code}): see that the network and the endpoint work, then do it again`,
        );
      const longest = Math.min(limits.placeRetryMs * 2 ** (tries - 1), limits.placeRetryMaxMs);
      // many clients that failed together do not come back together
      await world.sleep(longest / 2 + (longest / 2) * ((world.random(1)[0] as number) / 255));
    }
  }
}

/** A request that nobody answers fails at last. */
function bounded<T>(world: Pick<World, 'after'>, request: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = world.after(limits.placeRequestMs, () => reject(new Error(`no answer in ${limits.placeRequestMs / 1000} s`)));
    request()
      .then(resolve, reject)
      .finally(() => timer.cancel());
  });
}
