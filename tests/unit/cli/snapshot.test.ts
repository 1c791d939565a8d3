// `mailsite snapshot …` as a person uses it, on the real executable: a live site into a folder, and out of it again.

import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Imap, Smtp } from '../../bench/lib/conn.ts';
import { freeOffset, password, Site, type SiteDocument, sampleDocument, startSite, until } from '../../clients/site.ts';
import { answerIn, executable, type Said, mailsite, temporary } from './program.ts';

const folder = temporary();
chmodSync(folder, 0o755);
const at = (name: string): string => join(folder, name);
const isRoot = process.getuid?.() === 0;
// nothing listens there: what is sent waits in the queue
const relays = { outbound: { relays: [{ for: '*', host: '127.0.0.1', port: 9 }] } };
const document = (rest: object = {}): SiteDocument => sampleDocument(['alice', 'bob'], { ...relays, ...rest });

let site: Site;
beforeAll(async () => {
  site = await startSite({ document: document() });
  const alice = await logIn(site, 'alice');
  for (const n of [1, 2, 3]) await append(alice, 'INBOX', n === 2 ? '\\Flagged $Label1' : '', message(n));
  await alice.must('CREATE Work/2026');
  await append(alice, 'Work/2026', '\\Seen', message(4, 200_000)); // streamed in chunks
  await alice.must('SELECT INBOX');
  await alice.must('STORE 1 +FLAGS (\\Deleted)');
  await alice.must('EXPUNGE');
  alice.close();
  const smtp = await Smtp.open(site.address, site.port('submissions'), true);
  await smtp.auth('alice@example.test', password);
  expect((await smtp.send('alice@example.test', 'friend@elsewhere.test', message(5), Buffer.alloc(0))).code).toBe(250);
  smtp.close();
});
afterAll(() => site?.finish());

const message = (n: number, octets = 20): Buffer =>
  Buffer.from(`From: x@elsewhere.test\r\nSubject: number ${n}\r\nMessage-ID: <m${n}@example.test>\r\n\r\n${`${n} `.repeat(octets / 2)}\r\n`);

async function logIn(of: Site, user: string): Promise<Imap> {
  const imap = await Imap.open(of.address, of.port('imaps'), true);
  await imap.login(`${user}@example.test`, password);
  return imap;
}

async function append(imap: Imap, mailbox: string, flags: string, octets: Buffer): Promise<void> {
  const done = await imap.append(mailbox, flags, [octets]);
  if (!done.ok) throw new Error(done.text);
}

/** All that a client sees of a mailbox: UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ, and each message with UID, flags, MODSEQ, octets. */
async function seen(of: Site, user: string, mailbox: string): Promise<string> {
  const imap = await logIn(of, user);
  let all = '';
  imap.onLine = (line) => (all += `${line}\n`);
  imap.onLiteral = (part) => (all += part);
  await imap.must(`EXAMINE "${mailbox}" (CONDSTORE)`);
  if (imap.exists > 0) await imap.must('FETCH 1:* (UID FLAGS MODSEQ INTERNALDATE BODY.PEEK[])');
  imap.close();
  return all;
}

function certificateOf(of: Site): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: of.address, port: of.port('imaps'), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const onSite = (...words: readonly string[]): Said => mailsite(['snapshot', ...words, '--data', site.data]);
const jsonOf = (said: Said): Record<string, unknown> => {
  expect(said.errors).toEqual([]);
  return answerIn(said.out) as Record<string, unknown>;
};
const failure = (line: string) => ({ code: 1, out: '', errors: [expect.stringContaining(`mailsite: ${line}`)] });
const misuse = (line: string) => ({ code: 2, out: '', errors: [`mailsite: ${line}; mailsite help tells what there is`] });

