// The words in which tree.ts at the root says the supervision tree.

/** What a crash means. There is no fourth answer, and none of them is "log it and go on". */
export type OnCrash = { readonly forget: true } | { readonly restart: number; readonly seconds: number } | { readonly exit: true };

export const forget: OnCrash = { forget: true };
export const exit: OnCrash = { exit: true };
/** At most `times` within `seconds`; beyond that the level above crashes. */
export const restart = (times: number, seconds: number): OnCrash => ({ restart: times, seconds });

/**
 * An actor inside a process. `port`: one session actor for each connection to it (plus the port offset). `loopback`: the same
 * on 127.0.0.1 only, opened by the process itself, which goes on without it.
 */
export interface ChildRow {
  readonly name: string;
  readonly actor: string;
  readonly max: number;
  readonly port?: number;
  readonly loopback?: number;
  readonly tls?: boolean;
  readonly onCrash: OnCrash;
}

/** A process of the executable. */
export interface ProcessRow {
  readonly role: 'store' | 'edge' | 'work' | 'control' | 'portal';
  /** 'cores': one for each core but one, which the store has (at least 1, at most 16). */
  readonly count: number | 'cores';
  readonly onCrash: OnCrash;
  readonly children: readonly ChildRow[];
}

export const showOnCrash = (c: OnCrash): string => ('forget' in c ? 'forget' : 'exit' in c ? 'exit' : `restart, at most ${c.restart} in ${c.seconds} s`);
