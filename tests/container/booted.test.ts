// The systemd unit, for real: install, security, mail in, kill -9 of each process, reboot, the plug pulled, uninstall.

import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, tell, until } from '../clients/programs.ts';
import { engine, engineOptions, executable, isolated, password, type Status, sampleDocument, temporaryFolder } from '../clients/site.ts';
import { answerIn } from '../unit/cli/program.ts';
import { Machine } from './machine.ts';

const cache = process.env['MAILSITE_TEST_CACHE'] ?? '/var/cache/mailsite-tests';
const booted = join(cache, 'booted');
const named = engineOptions.join(' ');

/** Speaks SMTP and IMAP with nothing but bash, which a bare Debian has. */
const talk = `
expect_line() { local line; while IFS= read -r -t 5 line <&3; do case "$line" in $1) return 0;; esac; done; echo "no $1" >&2; exit 1; }
say() { printf '%s\\r\\n' "$*" >&3; }
dial() { exec 3<>/dev/tcp/127.0.0.1/$1; }
`;
const deliver = (subject: string): string => `${talk}
dial 25; expect_line '220 *'; say 'EHLO x'; expect_line '250 *'; say 'MAIL FROM:<x@elsewhere.test>'; expect_line '250 *'
say 'RCPT TO:<alice@example.test>'; expect_line '250 *'; say DATA; expect_line '354 *'; say 'Subject: ${subject}'; say; say x; say .; expect_line '250 *'; say QUIT`;

