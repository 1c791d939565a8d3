// Many clients on one mailbox at once, each believing only what it is told: in the end all believe the same, and it is
// what the store holds. The seed of a failure is in its title.

import { expect, test } from 'vitest';
import { hasKeyword } from '../../../storage/page.ts';
import { mailboxByName, pages } from '../../../storage/views.ts';
import { Follower, sortedFlags } from './follower.ts';
import { deliver, type House, house, message } from './house.ts';

function random(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

/** What the store holds, as a follower would see it. */
function truth(h: House, name: string): string {
  h.engine.refresh();
  const box = mailboxByName(h.engine, h.account(), name);
  if (!box) throw new Error('no mailbox');
  const out: string[] = [];
  for (const entries of pages(h.engine, box.id, 1, box.uidNext)) {
    for (const e of entries) {
      const flags = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft'].filter((_f, bit) => (e.flags & (1 << bit)) !== 0);
      out.push(`${e.uid}(${sortedFlags([...flags, ...box.keywords.filter((_k, i) => hasKeyword(e.keywords, i))].join(' '))})`);
    }
  }
  return out.join(' ');
}

const flags = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '$A', '$B'];

async function act(f: Follower, pick: (below: number) => number): Promise<void> {
  const n = f.messages.length;
  const some = n === 0 ? '' : `${1 + pick(n)}:${1 + pick(n)}`;
  const uids = `${1 + pick(60)}:${1 + pick(60)}`;
  const flag = flags[pick(flags.length)];
  const sign = ['+', '-', ''][pick(3)];
  const silent = pick(2) === 0 ? '.SILENT' : '';
  switch (pick(12)) {
    case 0:
    case 1:
      await f.client.append('INBOX', message(`by ${f.name}`), pick(2) === 0 ? '\\Seen' : '').then((heard) => f.take(heard, 'APPEND'));
      return;
    case 2:
    case 3:
    case 4:
      if (n === 0) return;
      // A silent client knows itself what it stored
      if (silent === '') await f.say(`STORE ${some} ${sign}FLAGS (${flag})`);
      else await f.sayStore(some, sign as string, flag as string);
      return;
    case 5:
      await f.say(`UID STORE ${uids} ${sign}FLAGS (${flag})`);
      return;
    case 6:
      await f.say('EXPUNGE');
      return;
    case 7:
      if (n > 0) await f.say(`FETCH ${some} (UID FLAGS BODY[TEXT])`);
      return;
    case 8:
      await f.say(`UID ${pick(2) === 0 ? 'COPY' : 'MOVE'} ${uids} ${pick(3) === 0 ? 'INBOX' : 'Archive'}`);
      return;
    case 9:
      if (n > 0) await f.say(`SEARCH ${some} UNSEEN`);
      return;
    case 10:
      await idle(f, pick);
      return;
    default:
      await f.say('NOOP');
  }
}

async function idle(f: Follower, pick: (below: number) => number): Promise<void> {
  f.client.write('i IDLE\r\n');
  f.take(await f.client.until(/^\+ .*\r$/m), 'IDLE');
  await new Promise((done) => setTimeout(done, pick(6)));
  f.client.write('DONE\r\n');
  f.take(await f.client.until(/^i OK .*\r$/m), 'IDLE');
}

/** More by IMAP_SEEDS=n. */
const seeds = Array.from({ length: Number(process.env['IMAP_SEEDS'] ?? 8) }, (_, i) => i + 1);

for (const seed of seeds) {
  test(`clients of one mailbox agree with the store, seed ${seed}`, async () => {
    const h = await house();
    const pick = random(seed);
    await deliver(
      h,
      [1, 2, 3, 4, 5].map((i) => message(`first ${i}`)),
    );
    // Clients of three processes: events reach them at other times than the answers of others
    const edges = [h, await h.edge(() => pick(3)), await h.edge(() => (pick(4) === 0 ? 8 : 0))];
    const followers: Follower[] = [];
    for (let i = 0; i < 6; i++) {
      const f = new Follower(await (edges[i % 3] as House).dial().login(), `client ${i}`);
      await f.select('INBOX', i % 2 === 0);
      followers.push(f);
    }
    for (let round = 0; round < 6; round++) {
      await Promise.all(
        followers.map(async (f) => {
          for (let i = 0; i < 8; i++) await act(f, pick);
        }),
      );
      const held = truth(h, 'INBOX');
      await new Promise((done) => setTimeout(done, 40));
      for (const f of followers) {
        await f.say('NOOP');
        // New messages are told by number only: their flags are asked for, those of the others must be known
        const before = f.messages.map((m) => ({ ...m }));
        await f.say('UID FETCH 1:* (FLAGS)');
        f.messages.forEach((m, k) => {
          const was = before[k];
          if (was?.flags != null && was.uid !== null) expect(`${was.uid} ${was.flags}`, `${f.name} was told`).toBe(`${m.uid} ${m.flags}`);
        });
        expect(f.picture(), f.name).toBe(held);
      }
      expect(h.crashed).toEqual([]);
    }
  });
}
