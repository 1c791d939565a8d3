// A Unix socket that is asked and answers before anything else runs in this process: for reads that code without an await
// depends on. Guarantees: an answer comes whole or not at all; nobody waits longer than was said.

import { dlopen, FFIType, ptr } from 'bun:ffi';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const MSG_NOSIGNAL = 0x4000;

const { i32, u64, ptr: pointer } = FFIType;
let libc: ReturnType<typeof load> | null = null;
const load = () =>
  dlopen('libc.so.6', {
    socket: { args: [i32, i32, i32], returns: i32 },
    connect: { args: [i32, pointer, i32], returns: i32 },
    setsockopt: { args: [i32, i32, i32, pointer, i32], returns: i32 },
    send: { args: [i32, pointer, u64, i32], returns: FFIType.i64_fast },
    recv: { args: [i32, pointer, u64, i32], returns: FFIType.i64_fast },
    close: { args: [i32], returns: i32 },
  }).symbols;

export interface BlockingSocket {
  /** False when the other side is gone, or has not taken it in time. */
  send(octets: Uint8Array): boolean;
  /** Fills `into`; false when the other side is gone, or has not said it in time. */
  receive(into: Uint8Array): boolean;
  close(): void;
}

/** Null when nobody listens at `path`. `waitMs`: the longest that one call waits. */
export function dialBlocking(path: string, waitMs: number): BlockingSocket | null {
  libc ??= load();
  const { socket, connect, setsockopt, send, recv, close } = libc;
  const fd = socket(AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
  if (fd < 0) return null;
  const wait = new BigInt64Array([BigInt(Math.floor(waitMs / 1000)), BigInt(waitMs % 1000) * 1000n]);
  for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) setsockopt(fd, SOL_SOCKET, option, ptr(wait), 16);
  const name = Buffer.from(path);
  const address = new Uint8Array(2 + name.length + 1);
  address[0] = AF_UNIX;
  address.set(name, 2);
  if (connect(fd, ptr(address), address.length) !== 0) {
    close(fd);
    return null;
  }
  let open = true;
  return {
    send(octets) {
      for (let at = 0; at < octets.length; ) {
        const sent = Number(send(fd, ptr(octets, at), octets.length - at, MSG_NOSIGNAL));
        if (sent <= 0) return false;
        at += sent;
      }
      return true;
    },
    receive(into) {
      for (let at = 0; at < into.length; ) {
        const got = Number(recv(fd, ptr(into, at), into.length - at, 0));
        if (got <= 0) return false;
        at += got;
      }
      return true;
    },
    close() {
      if (open) close(fd);
      open = false;
    },
  };
}
