// Brute-force limits. Guarantees: a guess is counted in the records before it is judged, so that neither a crash nor many
// guesses at once are a way around; somebody who is not there is counted like somebody who is.

import { limits } from '../../../actors/limits.ts';
import { originPrefix } from '../../../protocols/sasl/origin.ts';
import type { Portal } from '../process.ts';
import { hashOf } from './secret.ts';

type Verdict = 'right' | 'half' | 'wrong' | 'throttled';
interface Counted {
  readonly key: string;
  readonly most: number;
  readonly login: boolean;
}

/** What is counted for guesses from `address` at what `login` names, or at secrets that belong to nobody yet. */
function countedOf(address: string, login: string | null): Counted[] {
  const from = { key: originPrefix({ address, port: 0 }).replace('/', '_'), most: limits.authFailuresPerAddress, login: false };
  return login === null ? [from] : [from, { key: `login:${hashOf(login.toLowerCase())}`, most: limits.portalFailuresPerLogin, login: true }];
}

/**
 * Judges one guess. A right one gives back what it counted, and forgives those at the same login; half a proof (a second
 * factor is still missing) only gives back what it counted. Throws what `prove` throws.
 */
export async function attempt(portal: Portal, address: string, login: string | null, prove: () => Promise<boolean | 'half'>): Promise<Verdict> {
  const counted = countedOf(address, login);
  const now = portal.world.now();
  const may = await portal.records.transact(async (tx) => {
    const rows = await Promise.all(counted.map(async (row) => ({ ...row, was: await tx.get('attempts', row.key) })));
    const live = rows.map(({ key, most, was }) => ({
      key,
      most,
      was: was !== undefined && was.since > now - limits.authWindowMs ? was : { count: 0, since: now },
    }));
    if (live.some(({ most, was }) => was.count >= most)) return false;
    for (const { key, was } of live) tx.put('attempts', [key], { count: was.count + 1, since: was.since });
    return true;
  });
  const refuse = <V extends Verdict>(reason: V): V => {
    portal.world.log('auth.failed', { protocol: 'portal', remote: address, login: login ?? '', reason });
    return reason;
  };
  if (!may) return refuse('throttled');
  const proved = await prove();
  if (proved === false) return refuse('wrong');
  await portal.records.transact(async (tx) => {
    for (const { key, login: own } of counted) {
      const was = await tx.get('attempts', key);
      const forgiven = proved === true && own;
      if (was === undefined || was.count <= 1 || forgiven) tx.remove('attempts', key);
      else tx.put('attempts', [key], { ...was, count: was.count - 1 });
    }
  });
  return proved === 'half' ? 'half' : 'right';
}
