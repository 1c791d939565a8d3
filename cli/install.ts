// `mailsite install` and `uninstall`: this executable as a systemd service. Both can be run again: install brings the
// service to this version, uninstall of what is not there says so. The data is never touched.

import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { realWorld } from '../actors/platform.ts';
import type { Arguments } from './arguments.ts';
import { Failure, print, printJson, UsageError } from './output.ts';
import { unitText } from './unit.ts';

const DEFAULT_BIN = '/usr/local/bin/mailsite';
const UNIT = 'mailsite.service';
const UNIT_FILE = `/etc/systemd/system/${UNIT}`;
const DATA = '/var/lib/mailsite';

export async function install(given: Arguments): Promise<void> {
  const bin = binOf(given);
  if (given.print) return print(unitText(bin));
  needRoot('install');
  const own = process.execPath;
  if (!Bun.main.startsWith('/$bunfs/')) throw new Failure('only the built executable can be installed: run npm run build, then dist/mailsite install');
  try {
    if (!sameFile(own, bin)) copyExecutable(own, bin);
    writeFileSync(UNIT_FILE, unitText(bin));
    chmodSync(UNIT_FILE, 0o644);
  } catch (error) {
    throw new Failure(`the files of the service cannot be written (${(error as Error).message}): see that / is writable and has room`);
  }
  systemctl('daemon-reload');
  systemctl('enable', '--quiet', UNIT);
  systemctl('restart', UNIT);
  await active();
  if (given.json) return printJson({ ok: true, bin, unit: UNIT_FILE, data: DATA });
  print(`Installed ${bin} as ${UNIT}; it runs and starts on boot. The data is in ${DATA}.`);
  print('Give it a document:  mailsite apply site.json\nSee how it is:       mailsite status\nRead its log:        journalctl -fu mailsite');
}

export async function uninstall(given: Arguments): Promise<void> {
  const bin = binOf(given);
  needRoot('uninstall');
  if (!existsSync(UNIT_FILE)) throw new Failure(`there is no ${UNIT_FILE}: the service is not installed, and nothing was changed`);
  systemctl('disable', '--now', '--quiet', UNIT);
  rmSync(UNIT_FILE, { force: true });
  systemctl('daemon-reload');
  Bun.spawnSync(['systemctl', 'reset-failed', UNIT], { stdout: 'ignore', stderr: 'ignore' });
  const removed = existsSync(bin);
  rmSync(bin, { force: true });
  if (given.json) return printJson({ ok: true, unit: UNIT_FILE, bin: removed ? bin : null, data: DATA });
  print(`Removed ${UNIT}${removed ? ` and ${bin}` : ''}. The data stays in ${DATA}; mailsite install takes it up again.`);
  print(`To end it for good:  rm -r ${DATA} /var/lib/private/mailsite`);
}

function binOf(given: Arguments): string {
  const bin = given.bin ?? DEFAULT_BIN;
  if (!isAbsolute(bin) || /[^\w./+-]/.test(bin))
    throw new UsageError(`--bin takes an absolute path of letters, digits and . _ + - /, not ${JSON.stringify(bin)}`);
  return bin;
}

function needRoot(verb: string): void {
  if (process.getuid?.() !== 0) throw new Failure(`${verb} changes the services of this machine: run it as root, sudo mailsite ${verb}`);
  if (!existsSync('/run/systemd/system')) throw new Failure(`this machine is not run by systemd: start mailsite run from whatever starts its services`);
}

const sameFile = (a: string, b: string): boolean => existsSync(b) && statSync(a).ino === statSync(b).ino && statSync(a).dev === statSync(b).dev;

/** A new file under the old name: what runs keeps the old one. */
function copyExecutable(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, `${to}.new`);
  chmodSync(`${to}.new`, 0o755);
  renameSync(`${to}.new`, to);
}

function systemctl(...words: readonly string[]): void {
  const done = Bun.spawnSync(['systemctl', ...words], { stdout: 'ignore', stderr: 'pipe' });
  if (done.exitCode === 0) return;
  const why = done.stderr.toString().trim().split('\n').at(-1) ?? '';
  throw new Failure(`systemctl ${words.join(' ')} failed (${why}): journalctl -u mailsite tells more`);
}

/** The service is up when it has stayed so for a second; a crash at start (a port that is taken) shows by then. */
async function active(): Promise<void> {
  const world = realWorld(() => {});
  const restarts = (): string => Bun.spawnSync(['systemctl', 'show', '-p', 'NRestarts,ActiveState', '--value', UNIT]).stdout.toString().trim();
  const before = restarts();
  await world.sleep(1_500);
  const after = restarts();
  if (after === before && after.includes('active')) return;
  const log = Bun.spawnSync(['journalctl', '-q', '-n', '1', '-o', 'cat', '-u', UNIT, '-t', 'mailsite', '--grep', '^mailsite: ']).stdout.toString().trim();
  throw new Failure(
    `the service is installed but does not stay up${log === '' ? '' : ` (${log.replace(/^mailsite: /, '')})`}: journalctl -u mailsite tells more`,
  );
}
