// Compacting on the real executable: under load, again and again, IDLE sessions stay and hear of new mail, a session sees
// its own writes, the disk gets its room back; kill -9 at random moments of it loses nothing that was answered (M1, C1).

import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Imap, Smtp } from '../bench/lib/conn.ts';
import { rng } from '../bench/lib/util.ts';
import { must, type Ran, sleep, tell, until } from '../clients/programs.ts';
import { executable, password, type Site, sampleDocument, signal, startSite } from '../clients/site.ts';
import { answerIn } from '../unit/cli/program.ts';
import { Ledger } from './ledger.ts';

const kills = Number(process.env['MAILSITE_KILLS'] ?? 32);
const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
const users = Array.from({ length: 6 }, (_, i) => `user${i}`);
const idlers = ['idle0', 'idle1'];
let site: Site;
beforeEach(async () => {
  site = await startSite({ document: sampleDocument([...users, ...idlers, 'bulk', 'own', 'probe']) });
});
afterEach(() => site?.finish());

/** Compresses badly, and is like no other. */
function noise(i: number, octets: number): Buffer {
  const random = rng(i + 1);
  const lines = Array.from({ length: Math.ceil(octets / 78) }, () =>
    Array.from({ length: 76 }, () => String.fromCharCode(48 + Math.floor(random() * 74))).join(''),
  );
  return Buffer.from(`From: x@elsewhere.test\r\nSubject: bulk-${i}\r\n\r\n${lines.join('\r\n')}\r\n`);
}

async function open(user: string, mailbox = 'INBOX'): Promise<Imap> {
  const imap = await Imap.open(site.address, site.port('imaps'), true);
  await imap.login(`${user}@example.test`, password);
  await imap.must(`SELECT ${mailbox}`);
  return imap;
}

/** `count` messages of 60,000 octets for bulk, of which one in ten stays. */
async function fillAndEmpty(count: number): Promise<void> {
  const imap = await open('bulk');
  for (let i = 0; i < count; i += 4)
    for (const done of await Promise.all([0, 1, 2, 3].map((j) => imap.append('INBOX', '', [noise(i + j, 60_000)])))) expect(done.ok).toBe(true);
  await imap.must('NOOP');
  const gone = Array.from({ length: Math.floor(count / 10) }, (_, i) => `${10 * i + 1}:${10 * i + 9}`).join(',');
  await imap.must(`STORE ${gone} +FLAGS.SILENT (\\Deleted)`);
  await imap.must('EXPUNGE');
  await imap.logout();
}

interface Answer {
  readonly before: number;
  readonly after: number;
  readonly ms: number;
  readonly running: boolean;
}
const answerOf = (ran: Ran): Answer => {
  expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  return answerIn(ran.stdout) as Answer;
};
const compact = async (): Promise<Answer> => answerOf(await site.cli('compact', '--json'));

async function send(user: string, subject: string): Promise<number> {
  const smtp = await Smtp.open(site.address, site.port('smtp'));
  const sent = await smtp.send('x@elsewhere.test', `${user}@example.test`, Buffer.from(`Subject: ${subject}\r\n\r\n`), Buffer.from('x\r\n'));
  smtp.close();
  return sent.code;
}

/** Files of the engine. Once it serves they are one file and its lock, by one name. */
const engineFiles = (): string[] =>
  readdirSync(site.data)
    .filter((name) => name.startsWith('mail.lmdb'))
    .sort();
function expectedFiles(): string[] {
  const target = linkTarget();
  return target === null ? ['mail.lmdb', 'mail.lmdb-lock'] : ['mail.lmdb', target, `${target}-lock`];
}
function linkTarget(): string | null {
  try {
    return readlinkSync(join(site.data, 'mail.lmdb'));
  } catch {
    return null;
  }
}

