// A fault planted into the load, to prove that the replay finds it: loaded before it, with what to change of how LMDB is
// opened in MAILSITE_PLANT (`{"noSync":true}`: nothing is ever synced; `{"overlappingSync":true}`: a commit is answered before
// it is). Nothing in the program knows of it.

import { join } from 'node:path';
import { plugin } from 'bun';

const change = JSON.parse(process.env['MAILSITE_PLANT'] ?? '{}') as object;
const library = join(import.meta.dirname, '../../../node_modules/lmdb/node-index.js');

plugin({
  name: 'plant',
  setup(build) {
    build.module('lmdb', async () => {
      const real = (await import(library)) as { open(options: object): unknown };
      return { loader: 'object', exports: { ...real, open: (options: object) => real.open({ ...options, ...change }) } };
    });
  },
});
