// Fills the data folder of a site with the messages of the benchmark, straight through its store: 2 GB in a minute.
//   bun fill.ts DATA [--messages 43000] [--users 100] [--from 0] [--seed 1] [--lsm]
// The site must not run. Prints one JSON line.

import { existsSync, mkdirSync } from 'node:fs';
import { local } from '../../actors/actor.ts';
import { realWorld } from '../../actors/platform.ts';
import { Intake } from '../../protocols/mime/intake.ts';
import { hashPassword } from '../../protocols/work.ts';
import { sealDocument, validateDocument } from '../../storage/document.ts';
import { openStore } from '../../storage/process.ts';
import { accountByAddress } from '../../storage/views.ts';
import { Corpus, mix } from './lib/mime.ts';

const args = process.argv.slice(2);
const option = (name: string, otherwise: number): number => (args.includes(`--${name}`) ? Number(args[args.indexOf(`--${name}`) + 1]) : otherwise);
const data = args[0] as string;
const messages = option('messages', 43_000);
const users = option('users', 100);
const first = option('from', 0);
const seed = option('seed', 1);

const world = realWorld(() => {});
if (!existsSync(data)) mkdirSync(data, { recursive: true, mode: 0o700 });
const opened = await openStore(world, data, args.includes('--lsm') ? 'lsm' : 'lmdb');
const store = local(opened.served);
const names = Array.from({ length: users }, (_, i) => `user${i + 1}@example.test`);
const text = JSON.stringify({
  schema: 1,
  host: 'mail.example.test',
  domains: [{ name: 'example.test' }],
  accounts: names.map((address) => ({ address, password: { plain: 'test-only' } })),
});
const checked = validateDocument(text);
if (!checked.ok) throw new Error(checked.errors[0]?.message);
if (accountByAddress(opened.view, names[0] as string) === undefined) {
  const hash = await hashPassword('test-only');
  await store.ask('applyConfig', { now: world.now(), document: JSON.stringify(await sealDocument(checked.document, async () => hash)) });
}
const accounts = names.map((address) => accountByAddress(opened.view, address)?.account as number);
const corpus = new Corpus(seed);
const classes = mix(messages, seed);
let octets = 0;
const pending = new Set<Promise<unknown>>();
const start = performance.now();
for (let i = 0; i < messages; i++) {
  const user = (i * 7919) % users;
  const made = corpus.make(first + i, classes[i] as number, user + 1, names[user] as string, 'fill');
  const all = Buffer.concat([made.head, made.body]);
  octets += all.length;
  const intake = new Intake(world, store);
  await intake.write(all);
  const content = await intake.finish();
  const local = [{ account: accounts[user] as number, mailbox: 'INBOX', flags: 0 }];
  const mail = {
    envelopeFrom: 'x@sender.test',
    content,
    local,
    remote: [],
    ret: '',
    envid: '',
    smtputf8: false,
    eightBit: false,
    skip: 0,
    account: 0,
    origin: { session: '', ip: '', helo: 'client.test', tls: '', named: [] },
  } as const;
  const done = store.ask('deliver', { now: world.now(), expiryMs: 1, mails: [mail] }).then((answer) => {
    if ('refused' in answer) throw new Error(answer.detail || answer.refused);
    intake.release();
    pending.delete(done);
  });
  pending.add(done);
  if (pending.size >= 64) await Promise.race(pending);
}
await Promise.all(pending);
console.log(JSON.stringify({ messages, octets, s: Math.round(performance.now() - start) / 1_000 }));
process.exit(0);
