// What must not change by accident: messages between processes, tables on disk, the installed unit. A difference here is
// a question: old processes and old disks read the new form. When it is meant:
//   mailsite wire > tests/golden/wire.txt; mailsite schema > tests/golden/schema.txt; mailsite install --print > dist/mailsite.service

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeProtocol } from '../../actors/wire.ts';
import { allProtocols } from '../../cli/show.ts';
import { unitText } from '../../cli/unit.ts';
import { describeSchema } from '../../storage/schema.ts';

const golden = (path: string): string => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');

test('the messages are those of tests/golden/wire.txt', async () => {
  expect(`${(await allProtocols()).flatMap(describeProtocol).join('\n')}\n`).toBe(golden('tests/golden/wire.txt'));
});

test('the tables are those of tests/golden/schema.txt', () => {
  expect(`${describeSchema().join('\n')}\n`).toBe(golden('tests/golden/schema.txt'));
});

test('table numbers are unique and within an octet', async () => {
  const { tables } = await import('../../storage/schema.ts');
  const numbers = Object.values(tables).map((t) => t.number);
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(numbers.every((n) => n > 0 && n < 256)).toBe(true);
});

test('the unit is that of dist/mailsite.service', () => {
  expect(unitText('/usr/local/bin/mailsite')).toBe(golden('dist/mailsite.service'));
});
