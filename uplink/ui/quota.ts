// The limit of a mailbox as people type it. Guarantees: what is no limit is never taken for "no limit"; what is shown for a
// number of octets is read as the very same number.

const units: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
/** The same with a short name for people, largest first. */
const shown = ['TB', 'TiB', 'GB', 'GiB', 'MB', 'MiB', 'kB', 'KiB'] as const;

/** "5", "5 GB", "500 MB", "1.5 GiB" in octets; a bare number is in GB; empty: 0, no limit. Undefined: not understood, negative, or less than an octet. */
export function quotaOf(typed: string): number | undefined {
  const text = typed.trim();
  if (text === '') return 0;
  const found = /^([0-9]{1,16}(?:[.,][0-9]{1,12})?)\s*([kmgt]?i?b?)$/i.exec(text);
  const unit = (found?.[2] ?? '').toLowerCase();
  const factor = unit === '' ? 1e9 : (units[unit] ?? units[`${unit}b`]);
  if (found === null || factor === undefined) return undefined;
  const octets = Math.round(Number((found[1] as string).replace(',', '.')) * factor);
  return octets >= 1 && Number.isSafeInteger(octets) ? octets : undefined;
}

/** How `octets` are typed: in the largest unit in which at most three digits follow the point; empty: no limit. */
export function quotaText(octets: number): string {
  if (octets === 0) return '';
  for (const unit of shown) {
    const count = octets / (units[unit.toLowerCase()] as number);
    const text = `${Math.round(count * 1000) / 1000} ${unit}`;
    if (count >= 1 && quotaOf(text) === octets) return text;
  }
  return `${octets} B`;
}
