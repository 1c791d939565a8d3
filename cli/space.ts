// `mailsite status --space`: where the octets of a site are, and what compacting would give back. It reads the engine
// directly, and no message body.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { realWorld } from '../actors/platform.ts';
import type { Pages } from '../storage/engines/lmdb.ts';
import { engineOctets } from '../storage/engines/open.ts';
import { type Owned, type Part, space as lookAtRows } from '../storage/space.ts';
import type { Arguments } from './arguments.ts';
import { bold, count, print, printJson, size, table } from './output.ts';
import { enterSite } from './site.ts';

export async function space(given: Arguments): Promise<void> {
  const { data, view } = await enterSite(
    realWorld(() => {}),
    given.data,
  );
  const found = measure(lookAtRows(view), view.pages?.() ?? allInUse(engineOctets('.')), otherOctets(), data);
  if (given.json) printJson(found);
  else print(draw(found));
}

type Rows = ReturnType<typeof lookAtRows>;
type Space = ReturnType<typeof measure>;

/** Less than this is not worth copying the rest. */
const worthOctets = 16_000_000;
const worthShare = 0.1;

/** All that there is to say, as `--json` says it. */
export function measure(rows: Rows, pages: Pages, other: number, data: string) {
  const inRows = rows.parts.reduce((sum, part) => sum + part.octets, 0);
  const reclaimable = pages.free;
  return {
    data,
    engine: { ...pages, rowOctets: inRows, unfilled: Math.max(0, pages.inUse - inRows) },
    reclaimable,
    compactIsWorthIt: reclaimable >= worthOctets && reclaimable >= worthShare * pages.file,
    otherFiles: other,
    ...rows,
    savedByCompression: rows.plainOctets - rows.storedOctets,
  };
}

/** Everything in the data directory but the engine: what a crash left beside it, too. */
function otherOctets(): number {
  let octets = 0;
  for (const entry of readdirSync('.', { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) octets += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return Math.max(0, octets - engineOctets('.'));
}

/** An engine without pages takes what it takes: it gives room back by itself. */
const allInUse = (file: number): Pages => ({ file, inUse: file, free: 0 });

const called: Readonly<Record<Part['what'], string>> = {
  bodies: 'message bodies',
  envelopes: 'envelopes, structures',
  indexes: 'indexes of mailboxes',
  journal: 'journal',
  vanished: 'expunged numbers',
  queue: 'queue',
  trace: 'traces of messages',
  configuration: 'configuration',
  garbage: 'garbage, soon removed',
  transfers: 'unfinished transfers',
};

/** The same for people. */
export function draw(s: Space): string {
  const share = (octets: number): string => `${Math.round((100 * octets) / Math.max(1, s.engine.file))} %`;
  const free = s.compactIsWorthIt ? 'mailsite compact gives it back' : 'new mail takes it';
  const disk = table(
    [
      ['engine', size(s.engine.file), '', `in ${s.data}`],
      ['in use', size(s.engine.inUse), share(s.engine.inUse), `rows ${size(s.engine.rowOctets)}, unfilled pages and trees ${size(s.engine.unfilled)}`],
      ['free', size(s.engine.free), share(s.engine.free), s.engine.free === 0 ? '' : free],
      ['other files', size(s.otherFiles), '', ''],
    ],
    '',
  );
  const bodies = [
    ['plain', size(s.plainOctets), count(s.bodies, 'body').replace(/bodys$/, 'bodies')],
    ['stored', size(s.storedOctets), `compression saves ${size(Math.max(0, s.savedByCompression))}`],
    ['shared', size(s.sharedOctets), `saved by keeping a body once for ${count(s.references, 'message')}`],
  ];
  const parts = s.parts.filter((part) => part.rows > 0).map((part) => [called[part.what], size(part.octets), share(part.octets), count(part.rows, 'row')]);
  return [
    disk,
    `${bold('By what')} (estimated)\n${table(parts)}`,
    `${bold('Bodies')}\n${table(bodies)}`,
    ...largest('By account', s.accounts),
    ...largest('By mailbox', s.mailboxes),
  ].join('\n\n');
}

const largest = (title: string, rows: readonly Owned[]): string[] =>
  rows.length === 0
    ? []
    : [
        `${bold(title)}\n${table(rows.map((row) => [row.mailbox === '' ? row.account : `${row.account} ${row.mailbox}`, size(row.octets), count(row.messages, 'message')]))}`,
      ];
