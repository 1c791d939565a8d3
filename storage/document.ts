// The desired document (DESIGN §7): what it may say, and the one normal form in which it is stored. Guarantees:
// a document is accepted whole or refused with every error and its path; what is accepted has all defaults filled in,
// names in their one spelling (storage/addresses.ts), and refers to nothing that it does not declare.

import { z } from 'zod';
import { limits } from '../actors/limits.ts';
import { domainOf, formatEndpoint, isIpAddress, localPartOf, normalizeAddress, normalizeDomain, parseEndpoint } from './addresses.ts';

export interface Domain {
  readonly name: string;
  /** Every address here is the same address in that domain. */
  readonly aliasOf: string | null;
  /** Who gets mail for addresses that nobody has. */
  readonly catchAll: string | null;
  /** What splits `user+folder`; empty: nothing does. */
  readonly subaddress: string;
}
export interface Account {
  readonly address: string;
  readonly name: string;
  /** PHC or crypt(3). */
  readonly password: string;
  /** 0: no quota. */
  readonly quotaBytes: number;
  readonly enabled: boolean;
}
export interface Alias {
  readonly address: string;
  readonly to: readonly string[];
}
/** Where mail for a domain (`*`: any) goes instead of its MX. No `user`: without authentication. */
export interface Relay {
  readonly for: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}
