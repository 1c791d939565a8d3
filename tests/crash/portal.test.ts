// U2, C1: a real portal and two real sites, all killed by -9 at random moments (MAILSITE_KILLS, MAILSITE_SEED), while people edit,
// commands are given, mail comes in and is parked. Afterwards: each edit that was answered is in force at its site, revs were
// applied in order and once, no command took effect twice, no event is missing, the audit log is whole, and so is all that is
// kept. Then the portal comes back as an older copy of itself: the sites lead, and nothing goes backwards.

import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { config } from '../../storage/views.ts';
import { rng } from '../bench/lib/util.ts';
import { must, run, sleep, tell, until } from '../clients/programs.ts';
import { descendants, engineOptions, executable, killTree, signal } from '../clients/site.ts';
import { Smtp } from '../bench/lib/conn.ts';
import { cloud, type Cloud } from '../unit/portal/cloud.ts';
import { passphrase } from '../unit/portal/house.ts';
import { temporary } from '../unit/cli/program.ts';
import { openData } from './data.ts';

const kills = Number(process.env['MAILSITE_KILLS'] ?? 15);
const seed = Number(process.env['MAILSITE_SEED'] ?? Date.now() % 1_000_000);
const port = 28_150;
const listen = `127.0.0.1:${port}`;

const units: Unit[] = [];
let commander: Bun.Subprocess<'ignore', 'pipe', 'inherit'> | null = null;
afterAll(async () => {
  commander?.kill('SIGKILL');
  for (const unit of units) await unit.end();
});

/** A supervisor that is started again whenever it ends, as systemd does it. */
class Unit {
  private readonly argv: readonly string[];
  private process: Bun.Subprocess<'ignore', 'pipe', 'inherit'> | null = null;
  private wanted = true;
  readonly crashes: string[] = [];
  /** The last that it said. */
  log = '';

  constructor(argv: readonly string[]) {
    this.argv = argv;
    units.push(this);
    void this.keep();
  }

