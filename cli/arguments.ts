// argv to options, by the rows of the option table. Guarantees: what is not declared is refused with the reason; a value
// is checked before a verb sees it.

import { formatEndpoint, isIpAddress, parseEndpoint } from '../storage/addresses.ts';
import { type EngineKind, engineKinds } from '../storage/engines/open.ts';
import { UsageError } from './output.ts';

export interface OptionRow {
  /** How the value is called in the usage; null: a switch. */
  readonly value: string | null;
  readonly about: string;
}
export const options = {
  data: { value: 'DIR', about: 'where the site keeps everything' },
  listen: { value: 'ADDR', about: 'the one address to listen on; all of the machine without it' },
  'port-offset': { value: 'N', about: 'added to each standard port' },
  engine: { value: 'lmdb|lsm', about: 'the storage engine of a new site (lmdb reads faster, lsm writes faster)' },
  json: { value: null, about: 'answer in JSON' },
  deep: { value: null, about: 'also hash every message body' },
  to: { value: 'PLACE', about: 'where the snapshot goes: a folder, a file ending in .tar, s3://bucket/prefix, or portal' },
  from: { value: 'PLACE', about: 'where the snapshots are, as --to names it' },
  at: { value: 'WHEN', about: 'which one: a commit, an id, or the last one before a time; without it the newest' },
  full: { value: null, about: 'a new base, not only what changed' },
  key: { value: 'FILE', about: 'the recovery kit, or - for standard input' },
  only: { value: 'ADDRESS', about: 'only the mail of this account, into the live site' },
  folder: { value: 'NAME', about: 'only this folder of it' },
  message: { value: 'ID', about: 'only the message of this Message-ID' },
  into: { value: 'NAME', about: 'the folder it is put in; empty: where it was' },
  drill: { value: null, about: 'a rehearsal: the restored site holds its queue and parks nowhere' },
  all: { value: null, about: 'every snapshot of the place, each object once' },
  'dry-run': { value: null, about: 'only say what would be done' },
  domain: { value: 'DOMAIN', about: 'only this domain' },
  address: { value: 'ADDR,…', about: 'the public addresses of this machine, where it cannot see them itself' },
  space: { value: null, about: 'where the octets are: by what, by account, by mailbox, and what compact would give back' },
  url: { value: 'URL', about: 'what people and sites call the portal by, such as https://portal.example.org' },
  objects: { value: 'PLACE', about: 'where a portal keeps what sites park: a folder or s3://bucket/prefix' },
  document: { value: null, about: 'the JSON Schema of the document, not of the tables' },
  since: { value: 'WHEN', about: 'not older than that: 90m, 12h, 2d, or a time (2026-11-23, 2026-11-23T14:00Z)' },
  older: { value: 'AGE', about: 'came at least so long ago: 90m, 12h, 2d' },
  limit: { value: 'N', about: 'at most so many' },
  after: { value: 'ID', about: 'go on behind this one' },
  'all-matching': { value: null, about: 'every recipient that --from, --to and --older name; all of them without those' },
  bounce: { value: null, about: 'tell the senders' },
  print: { value: null, about: 'print the unit and change nothing' },
  bin: { value: 'FILE', about: 'where the executable goes' },
  index: { value: 'N', about: 'which of several' },
  supervisor: { value: 'PID', about: 'whose child this is' },
  demo: { value: null, about: 'passwords in clear from loopback' },
} as const satisfies Readonly<Record<string, OptionRow>>;
export type OptionName = keyof typeof options;

/** What a verb is given. Only the options that its row names are ever set. */
export interface Arguments {
  readonly operands: readonly string[];
  /** The options that were given. */
  readonly named: readonly OptionName[];
  readonly data: string | undefined;
  readonly listen: string | undefined;
  readonly portOffset: number | undefined;
  readonly engine: EngineKind | undefined;
  readonly json: boolean;
  readonly deep: boolean;
  readonly space: boolean;
  readonly document: boolean;
  readonly to: string | undefined;
  readonly from: string | undefined;
  readonly at: string | undefined;
  readonly full: boolean;
  readonly key: string | undefined;
  readonly only: string | undefined;
  readonly folder: string | undefined;
  readonly message: string | undefined;
  readonly into: string | undefined;
  readonly drill: boolean;
  readonly all: boolean;
  readonly domain: string | undefined;
  readonly address: string | undefined;
  readonly dryRun: boolean;
  readonly since: string | undefined;
  readonly older: string | undefined;
  readonly limit: number | undefined;
  readonly after: string | undefined;
  readonly allMatching: boolean;
  readonly bounce: boolean;
  readonly print: boolean;
  readonly bin: string | undefined;
  readonly index: number;
  readonly supervisor: number;
  readonly demo: boolean;
  readonly url: string | undefined;
  readonly objects: string | undefined;
}

