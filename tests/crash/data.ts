// The data folder of a site, as tests read it, whichever engine it has.

import { join } from 'node:path';
import { place } from '../../cli/place.ts';
import { engineOf, openEngine, openView, type View } from '../../storage/engines/open.ts';

/** `running`: there is a site in it now. Without one, nothing else may open it until this is closed. */
export async function openData(folder: string, running: boolean): Promise<View> {
  const kind = engineOf(folder);
  if (kind === null) throw new Error(`${folder} holds no site`);
  return kind === 'lmdb' || running ? openView(folder, kind, join(folder, place.readSocket)) : openEngine(folder, kind);
}
