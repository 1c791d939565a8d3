// The record of a site that no machine has claimed yet, as the API makes it.

import type { RecordOf } from '../../../uplink/portal/kinds.ts';

/** `at`: ms since the epoch. */
export const newSite = (at: number): RecordOf<'site'> => ({
  name: 'site',
  state: 'waiting',
  createdAt: at,
  epoch: 0,
  machine: '',
  wantedRev: 0,
  wantedHash: '',
  appliedRev: 0,
  appliedHash: '',
  appliedStatus: 'none',
  appliedErrors: [],
  appliedAt: null,
  online: false,
  since: null,
  seenAt: null,
  reported: '',
  reportSeq: 0,
  eventSeq: 0,
  lineage: '',
});
