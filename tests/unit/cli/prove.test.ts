// The hidden verb `prove`, on either engine: what it says of a snapshot that is whole, of one that is not, and of what tells neither.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { engineOptions, sampleDocument } from '../../clients/site.ts';
import { answerIn, mailsite, temporary } from './program.ts';

function parkedSite() {
  const [data, place] = [join(temporary(), 'data'), join(temporary(), 'place')];
  const document = sampleDocument(undefined, { snapshots: { to: place, everySeconds: 60 } });
  expect(mailsite(['apply', '-', '--data', data, ...engineOptions], { stdin: JSON.stringify(document) })).toMatchObject({ code: 0 });
  const manifests = (): string[] => {
    const names = readdirSync(join(place, 'manifests'), { recursive: true }) as string[];
    return names.filter((name) => /\d$/.test(name)).map((name) => join(place, 'manifests', name));
  };
  /** As the site does it: we are the parent. */
  const prove = () => answerIn(mailsite(['prove', '--data', data, '--supervisor', String(process.pid)]).out);
  return { data, place, manifests, prove };
}
const flip = (file: string): void =>
  writeFileSync(
    file,
    readFileSync(file).map((octet, i, all) => (i === all.length >> 1 ? octet ^ 1 : octet)),
  );

test('whole, and gone again', () => {
  const { data, place, prove } = parkedSite();
  expect(prove()).toMatchObject({ state: 'untried', problem: expect.stringContaining('is not there') });
  mkdirSync(place);
  expect(prove()).toMatchObject({ state: 'none', problem: expect.stringContaining('holds no snapshot of this site') });
  const made = answerIn(mailsite(['snapshot', 'create', '--data', data, '--json']).out);
  expect(prove()).toEqual({ state: 'proven', commit: made.commit, takenAt: expect.any(Number) });
  expect(readdirSync(join(data, 'tmp')).filter((name) => name.startsWith('verify-'))).toEqual([]);
  renameSync(place, `${place}.away`);
  expect(prove()).toMatchObject({ state: 'untried', problem: expect.stringContaining('is not there') });
});

test('the newest counts: a damaged manifest, an object that rots or goes', () => {
  const { data, place, manifests, prove } = parkedSite();
  mailsite(['snapshot', 'create', '--data', data]);
  mailsite(['snapshot', 'create', '--full', '--data', data]);
  const document = sampleDocument(['carol'], { snapshots: { to: place, everySeconds: 60 } });
  mailsite(['apply', '-', '--data', data], { stdin: JSON.stringify(document) });
  mailsite(['snapshot', 'create', '--data', data]);
  const [newest] = manifests().sort().reverse() as [string];
  expect(manifests().length).toBeGreaterThan(1);
  flip(newest);
  expect(prove()).toMatchObject({ state: 'failed', problem: expect.stringContaining('damaged') });
  flip(newest);
  expect(prove()).toMatchObject({ state: 'proven' });
  const objects = (readdirSync(join(place, 'objects'), { recursive: true, withFileTypes: true }) as { isFile(): boolean; parentPath: string; name: string }[])
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const file of objects) flip(file);
  expect(prove()).toMatchObject({ state: 'failed', problem: expect.stringMatching(/damaged|is not/) });
  for (const file of objects) rmSync(file);
  expect(prove()).toMatchObject({ state: 'failed', problem: expect.stringContaining('is not there') });
});

test('nobody else starts it', () => {
  const { data } = parkedSite();
  expect(mailsite(['prove', '--data', data, '--supervisor', '1'])).toEqual({ code: 1, out: '', errors: [] });
});
