// What a site says of itself to its portal: plain facts, by name. `mailsite status` says the same to who is on the machine.

import type { Reader } from '../storage/engine.ts';
import { scanRows, unlessDamaged } from '../storage/rows.ts';
import { certificate, config, lastProof } from '../storage/views.ts';

/** What the store does not know. */
export interface Surroundings {
  readonly version: string;
  readonly engine: string;
  readonly diskOctets: number;
  /** Octets that are free where the data is. */
  readonly freeOctets: number;
  readonly startedAt: number | null;
  readonly listeners: readonly { readonly name: string; readonly address: string; readonly port: number }[];
}

const sound = { skipDamaged: true } as const;

/** Times are ms since the epoch. */
export function factsOf(view: Reader, around: Surroundings) {
  view.refresh();
  const configured = unlessDamaged(() => config(view)) ?? null;
  const host = configured?.document.host ?? null;
  const tls = host === null ? undefined : unlessDamaged(() => certificate(view, host));
  const accounts = [...scanRows(view, 'account', [], sound)].map(({ row }) => row).filter((row) => row.present);
  return {
    ...around,
    host,
    domains: configured?.document.domains.length ?? 0,
    accounts: accounts.length,
    mail: { messages: accounts.reduce((sum, row) => sum + row.messages, 0), octets: accounts.reduce((sum, row) => sum + row.usedBytes, 0) },
    queue: queueFacts(view),
    certificate: tls === undefined ? null : { notAfter: tls.notAfter, selfSigned: tls.selfSigned },
    damage: [...scanRows(view, 'damage', [], sound)].length,
    parking: configured?.document.snapshots?.to ?? null,
    proof: lastProof(view) ?? null,
  };
}

function queueFacts(view: Reader): { readonly messages: number; readonly recipients: number; readonly oldestAt: number | null } {
  let messages = 0;
  let oldestAt: number | null = null;
  for (const { row } of scanRows(view, 'queue', [], sound)) {
    messages++;
    oldestAt = Math.min(oldestAt ?? row.arrivedAt, row.arrivedAt);
  }
  let recipients = 0;
  for (const _ of scanRows(view, 'queueRecipient', [], sound)) recipients++;
  return { messages, recipients, oldestAt };
}
