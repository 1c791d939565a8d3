// A booted Debian in a container: systemd as process 1, with a network of its own. Nothing of this machine's systemd is needed.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { must, type Ran, run, until } from '../clients/programs.ts';
import { descendants, signal } from '../clients/site.ts';

/** What systemd-nspawn exits with when the system inside reboots and no manager outside boots it again. */
const rebooted = 133;

export class Machine {
  readonly root: string;
  private readonly nspawn: string[];
  private child: ChildProcess | null = null;
  private exited: Promise<number> = Promise.resolve(0);
  console = '';

  constructor(root: string) {
    this.root = root;
    this.nspawn = ['--boot', '--register=no', '--keep-unit', '--private-network', '--machine=mailsite-test', '--console=pipe', '--directory', root];
  }

  async boot(): Promise<void> {
    const child = spawn('systemd-nspawn', this.nspawn, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (this.console += String(text)));
    this.exited = new Promise((resolve) => child.on('exit', (code) => resolve(code ?? -1)));
    await until(`the system is up\n${this.console}`, async () => /running|degraded/.test((await this.run('systemctl is-system-running')).stdout), 60_000, 200);
  }

  /** Process 1 of the container, as seen from here; 0 while there is none. */
  private leader(): number {
    const pid = this.child?.pid;
    if (pid === undefined) return 0;
    const found = descendants(pid).find((other) => other !== pid && /systemd|init/.test(commandOf(other)));
    return found ?? 0;
  }

  run(command: string, input = ''): Promise<Ran> {
    const leader = this.leader();
    if (leader === 0) return Promise.resolve({ code: -1, stdout: '', stderr: 'not booted', ms: 0 });
    return run(['nsenter', '--target', String(leader), '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd', '/bin/sh', '-c', command], {
      input,
      timeoutMs: 60_000,
    });
  }

  must(command: string, input = ''): Promise<Ran> {
    const leader = this.leader();
    return must(
      ['nsenter', '--target', String(leader), '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd', '/bin/sh', '-c', command],
      { input, timeoutMs: 60_000 },
    );
  }

  /** As `reboot` on a real machine: services are ended, then everything starts again. */
  async reboot(): Promise<void> {
    await this.run('systemctl reboot');
    const code = await this.exited;
    if (code !== rebooted) throw new Error(`systemd-nspawn ended with ${code}, not with a reboot\n${this.console.slice(-3_000)}`);
    await this.boot();
  }

  /** The plug is pulled. */
  async kill(): Promise<void> {
    const pid = this.child?.pid;
    if (pid === undefined) return;
    for (const one of descendants(pid)) signal(one);
    await this.exited;
    this.child = null;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1');
  } catch {
    return '';
  }
}
