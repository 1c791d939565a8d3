// The signing keys of the site's domains. Guarantees: each domain of the document, also one that is an alias, gets an RSA and
// an Ed25519 key once; a key that is there is never replaced; keys are not asked for twice at the same time. Nothing is held
// here that a crash could lose: the commit of putDkim makes keys real.

import { LinkLost } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import { config, dkimKeys } from '../../storage/views.ts';
import type { Site } from '../site.ts';
import type { SigningKey } from './sign.ts';

export interface Keyring {
  /** What mail of a domain is signed with; made where there is nothing yet. Empty: it could not be made now. Never rejects for a lost link. */
  current(domain: string): Promise<readonly SigningKey[]>;
  /** Keys for each domain of the document that has none. false: try again soon. */
  keep(): Promise<boolean>;
}

/** s1 and s2 are RSA and Ed25519; further ones come with rotation. */
const first = { rsa: 's1', ed25519: 's2' } as const;
/** Domains looked at between two pauses. */
const STEP = 500;

export function keyring(site: Site): Keyring {
  const making = new Map<string, Promise<boolean>>();
  const make = (domain: string): Promise<boolean> => {
    const running = making.get(domain);
    if (running) return running;
    const work = makeKeys(site, domain).finally(() => making.delete(domain));
    making.set(domain, work);
    return work;
  };
  return {
    async current(domain) {
      const found = currentKeys(site, domain);
      if (found.length > 0) return found;
      await make(domain);
      return currentKeys(site, domain);
    },
    async keep() {
      site.view.refresh();
      const domains = config(site.view)?.document.domains ?? [];
      for (const [i, { name }] of domains.entries()) {
        if (i % STEP === STEP - 1) await site.world.sleep(0);
        // what stops one (no room, the work process is away) stops all: no core burns for keys that nobody keeps
        if (!isWhole(site, name) && !(await make(name))) return false;
      }
      return true;
    },
  };
}

function currentKeys(site: Site, domain: string): readonly SigningKey[] {
  site.view.refresh();
  return dkimKeys(site.view, domain).filter((key) => key.state === 'current');
}

function isWhole(site: Site, domain: string): boolean {
  site.view.refresh();
  const signing = dkimKeys(site.view, domain).filter((key) => key.state === 'current');
  return (['rsa', 'ed25519'] as const).every((algorithm) => signing.some((key) => key.algorithm === algorithm));
}

async function makeKeys(site: Site, domain: string): Promise<boolean> {
  try {
    const made = await site.work.ask('makeDkimKeys', {});
    if (isRefusal(made)) return false;
    const keys = [
      { selector: first.rsa, algorithm: 'rsa', privateKey: made.rsaPrivate, publicKey: made.rsaPublic },
      { selector: first.ed25519, algorithm: 'ed25519', privateKey: made.ed25519Private, publicKey: made.ed25519Public },
    ] as const;
    const kept = await site.store.ask('putDkim', { now: site.world.now(), domain, keys });
    if (isRefusal(kept)) return false;
    if (kept.added > 0) site.world.log('dkim.keys', { domain, selectors: keys.map((key) => key.selector).join(' ') });
    return true;
  } catch (error) {
    if (error instanceof LinkLost) return false;
    throw error;
  }
}
