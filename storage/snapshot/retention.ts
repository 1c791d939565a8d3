// temporary
export const keep = (taken: readonly { id: string; takenMs: number }[], _now: number): Set<string> => new Set(taken.slice(-1).map((t) => t.id));
