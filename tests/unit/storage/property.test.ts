// Random commands, several in flight, against a store with leases, quotas and restarts: after each run every promise that
// `check` knows holds (S1–S5, M2, Q1), and no command crashes the store.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { queue } from '../../../storage/views.ts';
import { contentOf, documentOf, mailOf, type TestStore, testStore } from './fixture.ts';

const account = fc.constantFrom(1, 2);
const name = fc.constantFrom('INBOX', 'inbox', 'Archive', 'Trash', 'A', 'A/B', 'A/B/C', 'B', 'A//', '');
const uids = fc.array(fc.nat(90), { minLength: 1, maxLength: 6 }).map((list) => {
  const sorted = [...new Set(list)].sort((a, b) => a - b);
  return sorted.length % 2 === 0 ? sorted : [...sorted, (sorted.at(-1) as number) + 5];
});
const text = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const size = fc.constantFrom(0, 100, limits.chunk, 3 * limits.chunk, 20 * limits.chunk);
const flags = fc.nat(63);
const keywords = fc.uniqueArray(fc.constantFrom('One', 'TWO', 'two', 'Three'), { maxLength: 3 });
const remote = fc.uniqueArray(fc.constantFrom('a@one.test', 'b@two.test', 'c@one.test'), { maxLength: 3 });
const outcome = fc.constantFrom('done', 'later', 'failed');
const command = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('deliver'), fc.array(fc.tuple(account, name), { maxLength: 3 }), remote, text, size, fc.boolean()) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('append'), account, name, flags, keywords, text, size) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constant('store'), account, name, uids, fc.constantFrom('add', 'remove', 'replace'), flags, keywords, fc.option(fc.nat(20))),
  },
  { weight: 4, arbitrary: fc.tuple(fc.constant('copy'), account, name, name, uids, fc.boolean()) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('expunge'), account, name, uids) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('createMailbox'), account, name) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('deleteMailbox'), account, name) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('renameMailbox'), account, name, name) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('claimRecent'), account, name) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('claimQueue'), fc.nat(5)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('reportQueue'), outcome, account, fc.boolean()) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('tend'), fc.constantFrom('holdQueue', 'releaseQueue', 'retryQueue', 'deleteQueue'), fc.nat(3), fc.boolean()) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('recordRefused'), fc.nat(3)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('transfer'), fc.nat(40)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('collect')) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('indexTrace')) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('config'), fc.constantFrom(0, 5_000, 500_000), fc.boolean()) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('time'), fc.nat(2_000)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('restart')) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

const idOf = (s: TestStore, of: number, box: string): number => {
  try {
    return s.mailbox(of, box).id;
  } catch {
    return 999;
  }
};

/** Null where time went on and the collector took what stood still: the sender begins again. */
async function stream(s: TestStore, content: ReturnType<typeof contentOf>, until?: number): Promise<typeof content | null> {
  try {
    return await s.stream(content, until);
  } catch (error) {
    if (/noSuchTransfer/.test(String(error))) return null;
    throw error;
  }
}

