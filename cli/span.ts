// Times as people write them on a command line.

import { UsageError } from './output.ts';

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `90s`, `15m`, `2h`, `3d`, `1w` in ms; undefined for anything else. */
function spanOf(text: string): number | undefined {
  const found = /^([0-9]{1,6})([smhdw])$/.exec(text);
  return found === null ? undefined : Number(found[1]) * (units[found[2] as string] as number);
}

/** How long ago, ms. Throws a UsageError that names the option. */
export function ageOf(option: string, text: string): number {
  const found = spanOf(text);
  if (found === undefined) throw new UsageError(`--${option} takes an age, such as 90m, 12h or 2d, not ${JSON.stringify(text)}`);
  return found;
}

/** A moment, ms since the epoch: an age before `now`, or a time (UTC where it names no zone). */
export function momentOf(option: string, text: string, now: number): number {
  const age = spanOf(text);
  if (age !== undefined) return now - age;
  const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  const at = iso === null ? Number.NaN : Date.parse(`${iso[1]}T${iso[2] ?? '00:00'}${iso[3] ?? 'Z'}`);
  if (Number.isNaN(at)) throw new UsageError(`--${option} takes an age (12h, 2d) or a time (2026-11-23, 2026-11-23T14:00Z), not ${JSON.stringify(text)}`);
  return at;
}
