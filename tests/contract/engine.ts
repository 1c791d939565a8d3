// What every engine keeps (storage/engine.ts). Each engine's test runs this suite with a way to open an empty one.

import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { Engine, Reader, Snapshot, Write } from '../../storage/engine.ts';

export interface Opened {
  readonly engine: Engine;
  /** A second reader, as another process has it; absent on engines which one process opens. */
  readonly reader?: Reader;
  readonly snapshot?: () => Snapshot;
  /** Opens the same rows again, as after a crash. Absent on engines that keep nothing. */
  readonly reopen?: () => Promise<Engine>;
  close(): Promise<void>;
}

const octets = (...bytes: number[]): Uint8Array => new Uint8Array(bytes);
const key = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const value = (text: string): Uint8Array => key(text);
const put = (k: string, v: string): Write => [key(k), value(v)];
const remove = (k: string): Write => [key(k), null];
const text = (v: Uint8Array | undefined): string | undefined => (v === undefined ? undefined : Buffer.from(v).toString('latin1'));
const rows = (r: Reader, from: string, to: string, options?: { reverse?: boolean; limit?: number }): string[] =>
  [...r.range(key(from), key(to), options)].map(([k, v]) => `${text(k)}=${text(v)}`);

export function engineContract(name: string, open: () => Promise<Opened>): void {
  let opened: Opened[] = [];
  const fresh = async (): Promise<Opened> => {
    const o = await open();
    opened.push(o);
    return o;
  };
  afterEach(async () => {
    for (const o of opened) await o.close();
    opened = [];
  });

  describe(`engine contract: ${name}`, () => {
    test('a commit writes, overwrites and removes at once', async () => {
      const { engine } = await fresh();
      await engine.commit([put('a', '1'), put('b', '2')]);
      await engine.commit([put('a', '3'), remove('b'), put('c', '4'), remove('never')]);
      expect([text(engine.get(key('a'))), text(engine.get(key('b'))), text(engine.get(key('c')))]).toEqual(['3', undefined, '4']);
      expect(text(engine.peek(key('a')))).toBe('3');
      expect(engine.peek(key('b'))).toBeUndefined();
    });

    test('reads see a commit when it has resolved', async () => {
      const { engine } = await fresh();
      await engine.commit([put('a', '1')]);
      const later = engine.commit([put('a', '2')]);
      await later;
      expect(text(engine.get(key('a')))).toBe('2');
    });

    test('a range holds from <= key < to, in order of unsigned octets, both ways, with a limit', async () => {
      const { engine } = await fresh();
      await engine.commit(['b', 'a', 'd', 'c', 'ab', '\xff', '\x80', '\x00'].map((k) => put(k, k.toUpperCase())));
      expect(rows(engine, 'a', 'd')).toEqual(['a=A', 'ab=AB', 'b=B', 'c=C']);
      expect(rows(engine, 'a', 'd', { reverse: true })).toEqual(['c=C', 'b=B', 'ab=AB', 'a=A']);
      expect(rows(engine, 'aa', 'cc', { reverse: true })).toEqual(['c=C', 'b=B', 'ab=AB']);
      expect(rows(engine, 'a', 'd', { limit: 2 })).toEqual(['a=A', 'ab=AB']);
      expect(rows(engine, 'a', 'd', { limit: 2, reverse: true })).toEqual(['c=C', 'b=B']);
      expect(rows(engine, 'x', 'z')).toEqual([]);
      expect(rows(engine, 'd', 'a')).toEqual([]);
      expect([...engine.range(octets(0), octets(255, 255))].map(([k]) => k[0])).toEqual([0, 97, 97, 98, 99, 100, 128, 255]);
      expect([...engine.keys(key('a'), key('c'))].map((k) => text(k))).toEqual(['a', 'ab', 'b']);
    });

    test('a scan may be left early, and others may read in it', async () => {
      const { engine } = await fresh();
      await engine.commit(Array.from({ length: 100 }, (_, i) => put(`k${String(i).padStart(3, '0')}`, `v${i}`)));
      for (const [k] of engine.range(key('k'), key('l'))) {
        if (text(k) === 'k010') break;
        expect(text(engine.get(key('k050')))).toBe('v50');
        expect([...engine.range(key('k090'), key('l'))].length).toBe(10);
      }
      await engine.commit([put('k011', 'new')]);
      expect(text(engine.get(key('k011')))).toBe('new');
    });

    test('long scans of a snapshot that cross each other lose and repeat nothing', async () => {
      const { engine, snapshot } = await fresh();
      const name = (i: number): string => `k${String(i).padStart(5, '0')}`;
      await engine.commit(Array.from({ length: 3_000 }, (_, i) => put(name(i), `v${i}`)));
      const held = snapshot?.() ?? engine;
      await engine.commit(Array.from({ length: 1_500 }, (_, i) => [key(name(2 * i)), null] as const));
      const wanted = Array.from({ length: snapshot ? 3_000 : 1_500 }, (_, i) => name(snapshot ? i : 2 * i + 1));
      const walks = [held.range(key('k'), key('l')), held.range(key('k'), key('l'), { reverse: true }), held.range(key('k'), key('l'))];
      const cursors = walks.map((walk) => walk[Symbol.iterator]());
      const seen: string[][] = walks.map(() => []);
      for (let open = walks.length; open > 0; ) {
        open = 0;
        for (const [i, cursor] of cursors.entries()) {
          for (let n = 0; n <= 7 * i; n++) {
            const step = cursor.next();
            if (step.done === true) break;
            seen[i]?.push(text(step.value[0]) as string);
            open++;
          }
          held.get(key(name(77)));
        }
      }
      expect(seen).toEqual([wanted, wanted.toReversed(), wanted]);
      expect([...held.keys(key('k'), key('l'))].map((k) => text(k))).toEqual(wanted);
      if (snapshot) (held as Snapshot).release();
    });

    test('values keep every octet and every size', async () => {
      const { engine } = await fresh();
      const sizes = [1, 2, 255, 4_000, 4_071, 4_072, 4_073, 4_096, 16_367, 40_000, 70_000, 1_000_000];
      await engine.commit(sizes.map((n) => [key(`n${n}`), new Uint8Array(n).map((_, i) => (i * 31 + n) & 255)] as const));
      for (const n of sizes) {
        const wanted = new Uint8Array(n).map((_, i) => (i * 31 + n) & 255);
        expect(Buffer.from(engine.get(key(`n${n}`)) ?? []).equals(Buffer.from(wanted))).toBe(true);
        const lent = engine.peek(key(`n${n}`)) as Uint8Array;
        expect(lent.byteLength).toBe(n);
        expect(Buffer.from(lent).equals(Buffer.from(wanted))).toBe(true);
      }
      const all = [...engine.range(key('n'), key('o'))];
      expect(all.map(([, v]) => v.byteLength).sort((a, b) => a - b)).toEqual(sizes);
    });

    test('what get and range give belongs to the caller', async () => {
      const { engine } = await fresh();
      await engine.commit([put('a', 'one'), put('b', 'two')]);
      const a = engine.get(key('a')) as Uint8Array;
      const [first, second] = [...engine.range(key('a'), key('c'))];
      engine.get(key('b'));
      expect([text(a), text(first?.[1]), text(second?.[1])]).toEqual(['one', 'one', 'two']);
      a[0] = 0;
      expect(text(engine.get(key('a')))).toBe('one');
    });

    test('another reader sees it after refresh, and a snapshot never', async () => {
      const { engine, reader, snapshot } = await fresh();
      await engine.commit([put('a', '1')]);
      reader?.refresh();
      if (reader) expect(text(reader.get(key('a')))).toBe('1');
      const held = snapshot?.();
      await engine.commit([put('a', '2'), put('b', '1')]);
      if (held) {
        expect([text(held.get(key('a'))), text(held.peek(key('a'))), rows(held, 'a', 'c'), [...held.keys(key('a'), key('c'))].length]).toEqual([
          '1',
          '1',
          ['a=1'],
          1,
        ]);
        held.refresh();
        expect(text(held.get(key('a')))).toBe('1');
        held.release();
      }
      reader?.refresh();
      if (reader) expect(rows(reader, 'a', 'c')).toEqual(['a=2', 'b=1']);
      expect(rows(engine, 'a', 'c')).toEqual(['a=2', 'b=1']);
    });

    test('what was committed is there when it is opened again', async ({ skip }) => {
      const { engine, reopen } = await fresh();
      if (!reopen) return skip('this engine keeps nothing');
      await engine.commit(Array.from({ length: 500 }, (_, i) => put(`k${i}`, `v${i}`)));
      const again = await reopen();
      expect([...again.range(key('k'), key('l'))].length).toBe(500);
    });

    test('any commits give the rows that a map would have', async () => {
      const name = fc.string({ unit: fc.constantFrom('a', 'b', '\x00', '\xff'), minLength: 1, maxLength: 3 });
      const write = fc.tuple(name, fc.option(fc.string({ minLength: 1, maxLength: 4, unit: 'binary-ascii' }), { nil: null }));
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(write, { maxLength: 30 }), { maxLength: 6 }), name, name, async (commits, from, to) => {
          const { engine, close } = await open();
          const model = new Map<string, string>();
          for (const writes of commits) {
            const once = new Map(writes);
            await engine.commit([...once].map(([k, v]) => (v === null ? remove(k) : put(k, v))));
            for (const [k, v] of once)
              if (v === null) model.delete(k);
              else model.set(k, v);
          }
          const wanted = [...model]
            .filter(([k]) => k >= from && k < to)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([k, v]) => `${k}=${v}`);
          expect(rows(engine, from, to)).toEqual(wanted);
          expect(rows(engine, from, to, { reverse: true })).toEqual(wanted.reverse());
          await close();
        }),
        { numRuns: 40 },
      );
    });
  });
}
