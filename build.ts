// dist/mailsite: the whole program, its runtime and its native engines in one file. Nothing else is written. The program
// obeys no bunfig.toml, .env, tsconfig.json or package.json of the directory it is started in.

import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BunPlugin } from 'bun';
import { bundleUi } from './uplink/portal/bundle.ts';

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
const made = mkdtempSync(join(tmpdir(), 'mailsite-ui-'));
process.once('exit', () => rmSync(made, { recursive: true }));

/** The files of the web UI, in each of their codings, read only when a browser asks. */
const ui = (await bundleUi()).map((asset) => ({ ...asset, octets: Object.entries(asset.octets).map(([coding, octets]) => ({ coding, octets })) }));
const embedding = (): string => {
  const imports: string[] = [];
  const rows = ui.map(({ path, type, octets }) => {
    const getters = octets.map(({ coding, octets }) => {
      const name = `f${imports.length}`;
      const file = join(made, `${name}.bin`);
      writeFileSync(file, octets);
      imports.push(`import ${name} from ${JSON.stringify(file)} with { type: 'file' };`);
      return `get ${coding}() { return readFileSync(${name}); }`;
    });
    return `{ path: ${JSON.stringify(path)}, type: ${JSON.stringify(type)}, octets: { ${getters.join(', ')} } }`;
  });
  return `import { readFileSync } from 'node:fs';\n${imports.join('\n')}\nconst all = [${rows.join(',')}];\nexport const assets = async () => all;`;
};
const web: BunPlugin = {
  name: 'web',
  setup(build) {
    build.onLoad({ filter: /uplink.portal.assets\.ts$/ }, () => ({ loader: 'js', contents: embedding() }));
  },
};

const result = await Bun.build({
  entrypoints: ['mailsite.ts'],
  target: 'bun',
  format: 'esm',
  minify: true,
  bytecode: true,
  splitting: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  plugins: [native, web],
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
