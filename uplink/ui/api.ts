// The way of the web UI to its portal: one request, one answer, or a Trouble that people can read. Guarantees: writes carry
// the header that proves they come from this page, and a key under which a repeated one is done once.

import { freshKey } from './chance.ts';
import type { Problem } from './contract.ts';
import { text } from './language.ts';

/** What went wrong: a cause and a next step, in the portal's words where it had some. */
export interface Trouble {
  readonly title: string;
  readonly detail: string;
  readonly status: number;
  readonly errors: NonNullable<Problem['errors']>;
  readonly problem: Problem | null;
}
export interface Outcome<T> {
  readonly value?: T;
  readonly trouble?: Trouble;
  readonly etag?: string | null;
}

const root = '/api/v1';
/** Who is to know that nobody is signed in any more. */
let signedOut: () => void = () => {};
export const onSignedOut = (run: () => void): void => {
  signedOut = run;
};

/** How a person proves once more who they are; false: they would not. */
let prove: () => Promise<boolean> = async () => false;
export const onProve = (run: () => Promise<boolean>): (() => void) => {
  prove = run;
  return () => {
    prove = async () => false;
  };
};

export interface Asked {
  readonly method?: string;
  readonly body?: unknown;
  readonly ifMatch?: string | undefined;
  readonly quiet?: boolean;
}

/** Never throws. A 204 is an outcome with neither value nor trouble. */
export async function ask<T>(path: string, asked: Asked = {}): Promise<Outcome<T>> {
  const outcome = await once<T>(path, asked);
  if (outcome.trouble?.problem?.type?.endsWith(':prove-again') !== true || !(await prove())) return outcome;
  return once<T>(path, asked);
}

async function once<T>(path: string, { method = 'GET', body, ifMatch, quiet }: Asked): Promise<Outcome<T>> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') headers['x-mailsite'] = '1';
  if (method === 'POST') headers['idempotency-key'] = freshKey();
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (ifMatch !== undefined) headers['if-match'] = ifMatch;
  let response: Response;
  try {
    response = await fetch(root + path, { method, headers, body: body === undefined ? null : JSON.stringify(body), credentials: 'same-origin' });
  } catch {
    return { trouble: { title: text.trouble.unreachable, detail: text.trouble.unreachableNext, status: 0, errors: [], problem: null } };
  }
  const answer: unknown = response.status === 204 ? undefined : await response.json().catch(() => undefined);
  if (response.ok) return { value: answer as T, etag: response.headers.get('etag') };
  if (response.status === 401 && quiet !== true) signedOut();
  const problem = typeof answer === 'object' && answer !== null ? (answer as Problem) : null;
  return {
    trouble: {
      title: problem?.title ?? text.trouble.odd(response.status),
      detail: problem?.detail ?? text.trouble.oddNext,
      status: response.status,
      // which field, not in which part of the request
      errors: (problem?.errors ?? []).map(({ path, message }) => ({ path: path.replace(/^body\./, ''), message })),
      problem,
    },
  };
}

/** What is wrong with the field at `path` of what was sent, wherever that is in the document: a sentence; undefined: nothing. */
export function wrongAt(trouble: Trouble | undefined, path: string): string | undefined {
  const found = trouble?.errors.find((error) => isAt(error.path, path));
  return found && sentence(found.message);
}
/** Without the errors that the fields of a form show themselves; undefined: nothing is left to be said. */
export function besides(trouble: Trouble | undefined, fields: readonly string[]): Trouble | undefined {
  if (trouble === undefined || trouble.errors.length === 0) return trouble;
  const errors = trouble.errors.filter(({ path }) => !fields.some((field) => isAt(path, field)));
  return errors.length === 0 ? undefined : { ...trouble, errors };
}
/** `to` is at `aliases[3].to[0]` too. */
const isAt = (path: string, field: string): boolean =>
  path
    .replace(/\[\d+\]$/, '')
    .split('.')
    .at(-1) === field;
/** As it stands alone: portals and sites say what they say to programs too, without a capital and a full stop. */
export const sentence = (words: string): string => (words === '' ? '' : `${words[0]?.toUpperCase()}${words.slice(1)}${/[.!?]["”]?$/.test(words) ? '' : '.'}`);

/** Where changes of a site are told as they happen. */
export const streamOf = (path: string): EventSource => new EventSource(`${root}${path}`);
/** A path of the API with every part in its place. */
export const at = (parts: readonly string[], query: Readonly<Record<string, string | number | undefined>> = {}): string => {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&');
  return `/${parts.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`;
};
