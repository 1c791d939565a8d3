// Passwords of people: which ones are taken, and how they are kept. Guarantees: argon2id only; a wrong password costs the
// time of a right one, also of somebody who is not there; at most limits.hashConcurrency hashes of a process run at once.

import { limits } from '../../../actors/limits.ts';
import { hashPassword, verifyPassword } from '../../../protocols/work.ts';

/** The commonest of those that are long enough, as lists of stolen passwords have them. Compared without case and without signs. */
const commonest = new Set(
  `password1234 password12345 password123456 passwordpassword passw0rd1234 mypassword123 yourpassword changeme1234 changemenow
  123456789012 1234567890123 12345678901234 123456789123 1234567891011 123123123123 121212121212 111111111111 000000000000 012345678910
  987654321098 098765432109 112233445566 123412341234 qwertyuiop12 qwertyuiop123 qwerty123456 qwerty1234567 qwertyqwerty qwertyuiopas
  qwertyuiopasdfghjkl 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc 1qaz2wsx3edc4rfv zaq12wsxcde3 asdfghjkl123 asdfasdfasdf zxcvbnm12345 abcdefghijkl
  abcdefghijklmnop abcdef123456 abc123abc123 abcd1234abcd aaaaaaaaaaaa iloveyou1234 iloveyou12345 iloveyouforever letmein12345 letmeinletmein
  welcome12345 welcome123456 administrator administrator1 admin1234567 admin123admin adminadmin12 rootrootroot superman1234 batman123456
  football1234 baseball1234 basketball12 sunshine1234 princess1234 monkey123456 dragon123456 trustno1trustno1 masterpassword supersecret1
  secretpassword correcthorsebatterystaple thisisapassword testtesttest test12345678 hellohello12 helloworld12 helloworld123 mailsite1234
  mailsitemailsite opensesame12 starwars1234 whatever1234 computer1234 internet1234 michael12345 charlie12345 liverpool123 manchester12`.split(/\s+/),
);

/** Why a password is not taken, in plain words; null: it is. `about`: the address and name of who wants it. */
export function objection(password: string, about: readonly string[] = []): string | null {
  const length = [...password].length;
  if (length < limits.portalPasswordLength) return `must have at least ${limits.portalPasswordLength} characters: a few words in a row are easy to remember`;
  if (Buffer.byteLength(password) > limits.passwordOctets) return `must have at most ${limits.passwordOctets} octets`;
  const bare = password.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  if (commonest.has(bare) || new Set(bare).size < 4) return 'is one of the first that would be guessed: choose one that nobody else has';
  if (about.some((text) => text.length > 3 && bare === text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, ''))) return 'must not be your name or address';
  return null;
}

let running = 0;
const waiting: (() => void)[] = [];

/** Too many wait for their turn: try later. */
export class Crowded extends Error {}

async function turn<T>(job: () => Promise<T>): Promise<T> {
  if (running < limits.hashConcurrency) running++;
  else if (waiting.length >= limits.authWaiting) throw new Crowded('too many passwords wait to be checked');
  else await new Promise<void>((go) => waiting.push(go));
  try {
    return await job();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

/** argon2id, PHC. Throws Crowded. */
export const sealPassword = (password: string): Promise<string> => turn(() => hashPassword(password));

/** A hash of nobody's password. */
const nobody = '$argon2id$v=19$m=19456,t=2,p=1$kI2orOQARt7pjmlXqmyZoKDbayGVZNlyyBRmzCJ2i54$D+VmlmYieHRIabOvM4ye52GPr8eKV/64cBAQ5hPsaHw';

/** `hash` empty or undefined: nobody's, which takes as long and is wrong. Throws Crowded. */
export const isPassword = (password: string, hash: string | undefined): Promise<boolean> =>
  turn(async () => (await verifyPassword(password, hash || nobody)) && Boolean(hash));
