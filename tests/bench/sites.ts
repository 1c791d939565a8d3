// A thousand sites at one portal: `bun tests/bench/sites.ts [--sites 1000] [--edits 200] [--rest 30] [--outages 5,60,600]`.
// The portal is the built executable with its store on disk. A site is the real agent and the real store over an engine in
// memory, without mail; all of them run in this process, and reach the portal as through a proxy on its machine, each
// from an address of its own. What is measured: memory and CPU of the portal's processes, how long an edit takes from
// the request to `applied`, one at a time and all at once, and how long all are away after kill -9 and an outage.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { local, run } from '../../actors/actor.ts';
import { realWorld } from '../../actors/platform.ts';
import type { World } from '../../actors/world.ts';
import { isRefusal } from '../../actors/wire.ts';
import { storage } from '../../storage/actor.ts';
import { memoryEngine } from '../../storage/engines/memory.ts';
import { createAgent } from '../../uplink/agent/agent.ts';
import type { Transport, Wire } from '../../uplink/agent/transport.ts';
import { parseClaim } from '../../uplink/claim.ts';
import { askMac, enrolAnswer } from '../../uplink/enrol.ts';
import { factsOf } from '../../uplink/facts.ts';
import { seedFrom, type Signer, signerOf } from '../../uplink/keys.ts';
import { serverPids } from './lib/meter.ts';
import { Args, now, round, sleep } from './lib/util.ts';

const given = new Args(process.argv.slice(2));
const count = given.num('sites', 1_000);
const edits = given.num('edits', 200);
const restSeconds = given.num('rest', 30);
const outages = given.str('outages', '5,60').split(',').map(Number);
const port = 28_140;
const url = `http://127.0.0.1:${port}`;
const executable = join(import.meta.dirname, '../../dist/mailsite');
const data = mkdtempSync(join(tmpdir(), 'mailsite-sites-'));
const passphrase = 'a horse eats no cucumber';

// the portal

let supervisor: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;

/** Resolves when the portal's process serves, with what it said up to then. */
async function startPortal(): Promise<string> {
  supervisor = Bun.spawn([executable, 'portal', '--data', data, '--listen', `127.0.0.1:${port}`], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  let text = '';
  let ready: () => void = () => {};
  const said = new Promise<void>((done) => {
    ready = done;
  });
  void (async () => {
    for await (const chunk of supervisor.stdout) {
      const line = new TextDecoder().decode(chunk);
      if (/"level":"(warn|error)"|crash|portal\.refused/.test(line)) process.stderr.write(line);
      if (text.length < 1e6) text += line;
      if (text.includes('"event":"process.ready","role":"portal"')) ready();
    }
  })();
  await said;
  for (;;) {
    const answers = await fetch(`${url}/api/v1/session`).catch(() => null);
    if (answers !== null) return text;
    await sleep(5);
  }
}

/** Kills every process of it at once. */
async function killPortal(): Promise<void> {
  for (const pid of serverPids(`pid:${supervisor.pid}`)) process.kill(pid, 'SIGKILL');
  await supervisor.exited;
}

interface Used {
  readonly pssMb: number;
  readonly cpuSeconds: number;
}
function usage(): Readonly<Record<string, Used>> {
  const used: Record<string, Used> = {};
  for (const pid of serverPids(`pid:${supervisor.pid}`)) {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    const role = words.includes('role') ? (words[words.indexOf('role') + 1] ?? '') : 'supervisor';
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const pss = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]) / 1024;
    used[role] = { pssMb: pss, cpuSeconds: (Number(ticks[11]) + Number(ticks[12])) / 100 };
  }
  return used;
}

interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whoever asks knows what the answer is
  readonly body: any;
  readonly cookie: string | null;
}
let credentials: Record<string, string> = {};
const tokens: string[] = [];

