// Where one can go, as rows: the side bar, the phone's menu and the palette are made of the same ones.

import type { Membership, Site } from './contract.ts';
import { text } from './language.ts';
import type { IconName } from './parts/icon.tsx';
import { may, type Right } from './rights.ts';
import { screenOf } from './session.ts';

export interface Place {
  readonly to: string;
  readonly label: string;
  readonly icon: IconName;
}
const siteRows: readonly (readonly [part: keyof typeof text.nav.site, icon: IconName, right: Right | null])[] = [
  ['overview', 'overview', null],
  ['trace', 'trace', 'trace.see'],
  ['queue', 'queue', 'queue.see'],
  ['domains', 'domains', 'domains.see'],
  ['accounts', 'accounts', null],
  ['aliases', 'aliases', null],
  ['snapshots', 'snapshots', 'snapshots.see'],
  ['activity', 'activity', 'activity.see'],
  ['settings', 'settings', 'site.settings'],
];
/** A site that no machine has joined yet has its overview only. */
export const placesOfSite = (member: Membership, site: Site): Place[] =>
  siteRows
    .filter(([part, , right]) => (right === null || may(member, right)) && (site.state !== 'waiting' || part === 'overview' || part === 'settings'))
    .map(([part, icon]) => ({ to: screenOf(member.id, 'sites', site.id, ...(part === 'overview' ? [] : [part])), label: text.nav.site[part], icon }));

const orgRows: readonly (readonly [part: keyof typeof text.nav.org, icon: IconName, right: Right])[] = [
  ['members', 'members', 'members.see'],
  ['tokens', 'token', 'tokens.edit'],
  ['audit', 'activity', 'audit.see'],
  ['organisation', 'settings', 'organisation.edit'],
];
export const placesOfOrg = (member: Membership): Place[] =>
  orgRows.filter(([, , right]) => may(member, right)).map(([part, icon]) => ({ to: screenOf(member.id, part), label: text.nav.org[part], icon }));
