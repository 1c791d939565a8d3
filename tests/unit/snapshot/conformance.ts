// What every place promises, whatever it is made of.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { realWorld } from '../../../actors/platform.ts';
import type { Place, Stored } from '../../../storage/snapshot/place.ts';

export const world = realWorld(() => {});
export const octetsOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

export async function listed(place: Place, prefix = ''): Promise<Stored[]> {
  const found: Stored[] = [];
  for await (const stored of place.list(prefix)) found.push(stored);
  return found;
}
export const names = async (place: Place, prefix = ''): Promise<string[]> => (await listed(place, prefix)).map((stored) => stored.name);
const text = async (place: Place, name: string): Promise<string | null> => {
  const octets = await place.get(name);
  return octets === null ? null : Buffer.from(octets).toString();
};

export interface Trial {
  /** An empty place. `reopened` is what another process finds there. */
  open(): Promise<{ place: Place; reopened: () => Promise<Place>; end: () => void }>;
  readonly removes: boolean;
}

/** Declares the tests. */
export function conforms(trial: Trial): void {
  const on = async (run: (place: Place, reopened: () => Promise<Place>) => Promise<void>): Promise<void> => {
    const { place, reopened, end } = await trial.open();
    try {
      await run(place, reopened);
    } finally {
      end();
    }
  };

  test('an empty place holds nothing', () =>
    on(async (place) => {
      expect(await names(place)).toEqual([]);
      expect(await place.get('objects/ab/cd')).toBeNull();
      expect(await place.size('objects/ab/cd')).toBeNull();
    }));

  test('what was put is there, now and later, and again', () =>
    on(async (place, reopened) => {
      const before = world.now();
      await place.put('objects/ab/one', octetsOf('1'));
      await place.put('objects/ab/none', new Uint8Array(0));
      await place.put('lineages/x', octetsOf('first'));
      await place.put('lineages/x', octetsOf('second one'));
      await place.put('objects/ab/one', octetsOf('1'));
      for (const seen of [place, await reopened()]) {
        expect(await text(seen, 'objects/ab/one')).toBe('1');
        expect(await text(seen, 'objects/ab/none')).toBe('');
        expect(await text(seen, 'lineages/x')).toBe('second one');
        expect(await seen.size('lineages/x')).toBe(10);
        expect(await seen.size('objects/ab/none')).toBe(0);
        const all = await listed(seen);
        expect(all.map(({ name, size }) => [name, size])).toEqual([
          ['lineages/x', 10],
          ['objects/ab/none', 0],
          ['objects/ab/one', 1],
        ]);
        for (const { modifiedMs } of all) expect(modifiedMs >= before - 2_000 && modifiedMs <= world.now() + 2_000).toBe(true);
      }
    }));

  test('a name is listed by its prefix, in order of the names', () =>
    on(async (place, reopened) => {
      const put = ['b/a', 'b-c', 'b.c', 'b0', 'a', 'c/d/e', 'c/d.e', 'c/de', 'manifests/l-1/0000000000000002', 'manifests/l-1/0000000000000010'];
      await Promise.all(put.map((name) => place.put(name, octetsOf(name))));
      for (const seen of [place, await reopened()]) {
        for (const prefix of ['', 'b', 'b/', 'c/d', 'c/d/', 'manifests/l-1/', 'manifests/l', 'z', 'c/d/e', 'c/d/e/']) {
          expect(await names(seen, prefix), prefix).toEqual(put.filter((name) => name.startsWith(prefix)).sort());
        }
        expect(await seen.get('c/d')).toBeNull();
        expect(await seen.size('c')).toBeNull();
      }
    }));

  test('many puts at the same time, of the same names too', () =>
    on(async (place, reopened) => {
      const name = (i: number): string => `objects/${((i % 60) % 7).toString(16).padStart(2, '0')}/${i % 60}`;
      await Promise.all(Array.from({ length: 120 }, (_, i) => place.put(name(i), octetsOf(`${i % 60}`.repeat(i % 60)))));
      const seen = await reopened();
      expect((await names(seen)).length).toBe(60);
      for (let i = 0; i < 60; i++) expect(await text(seen, name(i))).toBe(`${i}`.repeat(i));
    }));

  test('random puts and removals are those of a map', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('a', 'b/c', 'b/d', 'e/f/g'), fc.option(fc.uint8Array({ maxLength: 1_500 }))), { maxLength: 8 }),
        (steps) =>
          on(async (place, reopened) => {
            const model = new Map<string, Uint8Array>();
            for (const [name, octets] of steps) {
              if (octets !== null) {
                await place.put(name, octets);
                model.set(name, octets);
              } else if (trial.removes) {
                await place.remove(name);
                model.delete(name);
              }
            }
            for (const seen of [place, await reopened()]) {
              expect(await names(seen)).toEqual([...model.keys()].sort());
              for (const [name, octets] of model) expect(new Uint8Array((await seen.get(name)) ?? [1, 2, 3])).toEqual(new Uint8Array(octets));
            }
          }),
      ),
      { numRuns: 25 },
    ));

  test('what is no name is an assertion, and touches nothing', () =>
    on(async (place) => {
      for (const name of ['', '/a', 'a/', 'a//b', '..', 'a/../b', '.a', 'a/.b', 'A', 'a b', 'a\0', 'é', '-a', 'a'.repeat(101)]) {
        await expect(place.put(name, octetsOf('x')), name).rejects.toThrow('assert');
        await expect(place.get(name), name).rejects.toThrow('assert');
        await expect(place.size(name), name).rejects.toThrow('assert');
        await expect(place.remove(name), name).rejects.toThrow();
      }
      expect(await names(place)).toEqual([]);
    }));
}
