// The resolver against scripted servers: what exists, what does not, what cannot be told, and what is a forgery.

import dns, { type Answer, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { answers, decodeReply, dnsName, encodeQuery } from '../../../protocols/dns/packet.ts';
import { ipLiteral, resolver } from '../../../protocols/dns/resolver.ts';
import { FakeWorld } from '../outbound/network.ts';

interface Zone {
  readonly [question: string]: { readonly rcode?: number; readonly answers?: readonly Answer[]; readonly soa?: number; readonly truncated?: boolean };
}
const a = (name: string, data: string, ttl = 300): Answer => ({ type: 'A', name, ttl, data });
const mx = (name: string, preference: number, exchange: string, ttl = 300): Answer => ({ type: 'MX', name, ttl, data: { preference, exchange } });
const cname = (name: string, data: string, ttl = 300): Answer => ({ type: 'CNAME', name, ttl, data });

function reply(query: Uint8Array, zone: Zone, edit: (packet: Packet) => Packet = (p) => p): Uint8Array {
  const asked = dns.decode(Buffer.from(query));
  const question = asked.questions?.[0];
  const found = zone[`${question?.type} ${question?.name}`] ?? { rcode: 3, soa: 60 };
  const soa: Answer = {
    type: 'SOA',
    name: 'test',
    ttl: 3600,
    data: { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: found.soa ?? 0 },
  };
  const packet: Packet = {
    type: 'response',
    id: asked.id ?? 0,
    flags: (found.rcode ?? 0) | (found.truncated === true ? dns.TRUNCATED_RESPONSE : 0),
    questions: asked.questions ?? [],
    answers: [...(found.answers ?? [])],
    authorities: found.soa === undefined ? [] : [soa],
  };
  return dns.encode(edit(packet));
}

interface Setup {
  readonly world: FakeWorld;
  readonly asked: string[];
  readonly dns: ReturnType<typeof resolver>;
}
function serving(zone: Zone, servers = ['10.0.0.1']): Setup {
  const world = new FakeWorld();
  const asked: string[] = [];
  world.answer = (query, to) => {
    const question = dns.decode(Buffer.from(query)).questions?.[0];
    asked.push(`${to.address} ${question?.type} ${question?.name}`);
    return [reply(query, zone)];
  };
  return { world, asked, dns: resolver(world, () => servers.map((address) => ({ address, port: 53 }))) };
}
/** Lets time pass until the lookup is over. */
async function result<T>(world: FakeWorld, lookup: Promise<T>): Promise<T> {
  let done: { readonly value: T } | null = null;
  void lookup.then((value) => {
    done = { value };
  });
  await world.until(() => done !== null);
  return (done as unknown as { value: T }).value;
}

describe('mail exchanges', () => {
  test('RFC 5321 §5.1: hosts come in order of preference', async () => {
    const s = serving({ 'MX a.test': { answers: [mx('a.test', 20, 'Two.test'), mx('a.test', 10, 'one.test'), mx('a.test', 30, 'three.test')] } });
    expect(await s.dns.mx('A.test.')).toEqual({
      kind: 'found',
      implicit: false,
      hosts: [
        { preference: 10, host: 'one.test' },
        { preference: 20, host: 'two.test' },
        { preference: 30, host: 'three.test' },
      ],
    });
  });

  test('RFC 5321 §5.1: equal preferences are shuffled', async () => {
    const hosts = ['a', 'b', 'c', 'd'].map((n) => mx('s.test', 10, `${n}.test`));
    const s = serving({ 'MX s.test': { answers: hosts } });
    const first = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const found = await s.dns.mx('s.test');
      if (found.kind === 'found') first.add(found.hosts[0]?.host ?? '');
    }
    expect(first.size).toBe(4);
  });

  test('RFC 5321 §5.1: without MX records the domain is its own host, when it has an address', async () => {
    const s = serving({
      'MX i.test': { soa: 60 },
      'A i.test': { answers: [a('i.test', '192.0.2.1')] },
      'AAAA i.test': { soa: 60 },
      'MX empty.test': { soa: 60 },
    });
    expect(await s.dns.mx('i.test')).toEqual({ kind: 'found', implicit: true, hosts: [{ preference: 0, host: 'i.test' }] });
    expect(await s.dns.mx('empty.test')).toEqual({ kind: 'notFound' });
  });

  test('RFC 7505: a null MX is told apart', async () => {
    const s = serving({ 'MX n.test': { answers: [mx('n.test', 0, '.')] }, 'MX m.test': { answers: [mx('m.test', 0, '.'), mx('m.test', 5, 'h.test')] } });
    expect(await s.dns.mx('n.test')).toEqual({ kind: 'null' });
    expect(await s.dns.mx('m.test')).toMatchObject({ hosts: [{ host: 'h.test' }] });
  });

  test('NXDOMAIN is not found; SERVFAIL is a failure, and other servers are asked', async () => {
    const s = serving({ 'MX broken.test': { rcode: 2 } }, ['10.0.0.1', '10.0.0.2']);
    expect(await s.dns.mx('gone.test')).toEqual({ kind: 'notFound' });
    expect(await s.dns.mx('broken.test')).toMatchObject({ kind: 'failed' });
    expect(s.asked.filter((q) => q.includes('broken')).map((q) => q.split(' ')[0])).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.1']);
  });

  test('RFC 5891 §4.4: a domain is asked for as A-labels', async () => {
    const s = serving({ 'MX xn--bcher-kva.test': { answers: [mx('xn--bcher-kva.test', 1, 'h.test')] } });
    expect(await s.dns.mx('Bücher.test')).toMatchObject({ kind: 'found' });
  });

  test('at most limits.mxHosts hosts are kept', async () => {
    const many = Array.from({ length: 100 }, (_, i) => mx('big.test', i, `h${i}.test`));
    const found = await serving({ 'MX big.test': { answers: many } }).dns.mx('big.test');
    expect(found.kind === 'found' && found.hosts.length).toBe(limits.mxHosts);
  });
});

