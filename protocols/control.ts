// The control process: the outbound queue and the timers of a site. It holds no data: whatever it was doing when it
// died is due again when its lease ends, or at the next start.

import { LinkLost } from '../actors/actor.ts';
import { limits } from '../actors/limits.ts';
import { isRefusal } from '../actors/wire.ts';
import type { Endpoint } from '../actors/world.ts';
import { certificate, config, resolvers } from '../storage/views.ts';
import { keyring } from './dkim/keyring.ts';
import { resolver } from './dns/resolver.ts';
import type { Site } from './site.ts';
import { runOutbound } from './smtp/outbound.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** protocols/work.ts makes them for ten years; a day is left for the difference of clocks. */
const SELF_SIGNED_MS = 3_649 * DAY_MS;

/** Runs until it crashes. `systemResolvers`: the machine's own, where the document names none. */
export async function controlRole(site: Site, systemResolvers: () => readonly Endpoint[]): Promise<never> {
  const dns = resolver(site.world, () => {
    site.view.refresh();
    const named = resolvers(site.view);
    return named.length > 0 ? named : systemResolvers();
  });
  const keys = keyring(site);
  const results = await Promise.all([
    // the self-signed certificate of document.host: made when there is none, or when it is about to end
    keep(site, 1_000, () => ensureCertificate(site)),
    keep(site, limits.dkimRetryMs, () => keys.keep()),
    runOutbound(site, dns, keys),
  ]);
  return results[0];
}

/** Runs `ensure` now, with each new document, and each hour; after `retryMs` where it could not. */
async function keep(site: Site, retryMs: number, ensure: () => Promise<boolean>): Promise<never> {
  let wake: () => void = () => {};
  site.store.on('configured', () => wake());
  for (;;) {
    const configured = new Promise<void>((done) => {
      wake = done;
    });
    const done = await surviving(ensure);
    const timer = site.world.after(done ? HOUR_MS : retryMs, wake);
    await configured;
    timer.cancel();
  }
}

async function ensureCertificate(site: Site): Promise<boolean> {
  site.view.refresh();
  const host = config(site.view)?.document.host;
  if (host === undefined) return true;
  const found = certificate(site.view, host);
  if (found && (!found.selfSigned || found.notAfter - site.world.now() > 30 * DAY_MS)) return true;
  const made = await site.work.ask('selfSign', { host });
  if (isRefusal(made)) return false;
  const notAfter = site.world.now() + SELF_SIGNED_MS;
  const kept = await site.store.ask('putCertificate', { host, ...made, notAfter, selfSigned: true });
  if (isRefusal(kept)) return false;
  site.world.log('tls.certificate', { host, notAfter: new Date(notAfter).toISOString(), selfSigned: true });
  return true;
}

/** A lost link is waited out; anything else is a crash. */
async function surviving(run: () => Promise<boolean>): Promise<boolean> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof LinkLost) return false;
    throw error;
  }
}
