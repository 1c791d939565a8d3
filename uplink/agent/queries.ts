// What a portal may ask a site, live: one row a question. Nothing of an answer is kept anywhere.

import { z } from 'zod';
import { limits } from '../../actors/limits.ts';
import type { Endpoint, World } from '../../actors/world.ts';
import { survey } from '../../protocols/dns/survey.ts';
import { normalizeDomain } from '../../storage/addresses.ts';
import type { Reader } from '../../storage/engine.ts';
import { trace } from '../../storage/trace.ts';
import { messageOf, type QueuedMessage } from '../../storage/queued.ts';
import { queue, queued } from '../../storage/views.ts';
import type { Facts } from '../states/site.ts';

/** What an answer is made of. */
export interface Asking {
  readonly world: World;
  readonly view: Reader;
  readonly systemResolvers: () => readonly Endpoint[];
  readonly facts: () => Promise<Facts>;
}
interface Row<A> {
  readonly args: z.ZodType<A>;
  readonly answer: (asking: Asking, args: A) => Promise<unknown>;
}
const row = <A>(args: z.ZodType<A>, answer: Row<A>['answer']): Row<A> => ({ args, answer });

const number = z.union([
  z.int().min(0),
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
]);
const ofDomain = z.strictObject({ domain: z.string().max(255) });
/** What one answer may hold of a list. */
const listed = 50;

const rows = {
  overview: row(z.strictObject({}), ({ facts }) => facts()),
  trace: row(z.strictObject({ about: z.string().min(1).max(998), since: z.int().min(0).default(0) }), async ({ view }, { about, since }) =>
    trace(view, { about, since, limit: Math.min(listed, limits.traceFound) }),
  ),
  'queue.list': row(z.strictObject({ filter: z.string().max(400).default(''), after: number.default(0) }), async ({ world, view }, { filter, after }) =>
    listQueue(view, world.now(), filter.toLowerCase(), after),
  ),
  'queue.show': row(z.strictObject({ id: number }), async ({ world, view }, { id }) => {
    view.refresh();
    const found = queued(view, id);
    return found === undefined ? null : messageOf(view, world.now(), found);
  }),
  'dns.records': row(ofDomain, (asking, { domain }) => dns(asking, domain, false)),
  'dns.check': row(ofDomain, (asking, { domain }) => dns(asking, domain, true)),
} as const;

/** Rejects when there is no such question, or its arguments are wrong. */
export async function answerQuery(asking: Asking, name: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
  if (!Object.hasOwn(rows, name)) throw new Error(`this version cannot answer ${name}`);
  const { args: shape, answer } = rows[name as keyof typeof rows] as unknown as Row<unknown>;
  const given = shape.safeParse(args);
  if (!given.success) throw new Error(`${name}: ${given.error.issues[0]?.path.join('.') ?? ''} ${given.error.issues[0]?.message ?? ''}`);
  return answer(asking, given.data);
}

/** Messages whose sender or one of whose recipients holds `filter`, oldest first. */
function listQueue(view: Reader, now: number, filter: string, after: number) {
  view.refresh();
  const messages: QueuedMessage[] = [];
  for (const message of queue(view, after)) {
    const holds = [message.row.envelopeFrom, ...message.recipients.map((r) => r.row.address)].some((address) => address.toLowerCase().includes(filter));
    if (!holds) continue;
    if (messages.length === listed) return { messages, next: messages.at(-1)?.id ?? null };
    messages.push(messageOf(view, now, { ...message, recipients: message.recipients.slice(0, listed) }));
  }
  return { messages, next: null };
}

async function dns({ world, view, systemResolvers }: Asking, domain: string, judged: boolean) {
  const found = await survey(world, view, { addresses: null, domain: normalizeDomain(domain) ?? domain, systemResolvers, judged, withinMs: limits.queryDnsMs });
  if (found === null || found.wanted.length === 0) throw new Error(`this site does not run ${domain} yet`);
  if (judged) return found.judge();
  return found.wanted.map(({ why, ...record }) => ({ ...record, state: 'unknown', found: [], reason: why, fix: '' }));
}
