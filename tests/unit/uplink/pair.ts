// A portal and a site as processes of the built executable, and the records of the portal as a test reads and writes them.

import { mkdirSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import type { Subprocess } from 'bun';
import { link } from '../../../actors/link.ts';
import { realWorld } from '../../../actors/platform.ts';
import type { Document } from '../../../storage/document.ts';
import { Store } from '../../../storage/messages.ts';
import { claimText } from '../../../uplink/claim.ts';
import { command } from '../../../uplink/portal/command.ts';
import type { RecordOf } from '../../../uplink/portal/kinds.ts';
import { query } from '../../../uplink/portal/query.ts';
import { openRecords, type Records } from '../../../uplink/portal/records.ts';
import { want } from '../../../uplink/portal/want.ts';
import { alive, descendants, engineOptions } from '../../clients/site.ts';
import { openData } from '../../crash/data.ts';
import { executable, mailsite, type Said } from '../cli/program.ts';
import { documentOf } from '../storage/fixture.ts';
import { newSite } from './newsite.ts';

export const ORGANISATION = 'o';
export const SITE = 's';
const world = realWorld(() => {});
export const sleep = (ms: number): Promise<void> => world.sleep(ms);

/** A port that is free now. */
export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Tries until it holds; throws with `why` when it never does. */
export async function until<T>(why: string, look: () => Promise<T | false | null | undefined>, withinMs = 30_000): Promise<T> {
  for (const end = world.monotonicMs() + withinMs; ; await sleep(50)) {
    const found = await look().catch((error: unknown) => {
      if (world.monotonicMs() > end) throw error;
      return null;
    });
    if (found) return found;
    if (world.monotonicMs() > end) throw new Error(`it never came to be: ${why}`);
  }
}

const hash = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGg';
/** A document with so many accounts. */
export const documentWith = (accounts: number): Document => ({
  ...documentOf(),
  accounts: Array.from({ length: accounts }, (_, i) => ({ address: `u${i}@example.test`, name: '', password: hash, quotaBytes: 0, enabled: true })),
});

/** kill -9 of the first process; the others end as it is gone. */
async function ended(process: Subprocess | null): Promise<void> {
  if (process === null || process.exitCode !== null || process.signalCode !== null) return;
  const pids = descendants(process.pid);
  process.kill('SIGKILL');
  await process.exited;
  await until('its processes are gone', async () => pids.every((pid) => !alive(pid)));
}

export class Pair {
  readonly url: string;
  readonly portalData: string;
  readonly siteData: string;
  readonly address: string;
  readonly portalPort: number;
  readonly offset: number;
  readonly env: Record<string, string>;
  private portal: Subprocess | null = null;
  private site: Subprocess | null = null;
  private opened: Records | null = null;

  constructor(
    folder: string,
    options: { readonly address: string; readonly portalPort: number; readonly offset: number; readonly env?: Record<string, string> },
  ) {
    this.address = options.address;
    this.portalPort = options.portalPort;
    this.offset = options.offset;
    this.env = options.env ?? {};
    this.url = `http://${options.address}:${options.portalPort}`;
    this.portalData = join(folder, 'portal');
    this.siteData = join(folder, 'site');
    for (const data of [this.portalData, this.siteData]) mkdirSync(data, { recursive: true });
  }

  private start(...argv: string[]): Subprocess {
    return Bun.spawn([executable, ...argv], { stdio: ['ignore', 'ignore', 'ignore'], env: { PATH: process.env['PATH'] ?? '', ...this.env } });
  }

  startPortal(): void {
    this.portal = this.start('portal', '--data', this.portalData, '--listen', `${this.address}:${this.portalPort}`, '--url', this.url, ...engineOptions);
  }
  startSite(): void {
    this.site = this.start('run', '--data', this.siteData, '--listen', '127.0.0.1', '--port-offset', String(this.offset));
  }
  async killPortal(): Promise<void> {
    await ended(this.portal);
  }
  async killSite(): Promise<void> {
    await ended(this.site);
  }

  /** All ends by SIGKILL; then both are whole. */
  async finish(): Promise<Said[]> {
    await this.killPortal();
    await this.killSite();
    return [this.portalData, this.siteData].filter((data) => readdirSync(data).length > 0).map((data) => mailsite(['check', '--data', data]));
  }

  async records(): Promise<Records> {
    if (this.opened !== null) return this.opened;
    const socket = join(this.portalData, 'run/store.sock');
    const store = await until('the portal has a store', async () => {
      const at = link(world, socket, Store, { onUp: () => void at.ask('subscribe', {}).catch(() => {}) });
      const answer = await at.ask('stats', {});
      return 'commit' in answer ? at : null;
    });
    const view = await openData(this.portalData, true);
    this.opened = openRecords(store, view);
    await until('the portal knows who it is', async () => (await this.opened?.get('portal')) !== undefined);
    return this.opened;
  }

  /** The text of a new claim; the site is made where there is none. */
  async claim(claim: string, purpose: 'new' | 'launch' = 'new'): Promise<string> {
    const records = await this.records();
    const secret = Buffer.from(world.random(32)).toString('base64url');
    const at = world.now();
    await records.transact(async (tx) => {
      if ((await tx.get('siteOf', SITE)) === undefined) {
        tx.put('site', [ORGANISATION, SITE], newSite(at));
        tx.put('siteOf', [SITE], { organisation: ORGANISATION });
      }
      tx.put('claimOf', [claim], { organisation: ORGANISATION });
      tx.put('claim', [ORGANISATION, claim], {
        site: SITE,
        purpose,
        snapshot: '',
        secret,
        by: 'me',
        createdAt: at,
        expiresAt: at + 3_600_000,
        usedBy: '',
        machine: '',
      });
    });
    return claimText(this.url, claim, secret);
  }

  join(claim: string, ...more: string[]): Said {
    return mailsite(['join', claim, '--data', this.siteData, ...engineOptions, ...more], { env: this.env });
  }

  async want(document: Document): Promise<number> {
    const records = await this.records();
    const done = await records.transact((tx) => want(tx, { world }, { organisation: ORGANISATION, site: SITE, document, by: 'me', summary: '' }));
    if (done.is !== 'wanted') throw new Error(done.is);
    return done.rev;
  }

  async command(name: string, args: Readonly<Record<string, unknown>>): Promise<string> {
    const records = await this.records();
    const id = await records.transact((tx) => command(tx, { world }, { organisation: ORGANISATION, site: SITE, name, args, by: 'me' }));
    if (id === null) throw new Error('there is no such site');
    return id;
  }

  async query(name: string): Promise<unknown> {
    return query({ world, records: await this.records() }, SITE, name, {}, 5_000);
  }

  async siteRecord(): Promise<RecordOf<'site'>> {
    return (await (await this.records()).get('site', ORGANISATION, SITE)) as RecordOf<'site'>;
  }

  async commandRecord(id: string): Promise<RecordOf<'command'>> {
    return (await (await this.records()).get('command', SITE, id)) as RecordOf<'command'>;
  }

  async events(): Promise<RecordOf<'event'>[]> {
    const found: RecordOf<'event'>[] = [];
    for (const { body } of await (await this.records()).list('event', [SITE])) found.push(body);
    return found;
  }

  /** What `mailsite status` says of the uplink. */
  status(): { readonly state: string; readonly runningRev: number; readonly offlineSince: number | null; readonly unshipped: number } {
    return JSON.parse(mailsite(['status', '--json', '--data', this.siteData]).out).uplink;
  }
}
