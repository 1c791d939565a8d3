// What tells one event from another of the same number: copies of a site count on from the same one.

/** SHA-256 over its time, name and body, in hexadecimal. */
export const eventMark = ({ at, name, body }: { readonly at: number; readonly name: string; readonly body: string }): string =>
  new Bun.CryptoHasher('sha256').update(JSON.stringify([at, name, body])).digest('hex');