async function send(s: TestStore, c: Command): Promise<unknown> {
  const ask = (kind: string, message: object) => s.address.ask(kind as 'store', { now: s.world.time, expiryMs: 1_000, ...message } as never);
  switch (c[0]) {
    case 'deliver': {
      const [, to, remotes, what, octets, streamed] = c as Extract<Command, [string, [number, string][], ...unknown[]]> as [
        string,
        [number, string][],
        string[],
        string,
        number,
        boolean,
      ];
      const content = contentOf(what, octets);
      const brought = streamed && octets > limits.chunk ? await stream(s, content) : content;
      return brought && ask('deliver', { mails: [mailOf(brought, to, remotes)] });
    }
    case 'append': {
      const [, of, mailbox, bits, words, what, octets] = c as [string, number, string, number, string[], string, number];
      return ask('append', { account: of, mailbox, flags: bits, keywords: words, internalDate: 1, content: contentOf(what, octets) });
    }
    case 'store': {
      const [, of, box, set, mode, bits, words, unchangedSince] = c as [string, number, string, number[], string, number, string[], number | null];
      return ask('store', { account: of, mailbox: idOf(s, of, box), uids: set, mode, flags: bits, keywords: words, unchangedSince });
    }
    case 'copy': {
      const [, of, box, target, set, move] = c as [string, number, string, string, number[], boolean];
      return ask('copy', { account: of, mailbox: idOf(s, of, box), uids: set, target, move });
    }
    case 'expunge':
      return ask('expunge', { account: c[1], mailbox: idOf(s, c[1] as number, c[2] as string), uids: c[3] });
    case 'claimRecent':
      return ask('claimRecent', { account: c[1], mailbox: idOf(s, c[1] as number, c[2] as string) });
    case 'createMailbox':
      return ask('createMailbox', { account: c[1], name: c[2], specialUse: '' });
    case 'deleteMailbox':
      return ask('deleteMailbox', { account: c[1], name: c[2] });
    case 'renameMailbox':
      return ask('renameMailbox', { account: c[1], from: c[2], to: c[3] });
    case 'claimQueue':
      return ask('claimQueue', { leaseMs: 700, limit: c[1], skipDomains: ['two.test'] });
    case 'reportQueue': {
      const [, what, to, bounce] = c as [string, string, number, boolean];
      const event = ({ done: 'delivered', later: 'deferred', failed: 'bounced' } as Record<string, string>)[what];
      const known = [...queue(s.engine)].flatMap((q) => q.recipients.map((r) => ({ queue: q.queue, n: r.n })));
      const outcomes = known
        .slice(0, 2)
        .map((r) => ({ ...r, outcome: what, due: s.world.time + 50, warned: true, attempted: true, code: '', error: '', host: '', event, ip: '', tls: '' }));
      return ask('reportQueue', { outcomes, mails: bounce ? [mailOf(contentOf('bounce'), [[to, 'INBOX']])] : [] });
    }
    case 'tend': {
      const [, verb, count, alone] = c as [string, string, number, boolean];
      const known = [...queue(s.engine)].flatMap((q) => q.recipients.map((r) => ({ queue: q.queue, n: r.n })));
      const of = known.slice(0, count);
      const mails = alone && count === 1 ? [mailOf(contentOf('deleted'), [[1, 'INBOX']])] : [];
      return ask(verb, verb === 'deleteQueue' ? { by: 'root', of, alone, mails } : { by: 'root', of });
    }
    case 'recordRefused': {
      const one = {
        at: s.world.time,
        envelopeFrom: 'x@one.test',
        address: 'no@example.test',
        ip: '192.0.2.3',
        helo: '',
        code: '550 5.1.1',
        words: 'no',
        count: 2,
      };
      return ask('recordRefused', { refusals: Array.from({ length: c[1] as number }, () => one) });
    }
    case 'transfer':
      return stream(s, contentOf('left', 41 * limits.chunk), c[1] as number);
    case 'indexTrace':
      return ask('indexTrace', {});
    case 'collect':
      return ask('collect', { transferAgeMs: 500 });
    case 'config': {
      const accounts = documentOf().accounts.map((a, i) => ({ ...a, quotaBytes: c[1] as number, enabled: i === 0 || (c[2] as boolean) }));
      return ask('applyConfig', { document: JSON.stringify(documentOf({ accounts })) });
    }
  }
}

async function play(commands: readonly (readonly Command[])[]): Promise<void> {
  let store = await testStore();
  const { engine } = store;
  for (const together of commands) {
    await Promise.all(together.map((c) => (c[0] === 'time' ? (store.world.time += c[1] as number) : send(store, c))));
    if (together.some((c) => c[0] === 'restart')) {
      const { time } = store.world;
      store = await testStore({ engine, document: null });
      store.world.time = time;
    }
    expect(store.problems()).toEqual([]);
  }
}

test('S1–S5, M2, Q1 hold after any commands', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.array(command, { minLength: 1, maxLength: 5 }), { maxLength: 12 }), play), { numRuns: 150 });
}, 60_000);
