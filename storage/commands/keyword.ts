// Keywords of a mailbox: its list gives each a position for good; messages hold sets of positions (RFC 3501 §2.3.2).
// They compare without case; the first spelling stays.

import { limits } from '../../actors/limits.ts';
import { hasKeyword, keywordBit, unionKeywords } from '../page.ts';

export interface KeywordSet {
  readonly set: number;
  /** The mailbox's list, longer when names were new. */
  readonly list: readonly string[];
}

/** The set of `names`; `add`: new ones get a position. Null: there is no room for them all. */
export function keywordSet(list: readonly string[], names: readonly string[], add: boolean): KeywordSet | null {
  let set = 0;
  let grown = list;
  for (const name of names) {
    const at = positionOf(grown, name);
    if (at >= 0) set = unionKeywords(set, keywordBit(at));
    else if (add) {
      if (grown.length >= limits.keywordsPerMailbox) return null;
      set = unionKeywords(set, keywordBit(grown.length));
      grown = [...grown, name];
    }
  }
  return { set, list: grown };
}

function positionOf(list: readonly string[], name: string): number {
  const wanted = name.toLowerCase();
  return list.findIndex((k) => k.toLowerCase() === wanted);
}

/** Carries sets from one mailbox's list to another's. What finds no room is left behind (RFC 3501 §6.4.7: SHOULD). */
export function translator(from: readonly string[], to: readonly string[]): { translate(set: number): number; list(): readonly string[] } {
  let list = to;
  const bits = new Map<number, number>();
  const bitOf = (position: number): number => {
    let bit = bits.get(position);
    if (bit === undefined) {
      const found = keywordSet(list, [from[position] as string], true);
      bit = found?.set ?? 0;
      list = found?.list ?? list;
      bits.set(position, bit);
    }
    return bit;
  };
  return {
    list: () => list,
    translate(set) {
      let out = 0;
      if (set !== 0) for (let p = 0; p < from.length; p++) if (hasKeyword(set, p)) out = unionKeywords(out, bitOf(p));
      return out;
    },
  };
}