  private async keep(): Promise<void> {
    while (this.wanted) {
      const process = Bun.spawn([executable, ...this.argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
      this.process = process;
      for await (const chunk of process.stdout) {
        const text = new TextDecoder().decode(chunk);
        this.log = (this.log + text).slice(-200_000);
        this.crashes.push(...text.split('\n').filter((line) => line.includes('"actor.crash"') || line.includes('"actor.budget"')));
      }
      await process.exited;
      await sleep(100);
    }
  }

  pids(): number[] {
    return this.process === null ? [] : descendants(this.process.pid);
  }
  /** One process of it, or all at once. */
  kill(random: () => number): void {
    const pids = this.pids();
    if (random() < 0.5) for (const pid of pids) signal(pid);
    else signal(pids[Math.floor(random() * pids.length)] as number);
  }
  async end(): Promise<void> {
    if (!this.wanted) return;
    this.wanted = false;
    if (this.process !== null) await killTree(this.process.pid);
    await this.process?.exited;
  }
}

interface Joined {
  readonly id: string;
  readonly path: string;
  readonly domain: string;
  readonly data: string;
  readonly kit: string;
  readonly offset: number;
  unit: Unit;
  /** Edits that were answered: the alias, and the rev that it became. */
  readonly accepted: Map<string, number>;
}

interface Town {
  readonly cloud: Cloud;
  readonly org: string;
  readonly cookie: string;
  token: string;
  portal: Unit;
}

/** What the API answers once it is there; a request that changes something is sent once only. */
async function get(town: Town, path: string) {
  return until(
    `GET ${path}`,
    async () => {
      const answer = await town.cloud.ask('GET', path, town.cookie);
      return answer.status === 200 && answer.body;
    },
    60_000,
    200,
  );
}

async function send(town: Town, method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, never> } | null> {
  try {
    const headers = { Authorization: `Bearer ${town.token}`, 'Content-Type': 'application/json' };
    const init = { method, headers, signal: AbortSignal.timeout(10_000), ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await fetch(`${town.cloud.url}/api/v1${path}`, init);
    return { status: answer.status, body: (await answer.json()) as Record<string, never> };
  } catch {
    return null; // nobody can tell
  }
}

async function found(): Promise<Town> {
  const made = cloud(port);
  const portal = new Unit(['portal', '--data', made.data, '--listen', listen, ...engineOptions]);
  const secret = await until('the link of the first owner', () => /setup#([\w-]{43})\n/.exec(portal.log)?.[1]);
  const owner = { organisation: 'First', name: 'Olga', email: 'olga@example.org', password: passphrase };
  const answer = await made.ask('POST', '/setup', null, { token: secret, ...owner });
  expect(answer.status).toBe(201);
  const org = `/organisations/${answer.body.organisations[0].id}`;
  const { body } = await made.ask('POST', `${org}/tokens`, answer.cookie, { name: 'editor', role: 'admin', domains: [] });
  return { cloud: made, org, cookie: answer.cookie as string, token: body.token, portal };
}

async function join1(town: Town, n: number): Promise<Joined> {
  const { ask } = town.cloud;
  const made = await ask('POST', `${town.org}/sites`, town.cookie, { name: `Site ${n}` });
  const { id } = made.body.site;
  const [path, domain, data, offset] = [`${town.org}/sites/${id}`, `s${n}.example`, temporary(), 28_000 + 1_000 * n];
  await ask('POST', `${path}/domains`, town.cookie, { name: domain });
  await ask('POST', `${path}/accounts`, town.cookie, { address: `ann@${domain}`, password: passphrase });
  // its mail waits for ever: there is no resolver behind it
  await ask('POST', `${path}/aliases`, town.cookie, { address: `out@${domain}`, to: ['x@elsewhere.test'] });
  const joined = JSON.parse((await must([executable, 'join', made.body.claim.text, '--data', data, '--json', ...engineOptions])).stdout);
  const kit = join(temporary(), 'kit');
  writeFileSync(kit, joined.kit);
  return { id, path, domain, data, kit, offset, unit: runs(data, offset), accepted: new Map() };
}
const runs = (data: string, offset: number): Unit => new Unit(['run', '--data', data, '--listen', '127.0.0.1', '--port-offset', String(offset)]);

/** One delivery; whether it was taken. */
async function deliver(site: Joined, to: string): Promise<boolean> {
  try {
    const smtp = await Promise.race([Smtp.open('127.0.0.1', 25 + site.offset), sleep(2_000).then(() => Promise.reject(new Error('late')))]);
    const sent = await Promise.race([
      smtp.send('x@elsewhere.test', `${to}@${site.domain}`, Buffer.from('Subject: x\r\n\r\n'), Buffer.from('x\r\n')),
      sleep(5_000).then(() => ({ code: 0 })),
    ]);
    smtp.close();
    return sent.code === 250;
  } catch {
    return false;
  }
}

interface Given {
  readonly site: string;
  readonly text: string;
  readonly command: string | null;
}

/** Everything goes on, until `stop`. */
class Load {
  private over = false;
  private edits = 0;
  readonly given: Given[] = [];
  readonly actions: { readonly site: Joined; readonly command: string }[] = [];
  private readonly running: Promise<unknown>[] = [];
  private readonly commander: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;

  constructor(town: Town, sites: readonly Joined[]) {
    const organisation = town.org.split('/').at(-1) as string;
    const argv = ['bun', join(import.meta.dirname, 'commander.ts'), town.cloud.data, organisation, ...sites.map((s) => s.id)];
    this.commander = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
    commander = this.commander;
    this.running.push(this.listen());
    for (const site of sites) {
      this.running.push(this.repeat(150, () => this.edit(town, site)));
      this.running.push(this.repeat(300, () => deliver(site, 'ann')));
      this.running.push(this.repeat(400, () => this.tend(town, site)));
    }
  }

  async stop(): Promise<void> {
    this.over = true;
    this.commander.kill('SIGKILL');
    await Promise.all(this.running);
  }

  private async repeat(everyMs: number, work: () => Promise<unknown>): Promise<void> {
    for (; !this.over; await sleep(everyMs)) await work();
  }

  private async listen(): Promise<void> {
    let text = '';
    for await (const chunk of this.commander.stdout) {
      text += new TextDecoder().decode(chunk);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.given.push(JSON.parse(line) as Given);
    }
  }

  private async edit(town: Town, site: Joined): Promise<void> {
    const address = `e${++this.edits}@${site.domain}`;
    const answer = await send(town, 'POST', `${site.path}/aliases`, { address, to: [`ann@${site.domain}`] });
    if (answer === null) return;
    if (answer.status < 300) site.accepted.set(address, answer.body['wantedRev'] as unknown as number);
    else if (answer.status !== 503) throw new Error(JSON.stringify(answer));
  }

  private async tend(town: Town, site: Joined): Promise<void> {
    const action = this.actions.length % 2 === 0 ? 'hold' : 'release';
    const answer = await send(town, 'POST', `${site.path}/queue/actions`, { action, ids: [1, 2, 3] });
    if (answer?.status === 202) this.actions.push({ site, command: answer.body['command'] as unknown as string });
  }
}

interface Event {
  readonly seq: number;
  readonly name: string;
  readonly body: Record<string, never>;
}
/** All that the portal keeps of what the site told, oldest first. */
async function eventsOf(town: Town, site: Joined): Promise<Event[]> {
  const all: Event[] = [];
  for (let after = ''; ; ) {
    const page = await get(town, `${site.path}/events?limit=200${after === '' ? '' : `&after=${after}`}`);
    all.push(...page.items);
    if (page.next === null) return all.reverse();
    after = String(page.next);
  }
}
const appliedRevs = (events: readonly Event[]): number[] => events.filter((e) => e.name === 'config.applied').map((e) => Number(e.body['rev']));

async function settled(town: Town, sites: readonly Joined[]): Promise<void> {
  for (const site of sites) {
    await until(
      `${site.domain} runs what is wanted`,
      async () => {
        const now = await get(town, site.path);
        return now.state === 'online' && now.runningRev === now.wantedRev;
      },
      120_000,
      300,
    );
    await until(
      `no command of ${site.domain} is open`,
      async () => (await get(town, `${site.path}/commands?limit=200`)).items.every((c: { endedAt: unknown }) => c.endedAt !== null),
      120_000,
      300,
    );
    await until(
      `${site.domain} has told all that happened`,
      async () => JSON.parse((await must([executable, 'status', '--json', '--data', site.data])).stdout).uplink.unshipped === 0,
      120_000,
      300,
    );
  }
}

/** What must hold whatever was killed. */
async function compare(town: Town, sites: readonly Joined[], load: Load): Promise<void> {
  for (const site of sites) {
    const { rev, document } = await documentOf(town, site);
    const aliases = new Set(document.aliases.map((row: { address: string }) => row.address));
    expect(
      [...site.accepted.keys()].filter((address) => !aliases.has(address)),
      'edits that were answered and are not wanted',
    ).toEqual([]);
    expect(Math.max(...site.accepted.values())).toBeLessThanOrEqual(rev);
    const events = await eventsOf(town, site);
    expect(
      events.map((e) => e.seq),
      'events without a hole',
    ).toEqual(events.map((_, i) => i + 1));
    expect(events.filter((e) => e.name === 'gap')).toEqual([]);
    const revs = appliedRevs(events);
    expect(revs, 'revs are applied once, in order').toEqual([...new Set(revs)].sort((a, b) => a - b));
    expect(revs.at(-1)).toBe(rev);
    const times = new Map<string, number>();
    for (const e of events) if (e.name === 'uplink.test') times.set(String(e.body['text']), (times.get(String(e.body['text'])) ?? 0) + 1);
    for (const { text, command, site: id } of load.given) {
      if (id !== site.id) continue;
      const state = command === null ? 'unknown' : (await get(town, `${site.path}/commands/${command}`)).state;
      const count = times.get(text) ?? 0;
      if (command === null) expect(count, text).toBeLessThanOrEqual(1);
      else expect([state, count], text).toEqual(['done', 1]);
    }
    for (const { site: of, command } of load.actions) {
      if (of === site) expect((await get(town, `${site.path}/commands/${command}`)).state).toMatch(/^(done|failed)$/);
    }
  }
  expect(await get(town, `${town.org}/audit/proof`)).toMatchObject({ ok: true });
}
const documentOf = (town: Town, site: Joined) => get(town, `${site.path}/document`);

/** What was parked is whole, for whoever has the kit. */
async function parkedIsWhole(town: Town, site: Joined): Promise<number> {
  const { items } = await get(town, `${site.path}/snapshots`);
  expect(items.length).toBeGreaterThan(0);
  const objects = join(town.cloud.data, 'objects');
  const folder = folders(objects).find((f) => f.endsWith(site.id));
  if (folder === undefined) throw new Error(`nothing is parked of ${site.id}`);
  await must([executable, 'snapshot', 'verify', '--all', '--deep', '--from', folder], { timeoutMs: 120_000 });
  await must([executable, 'snapshot', 'verify', '--deep', '--from', folder, '--key', site.kit], { timeoutMs: 120_000 });
  return items.length;
}
function folders(root: string): string[] {
  if (!existsSync(root)) return [];
  const own = readdirSync(root, { withFileTypes: true }).filter((e) => e.isDirectory());
  return own.flatMap((e) => [join(root, e.name), ...folders(join(root, e.name))]);
}
async function isWhole(data: string): Promise<void> {
  const ran = await run([executable, 'check', '--deep', '--data', data], { timeoutMs: 120_000 });
  expect(ran.code, `check ${data}: ${ran.stdout}${ran.stderr}`).toBe(0);
}

test(`U2 C1: ${kills} times kill -9 of a portal and its sites, and an older copy of the portal (MAILSITE_SEED=${seed})`, async () => {
  const random = rng(seed);
  const town = await found();
  const sites = [await join1(town, 1), await join1(town, 2)];
  await settled(town, sites);
  for (const site of sites) await until('mail to elsewhere waits', () => deliver(site, 'out'));
  const load = new Load(town, sites);
  await sleep(1_000);
  for (let i = 0; i < kills; i++) {
    const unit = random() < 0.6 ? town.portal : (sites[Math.floor(random() * sites.length)] as Joined).unit;
    unit.kill(random);
    await sleep(500 + random() * 3_000);
  }
  await load.stop();
  await settled(town, sites);
  await compare(town, sites, load);
  for (const site of sites) expect(site.accepted.size, 'edits that were answered').toBeGreaterThan(kills);
  for (const given of [load.given, load.actions]) expect(given.length, 'commands that were given').toBeGreaterThan(kills);
  const parked = await Promise.all(sites.map((site) => parkedIsWhole(town, site)));
  const edits = sites.map((site) => site.accepted.size);
  tell(`  edits ${edits.join(' + ')}, commands ${load.given.length} + ${load.actions.length}, snapshots parked ${parked.join(' + ')}`);

  await olderPortal(town, sites);

  for (const unit of [town.portal, ...sites.map((s) => s.unit)]) await unit.end();
  for (const unit of [town.portal, ...sites.map((s) => s.unit)]) expect(unit.crashes).toEqual([]);
  for (const data of [town.cloud.data, ...sites.map((s) => s.data)]) await isWhole(data);
  for (const site of sites) {
    const view = await openData(site.data, false);
    const aliases = new Set(config(view)?.document.aliases.map(({ address }) => address));
    expect(
      [...site.accepted.keys()].filter((address) => !aliases.has(address)),
      'edits that were answered and are not in force',
    ).toEqual([]);
    await view.close();
  }
});

/** A snapshot of the portal is taken, more is edited, and the portal is lost. */
async function olderPortal(town: Town, sites: readonly Joined[]): Promise<void> {
  const snapshots = join(temporary(), 'snapshots');
  const { data } = town.cloud;
  const taken = await must([executable, 'snapshot', 'create', '--to', snapshots, '--data', data, '--json'], { timeoutMs: 60_000 });
  expect(taken.stdout).not.toBe('');
  const kit = join(temporary(), 'kit');
  writeFileSync(kit, (await must([executable, 'snapshot', 'key', '--data', data])).stdout);
  const then = await Promise.all(sites.map(async (s) => (await documentOf(town, s)).rev as number));
  for (const site of sites) {
    for (let n = 0; n < 5; n++) {
      const answer = await send(town, 'POST', `${site.path}/aliases`, { address: `late${n}@${site.domain}`, to: [`ann@${site.domain}`] });
      expect(answer?.status).toBeLessThan(300);
    }
  }
  await settled(town, sites);
  const last = await Promise.all(sites.map(async (s) => (await documentOf(town, s)).rev as number));
  const eventsThen = await Promise.all(sites.map((s) => eventsOf(town, s)));
  await town.portal.end();
  const restored = temporary();
  await must([executable, 'snapshot', 'restore', '--from', snapshots, '--data', restored, '--key', kit, ...engineOptions], { timeoutMs: 120_000 });
  town.portal = new Unit(['portal', '--data', restored, '--listen', listen, '--objects', join(data, 'objects')]);
  // its records are those of a site that is online and runs an older rev: what changes them is the site's coming back
  for (const [i, site] of sites.entries())
    await until(
      'the site leads',
      async () => {
        const now = await get(town, site.path);
        return now.state === 'online' && now.runningRev === last[i] && now.wantedRev === last[i];
      },
      120_000,
      300,
    );
  await settled(town, sites);
  for (const [i, site] of sites.entries()) {
    const { document } = await documentOf(town, site);
    expect(document.aliases.map((row: { address: string }) => row.address)).toEqual(expect.arrayContaining([`late4@${site.domain}`]));
    const edited = await send(town, 'POST', `${site.path}/aliases`, { address: `after@${site.domain}`, to: [`ann@${site.domain}`] });
    expect(edited?.body, JSON.stringify(edited)).toMatchObject({ wantedRev: (last[i] as number) + 1 });
  }
  await settled(town, sites);
  for (const [i, site] of sites.entries()) {
    const events = await eventsOf(town, site);
    const revs = appliedRevs(events);
    expect(revs, 'nothing goes backwards').toEqual([...new Set(revs)].sort((a, b) => a - b));
    expect(revs.at(-1)).toBe((last[i] as number) + 1);
    expect(then[i]).toBeLessThan(last[i] as number);
    // what it had forgotten of events is marked as such
    const missing = (eventsThen[i] as Event[]).length > 0 && events.some((e) => e.name === 'gap');
    expect(missing).toBe(true);
  }
  const owner = await town.cloud.ask('POST', '/session', null, { email: 'olga@example.org', password: passphrase });
  expect(owner.status, JSON.stringify(owner.body)).toBe(200);
  expect(await get(town, `${town.org}/audit/proof`)).toMatchObject({ ok: true });
  for (const site of sites) await until('the site parks on', async () => (await get(town, `${site.path}/snapshots`)).items.length > 0);
  await town.portal.end();
  await isWhole(restored);
}
