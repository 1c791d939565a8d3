// What a test cost: CPU of the server, of this client and of the machine; disk writes and flushes.
// The server is named as "cgroup:/sys/fs/cgroup/cpuacct/x" (best: counts children that have ended),
// as "cgroup:/sys/fs/cgroup/x" (v2) or as "pid:123" (that process and its living descendants).
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { now, round } from './util.ts';

const read = (f: string) => {
  try {
    return readFileSync(f, 'utf8');
  } catch {
    return '';
  }
};

export function serverPids(server: string): number[] {
  const [kind, arg] = [server.slice(0, server.indexOf(':')), server.slice(server.indexOf(':') + 1)];
  if (kind === 'cgroup')
    return read(arg + '/cgroup.procs')
      .split('\n')
      .filter(Boolean)
      .map(Number);
  if (kind !== 'pid') return [];
  const kids = new Map<number, number[]>();
  for (const d of readdirSync('/proc')) {
    if (!/^\d+$/.test(d)) continue;
    const s = read(`/proc/${d}/stat`);
    const ppid = Number(s.slice(s.lastIndexOf(')') + 2).split(' ')[1]);
    kids.set(ppid, [...(kids.get(ppid) ?? []), Number(d)]);
  }
  const out: number[] = [],
    todo = [Number(arg)];
  while (todo.length) {
    const p = todo.pop()!;
    out.push(p);
    todo.push(...(kids.get(p) ?? []));
  }
  return out;
}

/** PSS includes the file pages that are mapped (a memory-mapped store counts there); anon is the rest. */
export function serverMemory(server: string): { pss_mb: number; anon_mb: number; rss_mb: number; processes: number } {
  let pss = 0,
    anon = 0,
    rss = 0,
    n = 0;
  for (const p of serverPids(server)) {
    const s = read(`/proc/${p}/smaps_rollup`);
    if (!s) continue;
    n++;
    pss += Number(/^Pss:\s+(\d+)/m.exec(s)?.[1] ?? 0);
    anon += Number(/^Pss_Anon:\s+(\d+)/m.exec(s)?.[1] ?? 0);
    rss += Number(/^Rss:\s+(\d+)/m.exec(s)?.[1] ?? 0);
  }
  return { pss_mb: round(pss / 1024), anon_mb: round(anon / 1024), rss_mb: round(rss / 1024), processes: n };
}

function serverCpu(server: string): number {
  // seconds
  if (server.startsWith('cgroup:')) {
    const d = server.slice(7);
    if (existsSync(d + '/cpuacct.usage')) return Number(read(d + '/cpuacct.usage')) / 1e9;
    return Number(/usage_usec (\d+)/.exec(read(d + '/cpu.stat'))?.[1] ?? 0) / 1e6;
  }
  let t = 0;
  for (const p of serverPids(server)) {
    const s = read(`/proc/${p}/stat`);
    const f = s.slice(s.lastIndexOf(')') + 2).split(' ');
    t += Number(f[11] ?? 0) + Number(f[12] ?? 0) + Number(f[13] ?? 0) + Number(f[14] ?? 0); // own + waited-for children
  }
  return t / 100;
}

function machine() {
  const c = read('/proc/stat').split('\n')[0]!.trim().split(/\s+/).slice(1).map(Number);
  let flushes = 0,
    writes = 0,
    sectors = 0;
  for (const l of read('/proc/diskstats').split('\n')) {
    const f = l.trim().split(/\s+/);
    if (!/^(vd[a-z]|sd[a-z]|nvme\d+n\d+|xvd[a-z])$/.test(f[2] ?? '')) continue;
    writes += Number(f[7]);
    sectors += Number(f[9]);
    flushes += Number(f[18] ?? 0);
  }
  const total = c.slice(0, 8).reduce((a, b) => a + b, 0);
  return { total, idle: c[3]!, iowait: c[4]!, steal: c[7]!, flushes, writes, sectors };
}

/** A flat record, so that it can be spread into a result. */
export type Cost = Record<
  'wall_s' | 'server_cpu_s' | 'client_cpu_s' | 'other_cpu_s' | 'idle_pct' | 'iowait_pct' | 'steal_pct' | 'disk_flushes' | 'disk_writes' | 'disk_write_mb',
  number
>;

export class Meter {
  private readonly t0 = now();
  private readonly s0: number;
  private readonly c0 = process.cpuUsage();
  private readonly m0 = machine();
  private readonly server: string;
  constructor(server: string) {
    this.server = server;
    this.s0 = serverCpu(server);
  }
  /** Seconds, and costs as a flat record. */
  stop(): { s: number; cost: Cost } {
    const s = (now() - this.t0) / 1000,
      m = machine(),
      c = process.cpuUsage(this.c0),
      d = m.total - this.m0.total || 1;
    const server = serverCpu(this.server) - this.s0,
      client = (c.user + c.system) / 1e6;
    const busy = (d - (m.idle - this.m0.idle) - (m.iowait - this.m0.iowait)) / 100;
    return {
      s,
      cost: {
        wall_s: round(s, 3),
        server_cpu_s: round(server, 3),
        client_cpu_s: round(client, 3),
        other_cpu_s: round(Math.max(0, busy - server - client), 2), // someone else on the machine (or interrupts)
        idle_pct: round((100 * (m.idle - this.m0.idle)) / d, 1),
        iowait_pct: round((100 * (m.iowait - this.m0.iowait)) / d, 1),
        steal_pct: round((100 * (m.steal - this.m0.steal)) / d, 1),
        disk_flushes: m.flushes - this.m0.flushes,
        disk_writes: m.writes - this.m0.writes,
        disk_write_mb: round(((m.sectors - this.m0.sectors) * 512) / 1e6, 1),
      },
    };
  }
}
