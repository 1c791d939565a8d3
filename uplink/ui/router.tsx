// Which screen an address shows. Guarantees: every screen has an address of its own that can be kept and sent; back and
// forward work; a move puts the focus and the reading position at the start of the new screen; keys that ask for a new tab get one.

import { createContext, type MouseEvent, type ReactNode, use, useEffect, useMemo, useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
const tell = (): void => {
  for (const listener of listeners) listener();
};
addEventListener('popstate', tell);

export interface Where {
  readonly path: string;
  readonly search: URLSearchParams;
}
/** Goes to an address of this UI; `replace`: the present one is not worth coming back to. */
export function go(to: string, replace = false): void {
  const move = (): void => {
    history[replace ? 'replaceState' : 'pushState'](null, '', to);
    tell();
  };
  move();
  if (!replace) scrollTo(0, 0);
}

const subscribe = (run: () => void): (() => void) => {
  listeners.add(run);
  return () => listeners.delete(run);
};
export function useWhere(): Where {
  const href = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  return useMemo(() => {
    const url = new URL(href, location.origin);
    return { path: url.pathname, search: url.searchParams };
  }, [href]);
}

/** What stands in the variable parts of the address: `:site`. */
export type Params = Readonly<Record<string, string>>;
const Given = createContext<Params>({});
/** One that the pattern of this screen has. */
export const useParam = (name: string): string => use(Given)[name] ?? '';

export interface Route {
  /** `/o/:org/sites/:site`; a `*` at the end takes the rest. */
  readonly pattern: string;
  readonly screen: () => ReactNode;
}
export function match(pattern: string, path: string): Params | null {
  const want = pattern.split('/').filter((part) => part !== '');
  const have = path.split('/').filter((part) => part !== '');
  const params: Record<string, string> = {};
  for (const [i, part] of want.entries()) {
    if (part === '*') return params;
    const found = have[i];
    if (found === undefined) return null;
    if (part.startsWith(':')) params[part.slice(1)] = decode(found);
    else if (part !== found) return null;
  }
  return want.length === have.length ? params : null;
}
const decode = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** Shows the first route that fits. */
export function Routes({ routes, otherwise }: { readonly routes: readonly Route[]; readonly otherwise: ReactNode }): ReactNode {
  const { path } = useWhere();
  for (const route of routes) {
    const params = match(route.pattern, path);
    if (params !== null) return <Fitting key={route.pattern + Object.values(params).join('/')} route={route} params={params} />;
  }
  return otherwise;
}
function Fitting({ route, params }: { readonly route: Route; readonly params: Params }): ReactNode {
  const outer = use(Given);
  const all = useMemo(() => ({ ...outer, ...params }), [outer, params]);
  return <Given value={all}>{route.screen()}</Given>;
}

interface LinkProps {
  readonly to: string;
  readonly children: ReactNode;
  readonly className?: string | undefined;
  readonly current?: boolean | undefined;
  readonly label?: string | undefined;
  readonly onFollow?: (() => void) | undefined;
}
/** An anchor: everything a browser does with one works. */
export function Link({ to, children, className, current, label, onFollow }: LinkProps): ReactNode {
  const follow = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onFollow?.();
    go(to);
  };
  return (
    <a href={to} className={className} aria-current={current ? 'page' : undefined} aria-label={label} onClick={follow}>
      {children}
    </a>
  );
}

export function Redirect({ to }: { readonly to: string }): ReactNode {
  useEffect(() => go(to, true), [to]);
  return null;
}
/** Says where one is: in the title of the window. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === 'mailsite' ? 'mailsite' : `${title} · mailsite`;
  }, [title]);
}
