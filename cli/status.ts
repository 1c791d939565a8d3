// `mailsite status`: the site at a glance. It reads the engine directly and asks the supervisor for its processes, so it
// answers when the site is down and when it is busy.

import { realWorld } from '../actors/platform.ts';
import type { Reader } from '../storage/engine.ts';
import { type EngineKind, engineOctets } from '../storage/engines/open.ts';
import { getRow, scanRows } from '../storage/rows.ts';
import type { RowOf, tables } from '../storage/schema.ts';
import { certificate, config } from '../storage/views.ts';
import type { Arguments } from './arguments.ts';
import { bold, count, print, printJson, size, span, table } from './output.ts';
import { askSupervisor, type Processes } from './running.ts';
import { enterSite } from './site.ts';

export async function status(given: Arguments): Promise<void> {
  const world = realWorld(() => {});
  const { data, view, engine } = await enterSite(world, given.data);
  const processes = await askSupervisor(world);
  const now = world.now();
  const found = look(view, { data, engine, diskOctets: engineOctets('.') }, processes);
  if (given.json) printJson(found);
  else print(draw(found, now));
}

interface Destination {
  readonly domain: string;
  recipients: number;
  /** When the oldest message for it came, the next attempt: ms since the epoch. */
  oldest: number;
  nextAttempt: number;
  attempts: number;
  lastError: string;
}
type Status = ReturnType<typeof look>;

/** All that there is to say, as `--json` says it. Times in ms since the epoch. */
export function look(view: Reader, on: { readonly data: string; readonly engine: EngineKind; readonly diskOctets: number }, processes: Processes | null) {
  view.refresh();
  const configured = config(view);
  const host = configured?.document.host ?? null;
  const site = getRow(view, 'site', {});
  const tls = host === null ? undefined : certificate(view, host);
  return {
    host,
    rev: configured?.rev ?? 0,
    appliedAt: configured?.appliedAt ?? null,
    ...on,
    commit: site?.commit ?? 0,
    ...totals(view),
    certificate: tls === undefined ? null : { notAfter: tls.notAfter, selfSigned: tls.selfSigned },
    queue: queueByDomain(view),
    supervisor: processes === null ? null : { pid: processes.pid, startedAt: processes.startedAt },
    processes: processes?.processes ?? [],
    listeners: processes?.listeners ?? [],
  };
}

function totals(view: Reader) {
  const accounts = [...scanRows(view, 'account', [])].map(({ row }) => row).filter((row) => row.present);
  let mailboxes = 0;
  for (const _ of scanRows(view, 'mailbox', [])) mailboxes++;
  return {
    accounts: accounts.length,
    disabled: accounts.filter((row) => !row.enabled).length,
    mailboxes,
    messages: accounts.reduce((sum, row) => sum + row.messages, 0),
    octets: accounts.reduce((sum, row) => sum + row.usedBytes, 0),
  };
}

/** Recipients that wait, by destination, those that fail longest first. */
function queueByDomain(view: Reader): Destination[] {
  const arrivedAt = new Map<number, number>();
  for (const { key, row } of scanRows(view, 'queue', [])) arrivedAt.set(key.queue, row.arrivedAt);
  const byDomain = new Map<string, Destination>();
  for (const { key, row } of scanRows(view, 'queueRecipient', [])) {
    const arrived = arrivedAt.get(key.queue) ?? 0;
    const found = byDomain.get(row.domain);
    if (found === undefined) byDomain.set(row.domain, destination(row, arrived));
    else {
      found.recipients++;
      found.oldest = Math.min(found.oldest, arrived);
      found.nextAttempt = Math.min(found.nextAttempt, row.due);
      if (row.attempts >= found.attempts && row.lastError !== '') found.lastError = lastError(row);
      found.attempts = Math.max(found.attempts, row.attempts);
    }
  }
  return [...byDomain.values()].sort((a, b) => a.oldest - b.oldest);
}

type Recipient = RowOf<(typeof tables)['queueRecipient']>;
const destination = (row: Recipient, arrived: number): Destination => ({
  domain: row.domain,
  recipients: 1,
  oldest: arrived,
  nextAttempt: row.due,
  attempts: row.attempts,
  lastError: lastError(row),
});
const lastError = (row: Recipient): string => [row.lastHost, row.lastCode, row.lastError].filter((part) => part !== '').join(' ');

/** The same for people. */
export function draw(s: Status, now: number): string {
  const parts = [head(s, now)];
  if (s.listeners.length > 0)
    parts.push(`${bold('Listening')}\n${table(s.listeners.map((l) => [l.name, `${l.address === '::' ? '*' : l.address}:${l.port}`]))}`);
  if (s.processes.length > 0) parts.push(`${bold('Processes')}\n${processTable(s.processes, now)}`);
  parts.push(s.queue.length === 0 ? `${bold('Queue')}\n  empty` : `${bold('Queue')}\n${queueTable(s.queue, now)}`);
  return parts.join('\n\n');
}

function head(s: Status, now: number): string {
  const rows: (readonly [string, string])[] = [
    ['site', s.host === null ? 'not configured: give it a document with mailsite apply' : `${s.host}, rev ${s.rev}`],
    ['runs', s.supervisor === null ? 'no: start it with mailsite run, or mailsite install' : `yes, since ${span(now - s.supervisor.startedAt)}`],
    ['mail', `${count(s.messages, 'message')}, ${size(s.octets)}, in ${count(s.mailboxes, 'mailbox')} of ${count(s.accounts, 'account')}`],
    ['data', `${s.data}, ${size(s.diskOctets)} on disk, ${s.engine}`],
  ];
  if (s.certificate !== null) {
    const { selfSigned, notAfter } = s.certificate;
    rows.push(['tls', `${selfSigned ? 'self-signed' : 'certificate'}, ${notAfter > now ? 'good for' : 'expired since'} ${span(notAfter - now)}`]);
  }
  return table(rows, '');
}

const processTable = (rows: Status['processes'], now: number): string =>
  table(
    rows.map((p) => [
      `${p.role}${rows.filter((other) => other.role === p.role).length > 1 ? ` ${p.index}` : ''}`,
      `pid ${p.pid}`,
      p.ready === 1 ? `up ${span(now - p.startedAt)}` : 'starting',
      p.restarts === 0 ? '' : count(p.restarts, 'restart'),
    ]),
  );

const queueTable = (rows: readonly Destination[], now: number): string =>
  table([
    ['to', 'recipients', 'oldest', 'next attempt', 'last error'],
    ...rows.map((d) => [
      d.domain,
      String(d.recipients),
      span(now - d.oldest),
      d.nextAttempt <= now ? 'now' : `in ${span(d.nextAttempt - now)}`,
      d.lastError || '-',
    ]),
  ]);
