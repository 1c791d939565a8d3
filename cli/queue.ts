// `mailsite queue …`: what waits to be sent, and an administrator's hand on it. Guarantees: it works on a site that runs
// (through its store) and on one that does not; each change is a command of the store, whole or not at all, and is told
// by the trace of the message; what is in the hands of an attempt at this moment is said to be.

import { limits } from '../actors/limits.ts';
import { realWorld } from '../actors/platform.ts';
import { isRefusal } from '../actors/wire.ts';
import type { World } from '../actors/world.ts';
import { domainOf } from '../storage/addresses.ts';
import type { Reader } from '../storage/engine.ts';
import { messageOf, type QueuedMessage } from '../storage/queued.ts';
import { queue as everything, type QueuedView, queued } from '../storage/views.ts';
import type { Arguments } from './arguments.ts';
import { bold, count, Failure, print, printJson, size, span, table, UsageError } from './output.ts';
import { type QueueVerbName, queueVerbs } from './queueverbs.ts';
import { enterSite, type Opened, writeSite } from './site.ts';
import { ageOf } from './span.ts';

export async function queue(given: Arguments): Promise<number | undefined> {
  const [name = '', id] = given.operands;
  if (!Object.hasOwn(queueVerbs, name)) throw new UsageError(`queue has no verb ${JSON.stringify(name)}: it has ${Object.keys(queueVerbs).join(', ')}`);
  const row = queueVerbs[name as QueueVerbName];
  const strange = given.named.find((option) => !(row.options as readonly string[]).includes(option));
  if (strange !== undefined) throw new UsageError(`queue ${name} does not take --${strange}`);
  if (row.id === 'no' && id !== undefined) throw new UsageError(`queue ${name} does not take ${JSON.stringify(id)}`);
  if (row.id === 'yes' && id === undefined) throw new UsageError(`queue ${name} needs an ID, which mailsite queue list prints`);
  if (row.id === 'either' && (id === undefined) !== given.allMatching)
    throw new UsageError(`queue ${name} needs an ID, or --all-matching with --from, --to or --older`);
  if (id !== undefined && (given.from ?? given.to ?? given.older) !== undefined) throw new UsageError(`queue ${name} takes an ID or filters, not both`);
  const named = id === undefined ? null : parseId(id);
  if (name === 'list') return list(given);
  if (name === 'show') return show(given, named as Id);
  return change(given, name as Changing, named);
}

type Changing = Exclude<QueueVerbName, 'list' | 'show'>;
interface Id {
  readonly queue: number;
  readonly n: number | null;
}

function parseId(text: string): Id {
  const found = /^([0-9]{1,15})(?:\/([0-9]{1,6}))?$/.exec(text);
  if (found === null) throw new UsageError(`${JSON.stringify(text)} is no ID: it is a number, or number/recipient`);
  return { queue: Number(found[1]), n: found[2] === undefined ? null : Number(found[2]) };
}

type Recipient = QueuedView['recipients'][number];

/** Which recipients the options name. */
function filterOf(given: Arguments, now: number): (message: QueuedView, recipient: Recipient) => boolean {
  const is = (wanted: string | undefined, address: string): boolean => {
    if (wanted === undefined) return true;
    const [want, have] = [wanted.toLowerCase().replace(/^@/, ''), address.toLowerCase()];
    return want.includes('@') || want === '' || want === '<>' ? have === want.replace('<>', '') : domainOf(have) === want;
  };
  const before = given.older === undefined ? Number.POSITIVE_INFINITY : now - ageOf('older', given.older);
  return ({ row }, recipient) => row.arrivedAt <= before && is(given.from, row.envelopeFrom) && is(given.to, recipient.row.address);
}

type Message = QueuedMessage;

const listed = 50;

