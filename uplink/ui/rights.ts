// What a role may do, so that nobody is shown a button that would refuse. The portal decides again at each request; this only
// keeps the screens honest.

import type { Membership, Role } from './contract.ts';

const rights = {
  'site.add': ['owner', 'admin'],
  'site.settings': ['owner', 'admin'],
  'overview.see': ['owner', 'admin', 'helpdesk', 'read-only'],
  'domains.see': ['owner', 'admin', 'domain admin', 'helpdesk', 'read-only'],
  'domains.edit': ['owner', 'admin'],
  'accounts.edit': ['owner', 'admin', 'domain admin'],
  'accounts.password': ['owner', 'admin', 'domain admin', 'helpdesk'],
  'aliases.edit': ['owner', 'admin', 'domain admin'],
  'trace.see': ['owner', 'admin', 'domain admin', 'helpdesk'],
  'queue.see': ['owner', 'admin', 'helpdesk', 'read-only'],
  'queue.act': ['owner', 'admin'],
  'snapshots.see': ['owner', 'admin', 'helpdesk', 'read-only'],
  'snapshots.take': ['owner', 'admin'],
  'snapshots.launch': ['owner', 'admin'],
  'activity.see': ['owner', 'admin', 'helpdesk', 'read-only'],
  'audit.see': ['owner', 'admin', 'read-only'],
  'changes.undo': ['owner', 'admin'],
  'members.see': ['owner', 'admin', 'domain admin', 'helpdesk', 'read-only'],
  'members.edit': ['owner', 'admin'],
  'tokens.edit': ['owner', 'admin'],
  'organisation.edit': ['owner', 'admin'],
} as const satisfies Readonly<Record<string, readonly Role[]>>;

export type Right = keyof typeof rights;
export const may = (member: Membership, right: Right): boolean => (rights[right] as readonly Role[]).includes(member.role);
/** A domain admin has some domains only; everybody else has them all. */
export const mayDomain = (member: Membership, domain: string): boolean => member.role !== 'domain admin' || member.domains.includes(domain.toLowerCase());
