// Dates of mail: RFC 5322 §3.3 with the obsolete forms of §4.3, and what malformed senders write (asctime, missing
// seconds or weekdays, ISO 8601, full month names). Guarantees: never throws; looks at 200 characters at most.

export interface DateTime {
  /** Milliseconds since the epoch. */
  readonly ms: number;
  /** Minutes east of UTC that the sender's clock showed: ms + zone is the date as written (RFC 3501 SENTON). */
  readonly zoneMinutes: number;
}

const months = 'janfebmaraprmayjunjulaugsepoctnovdec';
/** RFC 5322 §4.3: the other letters and names mean an unknown zone, -0000. */
const zones: Readonly<Record<string, number>> = {
  edt: -240,
  est: -300,
  cdt: -300,
  cst: -360,
  mdt: -360,
  mst: -420,
  pdt: -420,
  pst: -480,
  cet: 60,
  cest: 120,
  bst: 60,
};

interface Clock {
  hour: number;
  minute: number;
  second: number;
}
interface Found {
  day: number | null;
  month: number | null;
  year: number | null;
  clock: Clock | null;
  zone: number | null;
}

/** Comments are nested and may be anywhere (RFC 5322 §3.2.2). */
function withoutComments(text: string): string {
  if (!text.includes('(')) return text;
  let out = '';
  let depth = 0;
  for (const c of text) {
    if (c === '(') depth++;
    else if (c === ')') depth = Math.max(0, depth - 1);
    else if (depth === 0) out += c;
  }
  return out;
}

function clockOf(token: string): Clock | null {
  const m = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,]\d+)?)?(am|pm)?$/i.exec(token);
  if (!m) return null;
  const half = m[4]?.toLowerCase();
  const hour = Number(m[1]);
  return { hour: half ? (hour % 12) + (half === 'pm' ? 12 : 0) : hour, minute: Number(m[2]), second: Number(m[3] ?? 0) };
}

function zoneOf(token: string): number | null {
  const m = /^(?:gmt|utc|ut)?([+-])(\d{1,2}):?(\d{2})?$/i.exec(token);
  if (m) return (m[1] === '-' ? -1 : 1) * (Number(m[2]) * 60 + Number(m[3] ?? 0));
  if (/^"?[a-z]{1,5}"?$/i.test(token)) return zones[token.replaceAll('"', '').toLowerCase()] ?? 0;
  return null;
}

const monthOf = (token: string): number | null => {
  const at = token.length >= 3 && /^[a-z]+\.?$/i.test(token) ? months.indexOf(token.slice(0, 3).toLowerCase()) : -1;
  return at >= 0 && at % 3 === 0 ? at / 3 : null;
};

/** RFC 5322 §4.3: two digits are 1950–2049, three count from 1900. */
const fullYear = (digits: string): number => {
  const year = Number(digits);
  if (digits.length >= 4) return year;
  return digits.length === 3 || year >= 50 ? 1900 + year : 2000 + year;
};

/** Takes one token for what it can be and is not known yet. */
function take(found: Found, token: string): void {
  const clock = found.clock === null ? clockOf(token) : null;
  if (clock) found.clock = clock;
  else if (found.month === null && monthOf(token) !== null) found.month = monthOf(token);
  else if (/^\d{1,4}$/.test(token)) {
    if (found.day === null && token.length <= 2) found.day = Number(token);
    else if (found.year === null) found.year = fullYear(token);
  } else if (found.clock !== null && found.zone === null) found.zone = zoneOf(token);
}

function iso(text: string): DateTime | null {
  const m = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(Z|[+-]\d{2}:?\d{2})?)?/.exec(text);
  if (!m) return null;
  const clock = clockOf(m[4] ?? '0:00');
  return build({ year: Number(m[1]), month: Number(m[2]) - 1, day: Number(m[3]), clock, zone: m[5] ? zoneOf(m[5]) : 0 });
}

function build(found: Found): DateTime | null {
  const { day, month, year } = found;
  if (day === null || month === null || year === null || day < 1 || day > 31 || month > 11) return null;
  const clock = found.clock ?? { hour: 0, minute: 0, second: 0 };
  if (clock.hour > 24 || clock.minute > 59 || clock.second > 60) return null;
  const zoneMinutes = found.zone !== null && Math.abs(found.zone) < 24 * 60 ? found.zone : 0;
  // Date.UTC takes years below 100 for those of the last century; mail has none of them.
  const ms = year < 100 ? Number.NaN : Date.UTC(year, month, day, clock.hour, clock.minute, clock.second) - zoneMinutes * 60_000;
  return Number.isSafeInteger(ms) ? { ms, zoneMinutes } : null;
}

/** A date-time, or null when no date can be made out. */
export function parseDateTime(text: string): DateTime | null {
  const plain = withoutComments(text.slice(0, 200)).trim();
  const standard = iso(plain);
  if (standard) return standard;
  const found: Found = { day: null, month: null, year: null, clock: null, zone: null };
  const joined = plain
    .replace(/(\d)\s*:\s*(?=\d)/g, '$1:')
    .replace(/(\d)\s+([ap]m)\b/i, '$1$2')
    .replace(/(\d{1,2})-([A-Za-z]{3,9})-(\d{2,4})/, '$1 $2 $3');
  for (const token of joined.split(/[\s,;]+/)) take(found, token);
  return build(found);
}

/** Milliseconds since the epoch, or null. */
export const parseDate = (text: string): number | null => parseDateTime(text)?.ms ?? null;
