// What the screens know of the portal: answers by their path, shared by all who show them. Guarantees: an old answer is shown
// while a new one comes; a change that is told by the stream, or made here, asks again for what it touches and nobody shows
// any more is forgotten; two who ask at once cost one request.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { ask, type Outcome, streamOf, type Trouble } from './api.ts';
import type { List } from './contract.ts';
import { after } from './clock.ts';

interface Entry {
  state: Known<unknown>;
  busy: boolean;
  again: boolean;
  readonly watchers: Set<() => void>;
}
export interface Known<T> {
  readonly value: T | undefined;
  readonly trouble: Trouble | undefined;
  readonly loading: boolean;
  readonly etag: string | undefined;
}
const nothing: Known<never> = { value: undefined, trouble: undefined, loading: true, etag: undefined };
const entries = new Map<string, Entry>();

const entryOf = (path: string): Entry => {
  const found = entries.get(path);
  if (found !== undefined) return found;
  const made: Entry = { state: nothing, busy: false, again: false, watchers: new Set() };
  entries.set(path, made);
  return made;
};
const set = (entry: Entry, state: Known<unknown>): void => {
  entry.state = state;
  for (const run of entry.watchers) run();
};

async function load(path: string): Promise<void> {
  const entry = entryOf(path);
  if (entry.busy) {
    entry.again = true;
    return;
  }
  entry.busy = true;
  const { value, trouble, etag }: Outcome<unknown> = await fetched(path);
  entry.busy = false;
  set(entry, {
    value: trouble === undefined ? value : entry.state.value,
    trouble,
    loading: false,
    etag: trouble === undefined ? (etag ?? undefined) : entry.state.etag,
  });
  if (!entry.again) return;
  entry.again = false;
  await load(path);
}

/** `PATH#3`: the first three pages of a list, as one. */
async function fetched(key: string): Promise<Outcome<unknown>> {
  const [path = '', pages] = key.split('#');
  if (pages === undefined) return ask(path);
  const items: unknown[] = [];
  let next: string | null | undefined;
  for (let page = 0; page < Number(pages); page++) {
    const mark = next == null ? '' : `&after=${encodeURIComponent(next)}`;
    const { value, trouble } = await ask<List<unknown>>(`${path}${path.includes('?') ? '&' : '?'}limit=${PAGE}${mark}`);
    if (value === undefined) return { ...(trouble && { trouble }) };
    items.push(...value.items);
    next = value.next;
    if (next == null) break;
  }
  return { value: { items, next: next ?? null } };
}
const PAGE = 200; // as many as the portal gives at once

/** A list by its pages. `more`: asks for one page more; undefined: there is none. */
export function useList<T>(path: string | null): Known<List<T>> & { readonly reload: () => void; readonly more: (() => void) | undefined } {
  const [pages, setPages] = useState(1);
  const found = useResource<List<T>>(path === null ? null : `${path}#${pages}`);
  const last = useRef<List<T>>(undefined); // is shown until the longer one, or the one that was narrowed, is here
  if (found.value !== undefined) last.current = found.value;
  const value = found.value ?? last.current;
  return { ...found, value, more: value?.next == null ? undefined : () => setPages(pages + 1) };
}

/** What GET of `path` answers; null: ask nothing. */
export function useResource<T>(path: string | null): Known<T> & { readonly reload: () => void } {
  const subscribe = useCallback(
    (run: () => void) => {
      if (path === null) return () => {};
      const entry = entryOf(path);
      entry.watchers.add(run);
      return () => {
        entry.watchers.delete(run);
        after(60_000, () => entry.watchers.size === 0 && entries.get(path) === entry && entries.delete(path));
      };
    },
    [path],
  );
  const state = useSyncExternalStore(subscribe, () => (path === null ? nothing : entryOf(path).state)) as Known<T>;
  useEffect(() => {
    if (path !== null) void load(path);
  }, [path]);
  const reload = useCallback(() => {
    if (path !== null) void load(path);
  }, [path]);
  return { ...state, reload };
}

/** Asks again for everything below `prefix` that somebody shows, but for what matches `except`. */
export function refresh(prefix: string, except?: RegExp): void {
  for (const [path, entry] of entries) {
    if (!path.startsWith(prefix) || except?.test(path)) continue;
    if (entry.watchers.size > 0) void load(path);
    else entries.delete(path);
  }
}
/** Of another person: nothing is known any more. */
export const forgetAll = (): void => entries.clear();

/** Shows a new value at once, where it is known what the portal will say. */
export function place<T>(path: string, change: (was: T) => T): void {
  const entry = entries.get(path);
  if (entry?.state.value !== undefined) set(entry, { ...entry.state, value: change(entry.state.value as T) });
}

/** Follows a stream of changes while it is shown; a lost one is made anew by the browser. */
export function useStream(path: string | null, told: () => void): void {
  useEffect(() => {
    if (path === null) return;
    const source = streamOf(path);
    let forget: (() => void) | null = null;
    const soon = (): void => {
      forget?.();
      forget = after(80, told); // several rows of one change are one look
    };
    for (const name of ['message', 'site', 'command', 'event', 'removed', 'document', 'snapshots']) source.addEventListener(name, soon);
    return () => {
      source.close();
      forget?.();
    };
  }, [path, told]);
}
