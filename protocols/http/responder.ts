// A tiny HTTP/1.1 server for pages that a program on this machine reads (RFC 9112). Guarantees: GET and HEAD of a named
// page, one request a connection, and nothing else; a request has a size and a time, and more than that ends it; who asks
// by another name than loopback's gets nothing, so that no web page in a browser here reads on (DNS rebinding).

import { limits } from '../../actors/limits.ts';
import type { Connection, World } from '../../actors/world.ts';
import { LineReader } from '../reader.ts';

export interface Page {
  readonly status: 200 | 503;
  readonly type: string;
  readonly text: string;
}
/** A page by its path. */
export type Pages = Readonly<Record<string, () => Promise<Page>>>;

const reasons = {
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'URI Too Long',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
} as const;
type Status = keyof typeof reasons;

/** Answers the one request of a connection and ends it. */
export async function respond(world: World, connection: Connection, pages: Pages): Promise<void> {
  const reader = new LineReader(connection, world);
  const request = await receive(world, reader);
  if (request === null) return connection.destroy();
  if (typeof request === 'number') send(connection, request, 'text/plain', `${reasons[request]}\n`, true);
  else {
    const page = Object.hasOwn(pages, request.path) ? await pages[request.path]?.() : undefined;
    if (page === undefined) send(connection, 404, 'text/plain', `There are ${Object.keys(pages).join(' and ')}\n`, request.body);
    else send(connection, page.status, page.type, page.text, request.body);
  }
  connection.end();
  // until the peer has read it and closed, for a while: what it says meanwhile is nothing to us
  const until = world.monotonicMs() + limits.lingerMs;
  for (let left = limits.lingerMs; left > 0; left = until - world.monotonicMs()) {
    const more = await reader.chunk(limits.readChunk, left);
    if (more === null || more === 'timeout') break;
  }
  connection.destroy();
}

interface Request {
  readonly path: string;
  /** false: HEAD. */
  readonly body: boolean;
}

/** Null: there is nobody to answer. */
async function receive(world: World, reader: LineReader): Promise<Request | Status | null> {
  const until = world.monotonicMs() + limits.httpRequestMs;
  const lines: string[] = [];
  for (;;) {
    const line = await reader.line(limits.httpLine, Math.max(0, until - world.monotonicMs()));
    if (line.kind === 'end') return null;
    if (line.kind === 'timeout') return 408;
    if (line.kind === 'tooLong') return lines.length === 0 ? 414 : 431;
    const text = Buffer.from(line.bytes).toString('latin1');
    // RFC 9112 §2.2: an empty line before the request is passed over
    if (text === '' && lines.length > 0) return understand(lines);
    if (text !== '' && lines.push(text) > limits.httpFields) return 431;
  }
}

function understand([first = '', ...fields]: readonly string[]): Request | Status {
  const line = /^([A-Z]+) (\S+) HTTP\/1\.[0-9]$/.exec(first);
  if (line === null) return 400;
  const [, method, target = ''] = line;
  if (method !== 'GET' && method !== 'HEAD') return 405;
  const host = fields.map((field) => /^host:[ \t]*(\S*)[ \t]*$/i.exec(field)?.[1]).find((name) => name !== undefined);
  if (host !== undefined && !/^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?$/i.test(host)) return 403;
  return { path: target.split('?')[0] as string, body: method === 'GET' };
}

function send(connection: Connection, status: Status, type: string, text: string, body: boolean): void {
  const allow = status === 405 ? 'Allow: GET, HEAD\r\n' : '';
  const head = `HTTP/1.1 ${status} ${reasons[status]}\r\nContent-Type: ${type}; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
  connection.write(`${head}${allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body ? text : ''}`);
}
