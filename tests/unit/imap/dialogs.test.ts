// The IMAP dialogs, run against sessions in this process. STYLE 5: every command has one.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { rows } from '../../../protocols/imap/commands.ts';
import { parseDialog, runDialog } from '../../dialogs/run.ts';
import { inProcess } from './house.ts';

const folder = new URL('../../dialogs/imap/', import.meta.url).pathname;
const dialogs = readdirSync(folder).filter((name) => name.endsWith('.txt'));

describe('IMAP dialogs', () => {
  for (const name of dialogs) {
    test(name.slice(0, -4), async () => {
      const transport = await inProcess();
      await runDialog(name, readFileSync(folder + name, 'utf8'), transport);
      expect(transport.house.crashed).toEqual([]);
    });
  }

  test('every command is said in one of them', () => {
    const said = new Set<string>();
    for (const name of dialogs) {
      for (const { kind, text } of parseDialog(readFileSync(folder + name, 'utf8'))) {
        if (kind === 'C') said.add(/^\S+ (?:UID )?(\S+)/.exec(text)?.[1]?.toUpperCase() ?? '');
      }
    }
    expect([...rows.keys()].filter((verb) => !said.has(verb))).toEqual([]);
  });

  test('a dialog that is not as told fails', async () => {
    await expect(runDialog('wrong', 'S: * OK …\nC: a NOOP\nS: a NO …\n', await inProcess())).rejects.toThrow('wrong:3');
  });
});
