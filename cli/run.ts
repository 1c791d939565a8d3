// `mailsite run`: binds the ports, drops privileges, becomes the supervisor. It ends by kill -9 only.

import { existsSync, lchownSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { dieWithParent } from '../actors/children.ts';
import { checkLimits, limits } from '../actors/limits.ts';
import { holdAlone } from '../actors/lock.ts';
import { realWorld } from '../actors/platform.ts';
import { listenOn } from '../actors/sockets.ts';
import { type ListenerSocket, supervise } from '../actors/supervisor.ts';
import type { ProcessRow } from '../actors/tree.ts';
import type { World } from '../actors/world.ts';
import { type EngineKind, engineFiles } from '../storage/engines/open.ts';
import { tree } from '../tree.ts';
import { Failure } from './output.ts';
import { clearTmp, enterData, place } from './place.ts';
import { mustBe } from './site.ts';

export interface RunOptions {
  /** Absolute. */
  readonly data: string;
  /** IP literal; undefined: all addresses of the machine. */
  readonly listen: string | undefined;
  readonly portOffset: number;
  /** The demo: passwords in clear from loopback, and logs to a descriptor of its own. */
  readonly demo: boolean;
  readonly output: 'inherit' | number;
  /** Which engine a new site gets; one that there is must be of it. */
  readonly engine: EngineKind | undefined;
}

/** Runs the site in this process until it is killed. Throws with one line when it cannot start. */
export async function runSite(options: RunOptions): Promise<void> {
  const world = enterAlone(options, 'site');
  const listeners = bindListeners(options.listen, options.portOffset);
  for (const { name, address, port } of listeners) world.log('listener.open', { name, address, port });
  await superviseHere(world, tree, options, listeners, [
    ...(options.portOffset > 0 ? ['--port-offset', String(options.portOffset)] : []),
    ...(options.demo ? ['--demo'] : []),
  ]);
}

interface Here {
  readonly data: string;
  readonly output: 'inherit' | number;
  readonly engine: EngineKind | undefined;
  /** It ends with the process that started it. */
  readonly bound?: boolean;
}

/** Enters the data directory as the one supervisor of it. */
export function enterAlone(options: Here, what: 'site' | 'portal'): World {
  checkLimits();
  const world = realWorld(options.output === 'inherit' ? undefined : () => {});
  enterData(options.data, false);
  if (!holdAlone(place.supervisorLock, limits.dyingMs))
    throw new Failure(`a ${what} already runs on ${options.data}: mailsite status shows it; give another --data for another ${what}`);
  if (mustBe(options.engine, options.data) === null && existsSync(place.restoring))
    throw new Failure(
      `a restore into ${options.data} was cut off: run the command again that began it, mailsite snapshot restore or mailsite join, or remove ${options.data}/${place.restoring} to begin with an empty ${what}`,
    );
  clearTmp();
  return world;
}

/** Drops privileges and becomes the supervisor of `rows`, until it is killed. */
export async function superviseHere(
  world: World,
  rows: readonly ProcessRow[],
  { engine, output, bound = false }: Here,
  listeners: readonly ListenerSocket[],
  more: readonly string[],
): Promise<void> {
  dropPrivileges(world);
  if (bound) dieWithParent(); // forgotten by the kernel where the user changes
  await supervise(world, {
    tree: rows,
    cores: Math.max(1, Math.min(navigator.hardwareConcurrency - 1, 16)),
    listeners,
    socketPath: place.supervisorSocket,
    command: (role, index) => [
      ...ownCommand(),
      'role',
      role,
      '--index',
      String(index),
      '--supervisor',
      String(process.pid),
      ...more,
      ...(engine !== undefined ? ['--engine', engine] : []),
    ],
    env: childEnvironment(),
    cwd: '.',
    output,
  });
}

/** How to start this program again: the executable itself, or Bun with the source. /proc/self/exe needs no path rights. */
export function ownCommand(): readonly string[] {
  return Bun.main.startsWith('/$bunfs/') ? ['/proc/self/exe'] : ['/proc/self/exe', Bun.main];
}

/** Which proxy leads to the portal (uplink/agent/network.ts). */
const proxies = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'] as const;

/** Nothing of our own environment reaches a child but what is named here. */
function childEnvironment(): Record<string, string> {
  const given = proxies.map((name) => [name, process.env[name] ?? process.env[name.toLowerCase()]] as const);
  const proxy = Object.fromEntries(given.filter((row): row is readonly [(typeof proxies)[number], string] => (row[1] ?? '') !== ''));
  return { ...proxy, PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', TZ: 'UTC', BUN_TMPDIR: place.tmp, TMPDIR: place.tmp };
}

function bindListeners(listen: string | undefined, offset: number): ListenerSocket[] {
  const rows = tree.flatMap((process) => process.children.filter((child) => child.port !== undefined));
  const open = (address: string): ListenerSocket[] =>
    rows.map((row) => {
      const port = (row.port as number) + offset;
      try {
        return { name: row.name, address, port, fd: listenOn({ address, port }) };
      } catch (error) {
        throw new Failure(`${(error as Error).message}: free the port, or give another --listen or --port-offset`);
      }
    });
  if (listen !== undefined) return open(listen);
  return open(existsIpv6() ? '::' : '0.0.0.0');
}

function existsIpv6(): boolean {
  try {
    return readFileSync('/proc/self/net/if_inet6', 'utf8').length > 0;
  } catch {
    return false;
  }
}

/** Where the machine has no user `mailsite`: a uid in the range that neither distributions nor systemd give to anybody. */
const SPARE_UID = 76_911;

/** As root: the data goes to the site's own user, and so does this process, for good. */
function dropPrivileges(world: World): void {
  if (process.getuid?.() !== 0) return;
  const own = statSync('.');
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'mailsite');
  const [uid, gid] = own.uid !== 0 ? [own.uid, own.gid] : entry !== undefined ? [Number(entry[2]), Number(entry[3])] : [SPARE_UID, SPARE_UID];
  for (const path of ['.', place.run, place.tmp, place.log, place.lock, place.supervisorLock, place.machineKey, ...engineFiles('.')]) giveAway(path, uid, gid);
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  world.log('process.privileges', { user: entry?.[0] ?? '', uid, gid });
}

/** Only what root itself made, and never through a link: the site's user may have put one there. */
function giveAway(path: string, uid: number, gid: number): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.uid !== 0) return;
  if (found.isDirectory() || found.nlink === 1) lchownSync(path, uid, gid);
}
