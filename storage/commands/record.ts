// Records of a portal: a conditional write of several at once, or of none. What a record means its readers know.

import { refuse } from '../../actors/wire.ts';
import { type Command, site } from './site.ts';

export const changeRecords: Command<'changeRecords'> = (tx, { reads, writes }) => {
  for (const { kind, id, rev } of reads) {
    if ((tx.get('record', { kind, id })?.rev ?? 0) !== rev) return refuse('conflict', `record ${kind} ${id} is not the one that was read`);
  }
  const rev = site(tx).commit + 1;
  for (const { kind, id, body } of writes) {
    if (body === null) tx.delete('record', { kind, id });
    else tx.put('record', { kind, id }, { rev, body });
    tx.recordChanged({ kind, id });
  }
  return {};
};
