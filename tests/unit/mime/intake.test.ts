// A body on its way into the store: chunk layout, inline or streamed, back-pressure, failures.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Address, LinkLost } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { type Refusal, refuse } from '../../../actors/wire.ts';
import type { World } from '../../../actors/world.ts';
import { type Content, contentOf, Intake, IntakeFailed } from '../../../protocols/mime/intake.ts';
import { intakeMemory } from '../../../protocols/mime/memory.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';

const world = { now: () => 1 } as World;

interface Store {
  readonly address: Address<StoreProtocol>;
  readonly asked: string[];
  readonly chunks: Uint8Array[];
  /** Answers what waits. */
  release(): void;
}

/** A store that keeps chunks. `hold`: appends wait for `release`. `answer`: instead of the usual ones. */
function store(options: { hold?: boolean; answer?: (kind: string) => Refusal | Error | null } = {}): Store {
  const asked: string[] = [];
  const chunks: Uint8Array[] = [];
  const waiting: (() => void)[] = [];
  const ask = async (kind: string, message: { first?: number; chunks?: Uint8Array[] }): Promise<object> => {
    asked.push(kind);
    const special = options.answer?.(kind) ?? null;
    if (special instanceof Error) throw special;
    if (special) return special;
    if (kind === 'beginTransfer') return { transfer: 77 };
    if (kind === 'appendTransfer') {
      expect(message.first).toBe(chunks.length);
      chunks.push(...(message.chunks ?? []).map((chunk) => Uint8Array.from(chunk)));
      if (options.hold) await new Promise<void>((resolve) => waiting.push(resolve));
    }
    return {};
  };
  return {
    address: { ask, on: () => () => {} } as unknown as Address<StoreProtocol>,
    asked,
    chunks,
    release: () => {
      for (const resume of waiting.splice(0)) resume();
    },
  };
}

/** What the chunks hold, by the law of storage/schema.ts. */
function unpacked(content: Content, chunks: readonly Uint8Array[]): Buffer {
  expect(content.chunkCount).toBe(chunks.length);
  const raw = chunks.map((chunk) => (chunk[0] === 1 ? Buffer.from(Bun.zstdDecompressSync(chunk.slice(1))) : Buffer.from(chunk.slice(1))));
  expect(chunks[0]?.[0]).toBe(0);
  expect(raw[0]?.length).toBe(Math.min(content.headerSize, limits.chunk));
  for (const chunk of raw.slice(1, -1)) expect(chunk.length).toBe(limits.chunk);
  for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(limits.chunk + 1);
  return Buffer.concat(raw);
}

function check(content: Content, bytes: Buffer, chunks: readonly Uint8Array[] = content.chunks): void {
  expect(unpacked(content, chunks).equals(bytes)).toBe(true);
  expect(content.size).toBe(bytes.length);
  expect(Buffer.from(content.hash).toString('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
}

async function take(to: Address<StoreProtocol>, bytes: Buffer, size: number): Promise<Content> {
  const intake = new Intake(world, to);
  const reused = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    reused.set(piece);
    await intake.write(reused.subarray(0, piece.length));
    reused.fill(0);
  }
  expect(intake.size).toBe(bytes.length);
  const content = await intake.finish();
  intake.release();
  return content;
}

const header = 'Subject: x\r\nFrom: a@b\r\n\r\n';
const noise = (size: number): Buffer => {
  const out = Buffer.alloc(size);
  let x = 1;
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
    out[i] = 33 + ((x >>> 16) % 90);
  }
  return out;
};
const prose = (size: number): Buffer => Buffer.from('The quick brown fox jumps over the lazy dog.\r\n'.repeat(size / 46 + 1).slice(0, size));

