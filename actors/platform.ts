// The real world: the only place, with stream.ts and sockets.ts, that reads a clock, draws random numbers or opens a
// socket. Everything else asks the World it was given.

import dgram from 'node:dgram';
import { readFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { jsonLog } from './log.ts';
import { openStream } from './stream.ts';
import { createWheel } from './wheel.ts';
import type { Endpoint, World } from './world.ts';

/** The world of a real process. `write` takes log lines (default: standard output). */
export function realWorld(write: (line: string) => void = standardOutput()): World {
  const wheel = createWheel(
    () => performance.now(),
    (ms, run) => void setTimeout(run, ms),
  );
  return {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    random: (octets) => crypto.getRandomValues(new Uint8Array(octets)),
    after(ms, run) {
      if (ms >= wheel.leastMs) return wheel.after(ms, run);
      const timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1));
      return { cancel: () => clearTimeout(timer) };
    },
    // Bun runs timers that fall due meanwhile before it looks at its sockets again; an immediate comes after them
    sleep: (ms) => new Promise((done) => (ms === 0 ? void setImmediate(done) : void setTimeout(done, Math.min(ms, 2 ** 31 - 1)))),
    connect: openStream,
    exchange,
    log: jsonLog(() => Date.now(), write),
  };
}

/** Log lines of one turn go out in one write; a line that tells of trouble goes at once, with those before it. */
function standardOutput(): (line: string) => void {
  let lines = '';
  const flush = (): void => {
    const text = lines;
    lines = '';
    try {
      if (text !== '') writeSync(1, text);
    } catch {
      // nobody reads the log any more: mail goes on
    }
  };
  return (line) => {
    if (lines === '') setImmediate(flush);
    lines += line;
    if (!line.includes('"level":"info"') || lines.length > 65_536) flush();
  };
}

function exchange(to: Endpoint, datagram: Uint8Array, accept: (reply: Uint8Array) => boolean, timeoutMs: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(net.isIPv6(to.address) ? 'udp6' : 'udp4');
    const finish = (run: () => void): void => {
      clearTimeout(timer);
      socket.close();
      run();
    };
    const timer = setTimeout(() => finish(() => reject(new Error(`no answer from ${to.address}:${to.port}`))), timeoutMs);
    socket.on('error', (error) => finish(() => reject(error)));
    // RFC 5452 §9.1: only an answer from where the question went
    socket.on('message', (reply, from) => {
      if (from.address === to.address && from.port === to.port && accept(reply)) finish(() => resolve(reply));
    });
    socket.send(datagram, to.port, to.address);
  });
}

/** How many descriptors this process may have open (RLIMIT_NOFILE). */
export function openFilesLimit(): number {
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find((l) => l.startsWith('Max open files'));
  const soft = line?.slice(26).trim().split(/\s+/)[0];
  return soft === undefined || soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft);
}

/** The machine's resolvers, where the document names none. */
export function systemResolvers(): Endpoint[] {
  try {
    const lines = readFileSync('/etc/resolv.conf', 'utf8').split('\n');
    return lines.flatMap((line) => {
      const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
      return address !== undefined && net.isIP(address) !== 0 ? [{ address, port: 53 }] : [];
    });
  } catch {
    return [];
  }
}
