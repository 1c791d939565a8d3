// argv → verb. One row a verb; a verb imports what it needs when it runs, so that every start is fast.
// Exit codes: 0 done, 1 failed, 2 usage. An error is one line on stderr: what, why, what to do.

import { type Arguments, type OptionName, parseArguments } from './cli/arguments.ts';
import { complain, Failure, print, UsageError } from './cli/output.ts';
import { queueOptions, queueOwn, queueUsage } from './cli/queueverbs.ts';
import { snapshotOptions, snapshotUsage } from './cli/snapshot.ts';
import { type UsageRow, usage, usageOf } from './cli/usage.ts';

interface Verb extends UsageRow {
  /** How many words stand after the verb. */
  readonly arity: readonly [least: number, most: number];
  /** Resolves with the exit code (nothing: 0), or never, where the process lives on. */
  readonly run: (given: Arguments) => Promise<number | undefined>;
}

const verb = (operands: string, options: readonly OptionName[], about: string, run: (given: Arguments) => Promise<unknown>): Verb => ({
  operands,
  options,
  about,
  arity: [operands.split(' ').filter((word) => /^[A-Z]/.test(word)).length, operands === '' ? 0 : operands.split(' ').length],
  run: async (given) => {
    const code = await run(given);
    return typeof code === 'number' ? code : 0;
  },
});

const forever = (): Promise<never> => new Promise(() => {});

const verbs: Readonly<Record<string, Verb>> = {
  run: verb('', ['data', 'listen', 'port-offset', 'engine'], 'run the site; what systemd starts', async (given) => {
    const [{ runSite }, { dataDirectory }] = await Promise.all([import('./cli/run.ts'), import('./cli/place.ts')]);
    await runSite({
      data: dataDirectory(given.data),
      listen: given.listen,
      portOffset: given.portOffset ?? 0,
      demo: false,
      output: 'inherit',
      engine: given.engine,
    });
    return forever();
  }),
  portal: {
    ...verb(
      '[link] [address]',
      ['data', 'listen', 'url', 'objects', 'engine', 'demo', 'json'],
      'run a portal: what configures sites and keeps their snapshots; link: a way in for an owner who is locked out',
      async (given) => (await import('./cli/portal.ts')).portal(given),
    ),
    own: {
      data: { value: 'DIR', about: 'where the portal keeps everything' },
      listen: { value: 'ADDR[:PORT]', about: 'where it serves HTTP; 127.0.0.1:8025 without it' },
      engine: { value: 'lmdb|lsm', about: 'the storage engine of a new portal' },
      demo: { value: null, about: 'it ends with the process that started it' },
    },
  },
  join: verb('CLAIM', ['data', 'engine', 'key', 'json'], 'become a site of a portal: its configuration comes from there from then on', async (given) =>
    (await import('./cli/join.ts')).join(given),
  ),
  rehome: verb('CLAIM', ['data', 'key', 'json'], 'adopt another portal, with the recovery kit of this site: the one it has is gone', async (given) =>
    (await import('./cli/join.ts')).rehome(given),
  ),
  demo: verb('', ['data', 'listen', 'port-offset'], 'a site with two accounts and some mail on high ports, to look around', async (given) =>
    (await import('./cli/demo.ts')).demo(given),
  ),
  apply: verb('FILE', ['data', 'engine', 'key', 'json'], 'make a document the configuration in force (- reads stdin)', async (given) =>
    (await import('./cli/apply.ts')).apply(given),
  ),
  status: verb('', ['data', 'space', 'json'], 'the site at a glance: mail, queue, processes; or where its octets are', async (given) =>
    given.space ? (await import('./cli/space.ts')).space(given) : (await import('./cli/status.ts')).status(given),
  ),
  check: verb('', ['data', 'deep', 'json'], 'prove that the data is whole; says every problem', async (given) => (await import('./cli/check.ts')).check(given)),
  snapshot: {
    ...verb('VERB', snapshotOptions, 'create, list, show, verify, restore, export, prune: see mailsite help snapshot', async (given) =>
      (await import('./cli/snapshot.ts')).snapshot(given),
    ),
    more: snapshotUsage,
  },
  dns: verb(
    'VERB',
    ['data', 'domain', 'address', 'json'],
    'records: what to publish in DNS, as zone-file text; check: whether it is published',
    async (given) => (await import('./cli/dns.ts')).dns(given),
  ),
  trace: verb(
    'ADDRESS|MESSAGE-ID',
    ['data', 'since', 'limit', 'json'],
    'what happened to a message: whence it came, what was decided, where it went',
    async (given) => (await import('./cli/trace.ts')).trace(given),
  ),
  queue: {
    ...verb('VERB [ID]', queueOptions, 'list, show, hold, release, retry, delete: see mailsite help queue', async (given) =>
      (await import('./cli/queue.ts')).queue(given),
    ),
    own: queueOwn,
    more: queueUsage,
  },
  compact: verb('', ['data', 'json'], 'give the room of deleted mail back to the disk, while the site runs', async (given) =>
    (await import('./cli/compact.ts')).compact(given),
  ),
  tree: verb('', ['json'], 'the supervision tree', async (given) => (await import('./cli/show.ts')).tree(given)),
  wire: verb('', ['json'], 'the messages between processes', async (given) => (await import('./cli/show.ts')).wire(given)),
  schema: verb('', ['document', 'json'], 'the tables, or the JSON Schema of the document', async (given) => (await import('./cli/show.ts')).schema(given)),
  install: verb('', ['bin', 'print', 'json'], 'install as a systemd service and start it', async (given) => (await import('./cli/install.ts')).install(given)),
  uninstall: verb('', ['bin', 'json'], 'remove the service; the data stays', async (given) => (await import('./cli/install.ts')).uninstall(given)),
  version: verb('', ['json'], 'which program this is', async (given) => (await import('./cli/show.ts')).version(given)),
  help: verb('[verb]', [], 'this page, or the options of one verb', async (given) => help(given.operands[0])),
  prove: {
    ...verb('', ['data', 'supervisor'], 'the newest parked snapshot, restored and thrown away; a site starts it now and then', async (given) =>
      (await import('./cli/snapshot/prove.ts')).prove(given),
    ),
    hidden: true,
  },
  role: {
    ...verb(
      'NAME',
      ['index', 'supervisor', 'demo', 'port-offset', 'engine', 'listen', 'url', 'objects'],
      'a process of the site; the supervisor starts it',
      async (given) => {
        await (await import('./cli/role.ts')).runRole(given.operands[0] as string, given);
        return forever();
      },
    ),
    hidden: true,
  },
};

