// Shapes that several routes share: what comes in, with its limits, and what goes out. Times are milliseconds since 1970.

import { z } from 'zod';
import { limits } from '../../../actors/limits.ts';
import { normalizeAddress, normalizeDomain } from '../../../storage/addresses.ts';
import { roles } from '../kinds.ts';

/** One line of text for people. */
export const line = (most: number) =>
  z
    .string('must be text')
    .trim()
    .min(1, 'must not be empty')
    .max(most, `must have at most ${most} characters`)
    .regex(/^\P{Cc}*$/u, 'must be one line of text');

const spelled = (what: string, example: string, normalize: (text: string) => string | null) =>
  z
    .string(`must be ${what}, such as ${example}`)
    .max(400, `must be ${what}, such as ${example}`)
    .transform((text, context) => {
      const found = normalize(text.trim());
      if (found !== null) return found;
      context.addIssue({ code: 'custom', message: `must be ${what}, such as ${example}` });
      return z.NEVER;
    })
    .meta({ description: `${what}, such as ${example}` });
export const email = spelled('an e-mail address', 'ann@example.org', normalizeAddress);
export const domain = spelled('a domain', 'example.org', normalizeDomain);
export const password = z.string('must be text').max(limits.passwordOctets, `must have at most ${limits.passwordOctets} characters`);
export const code = z.string('must be text').max(40, 'must be a code of six digits, or a recovery code');
export const secret = z.string('must be text').min(1, 'must not be empty').max(200, 'is no secret of ours');
export const role = z.enum(roles, `must be one of ${roles.join(', ')}`);
export const domains = z.array(domain).max(1_000, 'must name at most 1000 domains').default([]);

const at = z.int().describe('milliseconds since 1970');
export const time = at;
export const maybe = at.nullable();

/** `after`: the `next` of the page before. */
export const page = z.strictObject({
  after: z.string().max(400).optional(),
  limit: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(limits.apiPage, `must be at most ${limits.apiPage}`)
    .default(50),
});
export const listOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), next: z.string().nullable().describe('give it as after; null: this is the end') });

/** `all` cut to one page. `after`: the key of the last row of the page before. */
export function paged<T>(all: readonly T[], { after, limit }: z.output<typeof page>, keyOf: (row: T) => string): { items: T[]; next: string | null } {
  const start = after === undefined ? 0 : all.findIndex((row) => keyOf(row) > after);
  const items = start < 0 ? [] : all.slice(start, start + limit);
  const last = items.at(-1);
  return { items, next: start >= 0 && start + limit < all.length && last !== undefined ? keyOf(last) : null };
}

export const person = z.strictObject({ id: z.string(), name: z.string(), email: z.string(), totp: z.boolean(), passkeys: z.int(), recoveryCodes: z.int() });
export const membership = z.strictObject({ id: z.string(), name: z.string(), role, domains: z.array(z.string()) });
export const session = z.strictObject({
  person,
  organisations: z.array(membership),
  strong: z.boolean().describe('a second factor was given'),
  expiresAt: at,
  reauthAt: at.describe('when the person last proved who they are'),
});

const siteStates = ['waiting', 'online', 'offline', 'superseded', 'quarantined', 'decommissioned'] as const;
const fieldError = z.strictObject({ path: z.string(), code: z.string(), message: z.string() });
export const site = z.strictObject({
  id: z.string(),
  name: z.string(),
  state: z.enum(siteStates),
  word: z.string().describe('the state in a few words for people'),
  wantedRev: z.int(),
  runningRev: z.int(),
  status: z.enum(['none', 'applied', 'rejected', 'rolledback']),
  errors: z.array(fieldError).describe('why the newest rev is not in force'),
  because: z.string().describe('the same in one sentence; empty: nothing is wrong'),
  lockedSince: maybe.describe('the site is offline: its configuration is as it is since then; edits are sent when it is back'),
  lastSeenAt: maybe,
  version: z.string(),
  host: z.string(),
  domains: z.int(),
  accounts: z.int(),
  queue: z.strictObject({ messages: z.int(), oldestAt: maybe }),
  certificateDays: z.int().nullable(),
  snapshot: z.strictObject({
    at: maybe,
    provenAt: maybe.describe('when one was last restored whole: by the site itself, each week, or by a launch'),
    problem: z.string().describe('why the last try proved nothing; empty: it did'),
    triedAt: maybe.describe('when that was'),
  }),
  epoch: z.int(),
  createdAt: at,
});
export type SiteAnswer = z.input<typeof site>;

export const claim = z.strictObject({
  id: z.string(),
  text: z.string().describe('what the machine is given'),
  command: z.string().describe('to be run on the machine'),
  expiresAt: at,
});
export const wanted = z.strictObject({ wantedRev: z.int().describe('the rev of the desired document that holds the change') });
const commandStates = ['waiting', 'sent', 'accepted', 'running', 'done', 'failed', 'expired'] as const;
export const command = z.strictObject({
  id: z.string(),
  name: z.string(),
  args: z.unknown(),
  state: z.enum(commandStates),
  value: z.unknown(),
  by: z.string(),
  at,
  notAfter: at,
  endedAt: maybe,
});
export const started = z.strictObject({ command: z.string().describe('see …/commands/{command}, or the stream') });
export const eventRow = z.strictObject({ seq: z.int(), at, name: z.string(), body: z.unknown() });
