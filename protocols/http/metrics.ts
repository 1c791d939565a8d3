// The numbers of a site for a monitor on this machine: /metrics, and /healthz which is 200 while mail is taken and kept.
// Guarantees: 127.0.0.1 only, whatever the site listens on; a port that is taken is told once and tried again, and keeps
// nothing else from its work; a look reads a few rows, and what must be counted row by row is at most limits.countedMs old.

import { LinkLost } from '../../actors/actor.ts';
import { startChild, type Sibling } from '../../actors/children.ts';
import { limits } from '../../actors/limits.ts';
import { acceptAt } from '../../actors/stream.ts';
import { type ChildRow, forget } from '../../actors/tree.ts';
import { type Answer, isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { certificate, config, damageCount, lastProof, queueSize, traceMeter } from '../../storage/views.ts';
import type { Site } from '../site.ts';
import { exposition, expositionType, type Family, type Sample } from './exposition.ts';
import { type Page, type Pages, respond } from './responder.ts';

/** What the process knows that serves the numbers. */
export interface Machine {
  readonly diskOctets: () => number;
  /** When all was last found to be parked, ms since the epoch; null: not since this process began, or nowhere. */
  readonly parkedAt: () => number | null;
  readonly processes: () => Promise<readonly Sibling[]>;
}

const LOOPBACK = '127.0.0.1';
const RETRY_MS = 60_000;

/** Serves until it crashes. */
export async function serveMetrics(site: Site, row: ChildRow, port: number, machine: Machine): Promise<never> {
  const { world } = site;
  const pages = metricsPages(site, machine);
  let open = 0;
  for (let failures = 0; ; failures++) {
    try {
      await acceptAt({ address: LOOPBACK, port }, (connection) => {
        if (open >= row.max) return connection.destroy();
        open++;
        startChild(world, { ...row, onCrash: forget }, () =>
          respond(world, connection, pages).finally(() => {
            open--;
            connection.destroy();
          }),
        );
      });
      world.log('listener.open', { name: row.name, address: LOOPBACK, port });
      return await new Promise<never>(() => {});
    } catch (error) {
      if (failures === 0) world.log('listener.failed', { name: row.name, address: LOOPBACK, port, error: (error as Error).message });
    }
    await world.sleep(RETRY_MS);
  }
}

type Pulse = Answer<StoreProtocol, 'pulse'>;

export function metricsPages(site: Site, machine: Machine): Pages {
  const counted = atMostOld(site.world, () => {
    site.view.refresh();
    return { ...queueSize(site.view), damaged: damageCount(site.view), diskOctets: machine.diskOctets() };
  });
  const pulse = async (): Promise<Pulse | null> => {
    try {
      const answer = await site.store.ask('pulse', {});
      return isRefusal(answer) ? null : answer;
    } catch (error) {
      if (error instanceof LinkLost) return null;
      throw error;
    }
  };
  return {
    async '/metrics'(): Promise<Page> {
      const [store, processes] = await Promise.all([pulse(), machine.processes()]);
      return { status: 200, type: expositionType, text: exposition(families(site, machine, counted(), store, processes)) };
    },
    async '/healthz'(): Promise<Page> {
      const [store, processes] = await Promise.all([pulse(), machine.processes()]);
      const wrong = ailments(site, store, processes);
      return { status: wrong.length === 0 ? 200 : 503, type: 'text/plain', text: wrong.length === 0 ? 'ok\n' : `${wrong.join('\n')}\n` };
    },
  };
}

function atMostOld<T>(world: World, count: () => T): () => T {
  let known: { readonly at: number; readonly value: T } | null = null;
  return () => {
    const now = world.monotonicMs();
    if (known === null || now - known.at >= limits.countedMs) known = { at: now, value: count() };
    return known.value;
  };
}

/** Why mail is not taken or kept now. */
function ailments(site: Site, store: Pulse | null, processes: readonly Sibling[]): string[] {
  site.view.refresh();
  const out: string[] = [];
  if (store === null) out.push('the store does not answer');
  if (store?.full === true) out.push('the disk is full');
  if (config(site.view) === null) out.push('there is no document yet');
  for (const { role, index, ready } of processes) if (ready !== 1) out.push(`${role} ${index} is starting`);
  return out;
}

interface Counted extends ReturnType<typeof queueSize> {
  readonly damaged: number;
  readonly diskOctets: number;
}

function families(site: Site, machine: Machine, counted: Counted, store: Pulse | null, processes: readonly Sibling[]): Family[] {
  const { view, world } = site;
  const now = world.now();
  view.refresh();
  const document = config(view)?.document;
  const total = traceMeter(view);
  const tls = document === undefined ? undefined : certificate(view, document.host);
  const parkedAt = machine.parkedAt();
  const proof = lastProof(view);
  const counter = (name: string, help: string, value: number | null): Family => family('counter', name, help, [{ value }]);
  const gauge = (name: string, help: string, value: number | null): Family => family('gauge', name, help, [{ value }]);
  const seconds = (ms: number): number => Math.max(0, Math.round(ms / 1_000));
  return [
    gauge('commit', 'Number of the newest durable commit of the site', store?.commit ?? null),
    counter('batches_total', 'Commits since the store process began', store?.batches ?? null),
    counter('commands_total', 'Commands that the store answered since its process began', store?.commands ?? null),
    gauge('store_up', '1: the store answers', store === null ? 0 : 1),
    gauge('store_full', '1: the disk has no room, mail is refused for now', store === null ? null : Number(store.full)),
    counter('messages_received_total', 'Messages accepted from clients and other hosts', total.received),
    counter('messages_refused_total', 'Refusals of senders, recipients and messages, as far as they were remembered', total.refused),
    counter('recipients_delivered_total', 'Queued recipients that another host took', total.delivered),
    counter('recipients_deferred_total', 'Attempts at queued recipients that will be repeated', total.deferred),
    counter('recipients_bounced_total', 'Queued recipients that were given up', total.bounced),
    counter('recipients_deleted_total', 'Queued recipients that an administrator deleted', total.deleted),
    gauge('queue_messages', 'Messages in the outbound queue', counted.messages),
    gauge('queue_recipients', 'Recipients in the outbound queue', counted.recipients),
    gauge('queue_held_recipients', 'Recipients that an administrator holds back', counted.held),
    gauge(
      'queue_oldest_age_seconds',
      'Age of the oldest message in the queue; 0: it is empty',
      counted.oldestAt === null ? 0 : seconds(now - counted.oldestAt),
    ),
    family('gauge', 'sessions', 'Sessions that are open, by listener', sessionsOf(store)),
    gauge('disk_octets', 'What the database takes on the disk', counted.diskOctets),
    gauge('damaged', 'Rows and bodies that are damaged and not mended yet', counted.damaged),
    gauge('snapshot_age_seconds', 'Since when nothing was missing at the place of the snapshots', parkedAt === null ? null : seconds(now - parkedAt)),
    gauge(
      'restore_proven_age_seconds',
      'Since when a snapshot of the site was last restored whole',
      proof === undefined || proof.at === 0 ? null : seconds(now - proof.at),
    ),
    gauge('restore_failed', '1: the last try to restore a snapshot found it not whole', proof === undefined ? null : Number(proof.state === 'failed')),
    gauge('certificate_days', 'Days that the TLS certificate is still good for', tls === undefined ? null : Math.floor((tls.notAfter - now) / 86_400_000)),
    family(
      'gauge',
      'process_up',
      '1: the process serves',
      perProcess(processes, (p) => p.ready),
    ),
    family(
      'counter',
      'process_restarts_total',
      'How often the process was started again',
      perProcess(processes, (p) => p.restarts),
    ),
    gauge('configuration_rev', 'Revision of the document in force; 0: none', config(view)?.rev ?? 0),
  ];
}

const family = (type: Family['type'], name: string, help: string, samples: readonly Sample[]): Family => ({ name: `mailsite_${name}`, type, help, samples });

const sessionsOf = (store: Pulse | null): Sample[] =>
  (store?.open ?? []).map(({ protocol, sessions }) => ({ labels: { listener: protocol }, value: sessions }));

const perProcess = (processes: readonly Sibling[], value: (sibling: Sibling) => number): Sample[] =>
  processes.map((p) => ({ labels: { role: p.role, index: String(p.index) }, value: value(p) }));
