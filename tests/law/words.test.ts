// Words that the program does not say, because they would break a promise (STYLE 1, 3, 8, 16).

import { expect, test } from 'vitest';
import { everything, program } from './source.ts';

interface Ban {
  readonly word: RegExp;
  readonly why: string;
  readonly but?: readonly string[];
}
const world = ['actors/platform.ts', 'actors/stream.ts', 'actors/sockets.ts', 'uplink/ui/clock.ts', 'uplink/ui/chance.ts']; // the last two are a browser's
const bans: readonly Ban[] = [
  { word: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|process\.hrtime|Bun\.nanoseconds/, why: 'the clock is World.now (STYLE 8)', but: world },
  { word: /\bMath\.random\b|\bgetRandomValues\b|\brandomBytes\b|\brandomUUID\b/, why: 'randomness is World.random (STYLE 8)', but: world },
  { word: /\bset(Timeout|Interval|Immediate)\b|\bBun\.sleep\(/, why: 'timers are World.after (STYLE 8)', but: world },
  { word: /\bBun\.connect\b|\bnet\.connect\b|\bcreateConnection\b|\btls\.connect\b/, why: 'connections are World.connect', but: [...world, 'actors/link.ts'] },
  { word: /\bSIG(TERM|INT|HUP|QUIT)\b|process\.(on|once)\(|\b(graceful|shut ?down)/i, why: 'there is no stop (C1, STYLE 1)' },
  { word: /\bconsole\.\w+\(/, why: 'logs are World.log, answers are cli/output.ts' },
  { word: /\bexport default\b|\bexport \*|^\s*(export )?(const )?enum\b|^\s*(export )?(declare )?namespace\b|^\s*@\w+\(/m, why: 'STYLE 16' },
  { word: /\bas any\b|: any\b|<any\b/, why: 'STYLE 17', but: ['actors/wire.ts'] },
  { word: /@ts-(ignore|nocheck|expect-error)/, why: 'STYLE 17' },
];

test.each(bans)('nobody says $word: $why', ({ word, but }) => {
  const found = program
    .filter((file) => but?.includes(file.path) !== true)
    .flatMap((file) => file.code.split('\n').flatMap((line, i) => (word.test(line) ? [`${file.path}:${i + 1}`] : [])));
  expect(found).toEqual([]);
});

test('STYLE 16: files are lower-case nouns, and none is called after nothing', () => {
  const bad = /(^|\/)(utils|helpers|common|types|index|manager)\.tsx?$/;
  expect(everything.map((file) => file.path).filter((path) => bad.test(path) || !/^[a-z0-9/.-]+$/.test(path))).toEqual([]);
});

test('every package that is imported is named in package.json, and every dependency is imported', async () => {
  const { dependencies, devDependencies } = await import('../../package.json');
  const packages = (files: typeof program): string[] => [
    ...new Set(files.flatMap((file) => [...file.text.matchAll(importing)].map((match) => match[1] as string)).filter((name) => name !== 'bun')),
  ];
  const used = packages(program);
  expect(used.filter((name) => !Object.hasOwn(dependencies, name) && !isBuiltin(name))).toEqual([]);
  expect(Object.keys(dependencies).filter((name) => !used.includes(name))).toEqual([]);
  expect(packages([...everything]).filter((name) => !Object.hasOwn({ ...dependencies, ...devDependencies }, name) && !isBuiltin(name))).toEqual([]);
});
const importing = /(?:^(?:import|export|\}) [^'\n]*\bfrom |^import |\bimport(?:\.meta\.resolve)?\()'((?:@[\w.-]+\/)?[a-z][\w.-]*)[^']*'/gm;
// `node:fs` matches up to the colon, `bun:ffi` too
const isBuiltin = (name: string): boolean => name === 'node' || name === 'bun';
