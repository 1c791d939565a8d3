// One executable: it runs in a bare Debian root without Node, Bun or node_modules, from a hostile working directory, and
// with /tmp mounted noexec. (Who sets the environment of a process owns it: BUN_OPTIONS itself is not defended against.)

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { spawn, type ChildProcess } from 'node:child_process';
import { Imap, Smtp } from '../bench/lib/conn.ts';
import { must, type Ran, run, until } from '../clients/programs.ts';
import { descendants, executable, greeting, isolated, password, sampleDocument, signal, temporaryFolder } from '../clients/site.ts';

const cache = process.env['MAILSITE_TEST_CACHE'] ?? '/var/cache/mailsite-tests';
const bare = join(cache, 'bare');
const offset = 20_000;

describe.skipIf(!isolated || !existsSync(join(bare, '.complete')))('a bare Debian root', () => {
  let root: string;
  let folder: string;
  let site: ChildProcess;

  beforeAll(async () => {
    folder = temporaryFolder();
    root = join(folder, 'root');
    const [upper, work] = [join(folder, 'upper'), join(folder, 'work')];
    for (const path of [root, upper, work]) mkdirSync(path);
    // overlayfs cannot stack on every file system: a tmpfs below the changes always works
    await must(['mount', '-t', 'tmpfs', 'tmpfs', folder]);
    for (const path of [root, upper, work]) mkdirSync(path, { recursive: true });
    await must(['mount', '-t', 'overlay', 'overlay', '-o', `lowerdir=${bare},upperdir=${upper},workdir=${work}`, root]);
    await must(['mount', '-t', 'proc', 'proc', join(root, 'proc')]);
    await must(['mount', '-t', 'tmpfs', '-o', 'noexec,nosuid,nodev', 'tmpfs', join(root, 'tmp')]);
    await must(['mount', '--bind', '/dev', join(root, 'dev')]);
    cpSync(executable, join(root, 'usr/local/bin/mailsite'));
    trap(join(root, 'trap'));
  });
  afterAll(async () => {
    for (const pid of site?.pid === undefined ? [] : descendants(site.pid)) signal(pid);
    await run(['umount', '-R', '-l', root]);
    await run(['umount', '-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** A directory in which Bun, obeying it, would do harm. */
  function trap(directory: string): void {
    mkdirSync(directory, { mode: 0o777 });
    const harm = (name: string): string => `require('fs').writeFileSync('/harm-${name}', 'x'); process.exit(66);`;
    writeFileSync(join(directory, 'harm.js'), harm('preload'));
    writeFileSync(join(directory, 'bunfig.toml'), 'preload = ["./harm.js"]\n[run]\npreload = ["./harm.js"]\n[define]\n"process.env.HOME" = "1"\n');
    writeFileSync(
      join(directory, '.env'),
      'BUN_OPTIONS=--preload=/trap/harm.js\nNODE_OPTIONS=--require=/trap/harm.js\nSTATE_DIRECTORY=/harm-state\nHOME=/harm-home\n',
    );
    writeFileSync(join(directory, 'package.json'), '{"name":"trap","type":"commonjs","imports":{"#x":"./harm.js"},"module":"harm.js"}');
    writeFileSync(join(directory, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./harm.js"]},"jsx":"nonsense"}}');
    mkdirSync(join(directory, 'node_modules/lmdb'), { recursive: true });
    writeFileSync(join(directory, 'node_modules/lmdb/index.js'), harm('module'));
    writeFileSync(join(directory, 'node_modules/lmdb/package.json'), '{"name":"lmdb","main":"index.js"}');
  }

  const inside = (command: string): string[] => ['/usr/sbin/chroot', root, '/bin/sh', '-c', `cd /trap && ${command}`];
  const sh = (command: string, input = ''): Promise<Ran> =>
    run(inside(command), { input, env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/root' }, timeoutMs: 60_000 });
  const unharmed = async (): Promise<void> => expect((await sh('ls -d /harm* 2>/dev/null; ls /tmp')).stdout).toBe('');

  test('there is nothing here but Debian', async () => {
    expect((await sh('command -v node bun npm; ls /usr/lib/node_modules')).stdout).toBe('');
    expect((await sh('grep " /tmp " /proc/mounts')).stdout).toContain('noexec');
  });

  test('every verb that only prints, in the trap', async () => {
    for (const verb of ['version', 'help', 'tree', 'wire', 'schema', 'schema --document', 'version --json', 'install --print']) {
      const ran = await sh(`mailsite ${verb}`);
      expect(ran.code, `${verb}: ${ran.stderr}`).toBe(0);
      expect(ran.stdout.length, verb).toBeGreaterThan(5);
    }
    await unharmed();
  });

  test('a whole site: document, mail in, mail read, kill -9, start, check', async () => {
    const start = async (): Promise<void> => {
      site = spawn(
        '/usr/sbin/chroot',
        [root, '/bin/sh', '-c', `cd /trap && exec mailsite run --data /var/lib/mailsite --listen 127.0.0.1 --port-offset ${offset}`],
        {
          env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
          stdio: ['ignore', 'ignore', 'inherit'],
        },
      );
      await until('a greeting', async () => (await greeting('127.0.0.1', 143 + offset)).startsWith('* OK'), 20_000);
    };
    const die = async (): Promise<void> => {
      for (const pid of descendants(site.pid as number)) signal(pid);
      await until('it is gone', async () => (await greeting('127.0.0.1', 143 + offset)) === '', 5_000);
    };
    await start();
    const applied = await sh('mailsite apply - --data /var/lib/mailsite', JSON.stringify(sampleDocument()));
    expect(applied.code, applied.stderr).toBe(0);
    const smtp = await Smtp.open('127.0.0.1', 25 + offset);
    expect((await smtp.send('x@elsewhere.test', 'alice@example.test', Buffer.from('Subject: bare\r\n\r\n'), Buffer.from('x\r\n'))).code).toBe(250);
    await smtp.quit();
    await die();
    await start();
    const imap = await Imap.open('127.0.0.1', 993 + offset, true);
    await imap.login('alice@example.test', password);
    await imap.must('SELECT INBOX');
    expect(imap.exists).toBe(1);
    await imap.logout();
    expect((await sh('mailsite status --data /var/lib/mailsite')).stdout).toContain('mail.example.test');
    await die();
    const checked = await sh('mailsite check --deep --data /var/lib/mailsite');
    expect(checked.code, checked.stdout + checked.stderr).toBe(0);
    await unharmed();
    expect(readFileSync(join(root, 'etc/debian_version'), 'utf8')).not.toBe('');
  });
});
