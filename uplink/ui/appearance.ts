// The choice between light and dark, as theme.ts reads it at the next visit.

import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';
const key = 'mailsite.theme';
const watchers = new Set<() => void>();

export const theme = (): Theme => (document.documentElement.dataset['theme'] as Theme | undefined) ?? 'system';
export function setTheme(next: Theme): void {
  if (next === 'system') {
    localStorage.removeItem(key);
    delete document.documentElement.dataset['theme'];
  } else {
    localStorage.setItem(key, next);
    document.documentElement.dataset['theme'] = next;
  }
  for (const run of watchers) run();
}
export const useTheme = (): Theme =>
  useSyncExternalStore((run) => {
    watchers.add(run);
    return () => watchers.delete(run);
  }, theme);
/** The other one than is seen now. */
export const flipTheme = (): void => setTheme(matchesDark() ? 'light' : 'dark');
const matchesDark = (): boolean => theme() === 'dark' || (theme() === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
