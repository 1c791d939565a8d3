// Stands between sites and their portal, reads along, and cuts the network at one step of what they say to each other: at a
// request, at its answer, or at a frame of the uplink, before any octet of it has come through or when half of them have.
// All that goes through it is cut then, and new connections too, until it is mended. Or the portal is killed at that step.

import net from 'node:net';
import { sleep } from '../clients/programs.ts';
import { type Address, addressOf } from './network.ts';

/**
 * What becomes of connections. reset: they end at once, and so does each new one. gone: the address is not there; they
 * go on when it is back. silent: nothing comes through, and when the network is back nobody knows them: they are reset.
 * mute: the same, but nobody ever says so. killed: the portal itself is, by -9, and begins again when it is mended.
 */
export type How = 'reset' | 'gone' | 'silent' | 'mute' | 'killed';

/** The portal as a process. */
export interface Portal {
  readonly port: number;
  kill(): Promise<void>;
  /** Resolves when it answers. */
  begin(): Promise<void>;
}

export interface Cut {
  /** Which step, from 1. */
  readonly at: number;
  /** Half of its octets have come through. */
  readonly half: boolean;
  readonly how: How;
}

/** One connection, in two halves. */
interface Line {
  readonly site: net.Socket;
  readonly portal: net.Socket;
  /** `idle`: a request comes next. `asked`: its answer. `frames`: it is the uplink's socket. */
  phase: 'idle' | 'asked' | 'frames';
  asked: string;
  /** Nothing of it comes through, ever. */
  dead: boolean;
}

export class Relay {
  readonly url: string;
  /** What was counted since `watch`. */
  steps: string[] = [];
  /** The step at which it was cut. */
  fell: string | null = null;
  private counts: (step: string) => boolean = () => false;
  private cutAt: Cut | null = null;
  private down: How | null = null;
  private cutting: Promise<void> = Promise.resolve();
  private held: { readonly line: Line; readonly to: 'site' | 'portal'; readonly octets: Buffer }[] = [];
  private readonly lines = new Set<Line>();
  private readonly address: Address;
  private readonly server: net.Server;
  private readonly portal: Portal;

  /** `portal`: it listens on 127.0.0.1. */
  constructor(ip: string, port: number, portal: Portal) {
    this.address = addressOf(ip);
    this.url = `http://${ip}:${port}`;
    this.portal = portal;
    this.server = net.createServer((site) => this.come(site)).listen(port, ip);
  }

  /** Counts anew from here, and cuts at the step that `cut` names. */
  watch(counts: (step: string) => boolean, cut: Cut | null): void {
    this.steps = [];
    this.fell = null;
    this.counts = counts;
    this.cutAt = cut;
  }

  /** No step is cut any more. Returns that at which it was. */
  disarm(): string | null {
    this.cutAt = null;
    return this.fell;
  }

  /** The network is there again. */
  async mend(): Promise<void> {
    await this.cutting;
    const how = this.down;
    if (how === 'killed') await this.portal.begin();
    this.down = null;
    if (how === 'gone') this.address.mend();
    const [first, ...more] = this.held.splice(0);
    first?.line[first.to].write(first.octets); // what it begins was seen
    for (const { line, to, octets } of more) this.pass(line, to, octets);
    if (how === 'silent') for (const line of this.lines) if (line.dead) this.end(line);
  }

  close(): void {
    this.server.close();
    for (const line of this.lines) this.end(line);
  }

  private async cut(how: How): Promise<void> {
    this.down = how;
    if (how === 'gone') this.address.cut();
    if (how === 'killed') await this.portal.kill();
    for (const line of this.lines) {
      if (how === 'reset' || how === 'killed') this.end(line);
      if (how === 'silent' || how === 'mute') line.dead = true;
    }
  }

  private end(line: Line): void {
    this.lines.delete(line);
    line.dead = true;
    line.site.resetAndDestroy();
    line.portal.resetAndDestroy();
  }

