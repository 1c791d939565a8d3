// `mailsite snapshot list` and `snapshot show`.

import { realWorld } from '../../actors/platform.ts';
import { openSnapshot, type SnapshotView } from '../../storage/snapshot/read.ts';
import { objectsOf } from '../../storage/snapshot/verify.ts';
import type { Arguments } from '../arguments.ts';
import { bold, complain, count, print, printJson, size, span, table } from '../output.ts';
import { allSnapshots, chosen, dataKey, fromPlace, idOf, plainly } from './source.ts';

const when = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export async function list(given: Arguments): Promise<number> {
  const world = realWorld(() => {});
  const { url, found, damaged } = await plainly(async () => {
    const place = await fromPlace(world, given);
    return { url: place.url, ...(await allSnapshots(place)) };
  });
  const rows = found.map((s) => ({
    id: idOf(s),
    lineage: s.lineage,
    commit: s.commit,
    takenAt: s.takenAt,
    base: s.increments === 0,
    increments: s.increments,
    octets: s.octets,
  }));
  if (given.json) printJson({ place: url, snapshots: rows, damaged });
  else if (rows.length === 0 && damaged.length === 0) print(`No snapshots in ${url}.`);
  else {
    const now = world.now();
    print(
      table(
        [
          ['snapshot', 'taken (UTC)', 'ago', 'kind'],
          ...rows.map((r) => [r.id, when(r.takenAt), span(now - r.takenAt), r.base ? 'all' : `changes, ${size(r.octets)}`]),
        ],
        '',
      ),
    );
  }
  for (const { name, why } of given.json ? [] : damaged) complain(why.includes(name) ? why : `${name}: ${why}`);
  return damaged.length > 0 ? 1 : 0;
}

export async function show(given: Arguments): Promise<undefined> {
  const world = realWorld(() => {});
  await plainly(async () => {
    const place = await fromPlace(world, given);
    const { manifest: m } = await chosen(world, place, given);
    const objects = await objectsOf(place, m);
    const clear = {
      id: idOf(m),
      lineage: m.lineage,
      commit: m.commit,
      epoch: m.epoch,
      previous: m.previous,
      schema: m.schema,
      takenAt: m.takenAt,
      objects: objects.length,
      octets: objects.reduce((sum, [, octets]) => sum + octets, 0),
      place: place.url,
    };
    const key = await dataKey(world, place, m, given, false);
    const inside = key === null ? null : await contents(await openSnapshot(place, m, key));
    if (given.json) printJson({ ...clear, contents: inside });
    else print(draw(clear, inside, world.now()));
  });
}

type Contents = Awaited<ReturnType<typeof contents>>;

/** What only the key tells. */
async function contents(view: SnapshotView) {
  const domains: string[] = [];
  for await (const { key, row } of view.scan('domain')) domains.push(row.aliasOf === null ? key.name : `${key.name} (= ${row.aliasOf})`);
  const mailboxes = new Map<number, number>();
  for await (const { key } of view.scan('mailbox')) mailboxes.set(key.account, (mailboxes.get(key.account) ?? 0) + 1);
  const accounts: { address: string; messages: number; octets: number; mailboxes: number }[] = [];
  for await (const { key, row } of view.scan('account'))
    accounts.push({ address: row.address, messages: row.messages, octets: row.usedBytes, mailboxes: mailboxes.get(key.account) ?? 0 });
  let queued = 0;
  for await (const _ of view.scan('queue')) queued++;
  const { host, digest, counts } = view.secrets;
  return { host, digest, messages: counts.messages, messageOctets: counts.octets, queued, domains, accounts };
}

function draw(
  m: { id: string; takenAt: number; commit: number; objects: number; octets: number; place: string; lineage: string },
  inside: Contents | null,
  now: number,
): string {
  const head = table(
    [
      ['snapshot', m.id],
      ['taken', `${when(m.takenAt)}, ${span(now - m.takenAt)} ago`],
      ['place', `${m.place}, ${count(m.objects, 'object')}, ${size(m.octets)}`],
      ...(inside === null
        ? [['contents', 'sealed: give the recovery kit as --key FILE to see them']]
        : [
            ['site', inside.host],
            ['mail', `${count(inside.messages, 'message')}, ${size(inside.messageOctets)}, ${count(inside.queued, 'message')} in the queue`],
            ['domains', inside.domains.join(', ')],
          ]),
    ],
    '',
  );
  if (inside === null) return head;
  const rows = inside.accounts.map((a) => [a.address, count(a.messages, 'message'), size(a.octets), count(a.mailboxes, 'mailbox')]);
  return `${head}\n\n${bold('Accounts')}\n${table(rows)}`;
}
