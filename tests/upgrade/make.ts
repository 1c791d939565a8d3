// Makes the data folder of a version for tests/upgrade: a small site with something of everything, killed with -9, its
// engine's file compressed, and what is in it as a client saw it before the kill. Done once for each version that is out:
//   bun tests/upgrade/make.ts 0.1.0 [path/to/that/mailsite]      (default: dist/mailsite)

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createTransport } from 'nodemailer';
import { connect, look, type Login } from './look.ts';
import { serve, verb } from './program.ts';

const [version, path = 'dist/mailsite'] = process.argv.slice(2);
if (version === undefined) throw new Error('which version?');
const executable = resolve(path);
const out = join(import.meta.dirname, version);
const folder = mkdtempSync(join(tmpdir(), 'mailsite-upgrade-'));
const data = join(folder, 'data');

const logins: readonly Login[] = [
  { address: 'alice@example.test', password: 'a password of alice' },
  { address: 'bob@example.test', password: 'a password of bob' },
];
const document = {
  schema: 1,
  host: 'mail.example.test',
  domains: [
    { name: 'example.test', catchAll: 'alice@example.test' },
    { name: 'example.com', aliasOf: 'example.test' },
  ],
  accounts: logins.map(({ address, password }) => ({ address, name: address.split('@')[0], password: { plain: password } })),
  aliases: [{ address: 'info@example.test', to: logins.map(({ address }) => address) }],
  // nobody answers there: what goes out stays in the queue
  network: { resolvers: ['127.0.0.1:9'] },
};

const serving = await serve(executable, data);
const applied = verb(executable, ['apply', '-', '--data', data], JSON.stringify(document));
if (applied.code !== 0) throw new Error(applied.errors);
await Bun.sleep(1_000);

const transport = createTransport({
  host: '127.0.0.1',
  port: serving.offset + 465,
  secure: true,
  auth: { user: 'bob@example.test', pass: (logins[1] as Login).password },
  tls: { rejectUnauthorized: false },
});
const send = (to: string, subject: string, more: object = {}) =>
  transport.sendMail({ from: 'Bob <bob@example.test>', to, subject, text: `This is ${subject}.\n`.repeat(5), ...more });
await send('info@example.test', 'one body for two');
await send('anything@example.com', 'to nobody by name');
// 100,000 octets which do not compress to nothing
const numbers = Buffer.from(Array.from({ length: 100_000 }, (_, i) => ((i * i) >> 5) % 61));
await send('alice@example.test', 'Größe: an attachment', { html: '<p>See the file.</p>', attachments: [{ filename: 'zahlen.bin', content: numbers }] });
await send('alice@example.test', 'a chain', { references: ['<one@example.test>', '<two@example.test>'] });
await send('far@away.invalid', 'waiting to go out');

const message = (n: number): Buffer =>
  Buffer.from(
    `From: Carol ${n} <carol@elsewhere.test>\r\nTo: alice@example.test\r\nSubject: message ${n}\r\nMessage-ID: <${n}@elsewhere.test>\r\nDate: Thu, 01 Jan 2026 10:00:0${n % 10} +0000\r\n\r\nText ${n}.\r\n`,
  );
const alice = await connect(serving.offset + 993, logins[0] as Login);
await alice.mailboxCreate(['Projects', 'Größe']);
for (let n = 1; n <= 14; n++) {
  const where = n <= 8 ? 'INBOX' : n <= 11 ? 'Projects/Größe' : 'Archive';
  await alice.append(where, message(n), n % 3 === 0 ? ['\\Seen'] : ['\\Flagged', '$Forwarded'], new Date(Date.UTC(2026, 0, n)));
}
await alice.mailboxOpen('INBOX');
await alice.messageFlagsAdd('2:4', ['\\Answered', 'Important'], { uid: true });
await alice.messageDelete('6,8', { uid: true });
await alice.messageMove('7', 'Trash', { uid: true });
await alice.messageCopy('1', 'Projects/Größe', { uid: true });
await alice.mailboxCreate('Gone');
await alice.mailboxDelete('Gone');
await alice.mailboxSubscribe('Projects/Größe');
alice.close();
await Bun.sleep(500); // sessions end, the queue has tried

const accounts = [];
for (const login of logins) accounts.push({ ...login, folders: await look(serving.offset + 993, login) });
const status = JSON.parse(verb(executable, ['status', '--json', '--data', data]).out) as { queue: { domain: string; recipients: number }[] };
await serving.kill();

const checked = verb(executable, ['check', '--deep', '--data', data]);
if (checked.code !== 0) throw new Error(checked.errors);
mkdirSync(out, { recursive: true });
const engine = Bun.zstdCompressSync(readFileSync(join(data, 'mail.lmdb')), { level: 19 });
writeFileSync(join(out, 'mail.lmdb.zst'), engine);
const golden = { version, host: document.host, accounts, vanished: [{ address: 'alice@example.test', path: 'INBOX', uids: [6, 6, 7, 7, 8, 8] }] };
const queue = status.queue.map(({ domain, recipients }) => ({ domain, recipients }));
writeFileSync(join(out, 'golden.json'), `${JSON.stringify({ ...golden, queue }, null, 1)}\n`);
rmSync(folder, { recursive: true });
process.stdout.write(`${out}: ${engine.length} octets, ${checked.out}`);
process.exit(0);