describe.skipIf(!isolated || !existsSync(join(booted, '.complete')))('a booted Debian with systemd', () => {
  let machine: Machine;
  let folder: string;
  let count = 0;

  beforeAll(async () => {
    folder = temporaryFolder();
    const root = join(folder, 'root');
    mkdirSync(root);
    await must(['cp', '-a', `${booted}/.`, root], { timeoutMs: 120_000 });
    mkdirSync(join(root, 'opt/mailsite'), { recursive: true });
    cpSync(executable, join(root, 'opt/mailsite/mailsite'));
    machine = new Machine(root);
    await machine.boot();
  });
  afterAll(async () => {
    await machine.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  const bash = (script: string) => machine.run(`bash -c "$(cat)"`, script);
  const deliverOne = async (): Promise<void> => {
    await until(
      `mail flows (${count})`,
      async () => {
        const ran = await bash(deliver(`m${count}`));
        if (ran.code !== 0) throw new Error(ran.stderr);
        return true;
      },
      20_000,
      50,
    );
    count++;
  };
  const status = async (): Promise<Status> => JSON.parse((await machine.must('mailsite status --json')).stdout) as Status;
  /** The uid of each process of the site. */
  const usersOfProcesses = async (): Promise<string[]> => {
    const script = 'for d in /proc/[0-9]*; do case "$(readlink $d/exe)" in */mailsite) stat -c %u $d;; esac; done; true';
    return (await machine.must(script)).stdout.split('\n').filter(Boolean);
  };
  const isActive = (): Promise<unknown> =>
    until('the service is active', async () => (await machine.run('systemctl is-active mailsite')).stdout.trim() === 'active', 20_000, 100);

  test('install: the service runs, enabled, as nobody special', async () => {
    if (engine !== undefined) await machine.must(`/opt/mailsite/mailsite apply - ${named}`, JSON.stringify(sampleDocument()));
    const ran = await machine.must('/opt/mailsite/mailsite install');
    expect(ran.stdout).not.toBe('');
    await isActive();
    expect((await status()).engine).toBe(engine ?? 'lmdb');
    expect((await machine.must('systemctl is-enabled mailsite')).stdout.trim()).toBe('enabled');
    const users = await usersOfProcesses();
    expect(users.length).toBeGreaterThan(3);
    expect(users).not.toContain('0');
  });

  test('systemd-analyze security: 2.0 or better', async () => {
    const { stdout } = await machine.run('systemd-analyze security --no-pager mailsite');
    const exposure = Number(/Overall exposure level for mailsite\.service: ([\d.]+)/.exec(stdout)?.[1]);
    tell(`  systemd-analyze security: ${exposure}`);
    expect(exposure).toBeLessThanOrEqual(2);
  });

  test('a document, and mail on port 25', async () => {
    await machine.must('mailsite apply -', JSON.stringify(sampleDocument()));
    await deliverOne();
  });

  test('a site that runs as the service parks itself beside its data', async () => {
    await machine.must('mailsite apply -', JSON.stringify(sampleDocument(undefined, { snapshots: { to: '/var/lib/mailsite-snapshots', everySeconds: 1 } })));
    const parked = () => machine.run('mailsite snapshot verify --deep --json');
    const last = async () => (await parked()).stdout.trim().split('\n').at(-1) ?? '';
    await until('a snapshot is parked', async () => (JSON.parse(await last()) as { ok: boolean; proof: string }).proof === 'restored', 30_000, 500);
    const found = JSON.parse((await machine.must('mailsite status --json')).stdout) as { snapshots: { takenAt: number | null; problem: string | null } };
    expect(found.snapshots).toMatchObject({ takenAt: expect.any(Number), problem: null });
  });

  test('what the service may do is enough to prove a snapshot', async () => {
    const unit = '/etc/systemd/system/mailsite';
    // the same service, but for what it runs; its parent is process 1
    const changes = [
      's/^ExecStart=.*/ExecStart=\\/usr\\/local\\/bin\\/mailsite prove --supervisor 1/',
      's/^Type=.*/Type=oneshot/',
      's/^Restart=.*/Restart=no/',
    ];
    await machine.must(`sed ${changes.map((change) => `-e '${change}'`).join(' ')} ${unit}.service >${unit}-proof.service && systemctl daemon-reload`);
    await machine.must('systemctl start mailsite-proof');
    const { stdout } = await machine.must('journalctl --no-pager -o cat -u mailsite-proof');
    expect(stdout).toMatch(/^\{"state":"proven","commit":\d+/m);
    await machine.must(`rm ${unit}-proof.service && systemctl daemon-reload`);
  });

  test('kill -9 of each process: mail flows on', async () => {
    const { processes, supervisor } = await status();
    expect(new Set(processes.map((process) => process.role))).toEqual(new Set(['store', 'edge', 'work', 'control']));
    for (const { pid } of processes) {
      await machine.must(`kill -9 ${pid}`);
      await deliverOne();
    }
    await machine.must(`kill -9 ${supervisor?.pid}`);
    await deliverOne();
    await isActive();
    expect((await status()).supervisor?.pid).not.toBe(supervisor?.pid);
  });

  test('systemctl restart and stop are crashes like any other', async () => {
    await machine.must('systemctl restart mailsite');
    await deliverOne();
    await machine.must('systemctl stop mailsite');
    expect(await usersOfProcesses()).toEqual([]);
    expect((await machine.run('systemctl is-failed mailsite')).stdout.trim()).not.toBe('failed');
    await machine.must('systemctl start mailsite');
    await deliverOne();
  });

  test('reboot: it starts by itself and everything is there', async () => {
    await machine.reboot();
    await isActive();
    await deliverOne();
    expect((await status()).messages).toBe(count);
  });

  test('the plug is pulled: the same', async () => {
    await machine.kill();
    await machine.boot();
    await isActive();
    await deliverOne();
    expect((await status()).messages).toBe(count);
    const script = `${talk}
dial 143; expect_line '* OK*'; say 'a LOGIN alice@example.test "${password}"'; expect_line 'a NO*'`;
    expect((await bash(script)).code, 'no login in clear, not even from here').toBe(0);
  });

  test('the data is lost: out of its snapshots and the kit the site is back, as a service', async () => {
    await machine.must('mailsite snapshot create');
    const { stdout: kit } = await machine.must('mailsite snapshot key');
    await machine.must('/opt/mailsite/mailsite uninstall && rm -r /var/lib/mailsite /var/lib/private/mailsite');
    await machine.must(`/opt/mailsite/mailsite snapshot restore --from /var/lib/mailsite-snapshots --key - ${named}`, kit);
    await machine.must('/opt/mailsite/mailsite install');
    await deliverOne();
    expect((await status()).messages).toBe(count);
    expect(await usersOfProcesses()).not.toContain('0');
    const back = await machine.must('mailsite snapshot restore --only alice@example.test --into Back --json');
    const { messages } = answerIn(back.stdout) as { messages: number };
    expect(messages).toBeGreaterThanOrEqual(count - 1);
    count += messages;
    // and where the service has its empty folder already
    await machine.must('mailsite snapshot create && systemctl stop mailsite && rm -r /var/lib/mailsite/*');
    await machine.must(`mailsite snapshot restore --from /var/lib/mailsite-snapshots --key - ${named} && systemctl start mailsite`, kit);
    await deliverOne();
    expect((await status()).messages).toBe(count);
  });

  test('check is clean; uninstall removes the service and keeps the data', async () => {
    await machine.must('systemctl stop mailsite && mailsite check --deep');
    await machine.must('systemctl start mailsite');
    await deliverOne();
    await machine.must('/opt/mailsite/mailsite uninstall');
    expect((await machine.run('systemctl is-active mailsite')).stdout.trim()).not.toBe('active');
    expect((await machine.run('systemctl cat mailsite')).code).not.toBe(0);
    expect((await machine.run('ls /var/lib/private/mailsite/ /var/lib/mailsite/')).stdout).toContain(`mail.${engine ?? 'lmdb'}`);
    await machine.must('/opt/mailsite/mailsite install');
    await isActive();
    await deliverOne();
    expect((await status()).messages).toBe(count);
  });
});
