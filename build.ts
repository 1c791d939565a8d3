// dist/mailsite: the whole program, its runtime and its native engines in one file. Nothing else is written. The program
// obeys no bunfig.toml, .env, tsconfig.json or package.json of the directory it is started in.

import { mkdirSync, renameSync, statSync } from 'node:fs';
import type { BunPlugin } from 'bun';

const outfile = 'dist/mailsite';

/** What to embed for the package which asks for its native part. */
const lmdb = `@lmdb/lmdb-${process.platform}-${process.arch}/node.napi.glibc.node`;
const rocksdb = `@nxtedition/rocksdb/prebuilds/${process.platform}-${process.arch}/@nxtedition+rocksdb.node`;

/**
 * An engine looks for its native part along the file system, at run time. Here it is embedded, and unpacked where only we can
 * write and programs may run: the data directory, which every process of a site works in. Not /tmp: it may be mounted
 * noexec, and a name that others can guess there is theirs to take first.
 */
const unpacking = (file: string): string => `
  import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
  import { tmpdir } from 'node:os';
  import { join } from 'node:path';
  import embedded from ${JSON.stringify(Bun.resolveSync(file, import.meta.dir))} with { type: 'file' };
  const unpack = () => {
    const folder = mkdtempSync(join(existsSync('tmp') ? '/proc/self/cwd/tmp' : tmpdir(), 'native-'));
    const file = join(folder, 'engine.node');
    try {
      writeFileSync(file, readFileSync(embedded), { mode: 0o500 });
      const module = { exports: {} };
      process.dlopen(module, file);
      return module.exports;
    } finally {
      rmSync(folder, { recursive: true });
    }
  };`;

/** Gives the packages of the engines their native parts. */
const native: BunPlugin = {
  name: 'native',
  setup(build) {
    build.onResolve({ filter: /^node-gyp-build(-optional-packages)?$/ }, () => ({ path: 'native', namespace: 'native' }));
    build.onLoad({ filter: /.*/, namespace: 'native' }, () => ({ loader: 'js', contents: `${unpacking(lmdb)} export default unpack;` }));
    build.onLoad({ filter: /@nxtedition.rocksdb.binding\.js$/ }, () => ({ loader: 'js', contents: `${unpacking(rocksdb)} export default unpack();` }));
  },
};

mkdirSync('dist', { recursive: true });
const start = performance.now();
const result = await Bun.build({
  entrypoints: ['mailsite.ts'],
  target: 'bun',
  format: 'esm',
  minify: true,
  bytecode: true,
  splitting: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  plugins: [native],
  compile: {
    outfile: `${outfile}.new`,
    autoloadBunfig: false,
    autoloadDotenv: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
});
if (!result.success) {
  for (const message of result.logs) console.error(message);
  process.exit(1);
}
renameSync(`${outfile}.new`, outfile); // a running site keeps the old file
const megabytes = Math.round(statSync(outfile).size / 1e6);
console.log(`built ${outfile} (${megabytes} MB, ${((performance.now() - start) / 1000).toFixed(1)} s)`);
