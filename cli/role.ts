// The hidden verb `role NAME`: what a child process of the supervisor is. It runs in the data directory, reports to the
// supervisor, and exits when the supervisor is gone. Each role imports only what it needs, so that it starts fast.

import { statfsSync } from 'node:fs';
import { reportToSupervisor, startChild, type Supervised } from '../actors/children.ts';
import { checkLimits, limits } from '../actors/limits.ts';
import { link, serve } from '../actors/link.ts';
import { holdAlone } from '../actors/lock.ts';
import { realWorld, systemResolvers } from '../actors/platform.ts';
import { hopeless, Supervision, type SupervisionProtocol } from '../actors/supervision.ts';
import type { ChildRow, ProcessRow } from '../actors/tree.ts';
import { type Answer, isRefusal, type Refusal } from '../actors/wire.ts';
import type { World } from '../actors/world.ts';
import { defaultEngine, type EngineKind, engineOctets, engineOf, openView } from '../storage/engines/open.ts';
import type { Spare } from '../storage/scrub.ts';
import { portalTree, tree } from '../tree.ts';
import { complain, print } from './output.ts';
import { place } from './place.ts';

export interface RoleOptions {
  readonly index: number;
  /** The pid of our supervisor. */
  readonly supervisor: number;
  readonly demo: boolean;
  readonly portOffset: number | undefined;
  /** Of a site that has none yet. */
  readonly engine: EngineKind | undefined;
  /** Of a portal. */
  readonly listen: string | undefined;
  readonly url: string | undefined;
  readonly objects: string | undefined;
}

type Role = ProcessRow['role'];
type Main = (world: World, children: readonly ChildRow[], options: RoleOptions, supervisor: Supervised) => Promise<void>;

const mains: Readonly<Record<Role, Main>> = { store, edge, work, control, portal };

/** Returns when the role serves; the process then lives until it is killed. */
export async function runRole(name: string, options: RoleOptions): Promise<void> {
  checkLimits();
  const row = [...tree, ...portalTree].find((candidate) => candidate.role === name);
  if (row === undefined) throw new Error(`no role ${name}`);
  const world = realWorld();
  const supervisor = reportToSupervisor(world, place.supervisorSocket, options.supervisor, row.role, options.index);
  await mains[row.role](world, row.children, options, supervisor);
  supervisor.ready();
}

const child = (children: readonly ChildRow[], name: string): ChildRow => {
  const row = children.find((candidate) => candidate.name === name);
  if (row === undefined) throw new Error(`tree.ts names no ${name} here`);
  return row;
};

async function store(world: World, children: readonly ChildRow[], options: RoleOptions): Promise<void> {
  const { collector, openStore } = await import('../storage/process.ts');
  if (!holdAlone(place.lock, limits.dyingMs)) throw new Error('another process writes to this site: its lock is held');
  const running = await openStore(world, '.', engineOf('.') ?? options.engine ?? defaultEngine).catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== 'NewerStore') throw error; // by name: its module is the store's alone
    complain(error.message);
    process.exit(hopeless);
  });
  const { misplaced } = await import('../uplink/portal/here.ts');
  const why = misplaced(running.view, options.url === undefined ? 'site' : 'portal', process.cwd());
  if (why !== null) {
    complain(why);
    process.exit(hopeless);
  }
  startChild(world, child(children, 'storage'), async () => {
    throw await running.crashed;
  });
  running.serveReads(place.readSocket);
  serve(world, place.storeSocket, running.served, running.clientGone);
  startChild(world, child(children, 'collector'), () => collector(world, running.served));
  let copies: Promise<Spare> | null = null;
  const spare = (): Promise<Spare> => (copies ??= import('../storage/snapshot/spare.ts').then(({ copiesOf }) => copiesOf(world, running.view)));
  startChild(world, child(children, 'scrub'), () => running.scrub({ spare, infoOf }));
}

/** What is computed of a message at delivery, for a message whose row of it was damaged. */
async function infoOf(message: Uint8Array) {
  const { Scanner } = await import('../protocols/mime/scanner.ts');
  const scanner = new Scanner();
  scanner.push(message);
  return scanner.finish().info;
}

async function work(world: World, children: readonly ChildRow[]): Promise<void> {
  const [{ run }, { worker }] = await Promise.all([import('../actors/actor.ts'), import('../protocols/work.ts')]);
  const running = await run(world, worker);
  startChild(world, child(children, 'work'), async () => {
    throw await running.crashed;
  });
  serve(world, place.workSocket, running);
}

/** What edge and control share: the store, the work, the view, the feed. The view opens once the store has made it. */
async function openSite(world: World, options: RoleOptions) {
  const [{ Store }, { Work }, { changeFeed }, { refusalGatherer }] = await Promise.all([
    import('../storage/messages.ts'),
    import('../protocols/site.ts'),
    import('../protocols/feed.ts'),
    import('../protocols/smtp/refusals.ts'),
  ]);
  let resume = (): void => {};
  let reopen = (): void => {};
  const onUp = (): void => {
    reopen();
    resume();
  };
  const store = link(world, place.storeSocket, Store, { onUp });
  const changes = changeFeed(world, store);
  resume = () => void changes.resume().catch(() => {}); // a link lost again says so by coming up again
  await store.ask('stats', {});
  const view = await openView('.', engineOf('.') ?? defaultEngine, place.readSocket);
  store.on('reopened', () => view.reopen?.());
  reopen = () => view.reopen?.(); // the event may have been told while the link was away
  return { world, store, work: link(world, place.workSocket, Work), view, changes, refused: refusalGatherer(world, store), plaintextOnLoopback: options.demo };
}

