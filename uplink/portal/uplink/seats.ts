// Places for connections of sites that have not said who they are yet. Guarantees: one network holds only so many, and all
// together only so many; a site that has proved who it is takes none, so that no number of sites behind one address, and no
// stranger, keeps another site out for longer than a stranger has to say who it is.

import { limits } from '../../../actors/limits.ts';
import { isLoopback, originPrefix } from '../../../protocols/sasl/origin.ts';
import type { Seat } from './session.ts';

/** Returns what gives a place to one more of an address; null: there is none. */
export function createSeats(): (address: string) => Seat | null {
  const taken = new Map<string, number>();
  let all = 0;
  return (address) => {
    const origin = originPrefix({ address, port: 0 });
    const own = taken.get(origin) ?? 0;
    // a proxy on this machine that does not say for whom it asks has all sites behind one address
    if (all >= limits.uplinkStrangers || (own >= limits.uplinkPerAddress && !isLoopback(address))) return null;
    taken.set(origin, own + 1);
    all++;
    let left = false;
    return {
      leave() {
        if (left) return;
        left = true;
        all--;
        const rest = (taken.get(origin) ?? 0) - 1;
        if (rest > 0) taken.set(origin, rest);
        else taken.delete(origin);
      },
    };
  };
}
