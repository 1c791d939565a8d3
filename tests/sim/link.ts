// A link between two simulated processes, as actors/link.ts is between real ones. Guarantees: order is kept in each
// direction, nothing is kept between different links; what a dead process had sent still arrives; then every open
// question is rejected with LinkLost, once; questions asked while the other side is away wait for it.

import { type Address, LinkLost, local, type Running } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import type { AnyProtocol, Calls, Events, Protocol } from '../../actors/wire.ts';
import { Channel, type Life, type Scheduler } from './scheduler.ts';

interface Waiting {
  readonly send: () => void;
  readonly reject: (error: Error) => void;
  readonly sinceUs: number;
}

/** One process's address of an actor in another process. `attach` it to each incarnation of that actor. */
export class SimLink<C extends Calls, E extends Events> {
  readonly address: Address<Protocol<C, E>>;
  private readonly scheduler: Scheduler;
  private readonly owner: Life;
  private readonly name: string;
  private readonly listeners: (readonly [string, (event: never) => void, { off: () => void }])[] = [];
  private readonly open = new Set<(error: Error) => void>();
  private waiting: Waiting[] = [];
  private losing: (() => void) | null = null;
  private target: (Address<Protocol<C, E>> & { gone(): void }) | null = null;
  private life: Life | null = null;
  private up: Channel;
  private down: Channel;

  constructor(scheduler: Scheduler, owner: Life, name: string) {
    this.scheduler = scheduler;
    this.owner = owner;
    this.name = name;
    this.up = new Channel(scheduler, scheduler.pace.linkUs);
    this.down = new Channel(scheduler, scheduler.pace.linkUs);
    this.address = {
      ask: ((kind: string, message: object) => this.ask(kind, message)) as Address<Protocol<C, E>>['ask'],
      on: ((kind: string, run: (event: never) => void) => this.on(kind, run)) as Address<Protocol<C, E>>['on'],
    };
  }

  /** The other side serves (again). `onUp` runs before questions that waited are sent. */
  attach(running: Running<Protocol<C, E>>, life: Life, onUp: () => void): void {
    const { scheduler, owner } = this;
    const up = new Channel(scheduler, scheduler.pace.linkUs);
    const down = new Channel(scheduler, scheduler.pace.linkUs);
    scheduler.at(scheduler.delay(scheduler.pace.linkUs), `link to ${this.name}`, owner, () => {
      if (!life.alive) return;
      this.losing?.(); // a slow end comes before the next beginning
      this.up = up;
      this.down = down;
      this.life = life;
      const target = local(running, (what, step) => {
        if (what.startsWith('ask')) up.send(what, life, step);
        else if (life.alive) down.send(what, owner, step);
      });
      this.target = target;
      for (const [kind, run, handle] of this.listeners) handle.off = target.on(kind as never, run as never);
      onUp();
      for (const { send } of this.waiting.splice(0)) send();
    });
  }

  /** The other side's process is gone: what it had sent arrives, then this end sees the end of the stream. */
  lost(): void {
    const learn = (): void => {
      if (this.losing !== learn) return;
      this.losing = null;
      this.target = null;
      for (const reject of [...this.open]) reject(new LinkLost(this.name));
    };
    this.losing = learn;
    this.down.send(`lost ${this.name}`, this.owner, learn);
  }

  /** Our own process is gone: what it had sent still arrives, then the other side sees the end of the stream. */
  gone(): void {
    const { target, life } = this;
    if (target && life) this.up.send('gone', life, () => target.gone());
  }

  private on(kind: string, run: (event: never) => void): () => void {
    const handle = { off: this.target?.on(kind as never, run as never) ?? ((): void => {}) };
    const row = [kind, run, handle] as const;
    this.listeners.push(row);
    return () => {
      handle.off();
      this.listeners.splice(this.listeners.indexOf(row), 1);
    };
  }

  private ask(kind: string, message: object): Promise<object> {
    return new Promise((resolve, reject) => {
      let done = false;
      const fail = (error: Error): void => {
        this.open.delete(fail);
        if (!done) reject(error);
        done = true;
      };
      const send = (): void => {
        this.open.add(fail);
        (this.target as unknown as Address<AnyProtocol>).ask(kind as never, message as never).then((answer: object) => {
          this.open.delete(fail);
          if (!done) resolve(answer);
          done = true;
        }, fail);
      };
      if (this.target) return send();
      const waiting: Waiting = { send, reject: fail, sinceUs: this.scheduler.nowUs };
      this.waiting.push(waiting);
      this.scheduler.at(limits.linkWaitMs * 1000, 'link waited', this.owner, () => {
        if (!this.waiting.includes(waiting)) return;
        this.waiting = this.waiting.filter((w) => w !== waiting);
        fail(new LinkLost(this.name));
      });
    });
  }
}
