// Frames: what is none is told and never thrown; a newer frame is told from a damaged one; nothing is longer than a frame.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { frameText, readToPortal, readToSite, slices } from '../../../uplink/frames.ts';

test('a frame goes to text and back', () => {
  const frame = { t: 'took', body: { eventSeq: 4 } } as const;
  expect(readToSite(frameText(frame, 7))).toEqual({ is: 'frame', frame: { ...frame, seq: 7 } });
});

test('a frame of an unknown name is told from one that is damaged', () => {
  expect(readToSite('{"t":"later","seq":3,"body":{"x":1}}')).toEqual({ is: 'unknown', t: 'later', seq: 3 });
  expect(readToSite('{"t":"constructor","seq":3,"body":{}}')).toEqual({ is: 'unknown', t: 'constructor', seq: 3 });
  for (const text of [
    '',
    'null',
    '[]',
    '{"t":"took"}',
    '{"t":"took","seq":0,"body":{}}',
    '{"t":"took","seq":1.5,"body":{}}',
    '{"t":1,"seq":1,"body":{}}',
    '{"t":"took","seq":1,"body":{"eventSeq":-1}}',
    '{"t":"pong","seq":1,"body":{"time":1,"more":2}}',
    '{"t":"took","seq":1,"body":{},"more":1}',
  ])
    expect(readToSite(text).is, text).toBe('damaged');
});

test('whatever octets come, reading answers', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void expect(['damaged', 'unknown']).toContain(readToPortal(text).is)));
  fc.assert(
    fc.property(
      fc.constantFrom('auth', 'ready', 'applied', 'kept', 'adopt', 'reported', 'result', 'events', 'answer', 'ping', 'bye'),
      fc.jsonValue(),
      (t, body) => {
        expect(['frame', 'damaged']).toContain(readToPortal(JSON.stringify({ t, seq: 1, body })).is);
      },
    ),
  );
});

test('a frame is at most 1 MiB, and a document of any characters goes in slices that fit', () => {
  expect(readToPortal(JSON.stringify({ t: 'ping', seq: 1, body: {}, x: 'y'.repeat(limits.uplinkFrame) })).is).toBe('damaged');
  for (const unit of ['"', 'é', '€', '\u{1f600}']) {
    const text = unit.repeat(700_000 / unit.length);
    const parts = slices(9, text);
    expect(parts.map((p) => p.text).join('')).toBe(text);
    for (const part of parts)
      expect(Buffer.byteLength(frameText({ t: 'desired', body: { ...part, signature: 's'.repeat(86) } }, 1_000_000))).toBeLessThan(limits.uplinkFrame);
  }
});
