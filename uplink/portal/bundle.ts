// The web UI as files for a browser: one small script first, the rest in pieces as they are needed, each under a name that
// holds its hash, compressed ahead of time. Guarantees: the page names only files of its own, and no script or style stands
// in it. build.ts embeds what this makes; a portal that runs from source makes it at its first request.

import { brotliCompressSync, gzipSync, constants as zlib, zstdCompressSync } from 'node:zlib';

export type Coding = 'identity' | 'br' | 'zstd' | 'gzip';
export interface Asset {
  /** From the root of the portal: `/ui/main-x1y2z3.js`; the page itself is `/`. */
  readonly path: string;
  readonly type: string;
  readonly octets: Readonly<Partial<Record<Coding, Uint8Array>>>;
}

const folder = '/ui/';
const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
};

/** Files that are served as they are, by the name that the style and the page know them under. */
const still = {
  'geist.woff2': import.meta.resolve('@fontsource-variable/geist/files/geist-latin-wght-normal.woff2'),
  'geist-mono.woff2': import.meta.resolve('@fontsource-variable/geist-mono/files/geist-mono-latin-wght-normal.woff2'),
  'mark.svg': import.meta.resolve('../ui/style/mark.svg'),
} as const;

/** Throws what the bundler says when the source is no program. */
export async function bundleUi(): Promise<Asset[]> {
  const kept = await Promise.all(Object.entries(still).map(async ([name, url]) => named(name, await Bun.file(file(url)).bytes())));
  const result = await Bun.build({
    entrypoints: [file(import.meta.resolve('../ui/main.tsx')), file(import.meta.resolve('../ui/theme.ts'))],
    target: 'browser',
    format: 'esm',
    minify: true,
    splitting: true,
    sourcemap: 'none',
    publicPath: folder,
    naming: { entry: '[name]-[hash].[ext]', chunk: 'part-[hash].[ext]', asset: '[name]-[hash].[ext]' },
    define: { 'process.env.NODE_ENV': '"production"' },
    plugins: [
      {
        name: 'still',
        setup: (build) => {
          build.onResolve({ filter: /^still:/ }, ({ path }) => ({
            path: `${folder}${kept.find(({ name }) => name === path.slice(6))?.hashed}`,
            external: true,
          }));
        },
      },
    ],
  });
  const built = await Promise.all(
    result.outputs.map(async (out) => ({ name: '', hashed: out.path.replace(/^.*\//, ''), octets: new Uint8Array(await out.arrayBuffer()) })),
  );
  const files = [...kept, ...built];
  const page = new TextEncoder().encode(html(files.map(({ hashed }) => hashed)));
  return [asset('/', 'html', page), ...files.map(({ hashed, octets }) => asset(`${folder}${hashed}`, hashed.replace(/^.*\./, ''), octets))];
}
const named = (name: string, octets: Uint8Array) => ({ name, hashed: name.replace('.', `-${Bun.hash(octets).toString(36).slice(0, 8)}.`), octets });

const file = (url: string): string => Bun.fileURLToPath(url);

function asset(path: string, extension: string, octets: Uint8Array): Asset {
  const type = types[extension] ?? 'application/octet-stream';
  if (extension === 'woff2') return { path, type, octets: { identity: octets } }; // it is brotli inside
  const br = brotliCompressSync(octets, { params: { [zlib.BROTLI_PARAM_QUALITY]: 11 } });
  const zstd = zstdCompressSync(octets, { params: { [zlib.ZSTD_c_compressionLevel]: 19 } });
  return { path, type, octets: { identity: octets, br, zstd, gzip: gzipSync(octets, { level: 9 }) } };
}

/** theme.js is small and runs before the first paint, so that nobody who chose the dark sees a white flash. */
function html(names: readonly string[]): string {
  const of = (start: string, end: string): string => names.find((name) => name.startsWith(start) && name.endsWith(end)) ?? '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" media="(prefers-color-scheme: light)" content="#fbfbfa">
<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#131417">
<title>mailsite</title>
<link rel="icon" type="image/svg+xml" href="${folder}${of('mark-', '.svg')}">
<link rel="preload" as="font" type="font/woff2" crossorigin href="${folder}${names[0]}">
<link rel="stylesheet" href="${folder}${of('main-', '.css')}">
<script src="${folder}${of('theme-', '.js')}"></script>
<script type="module" src="${folder}${of('main-', '.js')}"></script>
</head>
<body><div id="root"></div></body>
</html>
`;
}
