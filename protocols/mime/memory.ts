// What messages on their way in hold of a process's memory, from the first octet of a header until the store has answered
// the command that carries them. Guarantees: whoever holds octets of a stranger's message charges them here; past
// limits.intakeMemory nobody gets more than limits.intakeFloor, which ordinary headers need.

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';

/** A process has one World. */
const memories = new WeakMap<World, { held: number }>();

function memoryOf(world: World): { held: number } {
  let memory = memories.get(world);
  if (!memory) memories.set(world, (memory = { held: 0 }));
  return memory;
}

/** Octets that all messages on their way into a process hold now. */
export const intakeMemory = (world: World): number => memoryOf(world).held;

/** The share of one holder. */
export class Charge {
  readonly #memory: { held: number };
  #octets = 0;

  constructor(world: World) {
    this.#memory = memoryOf(world);
  }

  /** The holder has so many octets now. */
  set(octets: number): void {
    this.#memory.held += octets - this.#octets;
    this.#octets = octets;
  }

  /** All together hold more than they should. */
  get crowded(): boolean {
    return this.#memory.held > limits.intakeMemory;
  }

  /** May the holder have so many octets? */
  allows(octets: number): boolean {
    return octets <= limits.intakeFloor || this.#memory.held - this.#octets + octets <= limits.intakeMemory;
  }
}