/** Starts a site of another data folder, and kills it at the end. */
async function withSite<T>(data: string, use: (site: Site) => Promise<T>): Promise<T> {
  const other = new Site(data, '127.0.0.1', await freeOffset('127.0.0.1'), false);
  try {
    await other.start();
    return await use(other);
  } finally {
    await other.finish();
  }
}

const place = at('place');
let kit = '';
let first = '';

test('the first snapshot prints the recovery kit, once; then it is what changed, or nothing', async () => {
  const said = onSite('create', '--to', place);
  expect(said).toMatchObject({ code: 0, errors: [] });
  expect(said.out).toMatch(/^Snapshot [0-9a-f]{8}\/\d+ of mail\.example\.test is in .*: all of it, .* written, in [0-9.]+ m?s\.\n\nRECOVERY KIT/);
  kit = /AGE-SECRET-KEY-1[A-Z0-9]{58}/.exec(said.out)?.[0] ?? '';
  expect(kit).not.toBe('');
  writeFileSync(at('kit'), said.out);

  const again = onSite('create', '--to', place);
  expect(again).toMatchObject({ code: 0, errors: [] });
  expect(again.out).toMatch(/^Nothing changed since snapshot [0-9a-f]{8}\/\d+ of mail\.example\.test: it stands\.\n$/);

  const alice = await logIn(site, 'alice');
  await append(alice, 'INBOX', '', message(6));
  alice.close();
  const next = onSite('create', '--to', place);
  expect(next.out).toMatch(/^Snapshot .*: what changed, .* written, in [0-9.]+ m?s\.\n$/);
  const listed = jsonOf({ ...onSite('list', '--from', place, '--json'), out: JSON.stringify(JSON.parse(onSite('list', '--from', place, '--json').out)) });
  expect(listed).toMatchObject({
    damaged: [],
    snapshots: [
      { base: true, increments: 0 },
      { base: false, increments: 1 },
    ],
  });
  first = (listed['snapshots'] as { id: string }[])[0]?.id as string;

  const elsewhere = jsonOf(onSite('create', '--to', at('file.tar'), '--json'));
  expect(elsewhere).toMatchObject({ ok: true, kind: 'base', host: 'mail.example.test', kit: expect.stringContaining(kit) });
  const bob = await logIn(site, 'bob');
  await append(bob, 'INBOX', '', message(9));
  bob.close();
  const full = jsonOf(onSite('create', '--to', place, '--full', '--json'));
  expect(full).toMatchObject({ ok: true, kind: 'base', kit: null });
});

test('what made the keys before a person looked does not keep the kit from them', () => {
  const data = at('unplaced');
  mailsite(['apply', '-', '--data', data], { stdin: JSON.stringify(document()) });
  expect(mailsite(['snapshot', 'create', '--data', data])).toEqual(misuse('name a place for the snapshot: --to FOLDER, FILE.tar or s3://bucket/prefix'));
  expect(mailsite(['snapshot', 'create', '--data', data, '--to', at('kit/none')])).toMatchObject({ code: 1, out: '' });
  const identity = jsonOf(mailsite(['snapshot', 'key', '--data', data, '--json']))['identity'] as string;
  expect(mailsite(['snapshot', 'create', '--data', data, '--to', at('unplaced.tar')]).out).toContain(identity);
});

