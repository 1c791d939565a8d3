// One thread, one clock, one seed. Guarantees: a step runs alone and to the end of its microtasks before the next one;
// which step is next follows from the seed only; a step of a dead process never runs; `trace` tells two runs apart.

import { drainMicrotasks } from 'bun:jsc';
import { Random } from './random.ts';

/** One incarnation of a process. Its steps, timers and promises end with it. */
export interface Life {
  readonly name: string;
  alive: boolean;
}

export interface Step {
  readonly atUs: number;
  readonly order: number;
  readonly what: string;
  readonly life: Life;
  run: (() => void) | null;
}

/** How slow things are in this seed, in µs; each seed draws its own, so that races fall differently. */
export interface Pace {
  readonly linkUs: number;
  readonly flushUs: number;
  readonly netUs: number;
}

export class Scheduler {
  readonly random: Random;
  readonly pace: Pace;
  nowUs = 0;
  /** How far the clocks on the walls have jumped. */
  jumpedMs = 0;
  steps = 0;
  trace = 0;
  /** Set it to see every step. */
  watch: ((line: string) => void) | null = null;
  private heap: Step[] = [];
  private order = 0;
  private cancelled = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    const scale = (from: number, to: number): number => Math.round(from * (to / from) ** (this.random.below(1000) / 1000));
    this.pace = { linkUs: scale(10, 2_000), flushUs: scale(100, 30_000), netUs: scale(100, 20_000) };
  }

  /** About `scaleUs`, seldom fifty times that. */
  delay(scaleUs: number): number {
    const slow = this.random.chance(0.01) ? 50 : 1;
    return 1 + Math.floor(scaleUs * slow * (0.1 + 1.8 * (this.random.below(1000) / 1000)));
  }

  at(delayUs: number, what: string, life: Life, run: () => void): Step {
    const step: Step = { atUs: this.nowUs + delayUs, order: this.order++, what, life, run };
    this.push(step);
    return step;
  }

  cancel(step: Step): void {
    if (step.run === null) return;
    step.run = null;
    if (++this.cancelled > 64 && this.cancelled > this.heap.length / 2) this.compact();
  }

  /** Folds what happened into the trace. */
  note(what: string, bytes?: Uint8Array): void {
    let h = this.trace;
    for (let i = 0; i < what.length; i++) h = Math.imul(h ^ what.charCodeAt(i), 0x01000193);
    if (bytes) h = Math.imul(h ^ Bun.hash.crc32(bytes), 0x01000193);
    this.trace = h | 0;
  }

  /** Runs the next step. False when nothing is left to happen. */
  step(): boolean {
    for (;;) {
      const step = this.pop();
      if (!step) return false;
      const run = step.run;
      if (run === null) {
        this.cancelled--;
        continue;
      }
      if (!step.life.alive) continue;
      this.nowUs = Math.max(this.nowUs, step.atUs);
      this.steps++;
      this.trace = Math.imul(this.trace ^ this.nowUs, 0x01000193);
      this.note(step.what);
      this.watch?.(`${(this.nowUs / 1000).toFixed(3)} ${step.life.name}: ${step.what}`);
      step.run = null;
      run();
      drainMicrotasks();
      return true;
    }
  }

  private push(step: Step): void {
    const heap = this.heap;
    let at = heap.length;
    heap.push(step);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Step;
      if (!before(step, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = step;
  }

  private pop(): Step | undefined {
    const heap = this.heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    this.sink(last, 0);
    return first;
  }

  private sink(step: Step, from: number): void {
    const heap = this.heap;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Step, heap[child] as Step)) child++;
      const below = heap[child] as Step;
      if (!before(below, step)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = step;
  }

  private compact(): void {
    const kept = this.heap.filter((s) => s.run !== null && s.life.alive);
    this.heap = kept;
    for (let i = (kept.length >> 1) - 1; i >= 0; i--) this.sink(kept[i] as Step, i);
    this.cancelled = 0;
  }
}

const before = (a: Step, b: Step): boolean => a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);

/** Things sent through one channel arrive in the order they were sent, each after its own delay. */
export class Channel {
  private readonly scheduler: Scheduler;
  private readonly scaleUs: number;
  private lastUs = 0;

  constructor(scheduler: Scheduler, scaleUs: number) {
    this.scheduler = scheduler;
    this.scaleUs = scaleUs;
  }

  send(what: string, life: Life, run: () => void): Step {
    const { scheduler } = this;
    this.lastUs = Math.max(this.lastUs, scheduler.nowUs + scheduler.delay(this.scaleUs));
    return scheduler.at(this.lastUs - scheduler.nowUs, what, life, run);
  }
}
