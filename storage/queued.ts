// What waits to be sent, as `mailsite queue --json` says it, and as a site answers its portal. Times are ms since the epoch.

import type { Reader } from './engine.ts';
import { unlessDamaged } from './rows.ts';
import { blob, info, type QueuedView } from './views.ts';

function recipientOf(now: number, { n, row }: QueuedView['recipients'][number]) {
  return {
    n,
    address: row.address,
    state: row.leaseUntil > now ? ('trying' as const) : row.held > 0 ? ('held' as const) : ('waiting' as const),
    attempts: row.attempts,
    /** null: held, or being tried. */
    nextAttempt: row.held > 0 || row.leaseUntil > now ? null : row.due,
    heldAt: row.held > 0 ? row.held : null,
    lastHost: row.lastHost,
    lastCode: row.lastCode,
    lastError: row.lastError,
  };
}

export function messageOf(view: Reader, now: number, { queue: id, row, recipients }: QueuedView) {
  return {
    id,
    from: row.envelopeFrom,
    arrivedAt: row.arrivedAt,
    /** When it is given up. */
    expiresAt: row.expiresAt,
    size: (blob(view, row.blob)?.size ?? 0) - row.skip,
    messageId: unlessDamaged(() => info(view, row.blob))?.messageId ?? '',
    recipients: recipients.map((recipient) => recipientOf(now, recipient)),
  };
}
export type QueuedMessage = ReturnType<typeof messageOf>;