/** As the owner; with `token`, as a program: each may ask only so often. */
async function ask(method: string, path: string, body?: unknown, token?: string, more: Record<string, string> = {}): Promise<Answered> {
  const who = token === undefined ? { Origin: url, 'X-Mailsite': '1', ...credentials } : { Authorization: `Bearer ${token}` };
  const headers = { ...who, 'Content-Type': 'application/json', ...more };
  const answer = await fetch(`${url}/api/v1${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? null;
  return { status: answer.status, body: await answer.json().catch(() => ({})), cookie };
}
async function must(method: string, path: string, body?: unknown, token?: string, more?: Record<string, string>): Promise<Answered['body']> {
  const answer = await ask(method, path, body, token, more);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
let turn = 0;
const anyToken = (): string => tokens[turn++ % tokens.length] as string;

/** `work` for each of them, so many at a time. */
async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
    }),
  );
}

// the sites

const plain = realWorld(() => {});

class Site {
  readonly id: string;
  readonly path: string;
  readonly claim: string;
  readonly domain: string;
  /** When its session began; 0: it has none. */
  liveAt = 0;
  /** The newest rev that it told the portal it runs, and when. */
  applied = 0;
  appliedAt = 0;
  private readonly address: string;
  private readonly signer: Signer;

  constructor(id: string, org: string, claim: string, n: number) {
    this.id = id;
    this.path = `${org}/sites/${id}`;
    this.claim = claim;
    this.domain = `s${n}.example`;
    this.address = `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
    this.signer = signerOf(seedFrom(plain.random));
  }

  /** Enrols, and runs the agent for as long as this process lives. */
  async begin(): Promise<void> {
    const world: World = { ...plain, log: (event) => this.logged(event) };
    const engine = memoryEngine();
    const store = local(await run(world, storage, engine));
    await store.ask('subscribe', {});
    const kept = await store.ask('joined', { now: world.now(), ...(await this.enrol()), identity: '' });
    if (isRefusal(kept)) throw new Error(kept.detail);
    const around = { version: '0.1.0', engine: 'memory', diskOctets: 0, freeOctets: 1e9, startedAt: world.now(), listeners: [] };
    const agent = createAgent({
      world,
      store,
      view: engine,
      transport: this.transport(),
      version: '0.1.0',
      signer: () => this.signer,
      plan: () => ({ failed: 'not here' }),
      outside: () => Promise.reject(new Error('not here')),
      query: () => Promise.reject(new Error('not here')),
      facts: async () => factsOf(engine, around),
    });
    agent.run().catch((error) => {
      console.error(error);
      process.exit(1);
    });
  }

  private async enrol() {
    const claim = parseClaim(this.claim);
    if (claim === null) throw new Error('no claim');
    const { publicKey } = this.signer;
    const asked = { claim: claim.claim, signPublic: publicKey, wrapPublic: 'age1bench', nonce: seedFrom(plain.random), version: '0.1.0' };
    const answer = await fetch(`${url}/v1/enroll`, { method: 'POST', body: JSON.stringify({ ...asked, mac: askMac(claim.secret, asked) }) });
    const { portal, rootPublic, site, machine, epoch } = enrolAnswer.parse(await answer.json());
    return { portal: url, portalId: portal, rootPublic, site, machine, signPublic: publicKey, epoch };
  }

  private logged(event: string): void {
    if (event === 'uplink.up') this.liveAt = now();
    if (event === 'uplink.lost') this.liveAt = 0;
  }

  private said(text: string): void {
    if (!text.startsWith('{"t":"applied"')) return;
    this.applied = (JSON.parse(text) as { body: { runningRev: number } }).body.runningRev;
    this.appliedAt = now();
  }

  private transport(): Transport {
    return { open: () => openSocket(this.address, (text) => this.said(text)), post: () => Promise.reject(new Error('not here')) };
  }
}

