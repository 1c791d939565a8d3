// An administrator of the queue: holds, releases, retries and deletes while mail goes out and things break. Q1: what is
// deleted is so by a row of its trace, and everything else still ends as it must.

import { LinkLost } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { Site } from '../../protocols/site.ts';
import type { Reader } from '../../storage/engine.ts';
import { trace } from '../../storage/trace.ts';
import { header, queue } from '../../storage/views.ts';
import { idOf } from './mail.ts';
import type { Random } from './random.ts';

type Link = () => { readonly site: Site; end(): void };
type Verb = 'holdQueue' | 'releaseQueue' | 'retryQueue' | 'deleteQueue';

export class Warden {
  /** `recipient id` of what somebody asked to be deleted. */
  readonly deleted = new Set<string>();
  asked = 0;

  async run(random: Random, sleep: (ms: number) => Promise<void>, link: Link): Promise<void> {
    for (let n = random.between(1, 12); n > 0; n--) {
      await sleep(random.below(3_000));
      const verb = random.pick<Verb>(['holdQueue', 'holdQueue', 'releaseQueue', 'retryQueue', 'deleteQueue']);
      await this.tend(verb, sleep, link, () => random.chance(0.5));
    }
  }

  /** Lets all go that is held: until then it would never end. */
  async releaseAll(link: Link): Promise<void> {
    await this.tend(
      'releaseQueue',
      () => new Promise(() => {}),
      link,
      () => true,
    );
  }

  private async tend(verb: Verb, sleep: (ms: number) => Promise<void>, link: Link, wanted: () => boolean): Promise<void> {
    const { site, end } = link();
    try {
      await Promise.race([site.store.ask('pulse', {}), sleep(60_000)]);
      const of = this.named(site, verb, wanted);
      const ask = { now: site.world.now(), by: 'warden', of };
      const asked = verb === 'deleteQueue' ? site.store.ask(verb, { ...ask, expiryMs: 1_000, alone: false, mails: [] }) : site.store.ask(verb, ask);
      const answer = await Promise.race([asked, sleep(60_000)]);
      if (answer !== undefined && isRefusal(answer) && answer.refused !== 'full') throw new Error(`${verb}: ${answer.refused} ${answer.detail}`);
      this.asked++;
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
    }
    end();
  }

  private named(site: Site, verb: Verb, wanted: () => boolean): { queue: number; n: number }[] {
    site.view.refresh();
    const of: { queue: number; n: number }[] = [];
    for (const { queue: number, row, recipients } of queue(site.view)) {
      const id = idOf(Buffer.from(header(site.view, row.blob)).toString('latin1'));
      for (const r of recipients) {
        // a bounce that is deleted would look like one that was lost
        if (!wanted() || (verb === 'deleteQueue' && (id === null || row.envelopeFrom === ''))) continue;
        if (verb === 'deleteQueue') this.deleted.add(`${r.row.address} ${id}`);
        of.push({ queue: number, n: r.n });
      }
    }
    return of;
  }

  /** Does the trace of that message say that it was deleted for that recipient? */
  says(reader: Reader, key: string): boolean {
    if (!this.deleted.has(key)) return false;
    const [recipient] = key.split(' ') as [string];
    const { messages } = trace(reader, { about: recipient, since: 0, limit: 1_000 });
    return messages.some((m) => m.events.some((e) => e.kind === 'deleted' && e.to.includes(recipient)));
  }
}
