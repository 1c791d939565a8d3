// What burns CPU, away from the sessions: password hashes, certificates and signing keys. Guarantees: at most limits.hashConcurrency
// hashes run at once (one argon2id takes 19 MiB), the others wait in order; comparisons take the same time whether the
// password is right or wrong; a hash that this program cannot read is a wrong password, not a crash.

import { timingSafeEqual } from 'node:crypto';
import { actor } from '../actors/actor.ts';
import { limits } from '../actors/limits.ts';
import type { World } from '../actors/world.ts';
import { Work } from './site.ts';
import { selfSignedCertificate } from './tls/certificate.ts';

interface State {
  readonly world: World;
  running: number;
  readonly waiting: (() => void)[];
}

export const worker = actor({
  name: 'work',
  protocol: Work,
  start: (world): State => ({ world, running: 0, waiting: [] }),
  handle: {
    verifyPassword: (state, { password, hash }) =>
      turn(state, async () => {
        const ok = await verifyPassword(password, hash);
        const better = ok && !hash.startsWith('$argon2id$') ? await hashPassword(password) : '';
        return { ok, better };
      }),
    hashPassword: (state, { password }) => turn(state, async () => ({ hash: await hashPassword(password) })),
    selfSign: ({ world }, { host }) => selfSign(world, host),
    makeDkimKeys: async () => (await import('./dkim/keys.ts')).makeDkimKeys(),
  },
});

/** Runs `job` when fewer than limits.hashConcurrency are running; first come, first served. */
async function turn<T>(state: State, job: () => Promise<T>): Promise<T> {
  if (state.running >= limits.hashConcurrency) await new Promise<void>((go) => state.waiting.push(go));
  else state.running++;
  try {
    return await job();
  } finally {
    const next = state.waiting.shift();
    if (next) next();
    else state.running--;
  }
}

/** argon2id as a PHC string: 19 MiB, two passes (OWASP's first choice; 27 ms on the machine of facts/bun.md). */
export const hashPassword = (password: string): Promise<string> => Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 });

/** Does `password` make `hash`? PHC argon2, bcrypt, and crypt(3) $1$, $apr1$, $5$, $6$. Anything else: no. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  if (password.length === 0 || Buffer.byteLength(password) > limits.passwordOctets) return false;
  if (/^\$(argon2|2[aby]\$)/.test(hash)) return Bun.password.verify(password, hash).catch(() => false);
  if (/^\$[56]\$/.test(hash)) return sameText(await shaCrypt(password, hash), hash);
  if (/^\$(1|apr1)\$/.test(hash)) return sameText(await md5Crypt(password, hash), hash);
  return false;
}

async function shaCrypt(password: string, hash: string): Promise<string> {
  const { encrypt } = await import('unixcrypt');
  try {
    return encrypt(password, hash.slice(0, hash.lastIndexOf('$')));
  } catch {
    return ''; // a salt outside crypt's alphabet
  }
}

async function md5Crypt(password: string, hash: string): Promise<string> {
  const { default: md5 } = await import('apache-md5');
  // the library counts characters: give it one for each octet
  return md5(Buffer.from(password).toString('latin1'), hash);
}

function sameText(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

const DAY_MS = 86_400_000;

function selfSign(world: World, host: string): { certificatePem: string; keyPem: string } {
  const now = world.now();
  return selfSignedCertificate(host, world.random(16), now - DAY_MS, now + 3650 * DAY_MS);
}
