// What a portal may have done here, as one row each. An effect in the store is one commit with the row that says that the
// command was done; any other effect is begun only after that row is durable, and never begun again.

import { z } from 'zod';
import type { Reader } from '../../storage/engine.ts';
import { accountByAddress } from '../../storage/views.ts';
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
} as const;

/** How a command is done. `now`: ms since the epoch. */
export function planOf(view: Reader, now: number, name: string, args: Readonly<Record<string, unknown>>): Plan {
  if (!Object.hasOwn(rows, name)) return { failed: `this version does not know ${name}` };
  const { args: shape, plan } = rows[name as keyof typeof rows] as unknown as Row<unknown>;
  const given = shape.safeParse(args);
  if (!given.success) return { failed: `${name}: ${given.error.issues[0]?.path.join('.') ?? ''} ${given.error.issues[0]?.message ?? ''}` };
  const planned = plan(given.data, view);
  return 'failed' in planned || planned.kind === '' ? planned : { ...planned, ask: { now, ...planned.ask } };
}
