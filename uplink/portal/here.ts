// Whether a store is a portal's or a site's. Guarantees: never both: who starts, configures or sets up one of them asks
// here first. A store in which there is nothing yet may become either.

import type { Reader } from '../../storage/engine.ts';
import { getRow, scanRows, unlessDamaged } from '../../storage/rows.ts';
import { record } from '../../storage/views.ts';
import { kinds } from './kinds.ts';

/** The portal that is in this store, and what it is called by (empty: it has not served yet); null: there is none. */
export function portalHere(reader: Reader): { readonly url: string } | null {
  const [any] = scanRows(reader, 'record', [], { limit: 1, skipDamaged: true });
  if (any === undefined) return null;
  const service = unlessDamaged(() => record(reader, kinds.service.number, ''));
  return { url: service === undefined ? '' : kinds.service.body.parse(JSON.parse(service.body)).url };
}

/** Why the store in `data` cannot be one of those that are `wanted`, in one line; null: it can. */
export function misplaced(reader: Reader, wanted: 'site' | 'portal', data: string): string | null {
  reader.refresh();
  if (wanted === 'site' && portalHere(reader) !== null)
    return `${data} holds a portal, not a site: start it with mailsite portal --data ${data}, or name another --data for the site`;
  if (wanted === 'portal' && (getRow(reader, 'config', {}) !== undefined || getRow(reader, 'uplink', {}) !== undefined))
    return `${data} holds a mail site, not a portal: start it with mailsite run --data ${data}, or name another --data for the portal`;
  return null;
}
