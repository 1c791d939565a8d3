// What a portal can be made to reach. It is told addresses by people, sites and machines that nobody knows: claims, host names,
// relays, resolvers. Guarantees: it goes to none of them. Its own code opens no connection; the one place that it may be sent to is
// where its operator keeps snapshots, from its command line.

import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { program, root } from './source.ts';

const byPath = new Map(program.map((file) => [file.path, file]));
const portal = program.filter(({ path }) => path.startsWith('uplink/portal/') && path !== 'uplink/portal/bundle.ts'); // that runs where the program is built

/** What a file brings with it when it runs: types do not. */
const brings = ({ path, text }: { readonly path: string; readonly text: string }): string[] =>
  [...text.matchAll(/(?:^|\n)(?:import|export) (?!type )[^;]*?from '(\.[^']+)'|\bimport\('(\.[^']+)'\)/g)]
    .map((found) => relative(root, join(root, dirname(path), (found[1] ?? found[2]) as string)))
    .filter((to) => to !== 'uplink/portal/bundle.ts');

/** All that runs with the portal's code in it. */
function reached(): string[] {
  const seen = new Set<string>();
  const walk = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || seen.has(path)) return;
    seen.add(path);
    for (const to of brings(file)) walk(to);
  };
  for (const { path } of portal) walk(path);
  return [...seen].sort();
}
/** A call that opens a connection or sends a datagram, to wherever it is told. */
const dials =
  /(?<![.\w])fetch\((?!\s*request)|\b(?:world|Bun|net|tls|http|https)\.(?:connect|request|get)\(|\bnew (?:Bun\.)?(?:WebSocket|EventSource|S3Client)\b|\bcreateConnection\(|\bBun\.udpSocket\(/;
const dialling = /from '(?:node:)?(?:net|tls|http|https|http2|dgram|dns|dns\/promises)'/;

test('the code of a portal opens no connection, and asks no resolver', () => {
  expect(portal.length).toBeGreaterThan(40);
  expect(portal.filter(({ code, text }) => dials.test(code) || dialling.test(text)).map(({ path }) => path)).toEqual([]);
  expect(
    portal.flatMap(({ path, imports }) => imports.filter((to) => /^protocols\/(smtp|dns|outbound|tls)\//.test(to)).map((to) => `${path} → ${to}`)),
  ).toEqual([]);
});

test('what it builds on opens connections to where its operator keeps snapshots, and to nothing else', () => {
  const able = reached().filter((path) => dials.test(byPath.get(path)?.code ?? ''));
  expect(able).toEqual(['storage/snapshot/s3.ts']);
});

test('where snapshots are kept is said by the operator alone: the name of a site is all that is put behind it', () => {
  const opened = portal.flatMap(({ path, text }) => [...text.matchAll(/\bopenPlace\((?!.*Promise<)(.*)\)/g)].map((found) => `${path}: ${found[1]}`));
  expect(opened).toEqual([
    expect.stringMatching(/^uplink\/portal\/objects\.ts: `\$\{objects\.replace\([^)]*\)\}\/\$\{site\}`, \{ world, leaves: limits\.placeLeaves \}$/),
  ]);
});