/** `argv` without the verb. Throws a UsageError for anything which `allowed` does not name. */
export function parseArguments(argv: readonly string[], allowed: readonly OptionName[]): Arguments {
  const operands: string[] = [];
  const given = new Map<OptionName, string>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === '--') {
      operands.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      operands.push(word);
      continue;
    }
    const [name, attached] = split(word);
    if (!isOption(name) || !allowed.includes(name)) throw new UsageError(`there is no option ${word.split('=')[0]} here`);
    if (given.has(name)) throw new UsageError(`--${name} is given twice`);
    const wanted = options[name].value;
    if (wanted === null && attached !== undefined) throw new UsageError(`--${name} takes no value`);
    const value = wanted === null ? '' : (attached ?? argv[++i]);
    if (value === undefined || (wanted !== null && value === '' && name !== 'into')) throw new UsageError(`--${name} needs a value: --${name} ${wanted}`);
    given.set(name, value);
  }
  return {
    operands,
    named: [...given.keys()],
    data: given.get('data'),
    listen: allowed.includes('objects') ? endpoint(given.get('listen')) : address(given.get('listen')),
    portOffset: whole(given, 'port-offset', 60_000),
    engine: engine(given.get('engine')),
    json: given.has('json'),
    deep: given.has('deep'),
    space: given.has('space'),
    document: given.has('document'),
    to: given.get('to'),
    from: given.get('from'),
    at: given.get('at'),
    full: given.has('full'),
    key: given.get('key'),
    only: given.get('only'),
    folder: given.get('folder'),
    message: given.get('message'),
    into: given.get('into'),
    drill: given.has('drill'),
    all: given.has('all'),
    domain: given.get('domain'),
    address: given.get('address'),
    dryRun: given.has('dry-run'),
    since: given.get('since'),
    older: given.get('older'),
    limit: whole(given, 'limit', 100_000),
    after: given.get('after'),
    allMatching: given.has('all-matching'),
    bounce: given.has('bounce'),
    print: given.has('print'),
    bin: given.get('bin'),
    index: whole(given, 'index', 1_000) ?? 0,
    supervisor: whole(given, 'supervisor', 2 ** 31) ?? 0,
    demo: given.has('demo'),
    url: given.get('url'),
    objects: given.get('objects'),
  };
}

function split(word: string): readonly [string, string | undefined] {
  const at = word.indexOf('=');
  return at < 0 ? [word.slice(2), undefined] : [word.slice(2, at), word.slice(at + 1)];
}
const isOption = (name: string): name is OptionName => Object.hasOwn(options, name);

function address(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const bare = text === 'localhost' ? '127.0.0.1' : text.replace(/^\[(.*)\]$/, '$1');
  if (!isIpAddress(bare)) throw new UsageError(`--listen takes an IP address, such as 127.0.0.1 or ::1, not ${JSON.stringify(text)}`);
  return bare;
}

function endpoint(text: string | undefined): string | undefined {
  const found = text === undefined ? undefined : parseEndpoint(text.replace(/^localhost(?=:|$)/, '127.0.0.1'), defaultPortalPort);
  if (found === null) throw new UsageError(`--listen takes an IP address with or without a port, such as 127.0.0.1:8025, not ${JSON.stringify(text)}`);
  return found && formatEndpoint(found);
}
const defaultPortalPort = 8025;

function engine(text: string | undefined): EngineKind | undefined {
  const found = engineKinds.find((kind) => kind === text);
  if (text !== undefined && found === undefined) throw new UsageError(`--engine takes ${engineKinds.join(' or ')}, not ${JSON.stringify(text)}`);
  return found;
}

function whole(given: ReadonlyMap<OptionName, string>, name: OptionName, max: number): number | undefined {
  const text = given.get(name);
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,10}$/.test(text) || Number(text) > max) throw new UsageError(`--${name} takes a number from 0 to ${max}, not ${JSON.stringify(text)}`);
  return Number(text);
}
