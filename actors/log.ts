// Structured logs: one JSON object a line on stdout. Every event is one row here; what is not here is not logged.
// Secrets never reach a log: fields are named in the row and nothing else is written.

/** Event rows: level and the fields it carries. Names are forever: people alert on them. */
export const events = {
  'process.start': { level: 'info', fields: ['role', 'index', 'pid'] },
  'process.ready': { level: 'info', fields: ['role', 'index', 'pid', 'ms'] },
  'process.exit': { level: 'warn', fields: ['role', 'index', 'pid', 'code', 'signal'] },
  'process.hung': { level: 'error', fields: ['role', 'index', 'pid', 'silentMs'] },
  'process.budget': { level: 'error', fields: ['role', 'index', 'restarts', 'seconds'] },
  'process.privileges': { level: 'info', fields: ['user', 'uid', 'gid'] },
  'actor.crash': { level: 'error', fields: ['actor', 'error', 'stack'] },
  'actor.budget': { level: 'error', fields: ['actor', 'restarts', 'seconds'] },
  'listener.open': { level: 'info', fields: ['name', 'address', 'port'] },
  'listener.failed': { level: 'warn', fields: ['name', 'address', 'port', 'error'] },
  'listener.full': { level: 'warn', fields: ['name', 'limit'] },
  'link.lost': { level: 'warn', fields: ['to', 'error'] },
  'store.open': { level: 'info', fields: ['engine', 'commit', 'ms'] },
  'store.migrating': { level: 'info', fields: ['from', 'to', 'what'] },
  'store.migrated': { level: 'info', fields: ['from', 'to', 'ms'] },
  'store.damaged': { level: 'error', fields: ['table', 'key', 'what'] },
  'store.healed': { level: 'warn', fields: ['table', 'key', 'how'] },
  'store.scrubbed': { level: 'info', fields: ['rows', 'bodies', 'found', 'ms'] },
  'store.full': { level: 'error', fields: ['error'] },
  'store.room': { level: 'info', fields: ['sinceMs'] },
  'store.collected': { level: 'info', fields: ['blobs', 'chunks'] },
  'snapshot.parked': { level: 'info', fields: ['to', 'commit', 'kind', 'octets', 'ms'] },
  'snapshot.failed': { level: 'error', fields: ['to', 'error'] },
  'snapshot.rotten': { level: 'error', fields: ['to', 'object'] },
  'snapshot.healed': { level: 'warn', fields: ['to', 'objects'] },
  'snapshot.notGood': { level: 'error', fields: ['to', 'commit', 'goodCommit', 'goodAgeMs'] },
  'snapshot.proven': { level: 'info', fields: ['commit', 'takenAt', 'ms'] },
  'snapshot.notWhole': { level: 'error', fields: ['error'] },
  'snapshot.notProven': { level: 'warn', fields: ['error'] },
  'snapshot.pruned': { level: 'info', fields: ['to', 'removed', 'kept', 'octets'] },
  'store.compacted': { level: 'info', fields: ['before', 'after', 'rows', 'ms', 'heldMs'] },
  'store.compactRefused': { level: 'warn', fields: ['error'] },
  'config.applied': { level: 'info', fields: ['rev', 'host', 'domains', 'accounts'] },
  'uplink.up': { level: 'info', fields: ['portal', 'session'] },
  'uplink.lost': { level: 'warn', fields: ['portal', 'error'] },
  'uplink.warning': { level: 'warn', fields: ['why'] },
  'uplink.restored': { level: 'warn', fields: ['portal', 'site', 'why'] },
  'uplink.rolledback': { level: 'warn', fields: ['rev'] },
  'portal.identity': { level: 'info', fields: ['portal', 'rootPublic'] },
  'portal.enrolled': { level: 'info', fields: ['site', 'machine', 'epoch'] },
  'portal.refused': { level: 'warn', fields: ['remote', 'what', 'why'] },
  'portal.older': { level: 'error', fields: ['site', 'machine', 'epoch'] },
  'portal.cloned': { level: 'error', fields: ['site', 'machine'] },
  'tls.certificate': { level: 'info', fields: ['host', 'notAfter', 'selfSigned'] },
  'dkim.keys': { level: 'info', fields: ['domain', 'selectors'] },
  'dkim.unsigned': { level: 'warn', fields: ['queue', 'domain', 'reason'] },
  'tls.failed': { level: 'info', fields: ['remote', 'error'] },
  'smtp.accepted': { level: 'info', fields: ['session', 'remote', 'from', 'recipients', 'size', 'messageId', 'account', 'queue'] },
  'smtp.refused': { level: 'info', fields: ['session', 'remote', 'from', 'to', 'code', 'reason'] },
  'auth.ok': { level: 'info', fields: ['protocol', 'remote', 'account', 'mechanism', 'tls'] },
  'auth.failed': { level: 'warn', fields: ['protocol', 'remote', 'login', 'reason'] },
  'session.limit': { level: 'info', fields: ['protocol', 'remote', 'limit'] },
  'queue.delivered': { level: 'info', fields: ['queue', 'to', 'host', 'tls', 'code', 'ms'] },
  'queue.deferred': { level: 'info', fields: ['queue', 'to', 'host', 'code', 'reason', 'attempts', 'nextAttempt'] },
  'queue.doubleBounce': { level: 'warn', fields: ['queue', 'to', 'host', 'code', 'reason'] },
  'queue.bounced': { level: 'info', fields: ['queue', 'to', 'host', 'code', 'reason'] },
} as const;

type Events = typeof events;
export type LogEvent = keyof Events;
export type LogFields<E extends LogEvent> = { readonly [K in Events[E]['fields'][number]]?: string | number | boolean | null };
export type Log = <E extends LogEvent>(event: E, fields: LogFields<E>) => void;

/** A log which writes JSON lines; `now` in ms since the epoch. Long strings are cut at 500 characters. */
export function jsonLog(now: () => number, write: (line: string) => void): Log {
  return (name, fields) => {
    const row = events[name];
    const out: Record<string, unknown> = { time: new Date(now()).toISOString(), level: row.level, event: name };
    for (const field of row.fields) {
      const value = (fields as Readonly<Record<string, unknown>>)[field];
      if (value !== undefined) out[field] = typeof value === 'string' && value.length > 500 ? `${value.slice(0, 500)}…` : value;
    }
    write(`${JSON.stringify(out)}\n`);
  };
}