  private come(site: net.Socket): void {
    site.on('error', () => {});
    if (this.down === 'reset' || this.down === 'killed') return void site.resetAndDestroy();
    const portal = net.connect(this.portal.port, '127.0.0.1');
    const line: Line = { site, portal, phase: 'idle', asked: '', dead: this.down === 'silent' || this.down === 'mute' };
    this.lines.add(line);
    for (const [from, to] of [
      ['site', 'portal'],
      ['portal', 'site'],
    ] as const) {
      line[from].on('error', () => {});
      line[from].on('data', (octets: Buffer) => void this.pass(line, to, octets));
      line[from].on('close', () => {
        if (line.dead || this.down !== null) return;
        this.lines.delete(line);
        line[to].destroy();
      });
    }
  }

  private pass(line: Line, to: 'site' | 'portal', octets: Buffer): void {
    if (line.dead) return;
    if (this.down !== null) {
      this.keep(line, to, octets);
      return;
    }
    const step = stepOf(line, to, octets);
    // some are many: the first two stand for all
    const counted = step !== null && this.counts(step) && this.steps.filter((other) => other === step).length < 2;
    if (counted) this.steps.push(step);
    const { cutAt } = this;
    if (!counted || cutAt === null || this.fell !== null || this.steps.length !== cutAt.at) {
      line[to].write(octets);
      return;
    }
    this.down = cutAt.how;
    const half = cutAt.half ? octets.length >> 1 : 0;
    if (half > 0) line[to].write(octets.subarray(0, half));
    this.keep(line, to, octets.subarray(half));
    // half of it is on its way until then
    this.cutting = sleep(half > 0 ? 30 : 0).then(() => this.cut(cutAt.how));
    this.fell = step;
  }

  /** What is on its way when the address goes comes through when it is back. */
  private keep(line: Line, to: 'site' | 'portal', octets: Buffer): void {
    if (this.down === 'gone') this.held.push({ line, to, octets });
  }
}

/** What begins with these octets; null: they go on with what has begun. */
function stepOf(line: Line, to: 'site' | 'portal', octets: Buffer): string | null {
  if (line.phase === 'frames') return `${to === 'portal' ? '>' : '<'} frame ${frameName(octets)}`;
  if (to === 'portal') {
    if (line.phase !== 'idle') return null;
    line.phase = 'asked';
    line.asked = requestName(octets);
    return `> ${line.asked}`;
  }
  if (line.phase !== 'asked') return null;
  line.phase = octets.toString('latin1', 0, 12) === 'HTTP/1.1 101' ? 'frames' : 'idle';
  return `< ${line.asked}`;
}

/** `PUT manifests`, `GET list manifests`, `POST grant challenge` */
function requestName(octets: Buffer): string {
  const text = octets.toString('latin1');
  const [method = '', path = ''] = text.split(' ', 2);
  const listing = /^\/v1\/objects\?prefix=(\w+)/.exec(path)?.[1];
  if (listing !== undefined) return `${method} list ${listing}`;
  const what = /^\/v1\/(?:objects\/)?(\w+)/.exec(path)?.[1] ?? path;
  return `${method} ${what}${text.includes('"challenge":true') ? ' challenge' : ''}`;
}

/** By the first frame in these octets (RFC 6455 §5.2). */
function frameName(octets: Buffer): string {
  const masked = ((octets[1] ?? 0) & 0x80) !== 0;
  const short = (octets[1] ?? 0) & 0x7f;
  const from = short === 126 ? 4 : short === 127 ? 10 : 2;
  const mask = octets.subarray(from, from + 4);
  const body = octets.subarray(masked ? from + 4 : from);
  const clear = masked ? Buffer.from(body.map((octet, i) => octet ^ (mask[i % 4] ?? 0))) : body;
  return /"t":"(\w+)"/.exec(clear.toString('latin1'))?.[1] ?? '';
}