async function list(given: Arguments): Promise<undefined> {
  const world = realWorld(() => {});
  const now = world.now();
  const matches = filterOf(given, now);
  const after = given.after === undefined ? 0 : parseId(given.after).queue;
  const limit = given.limit ?? listed;
  const { view } = await enterSite(world, given.data);
  view.refresh();
  const found: Message[] = [];
  let more = false;
  for (const message of everything(view, after)) {
    const recipients = message.recipients.filter((recipient) => matches(message, recipient));
    if (recipients.length === 0) continue;
    more = found.length >= limit;
    if (more) break;
    found.push(messageOf(view, now, { ...message, recipients }));
  }
  const next = more ? (found.at(-1)?.id ?? after) : null;
  if (given.json) printJson({ messages: found, next });
  else if (found.length === 0) print('Nothing waits.');
  else print([drawList(found, now), ...(next === null ? [] : [`There is more: --after ${next}`])].join('\n\n'));
  return undefined;
}

function drawList(found: readonly Message[], now: number): string {
  const rows = found.flatMap((m) =>
    m.recipients
      .slice(0, 5)
      .map((r, i) => [
        i === 0 ? String(m.id) : '',
        i === 0 ? span(now - m.arrivedAt) : '',
        i === 0 ? visible(m.from) || '<>' : '',
        i === 4 && m.recipients.length > 5 ? `and ${m.recipients.length - 4} more` : visible(r.address),
        when(r, now),
        i === 4 && m.recipients.length > 5 ? '' : why(r),
      ]),
  );
  return table([['id', 'age', 'from', 'to', 'next attempt', 'last answer'], ...rows], '');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what a stranger said must not move the cursor
const visible = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
const why = (r: Message['recipients'][number]): string => visible([r.lastHost, r.lastError || r.lastCode].filter((part) => part !== '').join(': ')) || '-';

function when(r: Message['recipients'][number], now: number): string {
  if (r.nextAttempt === null) return r.state === 'held' ? 'held' : 'being tried';
  return r.nextAttempt <= now ? 'now' : `in ${span(r.nextAttempt - now)}`;
}

async function show(given: Arguments, id: Id): Promise<undefined> {
  const world = realWorld(() => {});
  const now = world.now();
  const { view } = await enterSite(world, given.data);
  view.refresh();
  const found = queued(view, id.queue);
  const recipients = found?.recipients.filter((r) => id.n === null || r.n === id.n) ?? [];
  if (found === undefined || recipients.length === 0) throw notThere(id);
  const message = messageOf(view, now, { ...found, recipients });
  if (given.json) printJson(message);
  else print(drawMessage(message, now));
  return undefined;
}

const notThere = (id: Id): Failure =>
  new Failure(
    `there is no ${id.queue}${id.n === null ? '' : `/${id.n}`} in the queue: it was delivered, bounced or deleted; mailsite trace tells what happened`,
  );

function drawMessage(m: Message, now: number): string {
  const head = table(
    [
      ['message', `${m.id}, ${m.messageId === '' ? 'without a Message-ID' : `<${visible(m.messageId)}>`}`],
      ['from', visible(m.from) || '<>'],
      ['came', `${span(now - m.arrivedAt)} ago, ${size(m.size)}`],
      ['given up', m.expiresAt <= now ? 'after the next attempt' : `in ${span(m.expiresAt - now)}`],
    ],
    '',
  );
  const rows = m.recipients.map((r) => [`${m.id}/${r.n}`, visible(r.address), count(r.attempts, 'attempt'), when(r, now), why(r)]);
  return `${head}\n\n${bold('Recipients')}\n${table(rows)}`;
}

interface Tended {
  done: number;
  leased: number;
}

/** Exit code 1: what was named is being tried at this moment, and was left. */
async function change(given: Arguments, verb: Changing, id: Id | null): Promise<number> {
  const world = realWorld(() => {});
  const matches = filterOf(given, world.now());
  const site = await writeSite(world, given.data);
  if (site.view === null) throw new Failure(`${site.data} holds no site: name another --data`);
  const opened = await site.open();
  opened.view.refresh();
  const matching = id === null ? matchingOf(opened.view, matches) : one(opened.view, id);
  const sum: Tended = { done: 0, leased: 0 };
  let named = 0;
  for (const batch of batchesOf(matching)) {
    named += batch.reduce((all, message) => all + message.recipients.length, 0);
    const { done, leased } = await ask(world, opened, given, verb, batch);
    sum.done += done;
    sum.leased += leased;
    opened.view.refresh();
  }
  if (given.json) printJson({ verb, named, ...sum });
  else print(tell(verb, named, sum));
  return verb === 'delete' && opened.running && sum.leased > 0 ? 1 : 0;
}

function one(view: Reader, id: Id): readonly QueuedView[] {
  const found = queued(view, id.queue);
  const recipients = found?.recipients.filter((r) => id.n === null || r.n === id.n) ?? [];
  if (found === undefined || recipients.length === 0) throw notThere(id);
  return [{ ...found, recipients }];
}

/** Messages with those of their recipients that match, as they are now. */
function* matchingOf(view: Reader, matches: ReturnType<typeof filterOf>): Generator<QueuedView> {
  for (const message of everything(view)) yield { ...message, recipients: message.recipients.filter((recipient) => matches(message, recipient)) };
}

/** The same in commands: of at most limits.queueTended recipients, and of as many messages as mails fit into one. */
function* batchesOf(messages: Iterable<QueuedView>): Generator<readonly QueuedView[]> {
  let batch: QueuedView[] = [];
  let room: number = limits.queueTended;
  for (const message of messages) {
    for (let at = 0; at < message.recipients.length; ) {
      const recipients = message.recipients.slice(at, at + room);
      batch.push({ ...message, recipients });
      at += recipients.length;
      room -= recipients.length;
      if (room > 0 && batch.length < notices) continue;
      yield batch;
      batch = [];
      room = limits.queueTended;
    }
  }
  if (batch.length > 0) yield batch;
}
/** A command carries so many mails. */
const notices = 8;

const commandOf = { hold: 'holdQueue', release: 'releaseQueue', retry: 'retryQueue' } as const;

async function ask(world: World, opened: Opened, given: Arguments, verb: Changing, batch: readonly QueuedView[]): Promise<Tended> {
  const of = batch.flatMap((message) => message.recipients.map(({ n }) => ({ queue: message.queue, n })));
  const { SUDO_USER, USER } = process.env;
  const by = `${SUDO_USER ?? USER ?? 'somebody'} on the command line`.slice(0, 100);
  const mails = verb === 'delete' && given.bounce ? (await import('./queuebounce.ts')).bounces(world, opened, batch) : [];
  const rest = { now: world.now(), by, of };
  const answer =
    verb === 'delete'
      ? await opened.store.ask('deleteQueue', { ...rest, expiryMs: limits.queueExpiryMs, alone: !opened.running, mails })
      : await opened.store.ask(commandOf[verb], rest);
  if (!isRefusal(answer)) return answer;
  if (answer.refused !== 'conflict') throw new Failure(`the store refused it: ${answer.detail || answer.refused}`);
  throw new Failure(`${answer.detail}: those were left; run it again in a moment`);
}

const pasts = { hold: 'held', release: 'released', retry: 'made due', delete: 'deleted' } as const;

function tell(verb: Changing, named: number, { done, leased }: Tended): string {
  if (named === 0) return 'Nothing in the queue matches.';
  const rest = named - done;
  const already = { hold: 'held already', release: 'not held', retry: 'due, held or being tried', delete: 'not there any more' }[verb];
  let out = `${count(done, 'recipient')} ${pasts[verb]}`;
  if (verb === 'delete') out += leased > 0 && rest > 0 ? `; ${leased} being tried at this moment: left, run it again in a moment` : '';
  else {
    if (rest > 0) out += `; ${rest} ${already}`;
    if (leased > 0) out += `; ${leased} being tried at this moment: that attempt may still deliver`;
  }
  return `${out}.`;
}
