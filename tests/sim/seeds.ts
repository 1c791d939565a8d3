// Seeds that once found something, with what it was. They are run again in every test run, for ever. A change of the
// simulator changes what a seed does: then it is one seed more, and the rule it found is still checked by all of them.

export const seeds: readonly (readonly [seed: number, found: string])[] = [
  [56, 'IMAP: a STORE that changed nothing took the modseq of somebody else for its own, and hid his flags'],
  [132, 'IMAP: the same'],
  [589, 'IMAP: a silent STORE hid what somebody else had just done to the same message'],
  [62382, 'IMAP: FETCH BODY[] told flags without a keyword that somebody had just made, and never again'],
  [42330, 'IMAP: the same'],
  [43726, 'IMAP: the same'],
  [62091, 'IMAP: the same'],
  [135, 'mail bounced because the message before it, on the same connection, had found no recipient'],
  [291, 'the same'],
  [9916, 'a sync that failed while the store recovered left a machine with two stores (the simulator, not the store)'],
];

/** The same of snapshots. */
export const snapshotSeeds: readonly (readonly [seed: number, found: string])[] = [
  [33, 'an older copy that had gone past the newest snapshot built an increment on it, which restored to neither'],
  [40, 'the same'],
  [28, 'a copy from before the first snapshot put its own key in the place of that of the snapshots'],
  [96, 'the same'],
  [10, 'a copy was refused for the sake of a first snapshot that had never been finished'],
  [84, 'the same'],
  [151, 'pruning removed what a snapshot that was a day in the making named a moment later'],
  [946, 'pruning removed what a snapshot named that was made again meanwhile, under the same name'],
  [3155, 'pruning removed what another had removed before, and a snapshot had put anew since'],
  [449, 'a site parked itself after a snapshot of its own that had been pruned, and nobody could restore any since'],
];

/** The same of the uplink. */
export const uplinkSeeds: readonly (readonly [seed: number, found: string])[] = [
  [10, 'a site whose crash hid that its events were kept never let go of them'],
  [27, 'an event of a copy had the number of one of the original, which was taken for told'],
  [56, 'the same'],
  [57, 'the same'],
  [288, 'the result of what was done outside of the store was told to a session that was over'],
  [544, 'a claim that an older copy of the portal did not know (the simulator, not the portal)'],
  [1622, 'a rev was wanted under a number that the site had rejected before an older copy of the portal came back'],
  [4556, 'a session that was opened for one machine went on for the next'],
  [20304, 'a site that joined after it had taken a document by hand, and before it could say so (the simulator)'],
  [21834, 'an answer to a challenge that came after the next session had begun was taken for that of a copy'],
  [1946, 'a link that was lost slowly ended the one after it (the simulator)'],
  [9378, 'a claim was still good after the next one: a machine that was gone took the site by it (the simulator, which had not ended it)'],
];
