// How a load opens the library of its engine, where that is other than the program has it: loaded before the load, with what
// to change in MAILSITE_PLANT. A smaller write buffer, so that a short load flushes and merges (engines.ts); or a fault, to
// prove that the replay finds it. Nothing in the program knows of it.
//
//   {"noSync":true}             nothing that is committed is synced
//   {"overlappingSync":true}    of LMDB: a commit is answered before it is synced
//   anything else               an option of the library

import { join } from 'node:path';
import { plugin } from 'bun';

const { noSync, ...options } = JSON.parse(process.env['MAILSITE_PLANT'] ?? '{}') as { readonly noSync?: boolean };
const modules = join(import.meta.dirname, '../../../node_modules');

plugin({
  name: 'plant',
  setup(build) {
    build.module('lmdb', async () => {
      const real = (await import(join(modules, 'lmdb/node-index.js'))) as { open(options: object): unknown };
      const change = noSync === undefined ? options : { ...options, noSync };
      return { loader: 'object', exports: { ...real, open: (given: object) => real.open({ ...given, ...change }) } };
    });
    build.module('@nxtedition/rocksdb/binding.js', async () => {
      const { default: real } = await import(join(modules, '@nxtedition/rocksdb/binding.js'));
      const planted = {
        ...real,
        db_open: (database: object, given: object, done: unknown) => real.db_open(database, { ...given, ...options }, done),
        batch_write: (database: object, batch: object, given: object) => real.batch_write(database, batch, { ...given, ...(noSync ? { sync: false } : {}) }),
      };
      return { loader: 'object', exports: { default: planted } };
    });
  },
});
