// A bucket for tests: as much of the S3 REST API as a place uses, path style, over loopback, objects in a map. Each
// request may be made to fail in a way that networks and providers do.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An S3 error code with its status, or what happens to the connection. */
export type Fault = readonly [status: number, code: string] | 'drop' | 'drop after' | 'cut' | 'not xml';

export interface Bucket {
  readonly endpoint: string;
  readonly objects: Map<string, Uint8Array>;
  /** `PUT prefix/name`, in order of arrival. */
  readonly requests: string[];
  /** Asked for each request; null: no fault. */
  fault: (method: string, key: string) => Fault | null;
  /** Does a list say when an object was put? */
  dated: boolean;
  end(): void;
}

export const keys = { accessKeyId: 'AKTEST', secretAccessKey: 'secret' };

/** `pageSize`: the most that one list answers. */
export async function openTestBucket(name: string, pageSize = 1_000): Promise<Bucket> {
  const objects = new Map<string, Uint8Array>();
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const [, bucket, ...rest] = decodeURIComponent(url.pathname).split('/');
    const key = rest.join('/');
    const method = request.method ?? '';
    requests.push(`${method} ${key}`);
    const body = await bodyOf(request);
    if (body === null) return;
    const fault = self.fault(method, key);
    if (fault === 'drop') return void request.socket.destroy();
    if (fault === 'not xml') return void response.writeHead(502).end('<html>Bad Gateway</html>');
    if (Array.isArray(fault)) return sendError(response, fault[0], fault[1]);
    if (!request.headers.authorization?.includes(`Credential=${keys.accessKeyId}/`)) return sendError(response, 403, 'InvalidAccessKeyId');
    if (bucket !== name) return sendError(response, 404, 'NoSuchBucket');
    if (method === 'PUT') objects.set(key, body);
    if (method === 'DELETE') objects.delete(key);
    if (fault === 'drop after') return void request.socket.destroy();
    if (method === 'PUT') response.writeHead(200, { ETag: '"0"' }).end();
    else if (method === 'DELETE') response.writeHead(204).end();
    else if (key === '') response.writeHead(200, { 'Content-Type': 'application/xml' }).end(listing(name, objects, url.searchParams, pageSize, self.dated));
    else sendObject(response, objects.get(key), fault === 'cut');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const self: Bucket = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    requests,
    fault: () => null,
    dated: true,
    end() {
      server.closeAllConnections();
      server.close();
    },
  };
  return self;
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array | null> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of request) pieces.push(piece as Buffer);
  } catch {
    return null; // the client went away
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function sendError(response: ServerResponse, status: number, code: string): void {
  const body = response.req.method === 'HEAD' ? '' : `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  response.writeHead(status, { 'Content-Type': 'application/xml' }).end(body);
}

function sendObject(response: ServerResponse, octets: Uint8Array | undefined, cut: boolean): void {
  if (octets === undefined) {
    sendError(response, 404, 'NoSuchKey');
    return;
  }
  response.writeHead(200, { 'Content-Length': octets.length, ETag: '"0"', 'Last-Modified': new Date(0).toUTCString() });
  if (response.req.method === 'HEAD') response.end();
  else if (cut) response.write(octets.subarray(0, octets.length >>> 1), () => response.socket?.destroy());
  else response.end(octets);
}

function listing(name: string, objects: ReadonlyMap<string, Uint8Array>, query: URLSearchParams, pageSize: number, dated: boolean): string {
  const prefix = query.get('prefix') ?? '';
  const after = query.get('start-after') ?? '';
  const found = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = found.slice(0, Math.min(Number(query.get('max-keys') ?? 1_000), pageSize));
  const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const rows = page.map(
    (key) =>
      `<Contents><Key>${escaped(key)}</Key>${dated ? `<LastModified>${new Date().toISOString()}</LastModified>` : ''}<ETag>"0"</ETag><Size>${objects.get(key)?.length}</Size></Contents>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${name}</Name><Prefix>${escaped(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>${page.length < found.length}</IsTruncated>${rows.join('')}</ListBucketResult>`;
}