describe('addresses', () => {
  test('IPv4 and IPv6 of a host; literals and localhost are never asked for', async () => {
    const s = serving({
      'A h.test': { answers: [a('h.test', '192.0.2.1')] },
      'AAAA h.test': { answers: [{ type: 'AAAA', name: 'h.test', ttl: 300, data: '2001:db8::1' }] },
    });
    expect(await s.dns.addresses('h.test')).toEqual({ kind: 'found', addresses: ['192.0.2.1', '2001:db8::1'] });
    s.asked.length = 0;
    expect(await s.dns.addresses('[192.0.2.7]')).toEqual({ kind: 'found', addresses: ['192.0.2.7'] });
    expect(await s.dns.addresses('[IPv6:::1]')).toEqual({ kind: 'found', addresses: ['::1'] });
    expect(await s.dns.addresses('localhost')).toMatchObject({ addresses: ['127.0.0.1', '::1'] });
    expect(s.asked).toEqual([]);
  });

  test('aliases are followed inside a reply and across replies', async () => {
    const s = serving({
      'A www.test': { answers: [cname('www.test', 'mid.test'), cname('mid.test', 'far.test')] },
      'A far.test': { answers: [a('far.test', '192.0.2.9')] },
    });
    expect(await s.dns.addresses('www.test')).toEqual({ kind: 'found', addresses: ['192.0.2.9'] });
  });

  test('alias loops end, inside one reply and across replies', async () => {
    const s = serving({
      'A x.test': { answers: [cname('x.test', 'y.test'), cname('y.test', 'x.test')] },
      'A p.test': { answers: [cname('p.test', 'q.test')] },
      'A q.test': { answers: [cname('q.test', 'p.test')] },
    });
    expect(await s.dns.addresses('x.test')).toMatchObject({ kind: 'failed', reason: expect.stringContaining('aliases') });
    expect(await s.dns.addresses('p.test')).toMatchObject({ kind: 'failed', reason: expect.stringContaining('aliases') });
    expect(s.asked.length).toBeLessThan(25);
  });

  test('one family found is enough when the other fails', async () => {
    const s = serving({
      'A h.test': { answers: [a('h.test', '192.0.2.1')] },
      'AAAA h.test': { rcode: 2 },
      'A g.test': { soa: 1 },
      'AAAA g.test': { rcode: 2 },
    });
    expect(await s.dns.addresses('h.test')).toMatchObject({ kind: 'found' });
    expect(await s.dns.addresses('g.test')).toMatchObject({ kind: 'failed' });
  });
});

