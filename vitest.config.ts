// Tests by what they need. `unit` and `sim` are `npm test` (tests/short.sh): this checkout and the executable it builds. `long` is
// tests/long.sh: root, Debian packages, containers, time.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'threads', // forks do not run on Bun
    reporters: [['default', { summary: false }]], // a line a file
    silent: 'passed-only',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['tests/{unit,contract,fuzz,law,golden,dialogs,upgrade}/**/*.test.ts'] } },
      { extends: true, test: { name: 'sim', include: ['tests/sim/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'long',
          include: ['tests/{clients,crash,container,hostile,ui}/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
