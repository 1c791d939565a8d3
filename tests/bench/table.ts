// JSON lines -> a markdown table: one row per measure, one column per server, medians over repeats.
//   bun table.ts results/*.jsonl
import { readFileSync } from 'node:fs';
import { median } from './lib/util.ts';

const SHOW: Record<string, string[]> = {
  'smtp-ingest': [
    'accept_msgs_s',
    'accept_mb_s',
    'visible_msgs_s',
    'visible_mb_s',
    'final250_p50_ms',
    'final250_p95_ms',
    'final250_p99_ms',
    'transaction_p50_ms',
    'server_cpu_ms_per_msg',
    'client_cpu_ms_per_msg',
    'flushes_per_msg',
    'write_amplification',
    'missing',
    'accept_idle_pct',
    'other_cpu_s',
  ],
  'smtp-source': ['accept_msgs_s', 'drained_msgs_s'],
  'imap-login-select': ['logins_s', 'login_p50_ms', 'login_p99_ms', 'select_p50_ms', 'total_p50_ms', 'total_p99_ms', 'server_cpu_ms_per_login', 'other_cpu_s'],
  'imap-fill': ['msgs_s', 'mb_s', 'flushes_per_msg'],
  'imap-fetch': ['median_ms', 'min_ms', 'msgs_s', 'mb_s', 'one_p50_ms', 'one_p99_ms', 'server_cpu_ms'],
  'imap-ops': ['ops_s', 'msgs_s', 'mb_s', 'median_ms', 'op_p50_ms', 'op_p99_ms', 'flushes_per_op', 'server_cpu_ms_per_op'],
  'imap-search': ['first_ms', 'median_ms', 'hits', 'server_cpu_ms'],
  'imap-idle': [
    'push_first_p50_ms',
    'push_first_p99_ms',
    'push_all_p50_ms',
    'push_all_p99_ms',
    'pushes_lost',
    'pss_kb_per_idle',
    'anon_kb_per_idle',
    'rss_kb_per_idle',
    'pss_before_mb',
    'pss_after_mb',
    'processes_after',
    'open_s',
    'quiet_server_cpu_pct',
    'server_cpu_ms_per_msg',
  ],
  'cold-start': ['imap_greeting_ms', 'imap_select_ms', 'smtp_ehlo_ms', 'pss_mb_idle', 'anon_mb_idle', 'processes'],
  backup: ['s', 'mb', 'mb_s'],
  'store-size': ['mb', 'disk_mb', 'files'],
  chaincheck: ['present', 'last', 'holes', 'point_in_time'],
};
type Rec = Record<string, unknown> & { label: string; test: string; params?: string };
const recs: Rec[] = process.argv.slice(2).flatMap((f) =>
  readFileSync(f, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((l) => JSON.parse(l) as Rec),
);
for (const test of Object.keys(SHOW)) {
  const mine = recs.filter((r) => r.test === test);
  if (!mine.length) continue;
  const labels = [...new Set(mine.map((r) => r.label))],
    params = [...new Set(mine.map((r) => r.params ?? ''))];
  console.log(`\n### ${test}\n\n| measure | ${labels.join(' | ')} |\n|---|${labels.map(() => '---:|').join('')}`);
  for (const p of params)
    for (const m of SHOW[test]!) {
      const cells = labels.map((l) => {
        const v = mine
          .filter((r) => r.label === l && (r.params ?? '') === p)
          .map((r) => r[m])
          .filter((x) => x !== undefined && x !== null);
        if (!v.length) return '';
        return typeof v[0] === 'number' ? String(Math.round(median(v as number[]) * 1000) / 1000) : String(v[v.length - 1]);
      });
      if (cells.some(Boolean)) console.log(`| ${p ? p + ': ' : ''}${m} | ${cells.join(' | ')} |`);
    }
}
