// Listening sockets by system call, so that the supervisor can hold them without accepting: they outlive the edges,
// connections queue in the kernel while an edge restarts, and ports below 1024 are bound before privileges drop.

import { dlopen, FFIType, type Pointer, ptr, read } from 'bun:ffi';
import net from 'node:net';
import { limits } from './limits.ts';
import type { Endpoint } from './world.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** errno(3), on Linux. */
const reasons: ReadonlyMap<number, string> = new Map([
  [1, 'it is not permitted'],
  [13, 'a port below 1024 needs root'],
  [97, 'this machine has no addresses of that family'],
  [98, 'another program has the port'],
  [99, 'the address is not of this machine'],
]);

const { i32, u32, ptr: pointer } = FFIType;
const open = () =>
  dlopen('libc.so.6', {
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, pointer, u32], returns: i32 },
    listen: { args: [i32, i32], returns: i32 },
    setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
    close: { args: [i32], returns: i32 },
    __errno_location: { args: [], returns: pointer },
  });
let libc: ReturnType<typeof open> | null = null;

/** A bound, listening TCP descriptor. '::' listens on IPv4 too. Throws with the address, the port and why. */
export function listenOn(at: Endpoint): number {
  libc ??= open();
  const { symbols } = libc;
  const v6 = net.isIPv6(at.address);
  const fail = (what: string): never => {
    const errno = read.i32(symbols.__errno_location() as Pointer, 0);
    if (fd >= 0) symbols.close(fd);
    throw new Error(`${what} ${v6 ? `[${at.address}]` : at.address}:${at.port} failed: ${reasons.get(errno) ?? `errno ${errno}`}`);
  };
  const fd = symbols.socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM_CLOEXEC, 0);
  if (fd < 0) fail('socket for');
  const one = new Int32Array([1]);
  const zero = new Int32Array([0]);
  symbols.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ptr(one), 4);
  if (v6) symbols.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ptr(at.address === '::' ? zero : one), 4);
  const address = v6 ? sockaddr6(at) : sockaddr4(at);
  if (symbols.bind(fd, ptr(address), address.length) !== 0) fail('bind to');
  if (symbols.listen(fd, limits.acceptBacklog) !== 0) fail('listen on');
  return fd;
}

function sockaddr4(at: Endpoint): Uint8Array {
  const out = new Uint8Array(16);
  const view = new DataView(out.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, at.port);
  out.set(at.address.split('.').map(Number), 4);
  return out;
}

function sockaddr6(at: Endpoint): Uint8Array {
  const out = new Uint8Array(28);
  const view = new DataView(out.buffer);
  view.setUint16(0, AF_INET6, true);
  view.setUint16(2, at.port);
  const [head = '', tail] = at.address.split('::');
  const words = (part: string): number[] => (part === '' ? [] : part.split(':').map((w) => Number.parseInt(w, 16)));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right].forEach((word, i) => {
    view.setUint16(8 + 2 * i, word);
  });
  return out;
}
