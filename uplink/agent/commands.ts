// What a portal may have done here, as one row each. An effect in the store is one commit with the row that says that the
// command was done; any other effect is begun only after that row is durable, and never begun again.

import { z } from 'zod';
import { limits } from '../../actors/limits.ts';
import type { Reader } from '../../storage/engine.ts';
import { accountByAddress, queued } from '../../storage/views.ts';
import type { Plan } from '../states/site.ts';

interface Row<A> {
  readonly args: z.ZodType<A>;
  readonly plan: (args: A, view: Reader) => Plan;
}
const row = <A>(args: z.ZodType<A>, plan: Row<A>['plan']): Row<A> => ({ args, plan });

const rows = {
  /** Shows that commands come through: an event comes back. */
  'uplink.test': row(z.strictObject({ text: z.string().max(500).default('') }), ({ text }) => ({
    kind: 'recordEvents',
    ask: { events: [{ name: 'uplink.test', body: JSON.stringify({ text }) }] },
    value: '',
  })),
  /** Failed logins of an account are forgotten: who was shut out may try again. */
  'account.unlock': row(z.strictObject({ address: z.string().max(320) }), ({ address }, view) => {
    const found = accountByAddress(view, address);
    if (found === undefined) return { failed: `there is no account ${address}` };
    return { kind: 'authSucceeded', ask: { keys: [`login:${found.row.address.toLowerCase()}`] }, value: '' };
  }),
  'snapshot.now': row(z.strictObject({}), () => ({ kind: '', ask: {}, value: '' })),
  /** The newest parked snapshot is restored beside the site, and thrown away. */
  'snapshot.prove': row(z.strictObject({}), () => ({ kind: '', ask: {}, value: '' })),
  'queue.hold': tending('holdQueue', {}),
  'queue.release': tending('releaseQueue', {}),
  'queue.retry': tending('retryQueue', {}),
  'queue.delete': tending('deleteQueue', { expiryMs: 0, alone: false, mails: [] }),
} as const;

/** All recipients of the messages named; what has left the queue meanwhile is passed over. */
function tending(kind: string, more: Readonly<Record<string, unknown>>) {
  const id = z.union([
    z.int().min(0),
    z
      .string()
      .regex(/^\d{1,15}$/)
      .transform(Number),
  ]);
  return row(z.strictObject({ ids: z.array(id).min(1).max(1_000) }), ({ ids }, view): Plan => {
    const of = ids.flatMap((queue) => queued(view, queue)?.recipients.map(({ n }) => ({ queue, n })) ?? []);
    if (of.length === 0) return { failed: 'nothing of it is in the queue any more' };
    if (of.length > limits.queueTended) return { failed: `these are ${of.length} recipients: name at most ${limits.queueTended} at once` };
    return { kind, ask: { by: 'portal', of, ...more }, value: '' }; // the store says how many
  });
}

/** How a command is done. `now`: ms since the epoch. */
export function planOf(view: Reader, now: number, name: string, args: Readonly<Record<string, unknown>>): Plan {
  if (!Object.hasOwn(rows, name)) return { failed: `this version does not know ${name}` };
  const { args: shape, plan } = rows[name as keyof typeof rows] as unknown as Row<unknown>;
  const given = shape.safeParse(args);
  if (!given.success) return { failed: `${name}: ${given.error.issues[0]?.path.join('.') ?? ''} ${given.error.issues[0]?.message ?? ''}` };
  const planned = plan(given.data, view);
  return 'failed' in planned || planned.kind === '' ? planned : { ...planned, ask: { now, ...planned.ask } };
}
