// C1, M1, M2, Q1: kill -9 of every role at random, 200 times in all, during SMTP and IMAP load on the real executable.
// Everything that was answered yes is there exactly once, flags too; the data is whole; service comes back each time.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Imap, Smtp } from '../bench/lib/conn.ts';
import { rng } from '../bench/lib/util.ts';
import { sleep, tell, until } from '../clients/programs.ts';
import { alive, descendants, password, type Site, sampleDocument, signal, startSite } from '../clients/site.ts';
import { Ledger } from './ledger.ts';

const kills = Number(process.env['MAILSITE_KILLS'] ?? 200);
const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
const roles = ['store', 'edge', 'work', 'control', 'supervisor'] as const;
type Role = (typeof roles)[number];

const users = Array.from({ length: 10 }, (_, i) => `user${i}`);
let site: Site;
beforeAll(async () => {
  site = await startSite({ document: sampleDocument([...users, 'probe']) });
});
afterAll(() => site?.finish());

function pidsOf(role: Role): number[] {
  const supervisor = site.supervisorPid;
  if (role === 'supervisor') return [supervisor];
  return descendants(supervisor).filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
      return words[words.indexOf('role') + 1] === role;
    } catch {
      return false;
    }
  });
}

/** A whole delivery and a whole login with SELECT, each on a new connection. */
async function works(): Promise<true> {
  const smtp = await Smtp.open(site.address, site.port('smtp'));
  const sent = await smtp.send('x@elsewhere.test', 'probe@example.test', Buffer.from('Subject: probe\r\n\r\n'), Buffer.from('x\r\n'));
  smtp.close();
  if (sent.code !== 250) throw new Error(sent.text);
  const imap = await Imap.open(site.address, site.port('imaps'), true);
  try {
    await imap.login('probe@example.test', password);
    await imap.must('SELECT INBOX');
  } finally {
    imap.close();
  }
  return true;
}

/** One try must not wait for the answer of a process that is dead: it may take a second, then there is another. */
const soon = <T>(work: Promise<T>): Promise<T> => {
  work.catch(() => {});
  return Promise.race([work, sleep(1_000).then(() => Promise.reject(new Error('no answer within a second')))]);
};

interface Back {
  /** From the kill to a greeting of SMTP and of IMAP, ms. */
  readonly greets: number;
  /** To a whole delivery and a whole login, while all other clients log in again too: each password is hashed again. */
  readonly works: number;
}

async function killOne(role: Role, random: () => number): Promise<Back> {
  const pids = await until(`a process ${role}`, () => (pidsOf(role).length > 0 ? pidsOf(role) : false), 10_000, 5);
  const pid = pids[Math.floor(random() * pids.length)] as number;
  const at = performance.now();
  signal(pid);
  if (role === 'supervisor') {
    await until('the supervisor is gone', () => !alive(pid), 5_000, 1);
    await sleep(100); // RestartSec of the unit
    site.launch();
  }
  await until(`a greeting after kill -9 of ${role}`, () => site.greets(), 20_000, 2);
  const greets = performance.now() - at;
  await until(`service after kill -9 of ${role}`, () => soon(works()), 20_000, 2);
  return { greets, works: performance.now() - at };
}

test(`M1 C1: ${kills} times kill -9 under load (MAILSITE_SEED=${seed})`, async () => {
  const random = rng(seed);
  const ledger = new Ledger(site, users);
  ledger.begin(8, 4);
  await sleep(500);
  const times: Record<Role, Back[]> = { store: [], edge: [], work: [], control: [], supervisor: [] };
  for (let i = 0; i < kills; i++) {
    const role = roles[Math.floor(random() * roles.length)] as Role;
    times[role].push(await killOne(role, random));
    await sleep(random() * 300);
  }
  await ledger.end();
  const wrong = await ledger.compare();
  report(times, ledger.counts);
  expect(wrong).toEqual([]);
  expect(ledger.counts.sessionsHung, 'a session waits for ever').toBe(0);
  expect(ledger.counts.smtpKept).toBeGreaterThan(kills);
  expect(ledger.counts.appendKept).toBeGreaterThan(kills / 2);
  expect(ledger.counts.storeKept).toBeGreaterThan(kills / 2);
});

function report(times: Readonly<Record<Role, Back[]>>, counts: Ledger['counts']): void {
  const quantiles = (list: readonly number[]): string => {
    const sorted = [...list].sort((a, b) => a - b);
    return [0.5, 0.95, 1].map((q) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0).toFixed(0)).join(' / ');
  };
  tell('  back after, ms (p50 / p95 / max)     greeting            whole delivery and login');
  for (const [role, list] of [...Object.entries(times), ['all', Object.values(times).flat()] as const]) {
    const [greets, works] = [list.map((back) => back.greets), list.map((back) => back.works)];
    tell(`  ${role.padEnd(10)} ${String(list.length).padStart(4)} kills           ${quantiles(greets).padEnd(20)}${quantiles(works)}`);
  }
  tell(`  ${JSON.stringify(counts)}`);
}
