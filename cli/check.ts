// `mailsite check`: proves that what is stored keeps its promises (M2, S1–S5, Q1), on one commit, whether the site runs
// or not. It only reads. Exit code 1 and a line on stderr for each problem.

import { realWorld } from '../actors/platform.ts';
import { check as checkStore } from '../storage/check.ts';
import type { Arguments } from './arguments.ts';
import { complain, count, print, printJsonLine, progress, size } from './output.ts';
import { enterSite } from './site.ts';

export async function check(given: Arguments): Promise<number> {
  const world = realWorld(() => {});
  const { data, view } = await enterSite(world, given.data);
  const bar = progress(given.deep ? 'reading every body' : 'checking', given.json, () => world.monotonicMs());
  const snapshot = view.snapshot();
  const { problems, found, counts } = checkStore(snapshot, { deep: given.deep, progress: (done, of) => bar.at(done, of) });
  bar.end();
  if (given.json) printJsonLine({ ok: found === 0, deep: given.deep, found, problems, counts });
  else {
    for (const { rule, what } of problems) complain(`${rule}: ${what}`);
    if (found > problems.length) complain(`and ${count(found - problems.length, 'problem')} more`);
    const what = `${count(counts.messages, 'message')} in ${count(counts.mailboxes, 'mailbox')}, ${size(counts.octets)} of bodies${given.deep ? ', every one of them read' : ''}`;
    if (found === 0) print(`Whole: ${what}, at commit ${counts.commit} of ${data}.`);
  }
  return found === 0 ? 0 : 1;
}
