// One spelling for a JSON value (RFC 8785), so that what is hashed or signed is the same octets everywhere.

/** Keys in the order of their UTF-16 units, nothing between; what JSON does not know is left out, as JSON.stringify does. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