/** One session appends, changes and reads back, for ever: whatever was answered is what it sees. */
async function ownWrites(until: () => boolean): Promise<number> {
  const imap = await open('own');
  let rounds = 0;
  try {
    for (let n = 0; !until(); rounds++) {
      const done = await imap.append('INBOX', '', [Buffer.from(`Subject: own-${rounds}\r\n\r\nx\r\n`)]);
      expect(done.ok, done.text).toBe(true);
      const uid = /APPENDUID \d+ (\d+)/.exec(done.text)?.[1];
      await imap.must('NOOP');
      expect(imap.exists).toBe(++n);
      const lines: string[] = [];
      imap.onLine = (line) => void lines.push(line);
      await imap.must(`UID STORE ${uid} +FLAGS (\\Flagged k${rounds % 7})`);
      await imap.must(`UID FETCH ${uid} (FLAGS ENVELOPE)`);
      imap.onLine = null;
      const fetched = lines.filter((line) => line.includes('ENVELOPE')).join('\n');
      expect(fetched).toContain(`own-${rounds}`);
      expect(fetched).toContain(`\\Flagged`);
      if (rounds % 10 !== 9) continue;
      await imap.must(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`);
      await imap.must('EXPUNGE');
      n--;
    }
  } finally {
    imap.close();
  }
  return rounds;
}

describe('compact', () => {
  test('under load: the disk gets its room back, no session is lost, IDLE hears of new mail, a session sees its own writes', async () => {
    await fillAndEmpty(600);
    const idle = await Promise.all(idlers.map((user) => open(user)));
    for (const session of idle) await session.idle();
    const supervised = (await site.status()).processes.map(({ pid }) => pid);
    const ledger = new Ledger(site, users);
    ledger.begin(4, 3);
    let over = false;
    const own = ownWrites(() => over);
    const answers: Answer[] = [];
    const lateMs: number[] = [];
    for (let round = 0; round < 6; round++) {
      answers.push(await compact());
      for (const [i, session] of idle.entries()) {
        const heard = new Promise<void>((done) => {
          session.onExists = () => done();
        });
        expect(await send(idlers[i] as string, `round ${round}`)).toBe(250);
        const from = performance.now();
        await Promise.race([heard, sleep(10_000).then(() => Promise.reject(new Error(`IDLE heard nothing after round ${round}`)))]);
        lateMs.push(performance.now() - from);
        expect(session.exists).toBe(round + 1);
      }
    }
    over = true;
    const rounds = await own;
    await ledger.end();
    for (const session of idle) {
      session.done();
      await session.must('FETCH 1:* (FLAGS BODY.PEEK[HEADER])');
      session.close();
    }
    expect(await ledger.compare()).toEqual([]);
    expect([ledger.counts.reconnects, ledger.counts.sessionsHung, ledger.counts.unsure]).toEqual([0, 0, 0]);
    expect(
      (await site.status()).processes.map(({ pid }) => pid),
      'no process ended',
    ).toEqual(supervised);
    expect(rounds).toBeGreaterThan(0);
    const [first] = answers as [Answer];
    expect(first.running).toBe(true);
    expect(first.after).toBeLessThan(first.before / 2);
    expect(engineFiles()).toEqual(expectedFiles());
    const held = [...site.log.matchAll(/"store.compacted".*"heldMs":(\d+)/g)].map((found) => Number(found[1]));
    expect(held).toHaveLength(6);
    tell(`  first: ${JSON.stringify(first)}; held, ms: ${held.join(' ')}; EXISTS on IDLE after the 250, ms: at most ${Math.max(...lateMs).toFixed(1)}`);
    tell(`  ${rounds} rounds of own writes, ${JSON.stringify(ledger.counts)}`);

    await site.kill();
    const offline = await compact();
    expect([offline.running, offline.after <= offline.before]).toEqual([false, true]);
  });

  test(`M1 C1: ${kills} times kill -9 at random moments of it, under load (MAILSITE_SEED=${seed})`, async () => {
    const random = rng(seed);
    await fillAndEmpty(200);
    const usual = (await compact()).ms;
    const ledger = new Ledger(site, users);
    ledger.begin(4, 2);
    const counts = { before: 0, switched: 0, answered: 0, verb: 0 };
    for (let i = 0; i < kills; i++) {
      if (i % 8 === 7) {
        await killVerb(random, usual);
        counts.verb++;
        continue;
      }
      const was = linkTarget();
      const running = site.cli('compact', '--json');
      const store = await storePid();
      // one in three: at the switch itself
      if (i % 3 === 0) await until('the switch', () => linkTarget() !== was, 20_000, 0);
      else await sleep(random() * usual * 2);
      if (random() < 0.2) {
        await site.kill();
        await sleep(100); // RestartSec of the unit
        site.launch();
      } else signal(store);
      if ((await running).code === 0) counts.answered++;
      await until('service after kill -9', () => site.greets(), 20_000, 5);
      await until('a delivery after kill -9', async () => (await send('probe', `kill ${i}`)) === 250, 20_000, 20);
      if (linkTarget() === was) counts.before++;
      else counts.switched++;
      expect(engineFiles(), 'nothing is left over').toEqual(expectedFiles());
    }
    await compact();
    await ledger.end();
    expect(await ledger.compare()).toEqual([]);
    expect(ledger.counts.sessionsHung, 'a session waits for ever').toBe(0);
    expect(ledger.counts.smtpKept).toBeGreaterThan(kills);
    expect(counts.switched).toBeGreaterThan(0);
    tell(`  killed ${JSON.stringify(counts)}, usual compact ${usual.toFixed(0)} ms; ${JSON.stringify(ledger.counts)}`);
  });
});

async function storePid(): Promise<number> {
  const found = await until('a store', async () => (await site.status()).processes.find((process) => process.role === 'store'), 10_000, 20);
  return found.pid;
}

/** No site runs: the verb compacts, and is killed. The data is whole without any start in between. */
async function killVerb(random: () => number, usual: number): Promise<void> {
  await site.kill();
  const child = Bun.spawn([executable, 'compact', '--json', '--data', site.data], { stdout: 'ignore', stderr: 'ignore' });
  await sleep(100 + random() * usual);
  child.kill('SIGKILL');
  await child.exited;
  await sleep(100);
  await must([executable, 'check', '--deep', '--json', '--data', site.data]);
  await site.start();
}