test('list, show, verify and key tell what is there; without the key, sizes and times only', () => {
  expect(onSite('list', '--from', place).out).toMatch(
    /^snapshot +taken \(UTC\) +ago +kind\n[0-9a-f]{8}\/\d+ +\d{4}-.* +all\n[0-9a-f]{8}\/\d+ .* changes, .*B\n/,
  );
  const shown = onSite('show', '--from', place);
  expect(shown).toMatchObject({ code: 0, errors: [] });
  for (const part of ['mail.example.test', '1 message in the queue', 'alice@example.test', '4 messages', 'domains   example.test'])
    expect(shown.out).toContain(part);
  expect(JSON.parse(onSite('show', '--from', place, '--json', '--at', first).out)).toMatchObject({ id: first, contents: { queued: 1, messages: 3 } });

  const nobody = ['--data', at('nobody')];
  const sealed = mailsite(['snapshot', 'show', '--from', place, ...nobody]);
  expect(sealed.out).toContain('sealed: give the recovery kit as --key FILE');
  expect(sealed.out).not.toContain('example.test');
  expect(mailsite(['snapshot', 'show', '--from', place, '--key', at('kit'), ...nobody]).out).toContain('alice@example.test');
  for (const name of readdirSync(place, { recursive: true, encoding: 'utf8' }))
    if (statSync(join(place, name)).isFile()) expect(readFileSync(join(place, name), 'latin1')).not.toMatch(/example\.test|alice|number 1/);

  expect(onSite('verify', '--from', place)).toMatchObject({ code: 0, errors: [], out: expect.stringContaining('every object is there; --deep reads them.') });
  expect(onSite('verify', '--from', place, '--deep').out).toContain('restored, and every rule holds');
  expect(mailsite(['snapshot', 'verify', '--from', place, '--deep', ...nobody]).out).toContain('every object has its hash; its key was not given.');
  const verified = jsonOf(mailsite(['snapshot', 'verify', '--from', place, '--deep', '--json', '--key', '-', ...nobody], { stdin: kit.toLowerCase() }));
  expect(verified).toMatchObject({ ok: true, proof: 'restored', problems: [] });
  // away from a site a small one is built up in memory: nothing of it is on a disk
  expect(mailsite(['snapshot', 'verify', '--from', place, '--deep', '--key', at('kit'), ...nobody], { env: { TMPDIR: at('nowhere') } }).out).toContain(
    'restored, and every rule holds',
  );
  const all = jsonOf(mailsite(['snapshot', 'verify', '--from', place, '--all', '--deep', '--json', ...nobody]));
  expect(all).toMatchObject({ ok: true, snapshots: 3, bad: [], proof: 'hashes' });
  expect(onSite('verify', '--from', place, '--all').out).toMatch(/^Good: 3 snapshots, \d+ objects, .*: signed, and every object is there/);
  expect(onSite('verify', '--from', place, '--all', '--at', first)).toEqual(misuse('--at does not go with --all'));
  expect(jsonOf(onSite('key', '--json'))).toMatchObject({ host: 'mail.example.test', identity: kit });
  expect(onSite('key').out).toContain(kit);
  expect(existsSync(at('nobody'))).toBe(false);
});

test('one file holds a snapshot by itself; pruning keeps all of the last day', () => {
  expect(onSite('export', '--from', place, '--at', first, '--to', at('one.tar'))).toMatchObject({ code: 0, errors: [] });
  expect(Bun.spawnSync(['tar', '-tf', at('one.tar')]).stdout.toString()).toMatch(/^lineages\/[\s\S]*objects\/[\s\S]*manifests\/.*\n$/);
  const proved = mailsite(['snapshot', 'verify', '--deep', '--from', at('one.tar'), '--key', at('kit'), '--data', at('nobody')]);
  expect(proved.out).toContain(`Good: snapshot ${first}`);
  expect(onSite('prune', '--from', place, '--dry-run').out).toMatch(/^Would remove 0 snapshots and 0 objects .*; 3 snapshots stay\.\n$/);
  expect(jsonOf(onSite('prune', '--from', place, '--json'))).toMatchObject({ ok: true, dryRun: false, removed: [], kept: 3, spared: null });
});

