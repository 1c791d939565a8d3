// The only randomness of a simulation. Guarantees: the same seed gives the same numbers, on every machine.

/** A small generator (sfc32) with the draws a simulation needs. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number) {
    this.a = seed >>> 0;
    this.b = Math.floor(seed / 2 ** 32) >>> 0;
    this.c = 0x9e3779b9;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** 32 random bits. */
  next(): number {
    const t = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    return t >>> 0;
  }

  /** An integer in 0 .. below − 1. */
  below(below: number): number {
    return Math.floor((this.next() / 2 ** 32) * below);
  }

  /** An integer in from .. to, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32;
  }

  pick<T>(of: readonly T[]): T {
    const at = this.below(of.length);
    if (at >= of.length) throw new Error('pick from nothing');
    return of[at] as T;
  }

  /** Some of them, in their order. */
  some<T>(of: readonly T[], probability: number): T[] {
    return of.filter(() => this.chance(probability));
  }

  octets(n: number): Uint8Array {
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) out[i] = this.next() >>> 24;
    return out;
  }
}
