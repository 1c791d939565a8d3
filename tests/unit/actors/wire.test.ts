// Messages are exactly as they are declared: what differs in type, length or arity is refused.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bin,
  bool,
  call,
  list,
  nullable,
  oneOf,
  openFrame,
  packMessage,
  packRecord,
  protocol,
  record,
  text,
  u32,
  u53,
  unpackMessage,
  unpackRecord,
} from '../../../actors/wire.ts';

const fields = { n: u53, name: text(10), body: bin(8), on: bool, kind: oneOf('a', 'b'), rows: list(record({ id: u32, note: nullable(text(5)) }), 3) };
const value = {
  n: 2 ** 40,
  name: 'né',
  body: new Uint8Array([1, 2]),
  on: true,
  kind: 'b' as const,
  rows: [
    { id: 1, note: null },
    { id: 2, note: 'x' },
  ],
};

describe('the wire', () => {
  test('a message comes back as it went, without names', () => {
    const frame = packMessage(7, 42, fields, value);
    const open = openFrame(frame);
    expect(open.slice(0, 2)).toEqual([7, 42]);
    expect(JSON.stringify(open)).not.toContain('kind');
    const back = unpackMessage(fields, open);
    expect({ ...back, body: [...back.body] }).toEqual({ ...value, body: [1, 2] });
  });

  test.each([
    ['a text too long', { ...value, name: 'x'.repeat(11) }],
    ['octets too long', { ...value, body: new Uint8Array(9) }],
    ['a list too long', { ...value, rows: new Array(4).fill({ id: 1, note: null }) }],
    ['a wrong type', { ...value, on: 1 }],
    ['a wrong word', { ...value, kind: 'c' }],
    ['a fraction', { ...value, n: 1.5 }],
    ['a negative number', { ...value, n: -1 }],
    ['a field missing', { ...value, name: undefined }],
    ['a bad field in a record', { ...value, rows: [{ id: -1, note: null }] }],
  ])('%s is not sent', (_why, bad) => {
    expect(() => packMessage(7, 1, fields, bad as never)).toThrow(/assert/);
  });

  test('arity is checked on receive, both ways', () => {
    const short = openFrame(packMessage(7, 1, { n: u53 }, { n: 1 }));
    expect(() => unpackMessage(fields, short)).toThrow(/arity/);
    const long = openFrame(packMessage(7, 1, fields, value));
    expect(() => unpackMessage({ n: u53 }, long)).toThrow(/arity/);
  });

  test('random octets are refused or are a message, never more', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          unpackMessage(fields, openFrame(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });

  test('a row may grow: missing trailing fields come from the defaults', () => {
    const old = packRecord({ a: u32 }, { a: 5 });
    expect(unpackRecord({ a: u32, b: text(5) }, old, { b: 'new' })).toEqual({ a: 5, b: 'new' });
    expect(() => unpackRecord({ a: u32, b: text(5) }, old)).toThrow(/b is text/);
  });

  test('two messages never share a tag', () => {
    expect(() => protocol('p', { a: call(1, {}, {}), b: call(1, {}, {}) }, {})).toThrow(/unique/);
  });
});
