// What changes, as it changes: server-sent events for the web UI. Guarantees: whoever signed out or lost the right hears
// nothing more from the next beat on; a stream costs a process a bounded place.

import { limits } from '../../../../actors/limits.ts';
import type { Portal } from '../../process.ts';
import { tenancyIn } from '../actor.ts';
import { siteOf } from '../edit.ts';
import { throttled } from '../problem.ts';
import { type Actor, members, nothing, siteWide, type TenantCall, tenant } from '../route.ts';
import { siteAnswer } from '../state.ts';

type Call = TenantCall<unknown, unknown, unknown>;
/** Sends one event; `data` becomes JSON. */
type Send = (event: string, data: unknown) => void;

const open = new Map<string, number>();
let total = 0;

const placeOf = (actor: Actor): string => (actor.kind === 'person' ? actor.session.id : actor.token.id);

/** Throws where there are too many. Returns how to leave. */
function enter(place: string): () => void {
  const mine = open.get(place) ?? 0;
  if (mine >= limits.apiStreamsEach || total >= limits.apiStreams) throw throttled(30, 'Too many live views are open: close some.');
  open.set(place, mine + 1);
  total++;
  let left = false;
  return () => {
    if (left) return;
    left = true;
    total--;
    const now = (open.get(place) ?? 1) - 1;
    if (now === 0) open.delete(place);
    else open.set(place, now);
  };
}

async function mayGoOn({ portal, actor, organisation, role }: Call): Promise<boolean> {
  if (actor.kind === 'person' && (await portal.records.get('session', actor.session.id)) === undefined) return false;
  if (actor.kind === 'token' && (await portal.records.get('token', organisation, actor.token.id)) === undefined) return false;
  return (await tenancyIn(portal, actor, organisation))?.role === role;
}

/** A response that lives until the client goes. `begin` says what to watch and returns how to end it. */
function stream(call: Call, begin: (send: Send) => readonly (() => void)[]): Response {
  const leave = enter(placeOf(call.actor));
  const encoder = new TextEncoder();
  let end = (): void => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const write = (text: string): void => {
        if ((controller.desiredSize ?? 0) < -limits.apiStreamBacklog)
          end(); // it does not read: it will come again and look anew
        else controller.enqueue(encoder.encode(text));
      };
      let over = false;
      const ends = begin((event, data) => {
        if (!over) write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      });
      let timer = { cancel: (): void => {} };
      end = () => {
        if (over) return;
        over = true;
        timer.cancel();
        for (const one of ends) one();
        leave();
        controller.close();
      };
      const beat = async (): Promise<void> => {
        if (over) return;
        if (!(await mayGoOn(call).catch(() => false))) return end();
        write(': alive\n\n');
        timer = call.portal.world.after(limits.apiStreamBeatMs, () => void beat());
      };
      void beat();
      call.signal.addEventListener('abort', end);
    },
    cancel: () => end(),
  });
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' } });
}

/** Sends the site as it is now. */
async function sendSite({ records, ...portal }: Portal, organisation: string, id: string, send: Send): Promise<void> {
  const row = await records.get('site', organisation, id);
  if (row === undefined) send('removed', { id });
  else send('site', await siteAnswer({ records, ...portal }, id, row));
}
const quietly = (work: Promise<void>): void => void work.catch(() => {}); // the next change, or the next look, tells it

export const streamRoutes = [
  tenant('GET', '/organisations/{org}/stream', {
    about: 'Events site (a Site as in the list) and removed, as sites change.',
    who: members,
    answer: nothing,
    raw: 'text/event-stream',
    async handle(call) {
      const { portal, organisation } = call;
      return stream(call, (send) => [portal.records.watch('site', [organisation], (id) => quietly(sendSite(portal, organisation, id[1] as string, send)))]);
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/stream', {
    about: 'Events site, removed, command (its id and state), event (its seq), document (its rev) and snapshots, as they happen.',
    who: siteWide,
    answer: nothing,
    raw: 'text/event-stream',
    async handle(call) {
      const { portal, organisation, params } = call;
      const { records } = portal;
      const { site } = params;
      await siteOf(records, call);
      return stream(call, (send) => {
        const told = async (id: readonly string[]): Promise<void> => {
          const row = await records.get('command', site, id[1] as string);
          if (row !== undefined) send('command', { id: id[1], name: row.name, state: row.state });
        };
        return [
          records.watch('site', [organisation, site], () => quietly(sendSite(portal, organisation, site, send))),
          records.watch('command', [site], (id) => quietly(told(id))),
          records.watch('event', [site], (id) => send('event', { seq: Number(id[1]) })),
          records.watch('desired', [site], (id) => send('document', { rev: Number(id[1]) })),
          records.watch('snapshot', [site], () => send('snapshots', {})),
        ];
      });
    },
  }),
] as const;