/** A document in its normal form, as the store keeps it. */
export interface Document {
  readonly schema: 1;
  readonly host: string;
  readonly domains: readonly Domain[];
  readonly accounts: readonly Account[];
  readonly aliases: readonly Alias[];
  readonly outbound: { readonly relays: readonly Relay[] };
  /** `address:port`. Empty: the resolvers of the machine. */
  readonly network: { readonly resolvers: readonly string[] };
  /** Where increments are parked while the site runs, or null: nowhere. */
  readonly snapshots: Parking | null;
}
export interface Parking {
  /** A folder, or `s3://bucket/prefix`. */
  readonly to: string;
  readonly everySeconds: number;
  readonly s3: { readonly endpoint: string; readonly region: string; readonly accessKeyId: string; readonly secretAccessKey: string } | null;
}
export interface Plain {
  readonly plain: string;
}
/** A document which may still hold passwords to be hashed. */
export interface Draft extends Omit<Document, 'accounts'> {
  readonly accounts: readonly (Omit<Account, 'password'> & { readonly password: string | Plain })[];
}
export interface DocumentError {
  /** `accounts[3].address`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
}
export type Validated = { readonly ok: true; readonly document: Draft } | { readonly ok: false; readonly errors: readonly DocumentError[] };

const hashForms = [
  /^\$argon2(id|i|d)\$v=19\$m=[1-9][0-9]{0,5},t=[1-9][0-9]{0,2},p=[1-9][0-9]?\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{16,172}$/,
  /^\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$/,
  /^\$5\$(rounds=[1-9][0-9]{0,5}\$)?[^$:\s]{0,16}\$[./A-Za-z0-9]{43}$/,
  /^\$6\$(rounds=[1-9][0-9]{0,5}\$)?[^$:\s]{0,16}\$[./A-Za-z0-9]{86}$/,
  /^\$(1|apr1)\$[^$:\s]{0,8}\$[./A-Za-z0-9]{22}$/,
] as const;
/** A hash which this program can verify: argon2, bcrypt, SHA-256 and SHA-512 crypt, MD5 crypt. */
export const isPasswordHash = (text: string): boolean => text.length <= 500 && hashForms.some((form) => form.test(text));

/** A string with one spelling; `meaning` says what it must be. */
const spelled = (meaning: string, example: string, normalize: (text: string) => string | null) =>
  z
    .string()
    .transform((text, context) => {
      const found = normalize(text);
      if (found !== null) return found;
      context.addIssue({ code: 'custom', message: `must be ${meaning}, such as ${example}; it is ${quote(text)}` });
      return z.NEVER;
    })
    .meta({ description: `${meaning}, such as ${example}` });

const domainName = spelled('a domain name', 'example.org', normalizeDomain);
const address = spelled('an address', 'alice@example.org', normalizeAddress);
const hostName = spelled('a host name with a dot', 'mail.example.org', (text) => {
  const name = normalizeDomain(text);
  return name?.includes('.') ? name : null;
});
const relayHost = spelled('a host name or an IP address', 'smtp.example.org', (text) => (isIpAddress(text) ? text.toLowerCase() : normalizeDomain(text)));
const relayFor = spelled('a domain name or *', 'example.org', (text) => (text === '*' ? text : normalizeDomain(text)));
const resolver = spelled('an IP address with or without a port', '127.0.0.1:53', (text) => {
  const endpoint = parseEndpoint(text, 53);
  return endpoint && formatEndpoint(endpoint);
});
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const noControls = /^[^\u0000-\u001f\u007f]*$/u;
const plainPassword = z.strictObject({
  plain: z
    .string()
    .min(1, 'must not be empty')
    .regex(noControls, 'must not hold control characters')
    .refine((text) => Buffer.byteLength(text) <= limits.passwordOctets, `must be at most ${limits.passwordOctets} octets`),
});
const line = (max: number) => z.string().max(max, `must be at most ${max} characters`).regex(noControls, 'must be one line');

const domain = z.strictObject({
  name: domainName,
  aliasOf: domainName.nullable().default(null).describe('every address here is the same address in that domain'),
  catchAll: address.nullable().default(null).describe('who gets mail for addresses that nobody has'),
  subaddress: z
    .union([z.enum(['', '+', '-', '=', '_', '.', '#']), z.null()], 'must be one of + - = _ . #, or null to turn it off')
    .default('+')
    .transform((separator) => separator ?? '')
    .describe('what splits user+folder@; null or empty: nothing does'),
});
// The value itself never goes into a message: it may be a password in clear.
const aPassword = 'an argon2, bcrypt, $5$, $6$, $1$ or $apr1$ hash, or {"plain": "…"}';
const account = z.strictObject({
  address,
  name: line(200).default(''),
  password: z
    .unknown()
    .transform((value, context): string | Plain => {
      if (typeof value === 'string' && isPasswordHash(value)) return value;
      const say = (message: string, path: readonly PropertyKey[] = []): void => context.addIssue({ code: 'custom', path: [...path], message });
      if (typeof value === 'object' && value !== null) {
        const found = plainPassword.safeParse(value);
        if (found.success) return found.data;
        for (const issue of found.error.issues) say(explain(issue), issue.path);
      } else say(value === undefined ? `is required: ${aPassword}` : `must be ${aPassword}`);
      return z.NEVER;
    })
    .meta({ description: `${aPassword}, which is hashed before it is stored` }),
  quotaBytes: z.int('must be a whole number of octets; 0 means no quota').min(0, 'must not be negative').default(0).describe('octets; 0: no quota'),
  enabled: z.boolean().default(true).describe('false: no login and no mail; what is there stays'),
});

const alias = z.strictObject({
  address,
  to: z.array(address).min(1, 'must name at least one address').max(limits.aliasTargets, `must name at most ${limits.aliasTargets} addresses`),
});
const relay = z.strictObject({
  for: relayFor.describe('a domain, or * for all others'),
  host: relayHost,
  port: z.int('must be a port').min(1, 'must be a port').max(65_535, 'must be a port').default(587),
  user: line(500).default(''),
  password: line(1_000).default(''),
});
const place = line(1_000)
  .regex(/^(\/|s3:\/\/[a-z0-9])/, 'must be an absolute folder or s3://bucket/prefix')
  .refine((text) => !text.endsWith('.tar'), 'must be a folder or a bucket: a tar file only grows')
  .describe('a folder that the site may write to, or s3://bucket/prefix');
const parking = z.strictObject({
  to: place,
  everySeconds: z.int('must be a whole number of seconds').min(1, 'must be at least 1').max(86_400, 'must be at most 86400').default(10),
  s3: z
    .strictObject({ endpoint: line(500).default(''), region: line(100).default(''), accessKeyId: line(200), secretAccessKey: line(500) })
    .nullable()
    .default(null)
    .describe('how to reach the bucket'),
});
const documentSchema = z.strictObject({
  schema: z.literal(1, 'must be 1, the only version there is'),
  host: hostName.describe('the name of this machine: in the greeting, in Received and in the certificate; MX records point to it'),
  domains: z.array(domain).min(1, 'must declare at least one domain').max(limits.accounts, `must declare at most ${limits.accounts}`),
  accounts: z.array(account).max(limits.accounts, `must declare at most ${limits.accounts} accounts`),
  aliases: z.array(alias).max(limits.accounts, `must declare at most ${limits.accounts} aliases`).default([]),
  outbound: z.strictObject({ relays: z.array(relay).max(1_000).default([]) }).default({ relays: [] }),
  network: z.strictObject({ resolvers: z.array(resolver).max(10, 'must name at most 10').default([]) }).default({ resolvers: [] }),
  snapshots: parking.nullable().default(null).describe('increments of the site are kept here while it runs; null: nowhere'),
});

/** The published JSON Schema of the document, as one writes it (defaults may be left out). */
export function documentJsonSchema(): object {
  const schema = z.toJSONSchema(documentSchema, {
    io: 'input',
    override: ({ jsonSchema, path }) => {
      if (path.at(-1) !== 'password' || !path.includes('accounts')) return;
      jsonSchema.anyOf = [
        { type: 'string', pattern: hashForms.map((form) => form.source).join('|') },
        { type: 'object', properties: { plain: { type: 'string', minLength: 1 } }, required: ['plain'], additionalProperties: false },
      ];
    },
  });
  return { title: 'mailsite document', ...schema };
}

/** Reads, checks and normalizes a document as a person or a portal wrote it. */
export function validateDocument(text: string): Validated {
  if (Buffer.byteLength(text) > limits.document) return failed('', `is larger than ${limits.document} octets`);
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    return failed('', `is not JSON: ${(error as Error).message}`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return failed('', 'must be a JSON object');
  const parsed = documentSchema.safeParse(json);
  if (!parsed.success) return { ok: false, errors: parsed.error.issues.flatMap(toErrors) };
  const errors = checkReferences(parsed.data);
  return errors.length > 0 ? { ok: false, errors } : { ok: true, document: parsed.data };
}

/** The draft with every plain password replaced by what `hash` makes of it, `atOnce` at a time. */
export async function sealDocument(draft: Draft, hash: (address: string, plain: string) => Promise<string>, atOnce = 1): Promise<Document> {
  const accounts: Account[] = new Array(draft.accounts.length);
  const rows = draft.accounts.entries();
  const worker = async (): Promise<void> => {
    for (const [i, { address, name, password, quotaBytes, enabled }] of rows) {
      const sealed = typeof password === 'string' ? password : await hash(address, password.plain);
      accounts[i] = { address, name, password: sealed, quotaBytes, enabled };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { ...draft, accounts };
}

const failed = (path: string, message: string): Validated => ({ ok: false, errors: [{ path, message }] });
const quote = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);

function pathText(path: readonly PropertyKey[]): string {
  return path.map((p, i) => (typeof p === 'number' ? `[${p}]` : `${i === 0 ? '' : '.'}${String(p)}`)).join('');
}

function toErrors(issue: z.core.$ZodIssue): DocumentError[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: pathText(issue.path), message: explain(issue) }];
  return issue.keys.map((key) => ({ path: pathText([...issue.path, key]), message: 'is not known here' }));
}

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type')
    return issue.input === undefined && /undefined$/.test(issue.message) ? 'is required' : `must be ${article(issue.expected)}`;
  if (issue.code === 'unrecognized_keys') return `${issue.keys.join(', ')} is not known here`;
  return issue.message;
}
const article = (noun: string): string => (noun === 'int' ? 'a whole number' : /^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`);

/** What a grammar cannot say: names are declared once, and what is referred to exists. */
function checkReferences(d: Draft): DocumentError[] {
  const errors: DocumentError[] = [];
  const say = (path: string, message: string): void => void errors.push({ path, message });
  const domains = new Map<string, Domain>();
  d.domains.forEach((row, i) => {
    if (domains.has(row.name)) say(`domains[${i}].name`, `${row.name} is declared twice`);
    else domains.set(row.name, row);
  });
  d.domains.forEach((row, i) => checkDomainAlias(row, `domains[${i}]`, domains, say));

  const taken = new Map<string, string>();
  const declare = (name: string, path: string): void => {
    const row = domains.get(domainOf(name));
    if (!row) say(path, `${name} is in a domain that is not declared: add it to domains`);
    else if (row.aliasOf !== null) say(path, `${name} is in an alias domain: declare it in ${row.aliasOf}`);
    const other = taken.get(name);
    if (other !== undefined) say(path, `${name} is declared twice: also at ${other}`);
    else taken.set(name, path);
  };
  d.accounts.forEach((a, i) => declare(a.address, `accounts[${i}].address`));
  d.aliases.forEach((a, i) => declare(a.address, `aliases[${i}].address`));

  const known = (target: string): boolean => leadsSomewhere(target, domains, taken);
  d.domains.forEach((row, i) => {
    if (row.catchAll !== null && !knownExactly(row.catchAll, domains, taken))
      say(`domains[${i}].catchAll`, `${row.catchAll} is neither an account nor an alias of this document`);
  });
  d.aliases.forEach((a, i) =>
    a.to.forEach((target, j) => {
      if (!known(target)) say(`aliases[${i}].to[${j}]`, `${target} is neither an account nor an alias of this document`);
    }),
  );
  checkAliasLoops(d, domains, say);
  checkRelays(d, say);
  if (d.snapshots?.to.startsWith('s3://') && d.snapshots.s3 === null) say('snapshots.s3', 'is required with a bucket: its accessKeyId and secretAccessKey');
  return errors;
}

type Say = (path: string, message: string) => void;
type Domains = ReadonlyMap<string, Domain>;

function checkDomainAlias(row: Domain, path: string, domains: Domains, say: Say): void {
  if (row.aliasOf === null) return;
  const target = domains.get(row.aliasOf);
  if (row.aliasOf === row.name) say(`${path}.aliasOf`, `${row.name} cannot be an alias of itself`);
  else if (!target) say(`${path}.aliasOf`, `${row.aliasOf} is not declared: add it to domains`);
  else if (target.aliasOf !== null) say(`${path}.aliasOf`, `${row.aliasOf} is itself an alias: name ${target.aliasOf}`);
  if (row.catchAll !== null) say(`${path}.catchAll`, `an alias domain has the catch-all of ${row.aliasOf}: remove it here`);
}

/** The address after the domain's alias and without its folder. */
function canonical(name: string, domains: Domains, taken: ReadonlyMap<string, string>): string {
  const own = domains.get(domainOf(name));
  const row = own?.aliasOf ? domains.get(own.aliasOf) : own;
  if (!row) return name;
  const full = `${localPartOf(name)}@${row.name}`;
  const cut = row.subaddress === '' ? -1 : localPartOf(name).indexOf(row.subaddress);
  return taken.has(full) || cut < 1 ? full : `${localPartOf(name).slice(0, cut)}@${row.name}`;
}

/** Elsewhere, or declared here. */
function knownExactly(target: string, domains: Domains, taken: ReadonlyMap<string, string>): boolean {
  return !domains.has(domainOf(target)) || taken.has(canonical(target, domains, taken));
}

/** Elsewhere, declared here, or caught by its domain. */
function leadsSomewhere(target: string, domains: Domains, taken: ReadonlyMap<string, string>): boolean {
  if (knownExactly(target, domains, taken)) return true;
  return (domains.get(domainOf(canonical(target, domains, taken)))?.catchAll ?? null) !== null;
}

/** An alias that leads back to itself, or through more than `limits.aliasDepth` aliases, would refuse mail later. */
function checkAliasLoops(d: Draft, domains: Domains, say: Say): void {
  const byAddress = new Map(d.aliases.map((a) => [a.address, a]));
  const names = new Map([...d.accounts, ...d.aliases].map((a) => [a.address, a.address]));
  // 0: being walked. Otherwise: 1 + the longest way down.
  const depth = new Map<string, number>();
  const walk = (name: string, way: number): number => {
    const row = byAddress.get(name);
    if (!row) return 0;
    const seen = depth.get(name);
    if (seen !== undefined) return seen === 0 ? Number.POSITIVE_INFINITY : seen;
    if (way > limits.aliasDepth) return Number.POSITIVE_INFINITY;
    depth.set(name, 0);
    let longest = 0;
    for (const target of row.to) longest = Math.max(longest, walk(canonical(target, domains, names), way + 1));
    depth.set(name, longest + 1);
    return longest + 1;
  };
  d.aliases.forEach((a, i) => {
    if (walk(a.address, 0) > limits.aliasDepth) say(`aliases[${i}].to`, `${a.address} leads back to itself or through more than ${limits.aliasDepth} aliases`);
  });
}

function checkRelays(d: Draft, say: Say): void {
  const seen = new Set<string>();
  d.outbound.relays.forEach((row, i) => {
    const path = `outbound.relays[${i}]`;
    if (seen.has(row.for)) say(`${path}.for`, `${row.for} has two relays: keep one`);
    seen.add(row.for);
    if (row.user === '' && row.password !== '') say(`${path}.user`, 'is required with a password');
    if (row.user !== '' && row.password === '') say(`${path}.password`, 'is required with a user');
  });
}
