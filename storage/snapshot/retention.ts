// Which snapshots are kept: everything of the last day, then ever fewer, and always the newest. Pure. Guarantees: what is
// dropped now is kept at no later time by any other choice made here, so that pruning often and pruning rarely end alike.

export interface Taken {
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly takenMs: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Of each hour, day and month (UTC) the newest, as long as that whole hour, day or month is not past its time. */
export function keep(taken: readonly Taken[], nowMs: number): Set<string> {
  const newestFirst = [...taken].sort((a, b) => b.takenMs - a.takenMs || (a.id < b.id ? 1 : -1));
  const kept = new Set<string>();
  const seen = new Set<string>();
  const newestOf = (span: string, { id }: Taken): void => {
    if (!seen.has(span)) kept.add(id);
    seen.add(span);
  };
  const thisMonth = monthOf(nowMs);
  for (const snapshot of newestFirst) {
    const { id, takenMs } = snapshot;
    if (takenMs > nowMs - dayMs) kept.add(id); // also what the clock says is of tomorrow
    const hour = Math.floor(takenMs / hourMs);
    const day = Math.floor(takenMs / dayMs);
    const month = monthOf(takenMs);
    if (hour > Math.floor(nowMs / hourMs) - 7 * 24) newestOf(`hour ${hour}`, snapshot);
    if (day > Math.floor(nowMs / dayMs) - 35) newestOf(`day ${day}`, snapshot);
    if (month > thisMonth - 12) newestOf(`month ${month}`, snapshot);
  }
  const newest = newestFirst[0];
  if (newest) kept.add(newest.id);
  return kept;
}

/** Months since the year 0. */
function monthOf(ms: number): number {
  const date = new Date(ms);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}