/** As uplink/agent/network.ts does it, and as a proxy passes it on. */
function openSocket(address: string, sends: (text: string) => void): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/uplink`, { headers: { 'X-Forwarded-For': address } } as never);
    const frames: (string | null)[] = [];
    let reading: ((text: string | null) => void) | null = null;
    const arrive = (text: string | null): void => {
      if (reading === null) frames.push(text);
      else reading(text);
      reading = null;
    };
    const end = (): void => {
      reject(new Error('closed'));
      arrive(null);
    };
    socket.onmessage = ({ data: text }) => arrive(text as string);
    socket.onclose = end;
    socket.onerror = end;
    socket.onopen = () =>
      resolve({
        send(text) {
          if (socket.readyState !== WebSocket.OPEN) return;
          sends(text);
          socket.send(text);
        },
        read: () =>
          frames.length > 0
            ? Promise.resolve(frames.shift() as string | null)
            : new Promise((done) => {
                reading = done;
              }),
        close: () => socket.close(),
      });
  });
}

// what is measured

const sites: Site[] = [];
let org = '';
const show = (what: string, figures: object): void => console.log(`${what.padEnd(34)} ${JSON.stringify(figures)}`);
const quantiles = (list: readonly number[]) => {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (q: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0, 1);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
};

async function until(what: string, is: () => boolean, seconds = 600): Promise<number> {
  const since = now();
  while (!is()) {
    if (now() - since > seconds * 1_000) throw new Error(`never: ${what}: ${sites.filter((s) => s.liveAt === 0).length} are away`);
    await sleep(2);
  }
  return now() - since;
}
const allLive = (): boolean => sites.every((s) => s.liveAt > 0);

async function seed(): Promise<void> {
  const setup = /setup#([\w-]{43})\n/.exec(await startPortal())?.[1];
  const founded = await ask('POST', '/setup', { token: setup, organisation: 'First', name: 'Olga', email: 'olga@example.org', password: passphrase });
  credentials = { Cookie: founded.cookie ?? '' };
  org = `/organisations/${founded.body.organisations[0].id}`;
  for (let i = 0; i < Math.ceil((8 * count + 4 * edits) / 500); i++)
    tokens.push((await must('POST', `${org}/tokens`, { name: `t${i}`, role: 'admin', domains: [] })).token);
  const began = now();
  const password = await Bun.password.hash(passphrase, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 });
  const accounts = (n: number) => Array.from({ length: 10 }, (_, i) => ({ address: `user${i}@s${n}.example`, name: `User ${i}`, password }));
  await each(
    Array.from({ length: count }, (_, i) => i),
    8,
    async (i) => {
      const made = await must('POST', `${org}/sites`, { name: `Site ${i}` }, anyToken());
      sites.push(new Site(made.site.id, org, made.claim.text, i));
      const document = { schema: 1, host: `mail.s${i}.example`, domains: [{ name: `s${i}.example` }], accounts: accounts(i) };
      await must('PUT', `${org}/sites/${made.site.id}/document`, { document }, anyToken(), { 'If-Match': '"0"' });
    },
  );
  show('made sites and documents', { sites: count, seconds: round((now() - began) / 1_000, 1) });
}

async function edit(site: Site, name: string): Promise<{ answeredMs: number; appliedMs: number; knownMs: number }> {
  const began = now();
  const { domain } = site;
  const { wantedRev } = await must('POST', `${site.path}/aliases`, { address: `${name}@${domain}`, to: [`user1@${domain}`] }, anyToken());
  const answeredMs = now() - began;
  while (site.applied < wantedRev) await sleep(1);
  const appliedMs = site.appliedAt - began;
  while ((await must('GET', site.path, undefined, anyToken()))['runningRev'] < wantedRev) await sleep(5);
  return { answeredMs, appliedMs, knownMs: now() - began };
}

async function measureEdits(): Promise<void> {
  const took = [];
  for (let i = 0; i < edits; i++) took.push(await edit(sites[(i * 7) % sites.length] as Site, `single${i}`));
  show('single edits, answered, ms', quantiles(took.map((t) => t.answeredMs)));
  show('single edits, applied, ms', quantiles(took.map((t) => t.appliedMs)));
  show('single edits, portal knows, ms', quantiles(took.map((t) => t.knownMs)));
  const began = now();
  const before = usage();
  const all: Awaited<ReturnType<typeof edit>>[] = [];
  await each(sites, 16, async (site) => all.push(await edit(site, 'all')));
  show(`${count} edits, 16 at a time`, { allAppliedSeconds: round((now() - began) / 1_000, 1), ...quantiles(all.map((t) => t.appliedMs)), cpu: spent(before) });
}

const spent = (before: ReturnType<typeof usage>) =>
  Object.fromEntries(Object.entries(usage()).map(([role, { cpuSeconds }]) => [role, round(cpuSeconds - (before[role]?.cpuSeconds ?? 0), 2)]));
const memory = () => Object.fromEntries(Object.entries(usage()).map(([role, { pssMb }]) => [role, round(pssMb, 1)]));

async function outage(seconds: number): Promise<void> {
  await killPortal();
  await until('the outage is felt', () => sites.every((s) => s.liveAt === 0));
  await sleep(seconds * 1_000);
  const began = now();
  await startPortal();
  const readyMs = now() - began;
  const times: number[] = [];
  await until('all are back', allLive, 900);
  for (const s of sites) times.push(s.liveAt - began);
  const { p50, p99, max } = quantiles(times);
  show(`back after kill -9 and ${seconds} s, s`, {
    ready: round(readyMs / 1_000, 1),
    p50: round(p50 / 1_000, 1),
    p99: round(p99 / 1_000, 1),
    all: round(max / 1_000, 1),
    cpu: spent({}),
  });
}

try {
  console.log(`Bun ${Bun.version}, ${cpus().length} × ${cpus()[0]?.model}`);
  await seed();
  await killPortal();
  await startPortal();
  await sleep(3_000);
  const alone = usage();
  show('portal with no site, PSS, MB', memory());
  let began = now();
  await each(sites, 16, (site) => site.begin());
  show('enrolled', { seconds: round((now() - began) / 1_000, 1), cpu: spent(alone) });
  await until('all are live', allLive);
  await until('all run what is wanted', () => sites.every((s) => s.applied > 0));
  show('live, with their documents', { seconds: round((now() - began) / 1_000, 1), cpu: spent(alone) });
  await sleep(10_000);
  const resting = usage();
  began = now();
  await sleep(restSeconds * 1_000);
  const seconds = (now() - began) / 1_000;
  show('CPU at rest, % of one core', Object.fromEntries(Object.entries(spent(resting)).map(([role, s]) => [role, round((100 * s) / seconds, 1)])));
  const connected = memory();
  show('portal with all sites, PSS, MB', connected);
  await measureEdits();
  for (const seconds of outages) await outage(seconds);
  show('portal at the end, PSS, MB', memory());
} finally {
  await killPortal().catch(() => {});
  rmSync(data, { recursive: true, force: true });
}
process.exit(0);
