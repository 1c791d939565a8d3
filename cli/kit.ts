// The recovery kit of what a store is: it says of which site or portal, so that two are not taken for each other.

import type { Reader } from '../storage/engine.ts';
import { getRow } from '../storage/rows.ts';
import { kitText } from '../storage/snapshot/keys.ts';
import { config } from '../storage/views.ts';
import { portalHere } from '../uplink/portal/here.ts';

export function kitOf(view: Reader, lineage: string, identity: string): string {
  const portal = portalHere(view);
  return kitText(
    portal === null ? `the mail site ${nameOf(view)}` : `the portal ${portal.url}`.trimEnd(),
    portal === null ? 'mail, accounts' : 'people, sites',
    lineage,
    identity,
  );
}

function nameOf(view: Reader): string {
  const host = config(view)?.document.host ?? '';
  const uplink = getRow(view, 'uplink', {});
  if (uplink === undefined) return host || 'that has no name yet';
  return `${host || uplink.site} of ${uplink.portal}`;
}
