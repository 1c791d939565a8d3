// What a portal writes down is read by people: the web UI has words for all of it.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { english } from '../../uplink/ui/english.ts';

const root = join(import.meta.dirname, '../..');
const source = globSync('uplink/portal/**/*.ts', { cwd: root }).map((path) => readFileSync(join(root, path), 'utf8'));
/** The names that stand as texts where `place` matches a line. */
const named = (place: RegExp): string[] => [
  ...new Set(
    source.flatMap((text) =>
      text
        .split('\n')
        .filter((line) => place.test(line))
        .flatMap((line) => [...line.replace(/.*\b(action|name): /, '').matchAll(/'([a-z]+(?:\.[a-zA-Z]+)+)'/g)].map((match) => match[1] as string)),
    ),
  ),
];

test('each action of the audit log has words', () => {
  const actions = named(/\baction: .*'[a-z]+\./);
  expect(actions.length).toBeGreaterThan(35); // they were found
  expect(actions.filter((action) => !Object.hasOwn(english.audit.actions, action))).toEqual([]);
});

test('each alarm has words', () => {
  const alarms = named(/\bname: '(claim|site|portal)\./);
  expect(alarms).toContain('site.cloned');
  expect(alarms.filter((alarm) => !Object.hasOwn(english.events, alarm))).toEqual([]);
});
