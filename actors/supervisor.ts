// The supervisor: tiny, owns the listening sockets and the child processes, holds no data.
// States of a child: started → ready (it said so) → gone (it ended, or missed its heartbeat and was killed) → started
// again, within its row's budget. Beyond the budget the supervisor itself exits with 1: systemd starts it again.
// There is no stop: the supervisor ends by kill -9, and its children see the end of their link and exit at once.

import { actor, run } from './actor.ts';
import { limits } from './limits.ts';
import { serve } from './link.ts';
import { hopeless, Supervision } from './supervision.ts';
import type { ProcessRow } from './tree.ts';
import { refuse } from './wire.ts';
import type { World } from './world.ts';

export interface ListenerSocket {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly fd: number;
}

export interface SupervisorOptions {
  readonly tree: readonly ProcessRow[];
  readonly cores: number;
  readonly listeners: readonly ListenerSocket[];
  /** Unix socket of the supervisor. */
  readonly socketPath: string;
  /** argv of a child: the executable and its role arguments. */
  command(role: string, index: number): readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Where the log lines of the children go: our own standard output, or a descriptor. */
  readonly output: 'inherit' | number;
}

interface Child {
  readonly row: ProcessRow;
  readonly index: number;
  pid: number;
  startedAt: number;
  lastBeat: number;
  ready: boolean;
  restarts: number;
  crashes: number[];
  kill(): void;
}

/** Runs until it is killed. Resolves never; a spent budget exits the process. */
export async function supervise(world: World, options: SupervisorOptions): Promise<void> {
  const children: Child[] = [];
  const startedAt = world.now();
  const stranger = (pid: number) => refuse('stranger', `${pid} is no child of ${process.pid}`);
  const byPid = (pid: number): Child | undefined => children.find((c) => c.pid === pid);
  const supervisor = actor({
    name: 'supervisor',
    protocol: Supervision,
    start: () => ({}),
    handle: {
      ready: (_state, { role, index, pid }) => {
        const child = byPid(pid);
        if (child === undefined) return stranger(pid);
        if (!child.ready) {
          child.ready = true;
          world.log('process.ready', { role, index, pid, ms: world.now() - child.startedAt });
        }
        return {};
      },
      beat: (_state, { pid }) => {
        const child = byPid(pid);
        if (child === undefined) return stranger(pid);
        child.lastBeat = world.monotonicMs();
        return {};
      },
      processes: () => ({
        pid: process.pid,
        startedAt,
        processes: children.map((c) => ({
          role: c.row.role,
          index: c.index,
          pid: c.pid,
          startedAt: c.startedAt,
          restarts: c.restarts,
          ready: c.ready ? 1 : 0,
        })),
        listeners: options.listeners.map(({ name, address, port }) => ({ name, address, port })),
      }),
    },
  });
  const running = await run(world, supervisor);
  serve(world, options.socketPath, running);
  for (const row of options.tree) {
    const count = row.count === 'cores' ? options.cores : row.count;
    for (let index = 0; index < count; index++) {
      const child: Child = { row, index, pid: 0, startedAt: 0, lastBeat: 0, ready: false, restarts: 0, crashes: [], kill: () => {} };
      children.push(child);
      start(world, options, child);
    }
  }
  watch(world, children);
  throw await running.crashed;
}

function start(world: World, options: SupervisorOptions, child: Child): void {
  const { role } = child.row;
  const fds = role === 'edge' ? options.listeners.map((l) => l.fd) : [];
  const spawned = Bun.spawn([...options.command(role, child.index)], {
    stdio: ['ignore', options.output, options.output, ...fds],
    env: { ...options.env },
    cwd: options.cwd,
    onExit: (_process, code, signal) => {
      world.log('process.exit', { role, index: child.index, pid: child.pid, code, signal: signal === null ? null : String(signal) });
      child.ready = false;
      if (code !== hopeless && spend(world, child)) start(world, options, child);
      else process.exit(1);
    },
  });
  child.pid = spawned.pid;
  child.startedAt = world.now();
  child.lastBeat = world.monotonicMs();
  child.kill = () => spawned.kill('SIGKILL');
  world.log('process.start', { role, index: child.index, pid: child.pid });
}

/** Takes one restart from the child's budget; false when it is spent or there is none. */
function spend(world: World, child: Child): boolean {
  const { onCrash } = child.row;
  if (!('restart' in onCrash)) return false;
  const now = world.monotonicMs();
  child.crashes = [...child.crashes.filter((at) => now - at < onCrash.seconds * 1000), now];
  child.restarts++;
  if (child.crashes.length <= onCrash.restart) return true;
  world.log('process.budget', { role: child.row.role, index: child.index, restarts: onCrash.restart, seconds: onCrash.seconds });
  return false;
}

/** Kills children that have missed their heartbeat. */
function watch(world: World, children: readonly Child[], expectedAt = world.monotonicMs()): void {
  const now = world.monotonicMs();
  // Late ourselves (a paused machine, a stalled disk): their beats are in our socket, unread. Count anew.
  if (now - expectedAt > 3 * limits.heartbeatMs) for (const child of children) child.lastBeat = now;
  for (const child of children) {
    const silentMs = now - child.lastBeat;
    if (silentMs <= limits.heartbeatMissedMs) continue;
    world.log('process.hung', { role: child.row.role, index: child.index, pid: child.pid, silentMs: Math.round(silentMs) });
    child.lastBeat = now;
    child.kill();
  }
  world.after(limits.heartbeatMs, () => watch(world, children, now + limits.heartbeatMs));
}
