// Serves the web UI. Guarantees: the page is the same at every path, so that links into it work, and is asked for anew each
// time; files that it names never change and are kept by browsers for good; nothing runs or styles the page but files of this
// portal, nobody may frame it, and no address of a page leaves it. Who the visitor is plays no part here: all that is served is public.

import { assets } from './assets.ts';
import type { Asset, Coding } from './bundle.ts';

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const always = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy':
    'camera=(), microphone=(), geolocation=(), payment=(), usb=(), clipboard-read=(), clipboard-write=(self), publickey-credentials-get=(self), publickey-credentials-create=(self)',
};

let found: Promise<ReadonlyMap<string, Asset>> | null = null; // the same octets for everybody, as in the executable
const files = (): Promise<ReadonlyMap<string, Asset>> => (found ??= assets().then((all) => new Map(all.map((asset) => [asset.path, asset]))));

/** GET and HEAD of anything that is no other part of the portal's: a file of the UI, or its page. */
export async function serveUi(request: Request): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'The web UI is only read: use GET. The API is at /api/v1.');
  const { pathname } = new URL(request.url);
  const all = await files();
  const kept = pathname.startsWith('/ui/');
  const asset = all.get(kept ? pathname : '/');
  if (asset === undefined) return plain(404, 'There is no such file: a newer version of this portal may be running. Load the page again.');
  const coding = choose(asset, request.headers.get('accept-encoding') ?? '');
  const octets = asset.octets[coding] as Uint8Array<ArrayBuffer>;
  const headers = {
    ...always,
    'content-type': asset.type,
    'content-length': String(octets.byteLength),
    'cache-control': kept ? 'public, max-age=31536000, immutable' : 'no-cache',
    vary: 'accept-encoding',
    ...(coding === 'identity' ? {} : { 'content-encoding': coding }),
  };
  return new Response(request.method === 'HEAD' ? null : octets, { headers });
}

const plain = (status: number, words: string): Response =>
  new Response(`${words}\n`, { status, headers: { ...always, 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' } });

/** The smallest form that the client takes (RFC 9110 §12.5.3). */
function choose(asset: Asset, accepted: string): Coding {
  const taken = new Map(
    accepted.split(',').map((part) => {
      const [name = '', ...parameters] = part.trim().toLowerCase().split(';');
      return [name.trim(), !parameters.some((p) => /^\s*q=0(\.0*)?\s*$/.test(p))] as const;
    }),
  );
  return (['br', 'zstd', 'gzip'] as const).find((coding) => asset.octets[coding] !== undefined && taken.get(coding) === true) ?? 'identity';
}
