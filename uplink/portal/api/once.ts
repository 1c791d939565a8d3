// One change of one request, at most once. Guarantees: the answer to an Idempotency-Key is written in the transaction of
// the change itself, so that a repeated request, also after a crash, gets the first answer and changes nothing; each change
// within an organisation tells its audit log in the same transaction.

import { assert } from '../../../actors/assert.ts';
import { limits } from '../../../actors/limits.ts';
import { append } from '../identity/audit.ts';
import { organisationsOf } from '../identity/person.ts';
import { hashOf } from '../identity/secret.ts';
import type { Origin } from '../identity/session.ts';
import type { Portal } from '../process.ts';
import type { Transaction } from '../records.ts';
import { badRequest, conflict, invalid } from './problem.ts';
import type { Actor, Route, Tell } from './route.ts';

/** The request was there before: `answer()` gives what it got. */
export class Repeated extends Error {}

export interface Once {
  /** The stored answer; null: this request is new. Throws where the key was used for another one. */
  answer(): Promise<Response | null>;
  change<T>(run: (tx: Transaction, tell: Tell) => Promise<T>): Promise<T>;
}

interface Context {
  readonly portal: Portal;
  readonly route: Route;
  readonly actor: Actor | null;
  readonly from: Origin;
  readonly organisation: string | null;
  /** Of the request; null: none was given. */
  readonly key: string | null;
  /** Method, path and body. */
  readonly request: string;
}

const actorId = (actor: Actor): string => (actor.kind === 'person' ? `p:${actor.id}` : `t:${actor.token.id}`);
/** For histories. */
const actorName = (actor: Actor | null): string => (actor === null ? '' : actor.kind === 'person' ? actor.person.email : `token ${actor.token.row.name}`);
const authOf = (actor: Actor | null): string =>
  actor === null ? '' : actor.kind === 'token' ? 'token' : actor.session.row.auth === undefined ? 'session' : `session by ${actor.session.row.auth}`;

export function once(context: Context): Once {
  const { portal, route, actor, key } = context;
  if (key !== null && !/^[\x21-\x7e]{1,200}$/.test(key)) throw badRequest('Idempotency-Key must be 1 to 200 visible characters, such as a UUID.');
  const id = key === null || actor === null || route.method !== 'POST' || route.who === 'anyone' ? null : [actorId(actor), hashOf(key)];
  const request = hashOf(context.request);
  let stored = false;
  return {
    async answer() {
      const row = id === null ? undefined : await portal.records.get('idempotency', ...id);
      if (row === undefined || row.expiresAt <= portal.world.now()) return null;
      if (row.request !== request) throw invalid([], 'This Idempotency-Key was used for another request: take a new one.');
      if (row.status === 0) throw conflict('This was done already. Its answer held a secret, which is shown once and not kept.');
      return new Response(row.body === '' ? null : row.body, {
        status: row.status,
        headers: { 'Content-Type': 'application/json', 'Idempotency-Replayed': 'true' },
      });
    },
    async change(run) {
      const result = await portal.records.transact(async (tx) => {
        const known = id === null || stored ? undefined : await tx.get('idempotency', ...id);
        const now = portal.world.now();
        if (known !== undefined && known.expiresAt > now) throw new Repeated();
        const told: string[] = [];
        const made = await run(tx, teller(context, tx, told));
        assert(told.length > 0 || context.organisation === null, 'a change within an organisation tells its audit log');
        if (id === null || stored) return made;
        const kept = route.secret === true ? { status: 0, body: '' } : { status: statusOf(route), body: made === undefined ? '' : JSON.stringify(made) };
        tx.put('idempotency', id, { request, ...kept, expiresAt: now + limits.idempotencyMs });
        return made;
      });
      stored = true;
      return result;
    },
  };
}

/** What a route answers when all went well. */
export const statusOf = (route: Route): number => route.status ?? (route.answer.type === 'void' ? 204 : 200);

function teller({ portal, actor, from, organisation }: Context, tx: Transaction, told: string[]): Tell {
  return async (telling) => {
    const given = telling.organisation ?? organisation;
    const where = given !== null ? [given] : actor?.kind === 'person' ? await organisationsOf(tx, actor.id) : [];
    for (const one of where) {
      told.push(one);
      await append(tx, one, {
        at: portal.world.now(),
        actor: telling.actor ?? actorName(actor),
        auth: telling.auth ?? authOf(actor),
        address: from.address,
        action: telling.action,
        target: telling.target,
        detail: telling.detail ?? '',
        ...('before' in telling ? { before: telling.before } : {}),
        ...('after' in telling ? { after: telling.after } : {}),
      });
    }
  };
}
