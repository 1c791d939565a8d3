// What drives a simulation from outside: it runs the steps, and stops at the first thing that went wrong, whoever says so.

import { drainMicrotasks } from 'bun:jsc';
import { LinkLost } from '../../actors/actor.ts';
import { Broken } from './ledger.ts';
import type { Life, Scheduler } from './scheduler.ts';

export class Stage {
  readonly outside: Life = { name: 'outside', alive: true };
  readonly scheduler: Scheduler;
  /** Called between two steps. */
  readonly between: () => void;
  private readonly most: number;
  private working = 0;
  private error: { readonly cause: unknown } | null = null;

  constructor(scheduler: Scheduler, most: number, between: () => void) {
    this.scheduler = scheduler;
    this.most = most;
    this.between = between;
  }

  /** Who lost the store may end; nothing else may. */
  readonly fail = (cause: unknown): void => {
    if (!(cause instanceof LinkLost)) this.error ??= { cause };
  };

  /** Something that goes on beside the rest, and comes to an end. */
  begin(work: Promise<unknown>): void {
    this.working++;
    work.then(
      () => void this.working--,
      (error: unknown) => {
        this.working--;
        this.fail(error);
      },
    );
  }

  step(): void {
    if (!this.scheduler.step()) throw new Broken('LIVE', 'nothing is left to happen');
    if (this.error) throw this.error.cause;
    if (this.scheduler.steps > this.most) throw new Broken('LIVE', `no end after ${this.most} steps`);
    this.between();
  }

  /** Runs the world until the work is done. */
  drive<T>(work: Promise<T>): T {
    const done: { value?: T; over?: true } = {};
    work.then(
      (value) => Object.assign(done, { value, over: true }),
      (cause: unknown) => {
        this.error ??= { cause };
      },
    );
    drainMicrotasks();
    if (this.error) throw this.error.cause;
    while (!done.over) this.step();
    return done.value as T;
  }

  /** Runs the world until all that was begun has ended. */
  rest(): void {
    while (this.working > 0) this.step();
  }
}