describe('forgeries and bad servers', () => {
  const zone: Zone = { 'A h.test': { answers: [a('h.test', '192.0.2.1')] } };
  const forged: Zone = { 'A h.test': { answers: [a('h.test', '203.0.113.66')] } };
  const edits: Readonly<Record<string, (p: Packet) => Packet>> = {
    'another id': (p) => ({ ...p, id: ((p.id ?? 0) + 1) % 65_536 }),
    'another question': (p) => ({ ...p, questions: [{ type: 'A', name: 'other.test' }] }),
    'another type': (p) => ({ ...p, questions: [{ type: 'AAAA', name: 'h.test' }] }),
    'no question': (p) => ({ ...p, questions: [] }),
    'a query, not a response': (p) => ({ ...p, type: 'query' }),
  };
  test.each(Object.keys(edits))('RFC 5452 §9.1: an answer with %s is ignored', async (name) => {
    const s = serving(zone);
    s.world.answer = (query) => [reply(query, forged, edits[name]), reply(query, zone)];
    expect(await result(s.world, s.dns.addresses('h.test'))).toMatchObject({ addresses: ['192.0.2.1'] });
  });

  test('records of other names are not believed', async () => {
    const s = serving({ 'A h.test': { answers: [a('h.test', '192.0.2.1'), a('bank.test', '203.0.113.66')] } });
    expect(await s.dns.addresses('h.test')).toMatchObject({ addresses: ['192.0.2.1'] });
    expect(await s.dns.addresses('bank.test')).toEqual({ kind: 'notFound' });
  });

  test('silent servers: each try has its deadline, then it failed', async () => {
    const s = serving({}, ['10.0.0.1', '10.0.0.2']);
    s.world.answer = () => [];
    expect(await result(s.world, s.dns.txt('h.test'))).toMatchObject({ kind: 'failed' });
    expect(s.world.monotonicMs()).toBe(limits.dnsTries * limits.dnsTimeoutMs);
  });

  test('the server that answers is asked first from then on', async () => {
    const s = serving({}, ['10.0.0.1', '10.0.0.2']);
    const asked: string[] = [];
    s.world.answer = (query, to) => {
      asked.push(to.address);
      return to.address === '10.0.0.2' ? [reply(query, {})] : [];
    };
    await result(s.world, s.dns.txt('one.test'));
    await result(s.world, s.dns.txt('two.test'));
    expect(asked).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.2']);
  });

  test('RFC 6891 §7: a server without EDNS is asked without it', async () => {
    const s = serving(zone);
    s.world.answer = (query) => {
      const edns = (dns.decode(Buffer.from(query)).additionals ?? []).length > 0;
      return [reply(query, edns ? { 'A h.test': { rcode: 1 }, 'AAAA h.test': { rcode: 1 } } : zone)];
    };
    expect(await s.dns.addresses('h.test')).toMatchObject({ addresses: ['192.0.2.1'] });
  });

  test('no resolver at all is a failure', async () => {
    expect(await resolver(new FakeWorld(), () => []).mx('a.test')).toMatchObject({ kind: 'failed' });
  });
});

describe('TCP', () => {
  const full: Zone = { 'TXT t.test': { answers: [{ type: 'TXT', name: 't.test', ttl: 60, data: ['a'.repeat(200), 'b'.repeat(200)] }] } };
  function cutting(serve: (query: Uint8Array) => readonly Uint8Array[]): Setup {
    const s = serving({});
    s.world.answer = (query) => [reply(query, { 'TXT t.test': { truncated: true } })];
    s.world.listen('10.0.0.1:53', async (connection) => {
      const frame = (await connection.read()) as Uint8Array;
      for (const part of serve(frame.subarray(2))) connection.write(part);
    });
    return s;
  }
  const frame = (bytes: Uint8Array): Uint8Array => new Uint8Array([bytes.length >> 8, bytes.length & 255, ...bytes]);

  test('RFC 7766: a cut answer is asked for again over TCP, and may come in pieces', async () => {
    const s = cutting((query) => {
      const bytes = frame(reply(query, full));
      return [bytes.subarray(0, 1), bytes.subarray(1, 30), bytes.subarray(30)];
    });
    expect(await result(s.world, s.dns.txt('t.test'))).toEqual({ kind: 'found', texts: ['a'.repeat(200) + 'b'.repeat(200)] });
  });

  test('a TCP server that says nothing, or half, or something else, is a failure', async () => {
    for (const serve of [
      () => [],
      (q: Uint8Array) => [frame(reply(q, full)).subarray(0, 40)],
      (q: Uint8Array) => [frame(reply(q, full, (p) => ({ ...p, id: ((p.id ?? 0) + 1) % 65_536 })))],
      () => [frame(new Uint8Array(0))],
    ]) {
      const s = cutting(serve);
      expect(await result(s.world, s.dns.txt('t.test'))).toMatchObject({ kind: 'failed' });
      expect(s.world.monotonicMs()).toBeLessThanOrEqual(2 * limits.dnsTries * limits.dnsTimeoutMs);
    }
  });
});