test('S1 S2: a restored site serves what was there: UIDs, flags, MODSEQ, passwords, queue, certificate; twice, by file and by stdin', async () => {
  const restored = mailsite(['snapshot', 'restore', '--from', place, '--data', at('new'), '--key', at('kit')]);
  expect(restored).toMatchObject({ code: 0, errors: [] });
  expect(restored.out).toMatch(
    /^mail\.example\.test is restored in .*\/new as it was at commit \d+: 2 accounts, 5 messages, .* in [0-9.]+ m?s\. What was written has the digest of the snapshot\.\n1 message waits in its queue and will be sent when it runs\.\nStart it with mailsite run/,
  );
  const other = jsonOf(mailsite(['snapshot', 'restore', '--from', place, '--at', first, '--data', at('old'), '--key', '-', '--json'], { stdin: kit }));
  expect(other).toMatchObject({ ok: true, id: first, host: 'mail.example.test', queued: 1 });
  await withSite(at('new'), async (copy) => {
    for (const [user, mailbox] of [
      ['alice', 'INBOX'],
      ['alice', 'Work/2026'],
      ['alice', 'Sent'],
      ['bob', 'INBOX'],
    ] as const) {
      const [was, is] = [await seen(site, user, mailbox), await seen(copy, user, mailbox)];
      // new UIDs and modification sequences are above all that a client may have been told after the snapshot
      for (const next of [/UIDNEXT (\d+)/, /HIGHESTMODSEQ (\d+)/]) expect(Number(next.exec(is)?.[1]) - Number(next.exec(was)?.[1])).toBe(1_000_000);
      const rest = (text: string): string => text.replace(/(UIDNEXT|HIGHESTMODSEQ) \d+/g, '$1');
      expect(rest(is), mailbox).toBe(rest(was));
    }
    expect(await certificateOf(copy)).toBe(await certificateOf(site));
    const queue = (await copy.status()).queue.map(({ domain, recipients }) => ({ domain, recipients }));
    expect(queue).toEqual([{ domain: 'elsewhere.test', recipients: 1 }]);
    const alice = await logIn(copy, 'alice');
    const { uidnext } = await alice.status('INBOX');
    expect((await alice.append('INBOX', '', [message(7)])).text).toContain(` ${uidnext}]`);
    alice.close();
    // its own history: its first snapshot stands beside those of the site it came from, under the same kit
    Bun.spawnSync(['cp', '-a', place, at('drill')]);
    const own = jsonOf(mailsite(['snapshot', 'create', '--to', at('drill'), '--data', copy.data, '--json']));
    expect(own).toMatchObject({ kind: 'base', kit: expect.stringContaining(kit) });
  });
});

test('a drill looks as the site did, holds its queue and parks nowhere', async () => {
  const data = at('rehearsed');
  const parking = at('rehearsed.place');
  expect(onSite('create', '--to', parking)).toMatchObject({ code: 0 });
  await site.apply(document({ snapshots: { to: parking, everySeconds: 3_600 } }));
  const { id } = jsonOf(onSite('create', '--to', at('rehearsed.tar'), '--json'));
  await site.apply(document());
  const said = mailsite(['snapshot', 'restore', '--drill', '--from', at('rehearsed.tar'), '--at', String(id), '--data', data, '--key', at('kit')]);
  expect(said).toMatchObject({ code: 0, errors: [] });
  expect(said.out).toContain('This is a drill: 1 message in its queue is held, and it parks nowhere. New mail that is given to it is sent.\n');
  expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0, errors: [] });
  const status = JSON.parse(mailsite(['status', '--json', '--data', data]).out);
  expect(status).toMatchObject({ snapshots: null, queue: [{ domain: 'elsewhere.test', recipients: 1, nextAttempt: Date.UTC(9999, 11, 31) }] });
  await withSite(data, async (copy) => {
    await Bun.sleep(1_500);
    expect((await copy.status()).queue).toMatchObject([{ recipients: 1, nextAttempt: Date.UTC(9999, 11, 31) }]);
  });
  expect(onSite('restore', '--from', place, '--only', 'alice@example.test', '--drill')).toEqual(misuse('--drill does not go with --only'));
});

