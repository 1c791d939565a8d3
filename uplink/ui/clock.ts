// The one place where the web UI takes time from its browser, and says it to people. Guarantees: times are said in the
// visitor's own time zone and in the language of the catalogue; spans are short: "4 min", "3 h", "12 d".

import { text } from './language.ts';

export const now = (): number => Date.now();
/** Calls once after `ms`; returns how to forget it. */
export function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
/** Calls each `ms`; returns how to end it. */
export function every(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms);
  return () => clearInterval(timer);
}

const locale = text.locale;
const clockForm = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const dayForm = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const yearForm = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' });
const fullForm = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'medium', hourCycle: 'h23' });
const dayName = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });

const sameDay = (a: number, b: number): boolean => new Date(a).toDateString() === new Date(b).toDateString();

/** `14:02` today, else `3 Nov 14:02`, with the year when it is another. */
export function moment(at: number): string {
  if (sameDay(at, now())) return clockForm.format(at);
  return `${new Date(at).getFullYear() === new Date(now()).getFullYear() ? dayForm.format(at) : yearForm.format(at)} ${clockForm.format(at)}`;
}
export const clockOf = (at: number): string => clockForm.format(at);
/** `14:02` of the last hours, else `3 Nov, 14:02`. */
export const clockOrDay = (at: number): string => (now() - at < 20 * 3_600_000 ? clockOf(at) : text.time.onDay(dayForm.format(at), clockOf(at)));
export const dayOf = (at: number): string => yearForm.format(at);
export const weekdayOf = (at: number): string =>
  sameDay(at, now()) ? text.time.today : sameDay(at, now() - 86_400_000) ? text.time.yesterday : dayName.format(at);
export const fullMoment = (at: number): string => fullForm.format(at);

/** How long: at most one unit. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return text.time.seconds(s);
  if (s < 3600) return text.time.minutes(Math.round(s / 60));
  if (s < 86_400 * 2) return text.time.hours(Math.round(s / 3600));
  return text.time.days(Math.round(s / 86_400));
}
export const ago = (at: number): string => (now() - at < 5_000 ? text.time.justNow : text.time.ago(span(now() - at)));
/** Of something to come. */
export const ahead = (at: number): string => (at <= now() ? text.time.due : text.time.ahead(span(at - now())));

const counts = new Intl.NumberFormat(locale);
export const count = (n: number): string => counts.format(n);

/** 1 kB is 1,000 octets; two digits that count: `4.2 GB`. */
export function size(octets: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
  let value = octets;
  let unit = 0;
  if (octets < 1000) return `${octets} B`;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  const maximumFractionDigits = value >= 9.95 ? 0 : 1;
  const said = new Intl.NumberFormat(locale, {
    style: 'unit',
    unit: units[unit] as string,
    unitDisplay: 'short',
    maximumFractionDigits,
  }).format(value);
  return said.replace(' ', '\u00a0'); // a number keeps its unit
}