describe('the cache', () => {
  test('keeps an answer for its TTL and no longer', async () => {
    const s = serving({ 'TXT c.test': { answers: [{ type: 'TXT', name: 'c.test', ttl: 100, data: 'x' }] } });
    await s.dns.txt('c.test');
    await s.world.advance(99_000);
    await s.dns.txt('C.test');
    expect(s.asked.length).toBe(1);
    await s.world.advance(2_000);
    await s.dns.txt('c.test');
    expect(s.asked.length).toBe(2);
  });

  test('a TTL of zero is not kept, and none is longer than limits.dnsCacheMaxMs', async () => {
    const s = serving({
      'TXT z.test': { answers: [{ type: 'TXT', name: 'z.test', ttl: 0, data: 'x' }] },
      'TXT l.test': { answers: [{ type: 'TXT', name: 'l.test', ttl: 2 ** 30, data: 'x' }] },
    });
    await s.dns.txt('z.test');
    await s.dns.txt('z.test');
    expect(s.asked.length).toBe(2);
    await s.dns.txt('l.test');
    await s.world.advance(limits.dnsCacheMaxMs + 1);
    await s.dns.txt('l.test');
    expect(s.asked.length).toBe(4);
  });

  test('RFC 2308: absence is kept as long as the SOA says; a failure is not', async () => {
    const s = serving({ 'TXT f.test': { rcode: 2 } });
    await s.dns.txt('gone.test');
    await s.world.advance(59_000);
    await s.dns.txt('gone.test');
    expect(s.asked.length).toBe(1);
    await s.world.advance(2_000);
    await s.dns.txt('gone.test');
    expect(s.asked.length).toBe(2);
    await s.dns.txt('f.test');
    await s.dns.txt('f.test');
    expect(s.asked.length).toBe(2 + 2 * limits.dnsTries);
  });

  test('equal questions in flight are asked once', async () => {
    const s = serving({ 'TXT c.test': { answers: [{ type: 'TXT', name: 'c.test', ttl: 0, data: 'x' }] } });
    await Promise.all(Array.from({ length: 50 }, () => s.dns.txt('c.test')));
    expect(s.asked.length).toBe(1);
  });

  test('is bounded: the oldest goes first', async () => {
    const s = serving({});
    for (let i = 0; i <= limits.dnsCache; i++) await s.dns.txt(`n${i}.test`);
    s.asked.length = 0;
    await s.dns.txt(`n${limits.dnsCache}.test`);
    expect(s.asked.length).toBe(0);
    await s.dns.txt('n0.test');
    expect(s.asked.length).toBe(1);
  });
});

describe('names', () => {
  test.each([
    ['Example.ORG.', 'example.org'],
    ['_dmarc.example.org', '_dmarc.example.org'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['', null],
    ['.', null],
    ['a..b', null],
    [`${'a'.repeat(64)}.test`, null],
    [`${'a.'.repeat(127)}test`, null],
    ['a b.test', null],
    ['[127.0.0.1]', null],
  ])('%s is asked for as %s', (text, name) => {
    expect(dnsName(text)).toBe(name);
  });
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['[127.0.0.1]', '127.0.0.1'],
    ['[IPv6:2001:DB8::1]', '2001:db8::1'],
    ['256.1.1.1', null],
    ['01.1.1.1', null],
    ['1:2', null],
    ['example.org', null],
    ['[IPv6:zz::1]', null],
  ])('literal %s is %s', (text, address) => {
    expect(ipLiteral(text)).toBe(address);
  });
});

describe('fuzz', () => {
  test('random octets never throw and are never taken for an answer to our question', () => {
    const query = encodeQuery(0x1234, 'a.test', 'MX', true);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        decodeReply(bytes);
        if (answers(query, bytes)) expect([bytes[0], bytes[1]]).toEqual([0x12, 0x34]);
      }),
      { numRuns: 3_000 },
    );
  });

  test('a good answer with octets changed, cut or added never throws or hangs', async () => {
    const zone: Zone = { 'MX a.test': { answers: [mx('a.test', 1, 'h.test'), cname('b.test', 'c.test'), a('h.test', '192.0.2.1')], soa: 5 } };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 8 }),
        fc.nat(200),
        fc.uint8Array({ maxLength: 30 }),
        async (changes, cut, more) => {
          const s = serving(zone);
          s.world.answer = (query) => {
            const bytes = Buffer.concat([reply(query, zone).subarray(0, Math.max(20, 200 - cut)), more]);
            // header flags and counts, questions and records may all be hit; the id stays
            for (const [at, value] of changes) if (at >= 2 && at < bytes.length) bytes[at] = value;
            return [bytes];
          };
          const found = await result(s.world, s.dns.mx('a.test'));
          expect(['found', 'null', 'notFound', 'failed']).toContain(found.kind);
        },
      ),
      { numRuns: 300 },
    );
  });
});
