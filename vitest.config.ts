import { defineConfig } from 'vitest/config';

// `unit` is `npm test`; `long` needs root, Debian packages or a container (tests/long.sh). Threads: forks do not run on Bun.
export default defineConfig({
  test: {
    pool: 'threads',
    testTimeout: 20_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['tests/{unit,contract,fuzz,sim,law,golden,dialogs}/**/*.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'long',
          include: ['tests/{clients,crash,container,hostile}/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
