// JSON lines → the table of the README: the measures of the aims, medians, one column for each server, and the machine.
//   bun readme.ts results/X/all.jsonl

import { cpus, totalmem } from 'node:os';
import { readFileSync } from 'node:fs';
import { median } from './lib/util.ts';

interface Row {
  readonly name: string;
  readonly test: string;
  /** Which of the test's results. */
  readonly params: string;
  readonly field: string;
  readonly unit: string;
  readonly aim: string;
}
const row = (name: string, test: string, params: string, field: string, unit: string, aim: string): Row => ({ name, test, params, field, unit, aim });

const META = 'meta 1:*';
const rows: readonly Row[] = [
  row('ingest until visible in IMAP, 20 connections, size mix', 'smtp-ingest', '', 'visible_msgs_s', 'msg/s', '≥ 2,800'),
  row('server CPU per message', 'smtp-ingest', '', 'server_cpu_ms_per_msg', 'ms', '≤ 0.5'),
  row('disk flushes per message, 20 connections', 'smtp-ingest', '', 'flushes_per_msg', '', '≤ 0.5'),
  row('final 250, p99, 20 connections', 'smtp-ingest', '', 'final250_p99_ms', 'ms', '≤ 15'),
  row('octets written for each octet of mail', 'smtp-ingest', '', 'write_amplification', '', ''),
  row('FETCH 1:* (UID FLAGS SIZE ENVELOPE BODYSTRUCTURE) of 10,000, first', 'imap-fetch', `${META} (first)`, 'median_ms', 'ms', '≤ 60'),
  row('the same, repeated', 'imap-fetch', META, 'median_ms', 'ms', '≤ 40'),
  row('FETCH 1:* FLAGS of 10,000', 'imap-fetch', 'flags 1:*', 'median_ms', 'ms', '≤ 6'),
  row('FETCH 1:* of some header fields of 10,000', 'imap-fetch', 'headers 1:* (From Subject Date ...)', 'median_ms', 'ms', '≤ 50'),
  row('bodies of 1,000 messages', 'imap-fetch', 'body 1:1000', 'mb_s', 'MB/s', '≥ 1,000'),
  row('one body at random, p50', 'imap-fetch', 'body of 1 message, random x1000', 'one_p50_ms', 'ms', ''),
  row('login + select, 10 connections', 'imap-login-select', '', 'logins_s', '/s', '≥ 3,000'),
  row('APPEND, size mix, 8 connections', 'imap-ops', 'append mix, 8 connections', 'ops_s', '/s', '≥ 3,000'),
  row('APPEND 2 KB, one connection', 'imap-ops', 'append 2K, 1 connection', 'ops_s', '/s', ''),
  row('STORE one flag, one connection (theirs is not synced)', 'imap-ops', 'store 1 flag, 1 message', 'ops_s', '/s', '≥ 1,400'),
  row('STORE 1:* +flag of 10,000 (theirs is not synced)', 'imap-ops', 'store 1:* +flag (10k)', 'median_ms', 'ms', '≤ 40'),
  row('COPY of 1,000', 'imap-ops', 'copy 1000', 'median_ms', 'ms', ''),
  row('SEARCH BODY in 10,000', 'imap-search', 'body', 'median_ms', 'ms', ''),
  row('SEARCH SUBJECT in 10,000', 'imap-search', 'subject', 'median_ms', 'ms', ''),
  row('from 250 to EXISTS on IDLE, p99, 1,000 idlers', 'imap-idle', '', 'push_all_p99_ms', 'ms', '≤ 5'),
  row('memory of one idle IMAP session (PSS)', 'imap-idle', '', 'pss_kb_per_idle', 'KB', '≤ 25'),
  row('memory at rest, all processes (PSS)', 'cold-start', '', 'pss_mb_idle', 'MB', '≤ 130'),
  row('start to the first IMAP greeting', 'cold-start', '', 'imap_greeting_ms', 'ms', '≤ 120'),
  row('start to the first SMTP EHLO', 'cold-start', '', 'smtp_ehlo_ms', 'ms', '≤ 120'),
];

type Result = Record<string, unknown> & { label: string; test: string; params?: string };
const results = process.argv
  .slice(2)
  .flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean))
  .map((line) => JSON.parse(line) as Result);

function valuesOf(r: Row, label: string): number[] {
  return results
    .filter((one) => one.label === label && one.test === r.test && (r.params === '' || one.params === r.params))
    .map((one) => one[r.field])
    .filter((value) => typeof value === 'number');
}

const shown = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3))));
const cell = (r: Row, label: string): string => {
  const values = valuesOf(r, label);
  return values.length === 0 ? '–' : `${shown(median(values))} ${r.unit}`.trim();
};

const debian = (name: string): string => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own form
  const ran = Bun.spawnSync(['dpkg-query', '-W', '-f', '${Version}', name]);
  return ran.exitCode === 0 ? ran.stdout.toString() : 'absent';
};
const names: Readonly<Record<string, string>> = { peer: 'Postfix + Dovecot mdbox', mailsite: 'mailsite' };
const labels = ['peer', 'mailsite'].filter((label) => results.some((one) => one.label === label));
console.log(`| measure | ${labels.map((label) => names[label]).join(' | ')} | aim |\n|---|${labels.map(() => '---:|').join('')}---:|`);
for (const r of rows) console.log(`| ${r.name} | ${labels.map((label) => cell(r, label)).join(' | ')} | ${r.aim === '' ? '' : `${r.aim} ${r.unit}`.trim()} |`);
console.log(
  `\n${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB; Postfix ${debian('postfix')}, Dovecot ${debian('dovecot-core')}, Bun ${Bun.version}. ` +
    'Medians over the repeats of one run, both servers in turns; everything of mailsite is synced before it is answered.',
);