test.skipIf(Bun.which('script') === null)('on a terminal it asks for the kit, and takes the whole page', () => {
  const command = `${executable} snapshot restore --from ${place} --at ${first} --data ${at('asked')}; head -c 20`;
  const terminal = Bun.spawnSync(['script', '-qec', command, '/dev/null'], { stdin: readFileSync(at('kit')), timeout: 10_000 });
  const said = terminal.stdout.toString();
  expect(said).toContain('Recovery key (AGE-SECRET-KEY-1…), or the whole recovery kit:');
  expect(said).toContain(`mail.example.test is restored in ${at('asked')}`);
});

test('what a verify that was killed left is removed by the next one, wherever it was killed', () => {
  const tmp = join(site.data, 'tmp');
  const left = (): string[] => readdirSync(tmp).filter((name) => name.startsWith('verify-'));
  for (const [name, files] of [
    ['verify-began', []],
    ['verify-working', ['lock', 'rows']],
    ['verify-removed', ['rows']],
  ] as const) {
    mkdirSync(join(tmp, name), { mode: 0o700 });
    for (const file of files) writeFileSync(join(tmp, name, file), '');
  }
  expect(left()).toHaveLength(3);
  expect(onSite('verify', '--deep', '--from', place)).toMatchObject({ code: 0 });
  expect(left()).toEqual([]);
});

test('a copy that ran beside its site is not taken for it', async () => {
  const alice = await logIn(site, 'alice');
  await append(alice, 'Trash', '', message(8));
  alice.close();
  const later = jsonOf(onSite('create', '--to', at('drill'), '--json'));
  const unsure = mailsite(['snapshot', 'restore', '--from', at('drill'), '--data', at('none'), '--key', at('kit')]);
  expect(unsure).toMatchObject(
    failure(`${at('drill')} holds snapshots of sites that ran side by side: name the one that is meant, as --at ${later['id']} or --at `),
  );
  expect(jsonOf(onSite('verify', '--from', at('drill'), '--json'))).toMatchObject({ id: later['id'] });
  const own = jsonOf(mailsite(['snapshot', 'verify', '--from', at('drill'), '--json', '--data', at('new')]));
  expect(unsure.errors[0]).toContain(`or --at ${own['id']};`);
});

