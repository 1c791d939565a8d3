// What a portal lets a machine do with the parked objects of a site, for a while: a token that any portal process can prove
// without a look at who made it. Guarantees: it cannot be made or changed without the portal's key; it names one site, one
// epoch, one machine and an end, and the epoch is compared with the site's at every use.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

const schema = z.strictObject({
  organisation: z.string().min(1).max(100),
  site: z.string().min(1).max(100),
  machine: z.string().min(1).max(100),
  epoch: z.int().min(0),
  /** `park`: put what is new, of this epoch only. `read`: get and list. */
  may: z.enum(['park', 'read']),
  /** ms since the epoch of clocks, by the portal's. */
  until: z.int(),
});
export type Grant = z.infer<typeof schema>;

const proof = (key: string, text: string): Buffer => createHmac('sha256', key).update(`grant ${text}`).digest();

export function sealGrant(key: string, grant: Grant): string {
  const text = Buffer.from(JSON.stringify(grant)).toString('base64url');
  return `${text}.${proof(key, text).toString('base64url')}`;
}

/** null: it is not ours, or its time is over. */
export function openGrant(key: string, token: string, now: number): Grant | null {
  const [text = '', mac = '', ...more] = token.length <= 2_000 ? token.split('.') : [];
  const given = Buffer.from(mac, 'base64url');
  const own = proof(key, text);
  if (more.length > 0 || given.length !== own.length || !timingSafeEqual(given, own)) return null;
  const found = schema.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString()));
  return found.success && found.data.until > now ? found.data : null;
}
