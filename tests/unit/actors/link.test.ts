// Links over real Unix sockets: answers, refusals, events, back-pressure, and what a lost link means.

import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { actor, LinkLost, run } from '../../../actors/actor.ts';
import { link, serve } from '../../../actors/link.ts';
import { realWorld } from '../../../actors/platform.ts';
import { bin, call, event, isRefusal, protocol, refuse, text, u32 } from '../../../actors/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'link-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lines: string[] = [];
const world = realWorld((line) => lines.push(line));
const Echo = protocol(
  'echo',
  {
    say: call(1, { text: text(100) }, { text: text(100) }),
    big: call(2, { bytes: bin(1 << 20) }, { length: u32 }),
    no: call(3, {}, {}),
    crash: call(4, {}, {}),
    never: call(5, {}, {}),
    listen: call(6, {}, {}),
  },
  { tick: event(7, { n: u32 }) },
);
const echo = actor({
  name: 'echo',
  protocol: Echo,
  start: () => ({ gone: 0 }),
  handle: {
    say: (_s, m) => ({ text: m.text }),
    big: (_s, m) => ({ length: m.bytes.length }),
    no: () => refuse('no', 'because'),
    crash: () => {
      throw new Error('planted');
    },
    never: () => new Promise<never>(() => {}),
    listen: (s, _m, peer) => {
      peer.onGone(() => s.gone++);
      for (let n = 0; n < 3; n++) peer.emit('tick', { n });
      return {};
    },
  },
});

describe('links', () => {
  test('questions, refusals, events and large frames cross in order', async () => {
    const path = join(folder, 'a.sock');
    serve(world, path, await run(world, echo));
    const a = link(world, path, Echo);
    const ticks: number[] = [];
    a.on('tick', ({ n }) => ticks.push(n));
    expect(await a.ask('say', { text: 'hello' })).toEqual({ text: 'hello' });
    expect(await a.ask('no', {})).toEqual({ refused: 'no', detail: 'because' });
    await a.ask('listen', {});
    expect(ticks).toEqual([0, 1, 2]);
    const answers = await Promise.all(Array.from({ length: 3000 }, (_, i) => a.ask('say', { text: String(i) })));
    expect(answers.map((x) => (isRefusal(x) ? '' : x.text))).toEqual(Array.from({ length: 3000 }, (_, i) => String(i)));
    const big = await Promise.all(Array.from({ length: 40 }, () => a.ask('big', { bytes: new Uint8Array(1 << 20) })));
    expect(big.every((x) => !isRefusal(x) && x.length === 1 << 20)).toBe(true);
    await expect(a.ask('say', { text: 'x'.repeat(101) })).rejects.toThrow(/assert/);
  });

  test('a crash ends the actor, is logged once, and open questions are lost, not hung', async () => {
    const path = join(folder, 'b.sock');
    const running = await run(world, echo);
    serve(world, path, running);
    const b = link(world, path, Echo, { onLost: () => {} });
    const never = b.ask('never', {});
    lines.length = 0;
    await expect(b.ask('crash', {})).rejects.toBeInstanceOf(LinkLost);
    await expect(never).rejects.toBeInstanceOf(LinkLost);
    expect(String(await running.crashed)).toContain('planted');
    expect(lines.filter((l) => l.includes('actor.crash')).length).toBe(1);
  });

  test('a question asked before the server is there waits for it', async () => {
    const path = join(folder, 'c.sock');
    const c = link(world, path, Echo);
    const early = c.ask('say', { text: 'early' });
    await world.sleep(50);
    serve(world, path, await run(world, echo));
    expect(await early).toEqual({ text: 'early' });
  });

  test.each([
    ['a length past the limit', Buffer.from([0x7f, 0xff, 0xff, 0xff, 1])],
    ['a zero length', Buffer.from([0, 0, 0, 0])],
    ['no message', Buffer.from([0, 0, 0, 1, 0xc0])],
    ['an unknown tag', Buffer.from([0, 0, 0, 4, 0x92, 0xcd, 0x03, 0x84])],
  ])('%s ends that link only', async (_why, octets) => {
    const path = join(folder, `d${octets.length}${octets[0]}${octets[4] ?? ''}.sock`);
    serve(world, path, await run(world, echo));
    const good = link(world, path, Echo);
    await good.ask('say', { text: 'before' });
    await new Promise<void>((done) => {
      const raw = net.connect(path, () => raw.write(octets));
      raw.on('close', () => done());
      raw.on('error', () => {});
      raw.resume();
    });
    expect(await good.ask('say', { text: 'after' })).toEqual({ text: 'after' });
  });
});
