// Messages between actors. Each is declared once, as a row with a permanent tag; its field list IS its wire format.
// Guarantees: names never travel; type, length and arity are checked on every send and every receive, on both sides.

import { Packr } from 'msgpackr';
import { assert } from './assert.ts';

/** Checks one decoded value. `is` names the shape in `mailsite wire` and in the golden file. */
export interface Field<T> {
  readonly is: string;
  readonly check: (value: unknown) => value is T;
  /** Records travel as arrays: how to turn a value into its wire form and back. Absent: the value itself. */
  readonly pack?: (value: T) => unknown;
  readonly unpack?: (value: unknown) => T;
}
// biome-ignore lint/suspicious/noExplicitAny: the existential type of a field; every value passes `check`
export type Fields = Readonly<Record<string, Field<any>>>;
export type Of<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** A question with its answer. Either side may also say a Refusal. */
export interface Call<Q extends Fields, A extends Fields> {
  readonly tag: number;
  readonly ask: Q;
  readonly answer: A;
}
/** A one-way message from the server of a protocol to its subscribers. */
export interface Event<F extends Fields> {
  readonly tag: number;
  readonly event: F;
}
// biome-ignore lint/suspicious/noExplicitAny: existential types of rows
export type Calls = Readonly<Record<string, Call<any, any>>>;
// biome-ignore lint/suspicious/noExplicitAny: existential types of rows
export type Events = Readonly<Record<string, Event<any>>>;
export interface Protocol<C extends Calls, E extends Events> {
  readonly name: string;
  readonly calls: C;
  readonly events: E;
}
// biome-ignore lint/suspicious/noExplicitAny: existential type of a protocol
export type AnyProtocol = Protocol<any, any>;

export type Ask<P, K> = P extends Protocol<infer C, Events> ? (K extends keyof C ? Of<C[K]['ask']> : never) : never;
export type Answer<P, K> = P extends Protocol<infer C, Events> ? (K extends keyof C ? Of<C[K]['answer']> : never) : never;
export type EventOf<P, K> = P extends Protocol<Calls, infer E> ? (K extends keyof E ? Of<E[K]['event']> : never) : never;
export type CallName<P> = P extends Protocol<infer C, Events> ? keyof C & string : never;
export type EventName<P> = P extends Protocol<Calls, infer E> ? keyof E & string : never;

/** Refusal is an answer: the request was understood, nothing was changed, and this is why. */
export interface Refusal {
  readonly refused: string;
  readonly detail: string;
}
export const refuse = (refused: string, detail = ''): Refusal => ({ refused, detail });
export const isRefusal = (value: object): value is Refusal => 'refused' in value;

const uint = (is: string, below: number): Field<number> => ({
  is,
  check: (v): v is number => typeof v === 'number' && v >= 0 && v < below && Number.isInteger(v),
});
export const u8 = uint('u8', 2 ** 8);
export const u32 = uint('u32', 2 ** 32);
export const u53 = uint('u53', 2 ** 53);
/** Signed integer within ±2^53: times before 1970 exist in mail. */
export const i53: Field<number> = { is: 'i53', check: (v): v is number => typeof v === 'number' && Number.isSafeInteger(v) };
export const bool: Field<boolean> = { is: 'bool', check: (v): v is boolean => typeof v === 'boolean' };
/** `max` in UTF-16 units. */
export const text = (max: number): Field<string> => ({
  is: `text<${max}>`,
  check: (v): v is string => typeof v === 'string' && v.length <= max,
});
/** `max` in octets. */
export const bin = (max: number): Field<Uint8Array> => ({
  is: `bin<${max}>`,
  check: (v): v is Uint8Array => v instanceof Uint8Array && v.length <= max,
});
export const oneOf = <const T extends readonly string[]>(...values: T): Field<T[number]> => ({
  is: values.join('|'),
  check: (v): v is T[number] => typeof v === 'string' && values.includes(v),
});
export const nullable = <T>(of: Field<T>): Field<T | null> => ({
  is: `${of.is}?`,
  check: (v): v is T | null => v === null || of.check(v),
  ...(of.pack ? { pack: (v: T | null) => (v === null ? null : of.pack?.(v)) } : {}),
  ...(of.unpack ? { unpack: (v: unknown) => (v === null ? null : (of.unpack as (v: unknown) => T)(v)) } : {}),
});
export const list = <T>(of: Field<T>, max: number): Field<readonly T[]> => {
  const check = (v: unknown): v is readonly T[] => {
    if (!Array.isArray(v) || v.length > max) return false;
    for (const item of v) if (!of.check(item)) return false;
    return true;
  };
  const { pack, unpack } = of;
  return {
    is: `list<${of.is},${max}>`,
    check,
    ...(pack ? { pack: (v: readonly T[]) => v.map(pack) } : {}),
    ...(unpack
      ? {
          unpack: (v: unknown) => {
            assert(Array.isArray(v) && v.length <= max, `list<${of.is},${max}>`);
            return v.map(unpack);
          },
        }
      : {}),
  };
};
/** A record inside a message: an array in declared order on the wire. */
export const record = <const F extends Fields>(fields: F): Field<Of<F>> => {
  const rows = Object.entries(fields);
  return {
    is: `{${rows.map(([name, f]) => `${name}:${f.is}`).join(',')}}`,
    check: (v): v is Of<F> => {
      if (typeof v !== 'object' || v === null) return false;
      for (const [name, f] of rows) if (!f.check((v as Record<string, unknown>)[name])) return false;
      return true;
    },
    pack: (v) => toArray(rows, v as Readonly<Record<string, unknown>>, 0),
    unpack: (v) => fromArray(rows, v, 0) as Of<F>,
  };
};

