// IMAP responses, as a client reads them: a line with its literals, and the lists inside. Pure functions of octets but
// for `readResponse`.

import type { Dialog } from './dialog.ts';

export interface Response {
  /** `*`, `+` or the tag. */
  readonly tag: string;
  /** What follows the tag; each literal is \0. */
  readonly text: string;
  readonly literals: readonly Uint8Array[];
}
/** An atom or string, a literal, a list, or NIL. */
export type Value = string | Uint8Array | Value[] | null;

/** One response. `waitMs`: null when none begins in that time. */
export async function readResponse(dialog: Dialog, waitMs?: number): Promise<Response | null> {
  let line = waitMs === undefined ? await dialog.line() : await dialog.line(waitMs);
  if (line === null) return null;
  const literals: Uint8Array[] = [];
  let text = '';
  for (;;) {
    const literal = /\{(\d+)\}$/.exec(line);
    if (!literal) break;
    text += `${line.slice(0, literal.index)}\0`;
    literals.push(await dialog.octets(Number(literal[1])));
    line = await dialog.line();
  }
  text += line;
  const space = text.indexOf(' ');
  if (space < 1) throw new Error(`not an IMAP response: ${text}`);
  return { tag: text.slice(0, space), text: text.slice(space + 1), literals };
}

/** The values of a response text, in order. */
export function values(text: string, literals: readonly Uint8Array[]): Value[] {
  const stack: Value[][] = [[]];
  let literal = 0;
  const token = /[()]|\0|"((?:[^"\\]|\\.)*)"|(?:[^\s()"[\0]|\[[^\]]*\])+/g;
  for (const match of text.matchAll(token)) {
    const top = stack.at(-1) as Value[];
    const word = match[0];
    if (word === '(') stack.push([]);
    else if (word === ')') {
      const list = stack.pop() as Value[];
      const up = stack.at(-1);
      if (!up) throw new Error(`parentheses do not match: ${text}`);
      up.push(list);
    } else if (word === '\0') top.push(literals[literal++] as Uint8Array);
    else if (match[1] !== undefined) top.push(match[1].replace(/\\(.)/g, '$1'));
    else top.push(word.toUpperCase() === 'NIL' ? null : word);
  }
  if (stack.length !== 1) throw new Error(`parentheses do not match: ${text}`);
  return stack[0] as Value[];
}

/** The items of a FETCH response: name to value. */
export function fetchItems(list: Value): Map<string, Value> {
  if (!Array.isArray(list) || list.length % 2 !== 0) throw new Error('a FETCH response has pairs');
  const items = new Map<string, Value>();
  for (let i = 0; i < list.length; i += 2) items.set(String(list[i]).toUpperCase().replace(/\[.*$/s, '[]'), list[i + 1] as Value);
  return items;
}

/** A sequence set as [low, high] pairs' numbers, in the order it was written. */
export function numbers(set: string): number[] {
  const out: number[] = [];
  for (const part of set.split(',')) {
    const [a, b] = part.split(':').map(Number) as [number, number | undefined];
    const to = b ?? a;
    if (a <= to) for (let n = a; n <= to; n++) out.push(n);
    else for (let n = a; n >= to; n--) out.push(n);
  }
  return out;
}

export const textOf = (value: Value | undefined): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : typeof value === 'string' ? value : '';
