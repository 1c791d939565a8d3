// `mailsite trace`: what happened to a message, found by an address or a Message-ID, as one timeline a message. It only
// reads, whether the site runs or not; what it tells was written by the commits that did it.

import { limits } from '../actors/limits.ts';
import { realWorld } from '../actors/platform.ts';
import { trace as look, type Traced, type TracedMessage, type TracedRefusal, type TraceEvent } from '../storage/trace.ts';
import type { Arguments } from './arguments.ts';
import { bold, count, print, printJson, size } from './output.ts';
import { enterSite } from './site.ts';
import { momentOf } from './span.ts';

/** Exit code 1: there is nothing. */
export async function trace(given: Arguments): Promise<number> {
  const world = realWorld(() => {});
  const now = world.now();
  const since = given.since === undefined ? 0 : momentOf('since', given.since, now);
  const about = given.operands[0] as string;
  const { view } = await enterSite(world, given.data);
  const found = look(view, { about, since, limit: given.limit ?? 20 });
  if (given.json) printJson(found);
  else print(drawTrace(about, found));
  return found.messages.length + found.refusals.length > 0 ? 0 : 1;
}

/** The same for people, oldest first: the newest is what stands last on a screen. */
export function drawTrace(about: string, found: Traced): string {
  const days = Math.round(limits.traceAgeMs / 86_400_000);
  if (found.messages.length + found.refusals.length === 0)
    return `Nothing is known of ${about}: what happened is kept for ${days} days, and no message names it.`;
  const pages: string[] = [];
  if (found.more) pages.push('There are older ones: --limit shows more, --since fewer.');
  if (found.refusals.length > 0) pages.push([bold('Refused'), ...found.refusals.toReversed().map(drawRefusal)].join('\n'));
  pages.push(...found.messages.toReversed().map(drawMessage));
  return pages.join('\n\n');
}

const time = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
const addresses = (list: readonly string[]): string => {
  const shown = list
    .slice(0, 10)
    .map((address) => visible(address))
    .join(', ');
  return list.length > 10 ? `${shown} and ${list.length - 10} more` : shown;
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: what a stranger said must not move the cursor
const visible = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');

function drawRefusal(r: TracedRefusal): string {
  const who = r.ip === '' ? 'many' : `${visible(r.ip)}${r.helo === '' ? '' : ` (${visible(r.helo)})`}`;
  const times = r.count > 1 ? `, ${count(r.count, 'time')}` : '';
  return `  ${time(r.at)}  from ${r.from === '' ? '<>' : visible(r.from)}${r.to === '' ? '' : ` to ${visible(r.to)}`}, by ${who}${times}: ${r.code} ${visible(r.words)}`;
}

function drawMessage(m: TracedMessage): string {
  const lines = [bold(m.messageId === '' ? 'A message without a Message-ID' : `<${visible(m.messageId)}>`)];
  for (const event of m.events) lines.push(`  ${time(event.at)}  ${sentence(m, event)}`);
  if (m.waiting.length > 0) lines.push(`  now                  waits in the queue as ${m.queue}: ${addresses(m.waiting)}`);
  if (m.held.length > 0) lines.push(`  now                  held in the queue as ${m.queue}: ${addresses(m.held)}`);
  return lines.join('\n');
}

type Sentences = { readonly [K in TraceEvent['kind']]: (m: TracedMessage, e: TraceEvent) => string };
const sentences: Sentences = {
  received: (m) => `${whence(m)}, from ${m.from === '' ? '<>' : visible(m.from)} to ${addresses(m.to)}, ${size(m.size)}`,
  stored: (_m, e) => `stored for ${visible(e.account ?? '')} in ${visible(e.mailbox ?? '')}, UID ${e.uid}`,
  queued: (m, e) => `queued as ${m.queue} for ${addresses(e.to)}`,
  refused: () => 'refused',
  delivered: (_m, e) => `delivered to ${addresses(e.to)}${by(e)}: ${said(e)}`,
  deferred: (_m, e) => `not yet delivered to ${addresses(e.to)}${by(e)}: ${said(e)}${e.next === undefined ? '' : `; tried again at ${time(e.next)}`}`,
  bounced: (_m, e) => `refused for ${addresses(e.to)}${by(e)}: ${said(e)}; the sender was told`,
  expired: (_m, e) => `given up for ${addresses(e.to)}, its time was over; at last${by(e)}: ${said(e)}; the sender was told`,
  discarded: (_m, e) => `given up for ${addresses(e.to)}${by(e)}: ${said(e)}; nobody is told of such mail`,
  held: (_m, e) => `held for ${addresses(e.to)}${whom(e)}`,
  released: (_m, e) => `released for ${addresses(e.to)}${whom(e)}`,
  retried: (_m, e) => `made due at once for ${addresses(e.to)}${whom(e)}`,
  deleted: (_m, e) => `deleted from the queue for ${addresses(e.to)}${whom(e)}`,
};
const sentence = (m: TracedMessage, e: TraceEvent): string => sentences[e.kind](m, e);

function whence(m: TracedMessage): string {
  if (m.client === null) return 'made here';
  const { ip, helo, tls } = m.client;
  const login = m.account === '' ? '' : `, logged in as ${visible(m.account)}`;
  return `received from ${visible(ip)}${helo === '' ? '' : ` (${visible(helo)})`}${tls === '' ? '' : ' under TLS'}${login}`;
}

const by = (e: TraceEvent): string =>
  e.host === undefined ? '' : ` by ${visible(e.host)}${e.ip === undefined ? '' : ` [${visible(e.ip)}]`}${e.tls === undefined ? '' : ' under TLS'}`;
const said = (e: TraceEvent): string => visible(e.words ?? e.code ?? '') || 'no reason was given';
const whom = (e: TraceEvent): string => (e.by === undefined ? '' : ` by ${visible(e.by)}`);