describe('chunk layout', () => {
  for (const [name, bytes] of [
    ['nothing', Buffer.alloc(0)],
    ['a header only', Buffer.from(header)],
    ['no header', Buffer.from('\r\nbody')],
    ['a header without an end', Buffer.from('Subject: x')],
    ['small', Buffer.concat([Buffer.from(header), prose(2_000)])],
    ['a body of exactly two chunks', Buffer.concat([Buffer.from(header), noise(2 * limits.chunk)])],
    ['prose of 100 KB', Buffer.concat([Buffer.from(header), prose(100_000)])],
    ['noise of 200 KB', Buffer.concat([Buffer.from(header), noise(200_000)])],
    ['a header longer than a chunk', Buffer.concat([Buffer.from(`X: ${'y'.repeat(40_000)}\r\n\r\n`), prose(5_000)])],
    ['a header of exactly a chunk', Buffer.concat([Buffer.from(`X: ${'y'.repeat(limits.chunk - 7)}\r\n\r\n`), prose(5_000)])],
    ['a header that ends in the second chunk', Buffer.concat([Buffer.from(`X: ${'y'.repeat(limits.chunk - 6)}\r\n\r\n`), prose(5_000)])],
  ] as const) {
    test(name, async () => {
      const whole = contentOf(bytes);
      check(whole, bytes);
      for (const size of [7, 1_000, 16_384, 70_000]) {
        if (size === 7 && bytes.length > 50_000) continue;
        expect(await take(store().address, bytes, size)).toEqual(whole);
      }
    });
  }

  test('zstd where it saves a third, and not where it does not', () => {
    const { chunks } = contentOf(Buffer.concat([Buffer.from(header), prose(60_000), noise(60_000)]));
    expect(chunks.map((chunk) => chunk[0]).slice(0, 4)).toEqual([0, 1, 1, 1]);
    expect(chunks.map((chunk) => chunk[0]).slice(-3)).toEqual([0, 0, 0]);
    expect(contentOf(Buffer.concat([Buffer.from(header), prose(500)])).chunks[1]?.[0]).toBe(0);
  });
});

describe('streaming', () => {
  const big = Buffer.concat([Buffer.from(header), noise(3_000_000)]);

  test('more than limits.inlineBody goes out in chunks, in order', async () => {
    const s = store();
    const content = await take(s.address, big, 60_000);
    expect(content.transfer).toBe(77);
    expect(content.chunks).toEqual([]);
    check(content, big, s.chunks);
    expect(s.asked.filter((kind) => kind === 'beginTransfer')).toHaveLength(1);
  });

  test('many small chunks are too many for a command', async () => {
    const s = store();
    const bytes = Buffer.concat([Buffer.from(header), prose(2_000_000)]);
    const content = await take(s.address, bytes, 60_000);
    expect(content.transfer).toBe(77);
    check(content, bytes, s.chunks);
  });

  test('B1: a store that does not answer is not sent more than the window', async () => {
    const s = store({ hold: true });
    const intake = new Intake(world, s.address);
    let written = 0;
    const writing = (async () => {
      for (let at = 0; at < big.length; at += 16_000) {
        await intake.write(big.subarray(at, at + 16_000));
        written = at + 16_000;
      }
    })();
    for (let i = 0; i < 2_000; i++) await Promise.resolve();
    const most = limits.inlineBody + limits.transferWindow + 20 * limits.chunk;
    expect(written).toBeGreaterThan(limits.transferWindow);
    expect(written).toBeLessThan(most);
    expect(intakeMemory(world)).toBeLessThan(most);
    let done = false;
    void writing.then(() => {
      done = true;
    });
    while (!done) {
      s.release();
      await Promise.resolve();
    }
    const finishing = intake.finish();
    for (let i = 0; i < 1_000; i++) {
      s.release();
      await Promise.resolve();
    }
    check(await finishing, big, s.chunks);
    intake.release();
    expect(intakeMemory(world)).toBe(0);
  });

  test('M1: finish says nothing before the last chunk is written', async () => {
    const s = store({ hold: true });
    const intake = new Intake(world, s.address);
    await intake.write(big.subarray(0, 400_000));
    let done = false;
    const finishing = intake.finish().then((content) => {
      done = true;
      return content;
    });
    for (let i = 0; i < 200; i++) await Promise.resolve();
    expect(s.chunks.length).toBeGreaterThan(20);
    expect(done).toBe(false);
    s.release();
    check(await finishing, big.subarray(0, 400_000), s.chunks);
    intake.release();
  });

  test('B1: past the memory of all intakes together, small ones stream too', async () => {
    const idle: Intake[] = [];
    const each = Buffer.concat([Buffer.from(header), noise(limits.inlineBody - 10_000)]);
    const s = store();
    while (intakeMemory(world) <= limits.intakeMemory) {
      const intake = new Intake(world, s.address);
      await intake.write(each);
      idle.push(intake);
    }
    expect(s.asked).not.toHaveLength(0);
    expect(idle.length).toBeGreaterThan(200);
    for (const intake of idle) intake.abort();
    expect(intakeMemory(world)).toBe(0);
  });

  test('B1: what travels inside a command is counted until that was answered', async () => {
    const intake = new Intake(world, store().address);
    await intake.write(Buffer.concat([Buffer.from(header), noise(100_000)]));
    await intake.finish();
    expect(intakeMemory(world)).toBeGreaterThan(100_000);
    intake.release();
    expect(intakeMemory(world)).toBe(0);
  });

  test('B1: the header of a part that does not end is counted; past the memory of all together it is refused', async () => {
    const start = Buffer.from('Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nX: ');
    const line = noise(50_000);
    const slow: Intake[] = [];
    let refused: unknown = null;
    while (refused === null && slow.length < 1_000) {
      const intake = new Intake(world, store().address);
      slow.push(intake);
      await intake.write(start);
      for (let i = 0; i < 4 && refused === null; i++) refused = await intake.write(line).then(() => null, String);
    }
    expect(refused).toContain('crowded');
    // Both the scanner and the chunks have it
    expect(slow.length).toBeLessThan(limits.intakeMemory / (6 * line.length));
    expect(intakeMemory(world)).toBeLessThan(limits.intakeMemory + limits.transferWindow);
    const ordinary = Buffer.concat([Buffer.from(`X: ${'y'.repeat(8_000)}\r\n\r\n`), prose(400_000)]);
    const s = store();
    check(await take(s.address, ordinary, 5_000), ordinary, s.chunks);
    for (const intake of slow) intake.abort();
    expect(intakeMemory(world)).toBe(0);
  });
});