function help(name: string | undefined): number {
  const row = name === undefined ? undefined : verbs[name];
  if (name !== undefined && row === undefined) throw new UsageError(`there is no verb ${JSON.stringify(name)}`);
  print(name !== undefined && row !== undefined ? usageOf(name, row) : usage(verbs));
  return 0;
}

async function main(argv: readonly string[]): Promise<number> {
  const [word = 'help', ...rest] = argv;
  const name = word === '--help' || word === '-h' ? 'help' : word === '--version' ? 'version' : word;
  const row = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (row === undefined) throw new UsageError(`there is no verb ${JSON.stringify(word)}`);
  if (rest.includes('--help') || rest.includes('-h')) return help(name);
  const given = parseArguments(rest, row.options);
  const [least, most] = row.arity;
  if (given.operands.length < least || given.operands.length > most) {
    throw new UsageError(given.operands.length < least ? `${name} needs ${row.operands}` : `${name} does not take ${JSON.stringify(given.operands[most])}`);
  }
  return (await row.run(given)) ?? 0;
}

/** One line, whatever happened: what, why, what to do. */
function explain(error: unknown): string {
  const text = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
  if (error instanceof UsageError) return `${text}; mailsite help tells what there is`;
  return error instanceof Failure ? text : `${process.argv[2]} broke off (${text}): mailsite check tells whether the data is whole`;
}

process.umask(0o077); // what a site writes is for nobody else
try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  complain(explain(error));
  process.exit(error instanceof UsageError ? 2 : 1);
}