async function edge(world: World, children: readonly ChildRow[], options: RoleOptions): Promise<void> {
  const [site, { openListeners }] = await Promise.all([openSite(world, options), import('../protocols/edge.ts')]);
  openListeners(site, children, 3);
}

/** After a crash of what stands beside the queue: fewer than its budget, so that it never ends the process which sends mail. */
const BESIDE_PAUSE_MS = 15_000;

async function control(world: World, children: readonly ChildRow[], options: RoleOptions, supervisor: Supervised): Promise<void> {
  const [{ controlRole }, { createRecorder }] = await Promise.all([import('../protocols/control.ts'), import('../uplink/agent/events.ts')]);
  const recorder = createRecorder(world);
  const site = await openSite({ ...world, log: recorder.log }, options);
  const beside = (name: string, life: () => Promise<never>): void =>
    startChild(world, child(children, name), async () => {
      try {
        await life();
      } catch (error) {
        await world.sleep(BESIDE_PAUSE_MS);
        throw error;
      }
    });
  startChild(world, child(children, 'control'), () => controlRole(site, systemResolvers));
  let parkedAt: number | null = null;
  const parked = (nowMs: number): void => void (parkedAt = nowMs);
  const row = child(children, 'metrics');
  startChild(world, row, async () => {
    const { serveMetrics } = await import('../protocols/http/metrics.ts');
    const machine = { diskOctets: () => engineOctets('.'), parkedAt: () => parkedAt, processes: supervisor.processes };
    return serveMetrics(site, row, (row.loopback ?? 0) + (options.portOffset ?? 0), machine);
  });
  let proveNow = (): Promise<string> => Promise.reject(new Error('the site has just been started: give the command again'));
  beside('proof', async () => {
    const [{ proveForever }, { proveBeside }, { parkingBeside }, { config }] = await Promise.all([
      import('../storage/snapshot/proof.ts'),
      import('./snapshot/proving.ts'),
      import('../uplink/agent/parking.ts'),
      import('../storage/views.ts'),
    ]);
    const octets = (): number => engineOctets('.');
    const hurry = (now: () => Promise<string>): void => void (proveNow = now);
    const somewhere = (): boolean => config(site.view)?.document.snapshots != null || parkingBeside(world, site.view) !== null;
    const parks = (): boolean => parkedAt !== null && somewhere();
    return proveForever({ ...site, parks, octets, restore: () => proveBeside(octets(), parks()), hurry });
  });
  let parkNow = (): Promise<void> => Promise.reject(new Error('the site has just been started: give the command again'));
  const hurry = (now: () => Promise<void>): void => void (parkNow = now);
  beside('parking', async () => {
    const [{ parkForever }, { parkingBeside }] = await Promise.all([import('../storage/snapshot/parking.ts'), import('../uplink/agent/parking.ts')]);
    return parkForever({ ...site, parked, beside: () => parkingBeside(world, site.view), hurry });
  });
  beside('uplink', async () => {
    const [{ runAgent }, { version }] = await Promise.all([import('../uplink/agent/live.ts'), import('../package.json')]);
    const processes = link(world, place.supervisorSocket, Supervision);
    const around = async () => surroundings(version, await processes.ask('processes', {}));
    return runAgent(site, recorder, version, around, { park: () => parkNow(), prove: () => proveNow() });
  });
}

/** What a site says of its machine. */
function surroundings(version: string, processes: Answer<SupervisionProtocol, 'processes'> | Refusal) {
  const { bavail, bsize } = statfsSync('.');
  const { startedAt, listeners } = isRefusal(processes) ? { startedAt: null, listeners: [] } : processes;
  return { version, engine: engineOf('.') ?? defaultEngine, diskOctets: engineOctets('.'), freeOctets: bavail * bsize, startedAt, listeners };
}

async function portal(world: World, children: readonly ChildRow[], options: RoleOptions): Promise<void> {
  const [{ Store }, { portalRole }] = await Promise.all([import('../storage/messages.ts'), import('../uplink/portal/process.ts')]);
  let subscribe = (): void => {};
  const store = link(world, place.storeSocket, Store, { onUp: () => subscribe() });
  subscribe = () => void store.ask('subscribe', {}).catch(() => {}); // a link lost again says so by coming up again
  await store.ask('stats', {});
  const view = await openView('.', engineOf('.') ?? defaultEngine, place.readSocket);
  store.on('reopened', () => view.reopen?.());
  const { listen = '', url = '', objects = place.objects } = options;
  startChild(world, child(children, 'portal'), () => portalRole({ world, store, view, listen, url, objects, say: print }));
}
