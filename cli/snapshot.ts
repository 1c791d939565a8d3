// `mailsite snapshot …`: the verbs on snapshots, a row each. The place is --to for what writes it and --from for what reads
// it, and `portal` is the portal that the site has joined; without either it is the place of the site's document, else that.

import { type Arguments, type OptionName, options as optionRows } from './arguments.ts';
import { UsageError } from './output.ts';

interface SnapshotVerb {
  readonly about: string;
  readonly options: readonly OptionName[];
  readonly run: (given: Arguments) => Promise<number | undefined>;
}

const snapshotVerbs: Readonly<Record<string, SnapshotVerb>> = {
  create: {
    about: 'keep the site as it is now, while it serves; after the first, what changed',
    options: ['data', 'to', 'full', 'json'],
    run: async (given) => (await import('./snapshot/create.ts')).create(given),
  },
  list: {
    about: 'the snapshots of a place',
    options: ['from', 'data', 'json'],
    run: async (given) => (await import('./snapshot/look.ts')).list(given),
  },
  show: {
    about: 'what is in a snapshot: domains, accounts, counts, sizes, commit, time',
    options: ['from', 'data', 'at', 'key', 'json'],
    run: async (given) => (await import('./snapshot/look.ts')).show(given),
  },
  verify: {
    about: 'prove that a snapshot is good; --deep reads it, and with its key builds the site up, in clear, beside --data, else in TMPDIR',
    options: ['from', 'data', 'at', 'all', 'key', 'deep', 'json'],
    run: async (given) => (await import('./snapshot/verify.ts')).verify(given),
  },
  restore: {
    about: 'bring a site up in an empty data folder, or put mail of an account (--only) back into a live one',
    options: ['from', 'data', 'engine', 'at', 'key', 'deep', 'drill', 'only', 'folder', 'message', 'into', 'json'],
    run: async (given) => (await import('./snapshot/restore.ts')).restore(given),
  },
  export: {
    about: 'one snapshot as one self-contained tar file',
    options: ['from', 'data', 'at', 'to', 'json'],
    run: async (given) => (await import('./snapshot/keep.ts')).exportOne(given),
  },
  prune: {
    about: 'remove snapshots by age: all of 24 hours stay, hourly of 7 days, daily of 35 days, monthly of 12 months',
    options: ['from', 'data', 'dry-run', 'json'],
    run: async (given) => (await import('./snapshot/keep.ts')).pruneOld(given),
  },
  key: {
    about: 'print the recovery kit: without it nobody can open the snapshots when the site is gone',
    options: ['data', 'json'],
    run: async (given) => (await import('./snapshot/create.ts')).key(given),
  },
};

/** Options that one of the verbs takes. */
export const snapshotOptions: readonly OptionName[] = [...new Set(Object.values(snapshotVerbs).flatMap((row) => row.options))];

export async function snapshot(given: Arguments): Promise<number | undefined> {
  const name = given.operands[0] as string;
  const row = Object.hasOwn(snapshotVerbs, name) ? snapshotVerbs[name] : undefined;
  if (row === undefined) throw new UsageError(`snapshot has no verb ${JSON.stringify(name)}: it has ${Object.keys(snapshotVerbs).join(', ')}`);
  const strange = given.named.find((option) => !row.options.includes(option));
  if (strange !== undefined) throw new UsageError(`snapshot ${name} does not take --${strange}`);
  return row.run(given);
}

/** For `mailsite help snapshot`. */
export function snapshotUsage(): string {
  const wide = Math.max(...Object.keys(snapshotVerbs).map((name) => name.length));
  return Object.entries(snapshotVerbs)
    .map(([name, row]) => {
      const given = row.options.map((option) => `[--${option}${optionRows[option].value === null ? '' : ` ${optionRows[option].value}`}]`).join(' ');
      return `  ${name.padEnd(wide)}   ${row.about}\n  ${' '.repeat(wide)}   ${given}`;
    })
    .join('\n');
}