test('refusals are one line: what, why, what to do', () => {
  const restore = (...words: readonly string[]): Said => mailsite(['snapshot', 'restore', '--data', at('none'), ...words]);
  expect(mailsite(['snapshot'])).toEqual(misuse('snapshot needs VERB'));
  expect(mailsite(['snapshot', 'take'])).toMatchObject({ code: 2, errors: [expect.stringContaining('snapshot has no verb "take": it has create, list,')] });
  expect(onSite('list', '--to', place)).toEqual(misuse('snapshot list does not take --to'));
  expect(onSite('create', '--to', place, '--dry-run')).toEqual(misuse('snapshot create does not take --dry-run'));
  expect(onSite('create')).toEqual(misuse('name a place for the snapshot: --to FOLDER, FILE.tar or s3://bucket/prefix'));
  expect(onSite('list')).toEqual(misuse('name the place of the snapshots: --from FOLDER, FILE.tar or s3://bucket/prefix'));
  expect(onSite('export', '--from', place)).toEqual(misuse('name the file that it goes to: --to FILE.tar'));
  expect(onSite('list', '--from', 'ftp://x')).toMatchObject(failure('ftp://x: ftp:// is not known'));
  expect(onSite('list', '--from', at('kit'))).toMatchObject(failure(`${at('kit')} is a file, not a folder`));
  expect(restore('--folder', 'INBOX', '--from', place)).toEqual(misuse('--folder goes with --only ADDRESS'));
  expect(onSite('restore', '--only', 'alice@example.test', '--engine', 'lsm', '--from', place)).toEqual(misuse('--engine does not go with --only'));
  expect(restore('--from', at('nowhere'))).toMatchObject(failure(`${at('nowhere')} is not there`));
  expect(restore('--from', place)).toMatchObject(failure('the snapshot needs its recovery key: give the file of the recovery kit as --key FILE'));
  expect(restore('--from', place, '--key', at('absent'))).toMatchObject(failure('the recovery kit cannot be read'));
  expect(mailsite(['snapshot', 'restore', '--data', at('none'), '--from', place, '--key', '-'], { stdin: 'hello' })).toMatchObject(
    failure('there is no recovery key in this'),
  );
  const typo = kit.slice(0, -1) + (kit.endsWith('Q') ? 'P' : 'Q');
  expect(mailsite(['snapshot', 'restore', '--data', at('none'), '--from', place, '--key', '-'], { stdin: typo })).toMatchObject(
    failure('the recovery key has a typing error'),
  );
  const foreign = jsonOf(mailsite(['snapshot', 'key', '--data', at('unplaced'), '--json']))['identity'] as string;
  expect(mailsite(['snapshot', 'restore', '--data', at('none'), '--from', place, '--key', '-'], { stdin: foreign })).toMatchObject(
    failure('the recovery key is not the one of these snapshots'),
  );
  const keyed = ['--from', place, '--key', at('kit')];
  expect(restore(...keyed, '--at', '999999')).toMatchObject(failure(`${place} has no snapshot at 999999`));
  expect(restore(...keyed, '--at', '2001-01-01')).toMatchObject(failure(`${place} has no snapshot at 2001-01-01`));
  expect(restore(...keyed, '--at', 'yesterday')).toMatchObject({ code: 2, errors: [expect.stringContaining('--at takes a commit, an id such as')] });
  expect(existsSync(at('none'))).toBe(false);
  expect(onSite('restore', ...keyed)).toMatchObject(failure(`${site.data} holds a site already: name an empty --data`));
  for (const verb of ['create', 'key']) expect(mailsite(['snapshot', verb, '--data', at('none')])).toMatchObject(failure(`${at('none')} holds no site`));
  expect(existsSync(at('none'))).toBe(false);
});

test('a restore that was cut off is no site: run refuses it, and the next restore begins anew', () => {
  const data = at('cut');
  mkdirSync(join(data, 'restoring'), { recursive: true, mode: 0o700 });
  writeFileSync(join(data, 'restoring/mail.lmdb'), 'half');
  expect(mailsite(['run', '--data', data, '--listen', '127.0.0.1', '--port-offset', '30000'])).toMatchObject(failure(`a restore into ${data} was cut off`));
  expect(mailsite(['status', '--data', data])).toMatchObject(failure(`${data} holds no site`));
  expect(mailsite(['snapshot', 'restore', '--data', data, '--from', place, '--at', first, '--key', at('kit')])).toMatchObject({ code: 0 });
  expect(readdirSync(data)).not.toContain('restoring');
  expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0, errors: [] });
});

