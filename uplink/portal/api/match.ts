// Which route a request is for.

import { notFound, Problem } from './problem.ts';
import type { Route } from './route.ts';

export interface Matched {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}
interface Pattern {
  readonly route: Route;
  readonly parts: readonly string[];
}

const isName = (part: string): boolean => part.startsWith('{');

/** `path` begins behind /api/v1. Throws the Problem of a path or a method that is not there. */
export function router(routes: readonly Route[]): (method: string, path: string) => Matched {
  // words before names: /sessions/others is not the session "others"
  const patterns: Pattern[] = routes
    .map((route) => ({ route, parts: route.path.slice(1).split('/') }))
    .sort((a, b) => a.parts.filter(isName).length - b.parts.filter(isName).length);
  return (method, path) => {
    const given = segmentsOf(path);
    const fitting = patterns.filter(({ parts }) => parts.length === given.length && parts.every((part, i) => isName(part) || part === given[i]));
    const found = fitting.find(({ route }) => route.method === method);
    if (found !== undefined)
      return {
        route: found.route,
        params: Object.fromEntries(found.parts.flatMap((part, i) => (isName(part) ? [[part.slice(1, -1), given[i] as string]] : []))),
      };
    if (fitting.length === 0) throw notFound();
    const allow = [...new Set(fitting.map(({ route }) => route.method))].join(', ');
    throw new Problem(405, 'method', 'Not possible here', `${method} is not possible here: ${allow} is.`, { headers: { Allow: allow } });
  };
}

function segmentsOf(path: string): string[] {
  try {
    const parts = path.slice(1).split('/').map(decodeURIComponent);
    if (parts.every((part) => part !== '' && part.length <= 400 && !/\p{Cc}/u.test(part))) return parts;
  } catch {
    // no UTF-8 behind a percent sign
  }
  throw notFound();
}
