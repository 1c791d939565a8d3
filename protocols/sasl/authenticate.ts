// Is this login and password an account? One way in for all protocols. Guarantees: failures are counted in the store
// before they are answered, so that a crash forgives nothing; an unknown login costs the time of a known one; at most
// limits.hashConcurrency hashes and limits.authWaiting waiting logins a process; no secret reaches a log.
//
// States of an attempt: throttled? → known and cached: done → waiting for a turn → throttled? → hashing → counted or
// cleared → answered. The commit point of a failure is Store.authFailed.

import { LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { Endpoint } from '../../actors/world.ts';
import { accountByAddress, authFailures } from '../../storage/views.ts';
import type { Site } from '../site.ts';
import { originPrefix } from './origin.ts';
import { VerifiedPasswords } from './passwords.ts';

export interface Attempt {
  readonly protocol: 'smtp' | 'imap';
  readonly remote: Endpoint;
  readonly login: string;
  readonly password: string;
  readonly mechanism: string;
  readonly tls: boolean;
}
export type Authenticated =
  | { readonly ok: true; readonly account: number; readonly address: string }
  | { readonly ok: false; readonly reason: 'credentials' | 'throttled' | 'unavailable' };
type Verdict = 'ok' | 'credentials' | 'throttled' | 'unavailable';

/** What a process remembers of its site's logins. */
interface Memory {
  readonly verified: VerifiedPasswords;
  /** Attempts with the same login and password at the same time are one attempt. */
  readonly pending: Map<string, Promise<Verdict>>;
  hashing: number;
  readonly waiting: (() => void)[];
}
const memories = new WeakMap<Site, Memory>();

function memoryOf(site: Site): Memory {
  let memory = memories.get(site);
  if (!memory) memories.set(site, (memory = { verified: new VerifiedPasswords(site.world), pending: new Map(), hashing: 0, waiting: [] }));
  return memory;
}

/** A hash of nobody's password: who asks for an unknown login waits as long. */
const nobody = '$argon2id$v=19$m=19456,t=2,p=1$kI2orOQARt7pjmlXqmyZoKDbayGVZNlyyBRmzCJ2i54$D+VmlmYieHRIabOvM4ye52GPr8eKV/64cBAQ5hPsaHw';

/** Never rejects while the world works; `unavailable`: nobody can tell now, try later. */
export async function authenticate(site: Site, attempt: Attempt): Promise<Authenticated> {
  const { view, world } = site;
  const memory = memoryOf(site);
  view.refresh();
  const found = accountByAddress(view, attempt.login);
  const row = found?.row.enabled && found.row.present ? found.row : undefined;
  const keys = [originPrefix(attempt.remote), `login:${(found?.row.address ?? attempt.login).toLowerCase().slice(0, 320)}`];
  const hash = row?.password ?? nobody;
  const name = memory.verified.nameOf(hash, attempt.password);
  let verdict: Verdict = throttled(site, keys) ? 'throttled' : 'ok';
  if (verdict === 'ok' && !(row && memory.verified.has(name))) {
    const same = `${keys.join(' ')} ${name}`;
    let pending = memory.pending.get(same);
    if (!pending) {
      pending = verify(site, memory, keys, row && found ? { account: found.account, hash } : null, attempt.password).finally(() => memory.pending.delete(same));
      memory.pending.set(same, pending);
    }
    verdict = await pending;
    if (verdict === 'ok') memory.verified.add(name);
  }
  const { protocol, login, mechanism, tls } = attempt;
  const remote = attempt.remote.address;
  if (verdict === 'ok' && row && found) {
    await forgive(site, keys);
    world.log('auth.ok', { protocol, remote, account: row.address, mechanism, tls });
    return { ok: true, account: found.account, address: row.address };
  }
  const reason = verdict === 'ok' ? 'credentials' : verdict;
  world.log('auth.failed', { protocol, remote, login, reason });
  return { ok: false, reason };
}

/** Too many failures lately, from there or for that login. The caller has refreshed the view. */
function throttled(site: Site, keys: readonly string[]): boolean {
  const since = site.world.now() - limits.authWindowMs;
  return keys.some((key) => {
    const failures = authFailures(site.view, key);
    return failures !== undefined && failures.count >= limits.authFailuresPerAddress && failures.since > since;
  });
}

interface Known {
  readonly account: number;
  readonly hash: string;
}

/** Hashes and counts, when its turn comes. Counting is inside the turn: guesses in parallel are no way around the limit. */
async function verify(site: Site, memory: Memory, keys: readonly string[], known: Known | null, password: string): Promise<Verdict> {
  if (memory.hashing >= limits.hashConcurrency) {
    if (memory.waiting.length >= limits.authWaiting) return 'unavailable';
    await new Promise<void>((go) => memory.waiting.push(go));
  } else memory.hashing++;
  try {
    site.view.refresh();
    if (throttled(site, keys)) return 'throttled';
    const answer = await site.work.ask('verifyPassword', { password, hash: known?.hash ?? nobody });
    if (isRefusal(answer)) return 'unavailable';
    if (answer.ok && known) {
      if (answer.better !== '') await site.store.ask('rehash', { account: known.account, was: known.hash, password: answer.better });
      return 'ok';
    }
    await site.store.ask('authFailed', { now: site.world.now(), windowMs: limits.authWindowMs, keys });
    return 'credentials';
  } catch (error) {
    if (error instanceof LinkLost) return 'unavailable';
    throw error;
  } finally {
    const next = memory.waiting.shift();
    if (next) next();
    else memory.hashing--;
  }
}

/** A login that works clears what was counted; nothing is written when nothing was. */
async function forgive(site: Site, keys: readonly string[]): Promise<void> {
  site.view.refresh();
  if (!keys.some((key) => authFailures(site.view, key) !== undefined)) return;
  try {
    await site.store.ask('authSucceeded', { keys });
  } catch (error) {
    if (!(error instanceof LinkLost)) throw error; // it is cleared at the next login
  }
}
