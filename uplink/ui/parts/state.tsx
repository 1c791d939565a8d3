// How things stand, in a word with a dot: the word says all, the colour says it again.

import { clockOrDay } from '../clock.ts';
import { text } from '../language.ts';
import type { ReactNode } from 'react';
import type { Site } from '../contract.ts';
import type { Tone } from './page.tsx';

export function State({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }): ReactNode {
  return (
    <span className={`state state-${tone}`}>
      <span className="dot" aria-hidden="true" />
      {children}
    </span>
  );
}
export function Badge({ tone = 'idle', children }: { readonly tone?: Tone; readonly children: ReactNode }): ReactNode {
  return <span className={`badge badge-${tone}`}>{children}</span>;
}
/** What a site asks of people: nothing, a look, or something now. */
export function toneOf(site: Site): Tone {
  if (site.state === 'waiting') return 'info';
  if (isBare(site)) return 'info';
  if (site.state === 'superseded' || site.state === 'decommissioned') return 'idle';
  if (site.state === 'quarantined' || site.status === 'rejected') return 'bad';
  if (site.state === 'offline' || site.because !== '' || !/^(All well|Taking over)/.test(site.word)) return 'warn'; // the portal's word decides
  return 'good';
}
/** Well, and with no mail of its own yet. */
export const isBare = (site: Site): boolean => site.state === 'online' && site.domains === 0 && site.because === '' && /^(All well|No domain)/.test(site.word);
/** The word of the portal; a moment in it in the time of who reads it. */
export const wordOf = (site: Site): string =>
  site.state === 'offline' && site.lockedSince !== null ? text.locked.word(clockOrDay(site.lockedSince)) : site.word;
