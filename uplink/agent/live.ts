// The agent of a real site, in its control process: its key is a file, its network is the machine's. Guarantees: what the
// log says of interest is told to the portal too; a crash of the agent never ends the process which sends mail.

import type { Address } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { systemResolvers } from '../../actors/platform.ts';
import type { World } from '../../actors/world.ts';
import type { Reader } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { factsOf, type Surroundings } from '../facts.ts';
import { type Signer, signerOf } from '../keys.ts';
import { createAgent } from './agent.ts';
import { planOf } from './commands.ts';
import { type Recorder, tellStart, watchStore } from './events.ts';
import { readMachineKey } from './machine.ts';
import { networkTransport } from './network.ts';
import { answerQuery } from './queries.ts';

export interface Live {
  readonly world: World;
  readonly store: Address<StoreProtocol>;
  readonly view: Reader;
}

/** What the site does outside of its store when it is told to. Each rejects with why it is not done. */
export interface Deeds {
  /** What changed is parked at once; resolves when it is. */
  park(): Promise<void>;
  /** The newest snapshot is restored and thrown away; resolves with which one it was. */
  prove(): Promise<string>;
}

/** Runs until it crashes. */
export async function runAgent(
  { world, store, view }: Live,
  recorder: Recorder,
  version: string,
  around: () => Promise<Surroundings>,
  deeds: Deeds,
): Promise<never> {
  const facts = async () => factsOf(view, await around());
  let known: { readonly seed: string; readonly signer: Signer } | null = null;
  const agent = createAgent({
    world,
    store,
    view,
    transport: networkTransport(world),
    version,
    signer: () => {
      const key = readMachineKey();
      if (key === null) return null;
      if (known?.seed !== key.seed) known = { seed: key.seed, signer: signerOf(key.seed) };
      return known.signer;
    },
    plan: (name, args) => planOf(view, world.now(), name, args),
    outside: async (name) => {
      if (name === 'snapshot.prove') return deeds.prove();
      if (name !== 'snapshot.now') throw new Error(`${name} is not done outside of the store`);
      await deeds.park();
      return '';
    },
    query: (name, args) => answerQuery({ world, view, systemResolvers, facts }, name, args),
    facts,
  });
  const { startedAt } = await around();
  if (startedAt !== null) tellStart(view, recorder.tell, String(startedAt), version);
  const watching = watchStore({ world, store, view }, recorder.tell, limits.uplinkReportMs);
  return (await Promise.all([agent.run(), recorder.run(store, view, () => agent.wake()), watching]))[0];
}
