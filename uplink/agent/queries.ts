// What a portal may ask a site, live: one row a question. Nothing of it is kept anywhere.

import type { Facts } from '../states/site.ts';

/** What an answer is made of. */
export interface Asking {
  readonly facts: () => Promise<Facts>;
}
type Answering = (asking: Asking, args: Readonly<Record<string, unknown>>) => Promise<unknown>;

const rows: Readonly<Record<string, Answering>> = {
  overview: ({ facts }) => facts(),
};

/** Rejects when there is no such question, or its arguments are wrong. */
export async function answerQuery(asking: Asking, name: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
  const row = Object.hasOwn(rows, name) ? rows[name] : undefined;
  if (row === undefined) throw new Error(`this version cannot answer ${name}`);
  return row(asking, args);
}
