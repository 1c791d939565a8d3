// The source of the program as the law tests see it: files, their imports, their text without comments and strings.

import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export interface SourceFile {
  /** From the root: `storage/page.ts`. */
  readonly path: string;
  readonly text: string;
  /** Without comments and without the contents of strings. */
  readonly code: string;
  /** What it imports from this project, from the root; static, dynamic and type imports alike. */
  readonly imports: readonly string[];
}

const read = (path: string): SourceFile => {
  const text = readFileSync(join(root, path), 'utf8');
  return { path, text, code: bare(text), imports: importsOf(path, text) };
};
const find = (...patterns: string[]): SourceFile[] =>
  patterns
    .flatMap((p) => globSync(p, { cwd: root }))
    .sort()
    .map(read);

/** What becomes dist/mailsite. */
export const program = find('mailsite.ts', 'tree.ts', '{actors,storage,protocols,uplink,cli}/**/*.{ts,tsx}');
export const tests = find('tests/**/*.ts');
export const everything = [...program, ...find('build.ts', 'vitest.config.ts'), ...tests];

function importsOf(path: string, text: string): string[] {
  const out: string[] = [];
  for (const match of text.matchAll(/(?:from|import(?:\.meta\.resolve)?)\s*\(?\s*'(\.{1,2}\/[^']+)'/g))
    out.push(relative(root, join(root, dirname(path), match[1] as string)));
  return out;
}

/** Comments, string and regex contents become spaces; line breaks stay. Template literals keep what is inside ${}. */
export function bare(text: string): string {
  const pattern =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|(?<=[(,=:[!&|?{};\n]\s*)\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;
  return text.replace(pattern, (found) => found.replace(/[^\n]/g, ' '));
}