describe('failures', () => {
  const big = Buffer.concat([Buffer.from(header), noise(2_000_000)]);
  const failing = async (answer: (kind: string) => Refusal | Error | null): Promise<{ error: unknown; asked: string[] }> => {
    const s = store({ answer });
    const intake = new Intake(world, s.address);
    let error: unknown;
    try {
      for (let at = 0; at < big.length; at += 60_000) await intake.write(big.subarray(at, at + 60_000));
      await intake.finish();
    } catch (e) {
      error = e;
    }
    intake.abort();
    intake.abort();
    expect(intakeMemory(world)).toBe(0);
    await expect(intake.write(big)).rejects.toBe(error);
    return { error, asked: s.asked };
  };

  test('the disk is full', async () => {
    const { error, asked } = await failing((kind) => (kind === 'appendTransfer' ? refuse('full', 'no room') : null));
    expect(error).toBeInstanceOf(IntakeFailed);
    expect((error as IntakeFailed).code).toBe('full');
    expect(asked.filter((kind) => kind === 'dropTransfer')).toHaveLength(1);
  });

  test('the store died', async () => {
    const { error } = await failing((kind) => (kind === 'appendTransfer' ? new LinkLost('store') : null));
    expect((error as IntakeFailed).code).toBe('linkLost');
    const before = await failing((kind) => (kind === 'beginTransfer' ? new LinkLost('store') : null));
    expect((before.error as IntakeFailed).code).toBe('linkLost');
    expect(before.asked).toEqual(['beginTransfer']);
  });

  test('a broken invariant on the way is told, not lost', async () => {
    const { error } = await failing((kind) => (kind === 'appendTransfer' ? new TypeError('impossible') : null));
    expect(error).toBeInstanceOf(TypeError);
  });

  test('aborted while the transfer begins, or is being written: it is dropped, and nothing is counted', async () => {
    for (const steps of [0, 1, 50]) {
      const s = store({ hold: true });
      const intake = new Intake(world, s.address);
      const writing = intake.write(big);
      for (let i = 0; i < steps; i++) await Promise.resolve();
      intake.abort();
      s.release();
      await expect(writing).rejects.toBeInstanceOf(IntakeFailed);
      expect(s.asked.filter((kind) => kind === 'dropTransfer')).toHaveLength(1);
      expect(intakeMemory(world)).toBe(0);
    }
  });

  test('a small body needs no store until it is claimed', async () => {
    const s = store({ answer: () => new LinkLost('store') });
    const bytes = Buffer.concat([Buffer.from(header), prose(20_000)]);
    check(await take(s.address, bytes, 5_000), bytes);
    expect(s.asked).toEqual([]);
  });
});
