// Verbs that print what the program is: its version, its messages, its tables, its processes.

import { arch, platform } from 'node:process';
import { type OnCrash, type ProcessRow, showOnCrash } from '../actors/tree.ts';
import type { AnyProtocol, Calls, Events, Fields } from '../actors/wire.ts';
import type { Arguments } from './arguments.ts';
import { print, printJson } from './output.ts';

export async function version(given: Arguments): Promise<void> {
  const { version: own } = await import('../package.json');
  if (given.json) printJson({ version: own, bun: Bun.version, platform, arch });
  else print(`mailsite ${own} (Bun ${Bun.version}, ${platform} ${arch})`);
}

export async function wire(given: Arguments): Promise<void> {
  const [{ describeProtocol }, protocols] = await Promise.all([import('../actors/wire.ts'), allProtocols()]);
  if (!given.json) return print(protocols.flatMap(describeProtocol).join('\n'));
  const shape = (fields: Fields): Record<string, string> => Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.is]));
  printJson(
    protocols.flatMap((p) => [
      ...Object.entries(p.calls as Calls).map(([name, c]) => ({ protocol: p.name, tag: c.tag, name, ask: shape(c.ask), answer: shape(c.answer) })),
      ...Object.entries(p.events as Events).map(([name, e]) => ({ protocol: p.name, tag: e.tag, name, event: shape(e.event) })),
    ]),
  );
}

/** Every protocol that a socket of this program speaks. */
export async function allProtocols(): Promise<readonly AnyProtocol[]> {
  const [{ Supervision }, { Store }, { Work }] = await Promise.all([
    import('../actors/supervision.ts'),
    import('../storage/messages.ts'),
    import('../protocols/site.ts'),
  ]);
  return [Supervision, Store, Work];
}

export async function schema(given: Arguments): Promise<void> {
  if (given.document) return printJson((await import('../storage/document.ts')).documentJsonSchema());
  const { describeSchema, tables } = await import('../storage/schema.ts');
  if (!given.json) return print(describeSchema().join('\n'));
  printJson(
    Object.entries(tables).map(([name, t]) => ({
      number: t.number,
      name,
      key: t.key,
      value: t.raw ? 'raw' : Object.fromEntries(Object.entries(t.value as Fields).map(([field, f]) => [field, f.is])),
      why: t.why,
    })),
  );
}

/** The tree as data; live processes are shown by `mailsite status`. */
export async function tree(given: Arguments): Promise<void> {
  const rows = (await import('../tree.ts')).tree;
  if (given.json) printJson(rows);
  else print(drawTree(rows));
}

export function drawTree(rows: readonly ProcessRow[]): string {
  const lines: (readonly [string, string])[] = [['mailsite run', '']];
  const last = (i: number, of: readonly unknown[]): boolean => i === of.length - 1;
  lines.push(['└─ supervisor', 'owns ports and processes']);
  rows.forEach((row, i) => {
    const bar = last(i, rows) ? '   ' : '│  ';
    const times = row.count === 'cores' ? '×cores' : `×${row.count}`;
    lines.push([`   ${last(i, rows) ? '└─' : '├─'} ${row.role} ${times}`, crash(row.onCrash)]);
    row.children.forEach((c, j) => {
      const port = c.loopback === undefined ? (c.port === undefined ? '' : ` :${c.port}${c.tls ? ' tls' : ''}`) : ` 127.0.0.1:${c.loopback}`;
      lines.push([`   ${bar}${last(j, row.children) ? '└─' : '├─'} ${c.name}${port}`, crash(c.onCrash)]);
    });
  });
  const wide = Math.max(...lines.map(([left]) => left.length));
  return lines.map(([left, right]) => `${left.padEnd(wide + 3)}${right}`.trimEnd()).join('\n');
}
const crash = (onCrash: OnCrash): string => `on a crash: ${showOnCrash(onCrash)}`;
