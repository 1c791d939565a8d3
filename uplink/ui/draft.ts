// What somebody types into a form over what the portal keeps. Guarantees: what was typed stays until it is saved or given up,
// whatever others do meanwhile; what was not typed shows what is kept now; nothing that another hand changed in the same field
// is overwritten before one has seen it and chosen.

import { useEffect, useState } from 'react';
import { ask, type Trouble } from './api.ts';
import type { Known } from './resource.ts';

/** An answer of the portal, and the rev it was read of. */
interface Seen<R> {
  readonly answer: R;
  readonly etag: string | undefined;
}
interface Clash<R, T> {
  readonly fields: readonly (keyof T & string)[];
  readonly before: T;
  readonly after: T;
  readonly seen: Seen<R>;
  readonly by: readonly string[];
}
/** A field that two hands changed. */
export interface Contested {
  readonly field: string;
  readonly was: unknown;
  readonly now: unknown;
  readonly yours: unknown;
}
export interface Conflict {
  /** Who changed it; empty: nobody knows. */
  readonly by: readonly string[];
  readonly fields: readonly Contested[];
  /** Gives up what was typed into these fields. */
  readonly theirs: () => void;
}
interface Draft<R, T> {
  /** What the form shows. */
  readonly value: T;
  /** The fields that were typed. */
  readonly typed: Partial<T>;
  readonly type: (part: Partial<T>) => void;
  readonly conflict: Conflict | null;
  /** `send` gets what the portal keeps and has to say its etag in If-Match. After a conflict that was shown: what was typed takes its place. */
  readonly save: (send: (seen: Seen<R>) => Promise<Trouble | undefined>) => Promise<Trouble | undefined>;
}

const alike = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * The fields in which `before` became `after` while something else was typed there.
 */
function contested<T extends object>(before: T, after: T, typed: Partial<T>): (keyof T & string)[] {
  return (Object.keys(typed) as (keyof T & string)[]).filter((name) => !alike(before[name], after[name]) && !alike(typed[name], after[name]));
}

/** `read` takes from the answer at `path` what the form shows; `about`: where that is in the document, as changes name it. */
export function useDraft<R, T extends object>(
  { path, about, read }: { readonly path: string; readonly about: string; readonly read: (answer: R) => T },
  known: { readonly value: R } & Pick<Known<R>, 'etag'>,
): Draft<R, T> {
  const [typed, setTyped] = useState<Partial<T>>({});
  const [seen, setSeen] = useState<Seen<R> | null>(null); // when the first letter was typed
  const [clash, setClash] = useState<Clash<R, T> | null>(null);
  const [saved, setSaved] = useState(false);
  const current: Seen<R> = { answer: known.value, etag: known.etag };
  const give = (): void => {
    setTyped({});
    setSeen(null);
    setClash(null);
    setSaved(false);
  };
  // what was saved is shown until it comes back as what is kept
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new answer is what this waits for
  useEffect(() => {
    if (saved) give();
  }, [known.value]);
  const type = (part: Partial<T>): void => {
    if (seen === null || saved) setSeen(current);
    setSaved(false);
    setTyped({ ...typed, ...part });
  };
  const save: Draft<R, T>['save'] = async (send) => {
    let from = clash?.seen ?? seen ?? current;
    for (let turn = 0; ; turn++) {
      const trouble = await send(from);
      if (trouble === undefined) {
        setSaved(true);
        setClash(null);
        return undefined;
      }
      if (trouble.status !== 412 || turn === MOST_TURNS) return trouble;
      const fresh = await ask<R>(path);
      if (fresh.value === undefined) return fresh.trouble ?? trouble;
      const next = { answer: fresh.value, etag: fresh.etag ?? undefined };
      const [before, after] = [read(from.answer), read(next.answer)];
      const fields = contested(before, after, typed);
      setSeen(next);
      if (fields.length > 0) {
        const rows = (trouble.problem?.changed ?? []).filter((row) => row.path.startsWith(about) || about.startsWith(`${row.path}/`));
        setClash({ fields, before, after, seen: next, by: [...new Set(rows.map(({ by }) => by))].filter((by) => by !== '') });
        return trouble;
      }
      from = next; // it was another place
    }
  };
  const conflict = clash && {
    by: clash.by,
    fields: clash.fields.map((field) => ({ field, was: clash.before[field], now: clash.after[field], yours: typed[field] })),
    theirs: () => {
      const left = Object.fromEntries(Object.entries(typed).filter(([name]) => !(clash.fields as readonly string[]).includes(name))) as Partial<T>;
      setTyped(left);
      setSeen(Object.keys(left).length === 0 ? null : clash.seen);
      setClash(null);
    },
  };
  return { value: { ...read(known.value), ...typed }, typed, type, conflict, save };
}
const MOST_TURNS = 4;
