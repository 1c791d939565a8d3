// Turns at what several want to change at the same time, within one process. Guarantees: who waits for a turn gets it in the
// order of asking; who has a turn waits for no other, so that no two can wait for each other; where nobody was disturbed
// nobody waits. It saves work and gives everyone a chance: that nothing is overwritten is seen to by the store.

export interface Turns {
  /** Are there any who wait for their turn at it, or have it? */
  busy(name: string): boolean;
  /** Resolves when it is our turn, with how to end it, which is to be called once. */
  take(name: string): Promise<() => void>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<void>>();
  return {
    busy: (name) => last.has(name),
    async take(name) {
      const before = last.get(name);
      let end: () => void = () => {};
      const mine = new Promise<void>((done) => {
        end = done;
      });
      last.set(name, mine);
      await before;
      return () => {
        if (last.get(name) === mine) last.delete(name);
        end();
      };
    },
  };
}