test('damage is found, with and without the key, and nothing comes of it', () => {
  const torn = at('torn');
  Bun.spawnSync(['cp', '-r', place, torn]);
  const objects = readdirSync(join(torn, 'objects'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(torn, 'objects', name))
    .filter((name) => statSync(name).isFile());
  for (const object of objects) {
    const octets = readFileSync(object);
    octets[octets.length >> 1] = (octets[octets.length >> 1] as number) ^ 1;
    writeFileSync(object, octets);
  }
  const verified = mailsite(['snapshot', 'verify', '--deep', '--from', torn, '--data', at('nobody')]);
  expect(verified).toMatchObject({ code: 1, out: '' });
  expect(verified.errors[0]).toMatch(/^mailsite: damaged: objects\/.* is not what its name says$/);
  const restored = mailsite(['snapshot', 'restore', '--from', torn, '--key', at('kit'), '--data', at('torn.data')]);
  expect(restored).toMatchObject(failure('the snapshot is damaged or its key is another: objects/'));
  const every = mailsite(['snapshot', 'verify', '--all', '--deep', '--from', torn, '--data', at('nobody')]);
  expect(every).toMatchObject({ code: 1, out: expect.stringMatching(/^Not good: 3 snapshots of 3 snapshots/) });
  expect(every.errors).toHaveLength(3);
  for (const object of objects) rmSync(object);
  expect(mailsite(['snapshot', 'verify', '--from', torn, '--data', at('nobody')])).toMatchObject({ code: 1, out: '' });
  const manifest = readdirSync(join(torn, 'manifests'), { recursive: true, encoding: 'utf8' }).find((name) => /\/\d{16}$/.test(name)) as string;
  writeFileSync(join(torn, 'manifests', manifest), readFileSync(join(torn, 'manifests', manifest), 'utf8').replace('"epoch":1', '"epoch":7'));
  const listed = mailsite(['snapshot', 'list', '--from', torn, '--data', at('nobody')]);
  expect(listed).toMatchObject({ code: 1, errors: [`mailsite: damaged: manifests/${manifest} has a signature that does not hold`] });
});

test('undelete: an account, a folder, a message, into the site that runs; once, and nothing else is touched', async () => {
  const before = await seen(site, 'alice', 'INBOX');
  const only = (...words: readonly string[]): Said => onSite('restore', '--from', place, '--at', first, '--only', 'alice@example.test', ...words);
  const alice = await logIn(site, 'alice');
  await alice.must('DELETE Work/2026');
  const said = only('--into', 'Back');
  expect(said).toMatchObject({ code: 0, errors: [] });
  expect(said.out).toMatch(/^3 messages of alice@example\.test as of \d{4}-\d\d-\d\d \d\d:\d\d UTC are in Back\.\n$/);
  expect(await seen(site, 'alice', 'INBOX')).toBe(before);
  expect(await seen(site, 'alice', 'Back/INBOX')).toMatch(
    /\* \d+ FETCH \(UID \d+ FLAGS \(.*\\Flagged.*\$Label1|\* \d+ FETCH \(UID \d+ FLAGS \(.*\$Label1.*\\Flagged/,
  );
  expect((await alice.status('Back/Work/2026')).messages).toBe(1);
  expect(only('--into', 'Back').out).toMatch(/^0 messages .* are in Back; 3 messages were there already\.\n$/);
  expect(only('--folder', 'Work/2026', '--into', '').out).toMatch(/^1 message .* is in their folders|^1 message /);
  expect(await seen(site, 'alice', 'Work/2026')).toContain('number 4');
  expect(jsonOf(only('--message', '<m3@example.test>', '--into', 'One', '--json'))).toMatchObject({ ok: true, messages: 1, there: 0, folders: 1 });
  expect((await alice.status('One')).messages).toBe(1);
  expect(only().out).toMatch(/are in Restored \d{4}-\d\d-\d\d\.\n$/);
  alice.close();
  expect(only('--message', 'no@such')).toMatchObject(failure('the snapshot has no message <no@such> of alice@example.test'));
  expect(only('--folder', 'Nope')).toMatchObject(failure('the snapshot has no folder Nope of alice@example.test'));
  expect(onSite('restore', '--from', place, '--only', 'eve@example.test')).toMatchObject(failure('this site has no account eve@example.test'));
  // into a site that is stopped
  const stopped = ['snapshot', 'restore', '--from', place, '--at', first, '--only', 'alice@example.test', '--into', 'Back', '--data', at('old')];
  expect(mailsite(stopped).out).toContain('3 messages of alice@example.test');
  expect(mailsite(['check', '--deep', '--data', at('old')])).toMatchObject({ code: 0, errors: [] });
});

test('a site that is stopped is snapshotted too', () => {
  const said = jsonOf(mailsite(['snapshot', 'create', '--to', at('stopped.place'), '--data', at('cut'), '--json']));
  expect(said).toMatchObject({ ok: true, kind: 'base' });
  expect(jsonOf(mailsite(['snapshot', 'verify', '--deep', '--from', at('stopped.place'), '--data', at('cut'), '--json']))).toMatchObject({
    ok: true,
    proof: 'restored',
  });
});

test.skipIf(!isRoot)('what root makes of a site or of its place belongs to the user of the site, and what it may not write it says', () => {
  const owner = statSync(site.data).uid;
  expect(owner).not.toBe(0);
  for (const name of ['', 'objects', 'manifests', 'lineages']) expect(statSync(join(place, name)).uid, name).toBe(owner);
  mkdirSync(at('empty'));
  mkdirSync(at('full/of/something'), { recursive: true });
  expect(onSite('create', '--to', at('empty'))).toMatchObject({ code: 0 });
  expect(statSync(at('empty')).uid).toBe(owner);
  expect(onSite('create', '--to', at('full'))).toMatchObject(
    failure(`${at('full')} is closed to the user of the site, who writes its snapshots: chown it to ${owner}`),
  );
  const data = at('given');
  mkdirSync(data, { mode: 0o700 });
  chownSync(data, 12_345, 12_345); // as systemd does
  expect(mailsite(['snapshot', 'restore', '--from', place, '--at', first, '--key', at('kit'), '--data', data])).toMatchObject({ code: 0 });
  for (const name of readdirSync(data, { recursive: true, encoding: 'utf8' })) expect(statSync(join(data, name)).uid, name).toBe(12_345);
});

test('a site parks itself by its document; a place that fails is told once, and mail goes on', async () => {
  const [one, two] = [at('parked.1'), at('parked.2')];
  for (const to of [one, two]) expect(onSite('create', '--to', to)).toMatchObject({ code: 0 });
  const logged = (event: string): Record<string, unknown>[] =>
    site.log
      .split('\n')
      .filter((line) => line.includes(`"${event}"`))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const deliver = async (n: number): Promise<void> => {
    const smtp = await Smtp.open(site.address, site.port('smtp'));
    expect((await smtp.send('x@elsewhere.test', 'bob@example.test', message(n), Buffer.alloc(0))).code).toBe(250);
    smtp.close();
  };
  const parked = (to: string, least: number) =>
    until(`${least} increments in ${to}`, () => logged('snapshot.parked').filter((row) => row['to'] === to).length >= least, 10_000);
  await site.apply(document({ snapshots: { to: one, everySeconds: 1 } }));
  await parked(one, 1);
  await deliver(20);
  await parked(one, 2);
  expect(logged('snapshot.parked').at(-1)).toMatchObject({ kind: 'increment' });
  expect(mailsite(['status', '--data', site.data]).out).toMatch(/snapshots {2}.*parked\.1, the newest \d+ s old/);
  // without --from or --to it is the place of the document
  expect(onSite('verify', '--deep')).toMatchObject({ code: 0, out: expect.stringContaining('Good: snapshot') });

  const folders = [one, ...readdirSync(one, { recursive: true, encoding: 'utf8' }).map((name) => join(one, name))].filter((name) =>
    statSync(name).isDirectory(),
  );
  for (const name of folders) chmodSync(name, 0o500);
  await deliver(21);
  await until('it is told', () => logged('snapshot.failed').length > 0, 10_000);
  await deliver(22);
  await Bun.sleep(1_500); // it is tried again
  expect(logged('snapshot.failed')).toEqual([expect.objectContaining({ to: one, error: expect.stringContaining('is closed to this user') })]);
  await deliver(23);

  // another place is taken at once
  await site.apply(document({ snapshots: { to: two, everySeconds: 3_600 } }));
  await parked(two, 1);
  for (const name of folders) chmodSync(name, 0o700);
  const held = jsonOf(onSite('create', '--json'));
  expect(held).toMatchObject({ kind: 'same', to: two });
  await site.apply(document({ snapshots: { to: one, everySeconds: 1 } }));
  await parked(one, 3);
  await site.apply(document());
});
