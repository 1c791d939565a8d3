// Tokens that a portal gives out and knows again, whichever of its processes is asked: what a machine may do with the
// parked objects of a site for a while, and challenges. Guarantees: none can be made or changed without the portal's key, or
// used for something else than it was made for; it names its end; what it allows is compared with the records at every use.

import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { parseSigned, sameText } from './keys.ts';

const id = z.string().min(1).max(100);
/** ms since 1970, by the portal's clock. */
const until = z.int();
const shapes = {
  grant: z.strictObject({
    organisation: id,
    site: id,
    machine: id,
    epoch: z.int().min(0),
    /** `park`: put what is new, of this epoch only. `read`: get and list. */
    may: z.enum(['park', 'read']),
    until,
  }),
  challenge: z.strictObject({ nonce: id, until }),
} as const;
type What = keyof typeof shapes;
type TokenOf<W extends What> = z.infer<(typeof shapes)[W]>;
export type Grant = TokenOf<'grant'>;

const proof = (key: string, what: What, text: string): string => createHmac('sha256', key).update(`${what} ${text}`).digest('base64url');

export function sealToken<W extends What>(key: string, what: W, token: TokenOf<W>): string {
  const text = Buffer.from(JSON.stringify(token)).toString('base64url');
  return `${text}.${proof(key, what, text)}`;
}

/** null: it is not ours, or its time is over. */
export function openToken<W extends What>(key: string, what: W, token: string, now: number): TokenOf<W> | null {
  const [text = '', mac = '', ...more] = token.length <= 2_000 ? token.split('.') : [];
  if (more.length > 0 || !sameText(mac, proof(key, what, text))) return null;
  const found = shapes[what].safeParse(parseSigned(Buffer.from(text, 'base64url').toString()));
  return found.success && found.data.until > now ? (found.data as TokenOf<W>) : null;
}

/** What a machine signs to get a grant, or to become the site's primary. `challenge`: of this portal, and fresh. */
export const grantStatement = z.strictObject({
  what: z.literal('grant'),
  challenge: z.string().max(2_000),
  portal: id,
  site: id,
  machine: id,
  may: z.enum(['park', 'read']),
});
export const activateStatement = z.strictObject({
  what: z.literal('activate'),
  challenge: z.string().max(2_000),
  portal: id,
  site: id,
  machine: id,
  /** The site was on this machine already: it was not restored from the snapshot of the claim, and proves nothing of it. */
  kept: z.literal(true).optional(),
});
/** The portal's answer, signed: from now on this machine is the site. */
export const activatedStatement = z.strictObject({
  what: z.literal('activated'),
  challenge: z.string().max(2_000),
  site: id,
  machine: id,
  epoch: z.int().min(1),
});
