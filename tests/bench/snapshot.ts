// The figures of a run of snapshot.sh → the table of the README: medians, Dovecot beside mailsite.
//   bun snapshot.ts results/snapshot-X

import { existsSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { median } from './lib/util.ts';

type Row = Record<string, unknown> & { readonly label: string; readonly name?: string; readonly code?: number };
const folder = process.argv[2] as string;
const text = (file: string): string => (existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '');
const lines = (file: string): Row[] =>
  text(file)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
const figures = lines('figures.jsonl').filter(({ code }) => code === 0);

const shown = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(2))));
function of(rows: readonly Row[], label: string, field: string, unit: string): string {
  const values = rows.filter((row) => row.label === label).map((row) => row[field]);
  const known = values.filter((value) => typeof value === 'number');
  if (known.length === 0) return '';
  const spread = known.length > 1 ? ` (${shown(Math.min(...known))}–${shown(Math.max(...known))})` : '';
  return `${shown(median(known))} ${unit}${spread}`;
}
const named = (name: string): Row[] => figures.filter((row) => row.name === name);
const [peer, ours] = ['peer', 'mailsite'] as const;
const speed = (name: string, label: string): string => of(named(name), label, 'mb_s', 'MB/s');

const row = (what: string, theirs: string, own: string, aim: string): void => console.log(`| ${what} | ${theirs} | ${own} | ${aim} |`);
const fill = text('fill.json') === '' ? null : (JSON.parse(text('fill.json')) as { messages: number; octets: number });
console.log(
  `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB; ${fill?.messages} messages, ${((fill?.octets ?? 0) / 1e9).toFixed(1)} GB`,
);
console.log(`Load before and after each round: ${[...text('load').matchAll(/load average: ([\d.]+)/g)].map(([, load]) => load).join(', ')}\n`);
console.log('| | Dovecot | mailsite | aim |\n|---|---:|---:|---:|');
row('tar of the store (no point in time)', speed('tar', peer), '', '');
row('first full copy', speed('full', peer), speed('full', ours), '300 MB/s');
row('again after 300 new messages', of(named('after 300 messages'), peer, 's', 's'), of(named('after 300 messages'), ours, 's', 's'), '0.3 s');
row('restore', speed('restore', peer), speed('restore', ours), '250 MB/s');
row('verify --deep', '', speed('verify --deep', ours), '');
for (const p of [50, 99]) {
  const field = `final250_p${p}_ms`;
  row(`250, p${p}, 4 connections: alone`, '', of(lines('alone.jsonl'), ours, field, 'ms'), '');
  row(`the same beside a full snapshot`, '', of(lines('beside.jsonl'), ours, field, 'ms'), p === 99 ? '1.5 ×' : '');
}
row('memory of its own, create / restore', '', `${of(named('full'), ours, 'anon_mb', 'MB')} / ${of(named('restore'), ours, 'anon_mb', 'MB')}`, '');
row(
  'CPU, create / restore',
  `${of(named('full'), peer, 'cpu_s', 's')} / ${of(named('restore'), peer, 'cpu_s', 's')}`,
  `${of(named('full'), ours, 'cpu_s', 's')} / ${of(named('restore'), ours, 'cpu_s', 's')}`,
  '',
);
if (text('days.json') !== '') {
  const { days, ratio, medianMs } = JSON.parse(text('days.json')) as { days: number; ratio: number; medianMs: number };
  row(`${days} daily snapshots, beside one`, '', `${ratio} ×, ${medianMs} ms each`, '1.4 ×');
}
