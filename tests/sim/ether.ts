// What is between sites and their portal in a simulation. Guarantees: all of it follows from the seed. It loses, doubles and
// reorders frames, is cut, and leaves one side believing in a connection that the other has forgotten.

import type { Reply, Transport, Wire } from '../../uplink/agent/transport.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** The portal's side of a connection, as its process opens it. */
export interface Heard {
  hear(text: string): void;
  gone(): void;
}
/** A portal process that takes connections. */
export interface Station {
  readonly life: Life;
  readonly accept: (peer: { send(text: string): void; close(): void }) => Heard;
  readonly post: (path: string, body: string) => Promise<Reply>;
}

interface Connection {
  readonly site: Life;
  readonly portal: Life;
  readonly toSite: (text: string | null) => void;
  readonly toPortal: Heard;
  open: boolean;
}

export class Ether {
  /** Nothing goes through. */
  cut = false;
  doubleChance = 0;
  swapChance = 0;
  station: Station | null = null;
  /** Sees each frame that a portal sends to a site. */
  seen: (site: Life, text: string) => void = () => {};
  private readonly scheduler: Scheduler;
  private connections: Connection[] = [];

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** The way to the portal for one process of a site. */
  transport(site: Life): Transport {
    return { open: () => this.open(site), post: (url, body) => this.post(site, url, body) };
  }

  /** A process is gone: the other side learns of it, or does not. */
  lost(life: Life): void {
    const { random } = this.scheduler;
    for (const c of this.connections) if (c.open && (c.site === life || c.portal === life) && random.chance(0.7)) this.end(c);
  }

  /** Connections break; nobody may hear of it. */
  breakAll(): void {
    for (const c of this.connections) if (c.open) this.end(c, this.scheduler.random.chance(0.5));
  }

  private open(site: Life): Promise<Wire> {
    const { scheduler } = this;
    return new Promise((resolve, reject) => {
      scheduler.at(scheduler.delay(scheduler.pace.netUs), 'connect', site, () => {
        const { station } = this;
        if (this.cut || station === null || !station.life.alive) return reject(new Error('nobody is there'));
        resolve(this.connect(site, station));
      });
    });
  }

  private connect(site: Life, station: Station): Wire {
    const frames: (string | null)[] = [];
    let reading: ((text: string | null) => void) | null = null;
    let over = false;
    const toSite = (text: string | null): void => {
      if (over) return;
      over = text === null;
      if (reading === null) frames.push(text);
      else reading(text);
      reading = null;
    };
    const later = this.scheduler;
    let toPortal: Heard = { hear: () => {}, gone: () => {} };
    const connection: Connection = {
      site,
      portal: station.life,
      toSite,
      toPortal: { hear: (text) => toPortal.hear(text), gone: () => toPortal.gone() },
      open: true,
    };
    this.connections = [...this.connections.filter((c) => c.open), connection];
    later.at(later.delay(later.pace.netUs), 'accept', station.life, () => {
      toPortal = station.accept({
        send: (text) => {
          this.seen(site, text);
          this.carry(connection, site, text, toSite);
        },
        close: () => this.end(connection),
      });
    });
    return {
      send: (text) => this.carry(connection, station.life, text, (t) => toPortal.hear(t)),
      read() {
        const next = frames.shift();
        if (next !== undefined) return Promise.resolve(next);
        if (over) return Promise.resolve(null);
        return new Promise((done) => {
          reading = done;
        });
      },
      close: () => {
        this.end(connection);
        toSite(null);
      },
    };
  }

  private readonly lastUs = new WeakMap<object, number>();

  /** In order, but for a fault: then twice, or before what was sent earlier. */
  private carry(connection: Connection, to: Life, text: string, arrive: (text: string) => void): void {
    if (!connection.open) return;
    const { scheduler } = this;
    const { random } = scheduler;
    const twice = random.chance(this.doubleChance) ? 2 : 1;
    for (let n = 0; n < twice; n++) {
      const atUs = scheduler.nowUs + scheduler.delay(scheduler.pace.netUs);
      const key = to === connection.site ? connection.toSite : connection.toPortal;
      const swapped = random.chance(this.swapChance);
      const inOrderUs = swapped ? atUs : Math.max(atUs, this.lastUs.get(key) ?? 0);
      if (!swapped) this.lastUs.set(key, inOrderUs);
      scheduler.at(inOrderUs - scheduler.nowUs, 'frame', to, () => {
        if (connection.open && !this.cut) arrive(text);
      });
    }
  }

  private end(connection: Connection, told = true): void {
    if (!connection.open) return;
    connection.open = false;
    const { scheduler } = this;
    const half = scheduler.random.chance(0.1); // one of them does not hear of it
    const first = scheduler.random.chance(0.5);
    if (told && !(half && first)) scheduler.at(scheduler.delay(scheduler.pace.netUs), 'closed', connection.site, () => connection.toSite(null));
    if (told && !(half && !first)) scheduler.at(scheduler.delay(scheduler.pace.netUs), 'closed', connection.portal, () => connection.toPortal.gone());
  }

  private post(site: Life, url: string, body: string): Promise<Reply> {
    const { scheduler } = this;
    return new Promise((resolve, reject) => {
      const fail = (): void => void scheduler.at(1_000_000, 'no answer', site, () => reject(new Error('no answer')));
      const { station } = this;
      if (this.cut || station === null || !station.life.alive) return fail();
      scheduler.at(scheduler.delay(scheduler.pace.netUs), 'post', station.life, () => {
        station.post(new URL(url).pathname, body).then((reply) => {
          if (this.cut || scheduler.random.chance(this.swapChance)) return fail(); // done, and nobody hears of it
          scheduler.at(scheduler.delay(scheduler.pace.netUs), 'reply', site, () => resolve(reply));
        }, fail);
      });
      // a portal that dies with the question never answers
      scheduler.at(30_000_000, 'post waited', site, () => reject(new Error('no answer')));
    });
  }
}
