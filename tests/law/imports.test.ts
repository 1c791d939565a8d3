// Who may import whom (DESIGN §4, STYLE 10): from right to left only, and from storage its public face only.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program, root } from './source.ts';

const order = ['actors', 'storage', 'protocols', 'uplink', 'tree.ts', 'cli', 'mailsite.ts'] as const;
const layer = (path: string): number => order.indexOf((path.includes('/') ? path.slice(0, path.indexOf('/')) : path) as (typeof order)[number]);
const arrows = program.flatMap((file) => file.imports.map((to) => ({ from: file.path, to })));

test('STYLE 10: imports run from right to left: actors < storage < protocols < uplink < tree.ts < cli < mailsite.ts', () => {
  const wrong = arrows.filter(({ from, to }) => to !== 'package.json' && (layer(to) < 0 || layer(to) > layer(from)));
  expect(wrong).toEqual([]);
});

test('tree.ts knows the kernel only', () => {
  expect(arrows.filter(({ from, to }) => from === 'tree.ts' && layer(to) > 0)).toEqual([]);
});

test('what runs in browsers imports itself only, and its contract the types of what it speaks with; the program bundles it', () => {
  const browser = (path: string): boolean => path.startsWith('uplink/ui/');
  const contract = 'uplink/ui/contract.ts';
  expect(arrows.filter(({ from, to }) => browser(from) && !browser(to) && from !== contract)).toEqual([]);
  expect(arrows.filter(({ from, to }) => !browser(from) && browser(to) && from !== 'uplink/portal/bundle.ts')).toEqual([]);
  const code = program.find((file) => file.path === contract)?.code ?? '';
  expect(code.match(/\bimport\b(?! type\b)|\bexport\b(?! type\b| interface\b)/g)).toBeNull(); // nothing of it is left to run
  // what a portal has and a browser has not
  expect(program.filter(({ path, code: text }) => browser(path) && /\b(Bun|process|Buffer|require)\b[.(]/.test(text)).map(({ path }) => path)).toEqual([]);
});

test('from storage, protocols import its messages, views and reading side only', () => {
  const open = ['storage/messages.ts', 'storage/views.ts', 'storage/engine.ts', 'storage/page.ts'];
  expect(arrows.filter(({ from, to }) => from.startsWith('protocols/') && to.startsWith('storage/') && !open.includes(to))).toEqual([]);
});

test('a protocol imports itself and what all protocols share; only the role mains import across', () => {
  const shared = ['mime', 'dns', 'tls', 'sasl', 'dkim'];
  const mains = ['protocols/edge.ts', 'protocols/control.ts', 'protocols/work.ts'];
  const folder = (path: string): string | null => /^protocols\/([^/]+)\//.exec(path)?.[1] ?? null;
  const wrong = arrows.filter(({ from, to }) => {
    if (!from.startsWith('protocols/') || !to.startsWith('protocols/') || mains.includes(from)) return false;
    if (mains.includes(to)) return true;
    const target = folder(to);
    return target !== null && target !== folder(from) && !shared.includes(target);
  });
  expect(wrong).toEqual([]);
});

test('every import names a file that is there', () => {
  expect(arrows.filter(({ to }) => !existsSync(join(root, to)))).toEqual([]);
});

test('STYLE 20: every file is reached from mailsite.ts', () => {
  const byPath = new Map(program.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const walk = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const next of byPath.get(path)?.imports ?? []) walk(next);
  };
  walk('mailsite.ts');
  walk('storage/engines/memory.ts'); // the engine of the conformance suite and of the simulator
  expect(program.map((file) => file.path).filter((path) => !reached.has(path))).toEqual([]);
});
