// The edge process: one session actor for each connection, forgotten when it crashes. It holds no data; it reads the
// engine directly and writes through the store.

import tls from 'node:tls';
import { startChild } from '../actors/children.ts';
import { limits } from '../actors/limits.ts';
import { openFilesLimit } from '../actors/platform.ts';
import { acceptOn, type SecureContexts } from '../actors/stream.ts';
import type { ChildRow } from '../actors/tree.ts';
import type { Connection } from '../actors/world.ts';
import type { StoreProtocol } from '../storage/messages.ts';
import { certificate, config } from '../storage/views.ts';
import { type Address, LinkLost } from '../actors/actor.ts';
import type { Reader } from '../storage/engine.ts';
import { isLoopback, originPrefix } from './sasl/origin.ts';
import { imapSession } from './imap/session.ts';
import type { ListenerKind, Session, Site } from './site.ts';
import { smtpSession } from './smtp/session.ts';

const sessions: Readonly<Record<string, Session>> = { smtp: smtpSession, imap: imapSession };
const fullReply: Readonly<Record<string, string>> = {
  smtp: '421 4.7.0 Too many connections, try again later\r\n',
  imap: '* BYE [LIMIT] Too many connections, try again later\r\n',
};

const SPARE_DESCRIPTORS = 100;

/** Opens each listener of `rows` on its inherited descriptor. Returns at once; sessions run on their own. */
export function openListeners(site: Site, rows: readonly ChildRow[], firstFd: number): void {
  const contexts = secureContexts(site.view, site.store, site);
  // no flood takes the descriptors that the store's link and the engine need
  const most = Math.floor((openFilesLimit() - SPARE_DESCRIPTORS) / rows.length);
  const open = new Map<string, number>();
  rows.forEach((row, i) => {
    acceptOn(firstFd + i, contexts, admission(site, { ...row, max: Math.min(row.max, most) }, open));
  });
  tellSessions(site, open);
}

/** The store hears how many sessions there are, for whoever asks it. */
function tellSessions(site: Site, open: ReadonlyMap<string, number>): void {
  const told = [...open].map(([protocol, sessions]) => ({ protocol, sessions }));
  site.store.ask('tellSessions', { open: told }).catch((error: unknown) => {
    if (!(error instanceof LinkLost)) throw error;
  });
  site.world.after(limits.sessionsEveryMs, () => tellSessions(site, open));
}

/** Counts connections of one listener, in all (`open`, by its name) and by origin, and starts the session of each that is let in. */
export function admission(site: Site, row: ChildRow, open = new Map<string, number>()): (connection: Connection) => void {
  const listener: ListenerKind = { name: row.name as ListenerKind['name'], tls: row.tls ?? false };
  const session = sessions[row.actor] as Session;
  const byOrigin = new Map<string, number>();
  open.set(row.name, 0);
  let full = false;
  return (connection) => {
    const from = originPrefix(connection.remote);
    const same = byOrigin.get(from) ?? 0;
    const all = open.get(row.name) ?? 0;
    if (all >= row.max || (same >= limits.connectionsPerAddress && !isLoopback(connection.remote.address))) {
      if (!full) site.world.log('listener.full', { name: row.name, limit: all >= row.max ? row.max : limits.connectionsPerAddress });
      full = true;
      if (!listener.tls) connection.write(fullReply[row.actor] ?? '');
      farewell(site, connection);
      return;
    }
    full = false;
    open.set(row.name, all + 1);
    byOrigin.set(from, same + 1);
    startChild(site.world, row, async () => {
      try {
        if (listener.tls && !(await handshake(site, connection))) return;
        await session(site, connection, listener);
      } finally {
        open.set(row.name, (open.get(row.name) ?? 1) - 1);
        const left = (byOrigin.get(from) ?? 1) - 1;
        if (left === 0) byOrigin.delete(from);
        else byOrigin.set(from, left);
        farewell(site, connection);
      }
    });
  };
}

/** Sends what is left, then closes; a peer that never closes its half is cut off. */
function farewell(site: Site, connection: Connection): void {
  if (connection.closed) return;
  connection.end();
  site.world.after(limits.lingerMs, () => {
    if (!connection.closed) connection.destroy();
  });
}

async function handshake(site: Site, connection: Connection): Promise<boolean> {
  try {
    await connection.secureServer();
    return true;
  } catch (error) {
    site.world.log('tls.failed', { remote: connection.remote.address, error: String(error) });
    connection.destroy();
    return false;
  }
}

/** The server identity in force, read at first need and after each `configured`. Waits for the first certificate. */
function secureContexts(view: Reader, store: Address<StoreProtocol>, site: Site): SecureContexts {
  let current: tls.SecureContext | null = null;
  store.on('configured', () => {
    current = null;
  });
  const read = (): tls.SecureContext | null => {
    view.refresh();
    const host = config(view)?.document.host;
    const row = host === undefined ? undefined : certificate(view, host);
    return row === undefined ? null : tls.createSecureContext({ cert: row.certificatePem, key: row.keyPem, minVersion: 'TLSv1.2' });
  };
  return async () => {
    for (let waitedMs = 0; waitedMs < limits.tlsHandshakeMs; waitedMs += 50) {
      current ??= read();
      if (current !== null) return current;
      await site.world.sleep(50);
    }
    throw new Error('the site has no certificate yet');
  };
}
