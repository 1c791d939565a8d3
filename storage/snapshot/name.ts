// Names of objects in a place: `objects/3f/3f…`. Guarantees: a name is safe as a path, as a key of a bucket and as a name
// in a tar file, and means the same in all of them.

import { assert } from '../../actors/assert.ts';

/** What the name field of a tar header holds. */
const longest = 100;
const form = /^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*)*$/;

/** Parts of [a-z0-9.-] between slashes, none of which starts with a dot or a dash. */
export const isName = (name: string): boolean => name.length <= longest && form.test(name);

/** Names are made by the program: a bad one is a defect, not bad input. */
export function assertName(name: string): void {
  assert(isName(name), `${JSON.stringify(name.slice(0, longest))} may be the name of an object`);
}
