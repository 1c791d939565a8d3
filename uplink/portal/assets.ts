// Where a portal has the files of its web UI from. From source they are bundled when first asked for; in the executable,
// build.ts puts the files that it embedded in the place of this module.

import type { Asset } from './bundle.ts';

export const assets = async (): Promise<readonly Asset[]> => (await import('./bundle.ts')).bundleUi();