type FieldRows = readonly (readonly [string, Fields[string]])[];

function toArray(rows: FieldRows, value: Readonly<Record<string, unknown>>, lead: number): unknown[] {
  const out: unknown[] = new Array(lead + rows.length);
  for (let i = 0; i < rows.length; i++) {
    const [name, field] = rows[i] as FieldRows[number];
    const item = value[name];
    assert(field.check(item), `${name} is ${field.is}`);
    out[lead + i] = field.pack ? field.pack(item) : item;
  }
  return out;
}

function fromArray(rows: FieldRows, value: unknown, lead: number): Record<string, unknown> {
  assert(Array.isArray(value) && value.length === rows.length + lead, 'a record has its declared arity');
  const out: Record<string, unknown> = {};
  for (let i = 0; i < rows.length; i++) {
    const [name, field] = rows[i] as FieldRows[number];
    const item = field.unpack ? field.unpack(value[i + lead]) : value[i + lead];
    assert(field.check(item), `${name} is ${field.is}`);
    out[name] = item;
  }
  return out;
}

export const call = <Q extends Fields, A extends Fields>(tag: number, ask: Q, answer: A): Call<Q, A> => ({ tag, ask, answer });
export const event = <F extends Fields>(tag: number, fields: F): Event<F> => ({ tag, event: fields });

/** Declares a protocol; tags must be unique and 1..999. */
export function protocol<const C extends Calls, const E extends Events>(name: string, calls: C, events: E): Protocol<C, E> {
  const tags = [...Object.values(calls), ...Object.values(events)].map((row) => row.tag);
  assert(new Set(tags).size === tags.length, `${name}: tags are unique`);
  for (const tag of tags) assert(tag > 0 && tag < 1000, `${name}: tag ${tag} is in range`);
  return { name, calls, events };
}

const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
const rowsOf = new WeakMap<Fields, FieldRows>();
function rows(fields: Fields): FieldRows {
  let found = rowsOf.get(fields);
  if (!found) rowsOf.set(fields, (found = Object.entries(fields)));
  return found;
}

/** [tag, id, ...fields in declared order] as msgpack. Throws an AssertionError for a value its field does not accept. */
export function packMessage(tag: number, id: number, fields: Fields, value: Readonly<Record<string, unknown>>): Uint8Array {
  const out = toArray(rows(fields), value, 2);
  out[0] = tag;
  out[1] = id;
  return packr.pack(out);
}

/** The fields of a decoded message; throws when type, length or arity is not as declared. */
export function unpackMessage<F extends Fields>(fields: F, message: readonly unknown[]): Of<F> {
  return fromArray(rows(fields), message, 2) as Of<F>;
}

/** Decodes one frame into [tag, id, ...]; throws on anything else. */
export function openFrame(bytes: Uint8Array): readonly unknown[] {
  const message: unknown = packr.unpack(bytes);
  assert(Array.isArray(message) && message.length >= 2, 'a frame is a message');
  assert(u32.check(message[0]) && u53.check(message[1]), 'a message has a tag and an id');
  return message;
}

/** A record outside a message (table rows): its fields in order, as msgpack. Missing trailing fields are not allowed here. */
export function packRecord(fields: Fields, value: Readonly<Record<string, unknown>>): Uint8Array {
  return packr.pack(toArray(rows(fields), value, 0));
}

/** The inverse of `packRecord`. Rows are append-only: fewer values than fields are filled from `defaults`. */
export function unpackRecord<F extends Fields>(fields: F, bytes: Uint8Array, defaults?: Readonly<Partial<Of<F>>>): Of<F> {
  const value: unknown = packr.unpack(bytes);
  const declared = rows(fields);
  assert(Array.isArray(value) && value.length <= declared.length, 'a row has its declared arity');
  if (value.length < declared.length) {
    for (const [name] of declared.slice(value.length)) value.push((defaults as Record<string, unknown> | undefined)?.[name]);
  }
  return fromArray(declared, value, 0) as Of<F>;
}

/** One line per message, for `mailsite wire` and its golden file. */
export function describeProtocol(p: AnyProtocol): string[] {
  const show = (fields: Fields): string =>
    rows(fields)
      .map(([name, f]) => `${name}:${f.is}`)
      .join(', ');
  const calls = Object.entries(p.calls as Calls).map(([name, c]) => [c.tag, `${p.name}.${name} #${c.tag} (${show(c.ask)}) -> (${show(c.answer)})`] as const);
  const events = Object.entries(p.events as Events).map(([name, e]) => [e.tag, `${p.name}.${name} #${e.tag} event (${show(e.event)})`] as const);
  return [...calls, ...events].sort((a, b) => a[0] - b[0]).map(([, line]) => line);
}
