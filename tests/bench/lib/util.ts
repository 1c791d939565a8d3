// Seeded random numbers, statistics, arguments and output. No dependencies.
import { appendFileSync } from 'node:fs';

/** mulberry32: small, fast, the same sequence on every machine. */
export function rng(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function shuffle<T>(a: T[], r: () => number): T[] {
  for (let i = a.length - 1; i > 0; i--) {
    const j = Math.floor(r() * (i + 1));
    [a[i], a[j]] = [a[j]!, a[i]!];
  }
  return a;
}

export const now = () => performance.now();
export const sleep = (ms: number) => new Promise<void>((r) => setTimeout(r, ms));
export const round = (x: number, d = 2) => (Number.isFinite(x) ? Math.round(x * 10 ** d) / 10 ** d : 0);

/** Nearest-rank percentiles of a list of milliseconds, under `name_p50_ms` etc. */
export function pct(name: string, v: number[], ps = [50, 95, 99]): Record<string, number> {
  const s = Float64Array.from(v).sort();
  const out: Record<string, number> = {};
  for (const p of ps) out[`${name}_p${p}_ms`] = s.length ? round(s[Math.min(s.length - 1, Math.ceil((p / 100) * s.length) - 1)]!, 3) : 0;
  if (s.length) out[`${name}_max_ms`] = round(s[s.length - 1]!, 3);
  return out;
}

export const median = (v: number[]) => {
  const s = [...v].sort((a, b) => a - b);
  return s.length ? (s[(s.length - 1) >> 1]! + s[s.length >> 1]!) / 2 : 0;
};

/** `--name value` and bare `--flag`; everything else is positional. */
export class Args {
  readonly pos: string[] = [];
  private readonly m = new Map<string, string>();
  constructor(argv: string[]) {
    for (let i = 0; i < argv.length; i++) {
      const a = argv[i]!;
      if (!a.startsWith('--')) this.pos.push(a);
      else if (i + 1 < argv.length && !argv[i + 1]!.startsWith('--')) this.m.set(a.slice(2), argv[++i]!);
      else this.m.set(a.slice(2), '1');
    }
  }
  str(k: string, d: string): string {
    return this.m.get(k) ?? d;
  }
  num(k: string, d: number): number {
    const v = this.m.get(k);
    if (v === undefined) return d;
    const n = Number(v);
    if (!Number.isFinite(n)) throw new Error(`--${k} wants a number, got ${v}`);
    return n;
  }
  has(k: string): boolean {
    return this.m.has(k);
  }
}

/** Where the server is and how results are written. One per process. */
export class Ctx {
  readonly host: string;
  readonly smtp: number;
  readonly imap: number;
  readonly users: number;
  readonly pass: string;
  readonly seed: number;
  readonly label: string;
  readonly out: string;
  readonly tls: boolean;
  readonly server: string;
  private readonly userFormat: string;
  readonly args: Args;
  constructor(args: Args) {
    this.args = args;
    this.host = args.str('host', '127.0.0.1');
    this.smtp = args.num('smtp', 2525);
    this.imap = args.num('imap', 2143);
    this.users = args.num('users', 100);
    this.userFormat = args.str('user-format', 'user%d@example.test');
    this.pass = args.str('pass', 'test-only');
    this.seed = args.num('seed', 1);
    this.label = args.str('label', 'server');
    this.out = args.str('out', '');
    this.tls = args.has('tls');
    this.server = args.str('server', '');
  }
  user(n: number): string {
    return this.userFormat.replace('%d', String(n));
  }
  emit(test: string, fields: Record<string, unknown>): void {
    const line = JSON.stringify({ label: this.label, test, ...fields });
    console.log(line);
    if (this.out) appendFileSync(this.out, line + '\n');
  }
}
