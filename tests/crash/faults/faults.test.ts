// M1, M2, C1 on a failing disk: the short form of run.ts. After a sync that failed the store ends and never syncs again; for
// want of room it refuses and goes on; nothing that was answered is lost.

import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { sleep, tell, until } from '../../clients/programs.ts';
import { alive, descendants, sampleDocument, type Site, startSite } from '../../clients/site.ts';
import { Ledger } from '../ledger.ts';
import { freshFolder } from '../writelog/replay.ts';
import { disks, named, silent, sweep } from './sweep.ts';

const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
const folder = freshFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const places = { lmdb: [1, 2, 3, 5, 8, 13], lsm: [1, 3, 9] };
test.each(Object.entries(disks))(
  `M1: a write or a sync of %s that fails ends the store, or is refused, and loses nothing (MAILSITE_SEED=${seed})`,
  async (engine, { faults }) => {
    const { trials, refused, bad } = await sweep(engine, folder, places[engine as 'lmdb'], seed);
    expect(bad.map(({ fault, at, seed: of, wrong }) => `${named(fault)} at ${at} (seed ${of}): ${wrong.join('; ')}`)).toEqual([]);
    expect(trials).toBeGreaterThan(2 * faults.length);
    tell(`  of ${engine} ${trials} calls failed in turn, ${refused} commands were refused for want of room, nothing was lost`);
  },
);

describe('the executable', () => {
  const users = ['user0', 'user1', 'user2'];
  const storeOf = (site: Site): number | undefined =>
    descendants(site.supervisorPid).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0role\0store\0'));

  /** Lets a sync of the running store fail, and waits for its end. What it did, by strace. */
  const failSync = async (site: Site, trace: string): Promise<string[]> => {
    const pid = await until('a store', () => storeOf(site));
    const inject = ['-e', 'trace=fdatasync,fsync,pwrite64,writev', '-e', 'inject=fdatasync:error=EIO:when=5', '-P', join(site.data, 'mail.lmdb')];
    const strace = spawn('strace', ['-f', '-y', '-s', '0', '-qq', '-o', trace, ...inject, '-p', `${pid}`], { stdio: 'ignore' });
    const ended = new Promise((resolve) => strace.on('close', resolve));
    await until('the store ends after a sync that failed', () => !alive(pid));
    await ended;
    return readFileSync(trace, 'utf8').split('\n');
  };

  test('C1 M1: its store ends after a sync that failed, and is back with all that was answered', async () => {
    const site = await startSite({ document: sampleDocument(users) });
    try {
      const ledger = new Ledger(site, users);
      ledger.begin(3, 2);
      for (let round = 0; round < 5; round++) {
        await sleep(300);
        const calls = await failSync(site, join(site.data, '..', `trace${round}`));
        expect(calls.filter((line) => line.includes('EIO (Input/output error) (INJECTED)')).length, calls.slice(-5).join('\n')).toBe(1);
        expect(silent(calls, true)).toEqual([]);
        await until('service is back', () => site.greets());
      }
      await ledger.end();
      expect(await ledger.compare()).toEqual([]);
      expect(ledger.counts.sessionsHung).toBe(0);
      expect(ledger.counts.smtpKept).toBeGreaterThan(20);
      tell(`  of the executable: 5 syncs failed, ${JSON.stringify(ledger.counts)}`);
      await site.check();
    } finally {
      await site.kill();
      rmSync(join(site.data, '..'), { recursive: true, force: true });
    }
  });
});
