// Refused mail, gathered for the store. Guarantees: a refusal costs a look into a map; equal ones are counted together, and
// in a flood all of one network with one reply, then all of one reply; one small commit takes what came within
// limits.refusedEveryMs, and while there are many, within limits.refusedFloodMs. What is gathered dies with the process.

import { type Address, LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { originPrefix } from '../sasl/origin.ts';
import type { Refused } from '../site.ts';

/** What gathers refusals and has them remembered. */
export function refusalGatherer(world: World, store: Address<StoreProtocol>): (what: Refused) => void {
  let gathered = new Map<string, Refused>();
  let pending = false;
  const tell = async (): Promise<void> => {
    const refusals = [...gathered.values()];
    gathered = new Map();
    // a crowd of them does not push out what is remembered of others: the next ones are gathered for longer
    const wait = refusals.length > limits.refusedGathered / 4 ? limits.refusedFloodMs : limits.refusedEveryMs;
    try {
      await store.ask('recordRefused', { now: world.now(), refusals });
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
    }
    world.after(wait, () => {
      pending = false;
      if (gathered.size > 0) begin(0);
    });
  };
  const begin = (ms: number): void => {
    pending = true;
    world.after(ms, () => void tell());
  };
  return (what) => {
    add(gathered, what);
    if (!pending) begin(limits.refusedEveryMs);
  };
}

/** Counts it with its like. The more there are, the coarser. */
function add(gathered: Map<string, Refused>, what: Refused): void {
  const one = cut(what);
  const exact = JSON.stringify([one.ip, one.envelopeFrom, one.address, one.code, one.words]);
  const network = originPrefix({ address: one.ip, port: 0 }).replace(/^ip:/, '').slice(0, 60);
  const coarse = JSON.stringify([network, one.code]);
  const nobody = { ...one, envelopeFrom: '', address: '', helo: '' };
  if (gathered.size < limits.refusedGathered / 2 || gathered.has(exact)) put(gathered, exact, one);
  else if (gathered.size < limits.refusedGathered || gathered.has(coarse)) put(gathered, coarse, { ...nobody, ip: network });
  else put(gathered, one.code, { ...nobody, ip: '' });
}

function put(gathered: Map<string, Refused>, key: string, one: Refused): void {
  const known = gathered.get(key);
  gathered.set(key, known === undefined ? one : { ...known, at: one.at, count: known.count + one.count });
}

const cut = (what: Refused): Refused => ({
  ...what,
  ip: what.ip.slice(0, 60),
  helo: what.helo.slice(0, 255),
  code: what.code.slice(0, 20),
  words: what.words.slice(0, 500),
});
