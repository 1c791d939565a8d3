// What FETCH asks for (RFC 3501 §6.4.5), parsed. Pure; never throws.

import { limits } from '../../actors/limits.ts';
import { type Parser, type SequenceSet, textOf } from './grammar.ts';

export interface Section {
  readonly kind: 'section';
  /** Part numbers; empty: the message. */
  readonly path: readonly number[];
  /** `part`: all of it, as BODY[] and BODY[1]. */
  readonly what: 'part' | 'header' | 'fields' | 'notFields' | 'text' | 'mime';
  /** In lower case. */
  readonly fields: ReadonlySet<string>;
  readonly peek: boolean;
  /** Octets asked for: from, and at most how many. */
  readonly partial: { readonly from: number; readonly count: number } | null;
  /** How the response names it. */
  readonly label: string;
}
export type Item = { readonly kind: 'uid' | 'flags' | 'size' | 'internalDate' | 'envelope' | 'structure' | 'body' | 'modseq' } | Section;

export interface Fetch {
  readonly set: SequenceSet;
  readonly items: readonly Item[];
  /** null: no CHANGEDSINCE. */
  readonly changedSince: number | null;
}

const simple: Readonly<Record<string, readonly Item[]>> = {
  UID: [{ kind: 'uid' }],
  FLAGS: [{ kind: 'flags' }],
  'RFC822.SIZE': [{ kind: 'size' }],
  INTERNALDATE: [{ kind: 'internalDate' }],
  ENVELOPE: [{ kind: 'envelope' }],
  BODYSTRUCTURE: [{ kind: 'structure' }],
  BODY: [{ kind: 'body' }],
  MODSEQ: [{ kind: 'modseq' }],
};
const none: ReadonlySet<string> = new Set();
const whole = (what: Section['what'], label: string, peek: boolean): Section => ({ kind: 'section', path: [], what, fields: none, peek, partial: null, label });
const named: Readonly<Record<string, readonly Item[]>> = {
  ...simple,
  RFC822: [whole('part', 'RFC822', false)],
  'RFC822.HEADER': [whole('header', 'RFC822.HEADER', true)],
  'RFC822.TEXT': [whole('text', 'RFC822.TEXT', false)],
};
const fast: readonly Item[] = [{ kind: 'flags' }, { kind: 'internalDate' }, { kind: 'size' }];
const macros: Readonly<Record<string, readonly Item[]>> = {
  FAST: fast,
  ALL: [...fast, { kind: 'envelope' }],
  FULL: [...fast, { kind: 'envelope' }, { kind: 'body' }],
};

/** FETCH's arguments: set, items, [modifiers]. */
export function parseFetch(p: Parser): Fetch {
  p.space();
  const set = p.sequenceSet();
  p.space();
  const items: Item[] = [];
  const one = (): void => {
    if (items.length >= limits.fetchItems) p.fail('Too many items');
    items.push(...item(p));
  };
  if (p.next(40)) p.list(one);
  else {
    const at = p.at;
    const macro = macros[p.word()];
    if (macro) items.push(...macro);
    else {
      p.at = p.ok ? at : p.at;
      one();
    }
  }
  let changedSince: number | null = null;
  if (p.next(32)) {
    p.space();
    p.list(() => {
      if (!p.takeWord('CHANGEDSINCE')) return p.fail('There is no such modifier of FETCH');
      p.space();
      changedSince = p.modseq();
    });
  }
  return { set, items, changedSince };
}

/** A name of letters, digits and dots. */
function itemName(p: Parser): string {
  const from = p.at;
  for (let c = p.bytes[p.at]; c !== undefined; c = p.bytes[p.at]) {
    if (!((c >= 65 && c <= 90) || (c >= 97 && c <= 122) || (c >= 48 && c <= 57) || c === 46)) break;
    p.at++;
  }
  return textOf(p.bytes.subarray(from, p.at)).toUpperCase();
}

function item(p: Parser): readonly Item[] {
  const name = itemName(p);
  if ((name === 'BODY' || name === 'BODY.PEEK') && p.next(91)) return [section(p, name === 'BODY.PEEK')];
  const found = named[name];
  if (!found) p.fail('There is no such item of FETCH');
  return found ?? [];
}

/** "[" [section-spec] "]" ["<" number "." nz-number ">"]. */
function section(p: Parser, peek: boolean): Section {
  p.expect(91, 'Section');
  const path: number[] = [];
  let what: Section['what'] = 'part';
  const fields = new Set<string>();
  const names: string[] = [];
  let told = '';
  for (let first = true; p.ok && !p.next(93); first = false) {
    if (!first) p.expect(46, 'Dot');
    const c = p.bytes[p.at] ?? 0;
    if (c >= 48 && c <= 57) {
      const n = p.number();
      if (n === 0) p.fail('Parts begin with 1');
      path.push(n);
      if (path.length > limits.mimeDepth) p.fail('The section is too deep');
      continue;
    }
    ({ what, told } = sectionText(p, path.length > 0));
    if (what === 'fields' || what === 'notFields') {
      p.space();
      p.list(() => {
        const field = textOf(p.astring());
        fields.add(field.toLowerCase());
        names.push(fieldText(field));
        if (names.length > limits.fetchFields) p.fail('Too many fields');
      });
    }
    break;
  }
  p.expect(93, 'End of the section');
  const list = names.length > 0 ? ` (${names.join(' ')})` : '';
  const spec = [...path.map(String), ...(told === '' ? [] : [told + list])].join('.');
  const partial = parsePartial(p);
  const label = `BODY[${spec}]${partial === null ? '' : `<${partial.from}>`}`;
  return { kind: 'section', path, what, fields, peek, partial, label };
}

/** A field name in the response, as an astring. */
const fieldText = (name: string): string => (/^[A-Za-z0-9_-]+$/.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&').replace(/[^\x20-\x7e]/g, '?')}"`);

function sectionText(p: Parser, inPart: boolean): { what: Section['what']; told: string } {
  if (p.takeWord('HEADER.FIELDS.NOT')) return { what: 'notFields', told: 'HEADER.FIELDS.NOT' };
  if (p.takeWord('HEADER.FIELDS')) return { what: 'fields', told: 'HEADER.FIELDS' };
  if (p.takeWord('HEADER')) return { what: 'header', told: 'HEADER' };
  if (p.takeWord('TEXT')) return { what: 'text', told: 'TEXT' };
  // RFC 3501 §6.4.5: MIME is of a part
  if (inPart && p.takeWord('MIME')) return { what: 'mime', told: 'MIME' };
  p.fail('There is no such section');
  return { what: 'part', told: '' };
}

function parsePartial(p: Parser): Section['partial'] {
  if (!p.take(60)) return null;
  const from = p.number();
  p.expect(46, 'Dot');
  const count = p.number();
  p.expect(62, 'End of the range');
  // RFC 3501 §9: nz-number
  if (count === 0) p.fail('A range has octets');
  return { from, count };
}
