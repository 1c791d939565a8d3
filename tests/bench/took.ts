// One command, measured: seconds, MB/s of the octets it is about, CPU, and the most memory of its own (not of files) it had.
//   bun took.ts --label L --name TEXT --octets N --out FILE -- COMMAND...
// Exits as the command did.

import { appendFileSync, readFileSync } from 'node:fs';
import { Args, now, round, sleep } from './lib/util.ts';

const split = process.argv.indexOf('--', 2);
const args = new Args(process.argv.slice(2, split));
const start = now();
const child = Bun.spawn(process.argv.slice(split + 1), { stdout: 'inherit', stderr: 'inherit', stdin: 'ignore' });
let anon = 0;
const watch = (async () => {
  while (child.exitCode === null) {
    const found = /^RssAnon:\s+(\d+)/m.exec(statusOf(child.pid));
    anon = Math.max(anon, Number(found?.[1] ?? 0));
    await sleep(50);
  }
})();
const code = await child.exited;
const s = (now() - start) / 1_000;
await watch;
const { cpuTime } = child.resourceUsage() ?? {};
const octets = args.num('octets', 0);
const line = JSON.stringify({
  label: args.str('label', ''),
  name: args.str('name', ''),
  code,
  s: round(s, 3),
  mb_s: octets === 0 ? null : round(octets / 1e6 / s, 1),
  cpu_s: round(Number(cpuTime?.total ?? 0) / 1e6),
  anon_mb: Math.round(anon / 1_000),
});
console.log(line);
appendFileSync(args.str('out', '/dev/null'), `${line}\n`);
process.exit(code);

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}
