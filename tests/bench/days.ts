// A month of a site with one snapshot a day, each day 1 % of the messages new, 1 % flagged and 0.5 % gone: how much room does it take?
//   bun days.ts DATA PLACE [--days 30] [--messages 43000]
// Fills an empty DATA by fill.ts first. The clock of the snapshots is given, so that a month takes minutes. Prints one JSON line.

import { local } from '../../actors/actor.ts';
import { realWorld } from '../../actors/platform.ts';
import { Intake } from '../../protocols/mime/intake.ts';
import { defaultEngine } from '../../storage/engines/open.ts';
import { openStore } from '../../storage/process.ts';
import { getRow, scanRows } from '../../storage/rows.ts';
import { flag } from '../../storage/page.ts';
import { createSnapshot } from '../../storage/snapshot/create.ts';
import { keysFor } from '../../storage/snapshot/keys.ts';
import { openPlace } from '../../storage/snapshot/place.ts';
import { prune } from '../../storage/snapshot/prune.ts';
import { Corpus, mix } from './lib/mime.ts';
import { Args, rng } from './lib/util.ts';

const args = new Args(process.argv.slice(2));
const [data, to] = args.pos as [string, string];
const messages = args.num('messages', 43_000);
const days = args.num('days', 30);
const dayMs = 86_400_000;

const world = realWorld((line) => void process.stderr.write(`${line}\n`));
const opened = await openStore(world, data, defaultEngine);
const store = local(opened.served);
const { view } = opened;
await store.ask('makeKeys', await keysFor(world, getRow(view, 'recovery', {})));
const place = await openPlace(to, { world, create: true });
const accounts = [...scanRows(view, 'account', [])].map(({ key, row }) => ({ account: key.account, address: row.address }));
const corpus = new Corpus(2);
const random = rng(7);
/** The INBOX of each account, and what is in it. */
const boxes = accounts.map(({ account }) => {
  const inbox = [...scanRows(view, 'mailbox', [account])].find(({ row }) => row.name === 'INBOX');
  if (!inbox) throw new Error(`account ${account} has no INBOX: fill the site first`);
  return { account, mailbox: inbox.key.mailbox, uids: Array.from({ length: inbox.row.uidNext - 1 }, (_, i) => i + 1) };
});
const ok = <T extends object>(answer: T): Exclude<T, { refused: string }> => {
  if ('refused' in answer) throw new Error(JSON.stringify(answer));
  return answer as Exclude<T, { refused: string }>;
};
const anyBox = () => boxes[Math.floor(random() * boxes.length)] as (typeof boxes)[number];

async function oneDay(day: number): Promise<void> {
  const classes = mix(Math.round(messages / 100), 100 + day);
  for (const [i, size] of classes.entries()) {
    const at = i % accounts.length;
    const { account, address } = accounts[at] as (typeof accounts)[number];
    const made = corpus.make(1_000_000 * (day + 1) + i, size, at + 1, address, 'days');
    const intake = new Intake(world, store);
    await intake.write(Buffer.concat([made.head, made.body]));
    const content = await intake.finish();
    const { uid } = ok(await store.ask('append', { now: world.now(), account, mailbox: 'INBOX', flags: 0, keywords: [], internalDate: world.now(), content }));
    intake.release();
    boxes[at]?.uids.push(uid);
  }
  for (let i = 0; i < messages / 100; i++) {
    const { account, mailbox, uids } = anyBox();
    const uid = uids[Math.floor(random() * uids.length)] as number;
    ok(await store.ask('store', { account, mailbox, uids: [uid, uid], mode: 'add', flags: 1, keywords: [], unchangedSince: null }));
  }
  for (let i = 0; i < messages / 200; i++) {
    const { account, mailbox, uids } = anyBox();
    const [uid] = uids.splice(Math.floor(random() * uids.length), 1);
    ok(
      await store.ask('store', {
        account,
        mailbox,
        uids: [uid as number, uid as number],
        mode: 'add',
        flags: flag.deleted,
        keywords: [],
        unchangedSince: null,
      }),
    );
    ok(await store.ask('expunge', { account, mailbox, uids: [uid as number, uid as number] }));
  }
}

async function octets(): Promise<number> {
  let sum = 0;
  for await (const { size } of place.list('')) sum += size;
  return sum;
}

const start = Date.UTC(2026, 0, 1, 12);
const took: number[] = [];
let one = 0;
for (let day = 0; day < days; day++) {
  if (day > 0) await oneDay(day);
  const pinned = view.snapshot();
  const began = performance.now();
  const { kind } = await createSnapshot(pinned, place, { now: start + day * dayMs, full: false, lookBack: true });
  if (day > 0) took.push(performance.now() - began);
  pinned.release();
  if (day === 0) one = await octets();
  if (args.has('verbose')) console.error(day, kind, await octets());
}
const { kept } = await prune(place, start + days * dayMs, false);
const all = await octets();
took.sort((a, b) => a - b);
console.log(JSON.stringify({ days, kept, one, all, ratio: Math.round((1_000 * all) / one) / 1_000, medianMs: Math.round(took[took.length >> 1] as number) }));
process.exit(0);
