// An operator who applies documents while the site runs. U2: a document takes effect whole or not at all; what was
// answered is in force until the next one.

import { LinkLost } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { Site } from '../../protocols/site.ts';
import type { Reader } from '../../storage/engine.ts';
import { accountByAddress, config, resolveAddress } from '../../storage/views.ts';
import { Broken } from './ledger.ts';
import type { Random } from './random.ts';

interface Plain {
  readonly aliases: readonly { readonly address: string; readonly to: readonly string[] }[];
}

export class Operator {
  /** What may be in force: the last that was answered, and those since of which nobody knows. */
  private may: string[];
  private applied = 0;

  constructor(document: string) {
    this.may = [document];
  }

  /** `link`: a fresh command line each time. */
  async run(random: Random, sleep: (ms: number) => Promise<void>, link: () => { readonly site: Site; end(): void }): Promise<void> {
    const first = JSON.parse(this.may[0] as string) as Plain;
    for (let n = random.below(4); n > 0; n--) {
      await sleep(random.below(4_000));
      const alias = { address: `extra${++this.applied}@example.test`, to: ['alice@example.test'] };
      const document = JSON.stringify({ ...first, aliases: [...first.aliases, alias] });
      const { site, end } = link();
      try {
        // a power loss ends the command line too: then it never answers
        const answer = await Promise.race([site.store.ask('applyConfig', { now: site.world.now(), document }), sleep(60_000)]);
        if (answer === undefined) throw new LinkLost('store');
        if (!isRefusal(answer)) this.may = [document];
        else if (answer.refused !== 'full') throw new Error(`applyConfig: ${answer.refused} ${answer.detail}`);
      } catch (error) {
        if (!(error instanceof LinkLost)) throw error;
        this.may.push(document);
      }
      end();
    }
  }

  verify(reader: Reader): void {
    reader.refresh();
    const found = config(reader);
    const text = JSON.stringify(found?.document);
    const which = this.may.find((document) => JSON.stringify(JSON.parse(document)) === text);
    if (which === undefined) throw new Broken('U2', `rev ${found?.rev} is in force, and it is not what was applied last`);
    for (let n = 1; n <= this.applied; n++) {
      const address = `extra${n}@example.test`;
      const resolved = resolveAddress(reader, address);
      const there = !('error' in resolved) && resolved.targets.length === 1;
      if (there !== which.includes(`"${address}"`)) throw new Broken('U2', `${address} is not as the document in force says`);
    }
    if (!accountByAddress(reader, 'alice@example.test')) throw new Broken('U2', 'an account is gone');
  }
}
