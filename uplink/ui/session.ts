// Who looks, in which organisation, at which site. Every screen behind the sign-in has these around it.

import { createContext, use, useCallback, useState } from 'react';
import { ask, at, type Trouble } from './api.ts';
import { track } from './change.ts';
import type { Edited, Membership, Session, Site } from './contract.ts';
import { type Right, may } from './rights.ts';
import { refresh } from './resource.ts';

interface Visitor {
  readonly session: Session;
  readonly member: Membership;
}
export const Visiting = createContext<Visitor | null>(null);
/** Throws outside of an organisation's screens: a defect. */
export function useVisitor(): Visitor {
  const found = use(Visiting);
  if (found === null) throw new Error('this screen belongs into an organisation');
  return found;
}
export const useMay = (): ((right: Right) => boolean) => {
  const { member } = useVisitor();
  return useCallback((right) => may(member, right), [member]);
};
export const orgPath = (org: string, ...parts: string[]): string => at(['organisations', org, ...parts]);
/** Where a screen of an organisation is. */
export const screenOf = (org: string, ...parts: string[]): string => at(['o', org, ...parts]);

/** The page for a machine that shows a code. */
export const devicePath = (known: { readonly code?: string; readonly organisation?: string | undefined; readonly site?: string | undefined }): string =>
  at(['device'], known);
/** For a machine that is to show one. */
export const joinCommand = (): string => `mailsite join ${location.origin}`;

interface Seen {
  readonly site: Site;
  /** Of the API: below this site. */
  readonly api: (...parts: string[]) => string;
  /** Of the UI: below this site. */
  readonly screen: (...parts: string[]) => string;
}
export const Siting = createContext<Seen | null>(null);
export function useSite(): Seen {
  const found = use(Siting);
  if (found === null) throw new Error('this screen belongs to a site');
  return found;
}

interface Working {
  readonly busy: boolean;
  readonly trouble: Trouble | undefined;
  readonly clear: () => void;
}
/** One thing at a time, and what became of it. */
export function useWork<G extends readonly unknown[]>(
  run: (...given: G) => Promise<Trouble | undefined>,
): Working & { readonly start: (...given: G) => Promise<boolean> } {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const start = async (...given: G): Promise<boolean> => {
    setBusy(true);
    const found = await run(...given);
    setBusy(false);
    setTrouble(found);
    return found === undefined;
  };
  return { busy, trouble, start, clear: () => setTrouble(undefined) };
}

/** A change of the site's document: sent, then followed until the site runs it. Resolves with what went wrong, or nothing. */
export function useEdit(): (asked: {
  readonly path: string;
  readonly method: string;
  readonly body?: unknown;
  readonly what: string;
  readonly ifMatch?: string | undefined;
}) => Promise<Trouble | undefined> {
  const { member } = useVisitor();
  const { site } = useSite();
  return async ({ path, what, ...asked }) => {
    const { value, trouble } = await ask<Edited>(path, asked);
    if (trouble?.status === 412) refresh(orgPath(member.id, 'sites', site.id)); // what was not changed by others stays as it was typed
    if (trouble !== undefined) return trouble;
    if (value !== undefined) track({ org: member.id, site: site.id, rev: value.wantedRev, what });
    refresh(orgPath(member.id, 'sites', site.id));
    return undefined;
  };
}
