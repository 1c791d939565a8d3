// The body of a request, up to a limit. Guarantees: no more than the limit is held in memory, whatever the sender says its
// length is, and whether it says it.

/** `most`: octets. null: there are more; the rest is not read. */
export async function bodyWithin(request: Request, most: number): Promise<Uint8Array<ArrayBuffer> | null> {
  if (Number(request.headers.get('content-length') ?? 0) > most) return null;
  const { body } = request;
  if (body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let octets = 0;
  for await (const chunk of body as ReadableStream<Uint8Array>) {
    octets += chunk.length;
    if (octets > most) return null; // leaving the loop gives the stream up
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, octets));
}
