// SPF as receivers evaluate it (RFC 7208), and how records of several owners become one.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeSpf, mergedSpf } from '../../../protocols/dns/spf.ts';
import { lookupIn, type Zone } from './zone.ts';

const zone: Zone = {
  'a.test A': ['192.0.2.1'],
  'a.test AAAA': ['2001:db8::1'],
  'a.test MX': ['10 mx.a.test'],
  'mx.a.test A': ['192.0.2.2', '192.0.2.3'],
  'good.test TXT': ['another text', 'v=spf1 ip4:192.0.2.0/30 -all'],
  'bad.test TXT': ['v=spf1 nonsense -all'],
  'two.test TXT': ['v=spf1 -all', 'v=spf1 ~all'],
  'loop.test TXT': ['v=spf1 include:loop.test -all'],
  ...Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`chain${i}.test TXT`, [`v=spf1 include:chain${i + 1}.test -all`]])),
};
const judged = (record: string, address = '192.0.2.1') => judgeSpf(lookupIn(zone, { failing: ['dead.test TXT'] }), 'a.test', record, address);

describe('RFC 7208 §5, §6', () => {
  test.each([
    ['v=spf1 a -all', '192.0.2.1', 'pass', 'a', 1],
    ['v=spf1 a -all', '192.0.2.9', 'fail', '-all', 1],
    ['v=spf1 a/24 -all', '192.0.2.9', 'pass', 'a', 1],
    ['v=spf1 a//32 -all', '2001:db8:0:1::9', 'pass', 'a', 1],
    ['v=spf1 MX ~all', '192.0.2.3', 'pass', 'mx', 1],
    ['v=spf1 mx:a.test ?all', '192.0.2.1', 'neutral', '?all', 1],
    ['v=spf1 a:mx.a.test', '192.0.2.2', 'pass', 'a:mx.a.test', 1],
    ['v=spf1 ip4:192.0.2.1 -all', '192.0.2.1', 'pass', 'ip4:192.0.2.1', 0],
    ['v=spf1 ip4:192.0.2.0/24 -all', '2001:db8::1', 'fail', '-all', 0],
    ['v=spf1 ip6:2001:db8::/32 -all', '2001:db8::1', 'pass', 'ip6:2001:db8::', 0],
    ['v=spf1 ip6:2001:db8::2 -all', '2001:db8::1', 'fail', '-all', 0],
    ['v=spf1 include:good.test ~all', '192.0.2.1', 'pass', 'include:good.test', 1],
    ['v=spf1 include:good.test ~all', '192.0.2.9', 'softfail', '~all', 1],
    ['v=spf1 -include:good.test +all', '192.0.2.1', 'fail', '-include:good.test', 1],
    ['v=spf1 exists:a.test -all', '198.51.100.1', 'pass', 'exists:a.test', 1],
    ['v=spf1 redirect=good.test', '192.0.2.1', 'pass', 'redirect=good.test: ip4:192.0.2.0', 1],
    ['v=spf1', '192.0.2.1', 'neutral', 'nothing in it matches', 0],
    ['v=spf1 exp=why.test other=x -all', '192.0.2.1', 'fail', '-all', 0],
    ['v=spf1 include:%{i}.x.test ptr -all', '192.0.2.1', 'fail', '-all', 2],
  ])('%s from %s', async (record, address, result, why, lookups) => expect(await judged(record, address)).toEqual({ result, why, lookups }));

  test.each([
    ['v=spf1 ipv4:192.0.2.1 -all', /"ipv4:192\.0\.2\.1" is no part of SPF/],
    ['v=spf1 a mx,-all', /"mx,-all" is no part/],
    ['v=spf1 include: -all', /"include:" is no part/],
    ['v=spf1 all:x', /is no part/],
    ['v=spf1 a/33 -all', /is no part/],
    ['v=spf1 redirect=a.test redirect=b.test', /redirect= stands there twice/],
    ['v=spf1 include:none.test -all', /none\.test has no SPF record/],
    ['v=spf1 include:two.test -all', /two\.test has several/],
    ['v=spf1 include:bad.test -all', /"nonsense"/],
    ['v=spf1 include:loop.test -all', /more than 10 lookups/],
    ['v=spf1 include:chain0.test -all', /more than 10 lookups/],
    ['v=spf1 a:x.test a:y.test a:z.test -all', /more than 2 of its lookups find nothing/],
  ])('%s is an error for every receiver', async (record, why) =>
    expect(await judged(record)).toMatchObject({ result: 'permerror', why: expect.stringMatching(why) }),
  );

  test('what cannot be asked is no verdict', async () => expect(await judged('v=spf1 include:dead.test -all')).toMatchObject({ result: 'temperror' }));

  test('any text gives an answer', async () => {
    const word = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom('a', 'mx', 'a:', 'ip6:::', 'ip4:1.2.3.4/0', 'include:good.test', '-all', 'a//', 'redirect=loop.test', 'ip4:999.1.1.1', '%'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 6 }), fc.constantFrom('192.0.2.1', '2001:db8::1'), async (words, address) => {
        expect(['pass', 'fail', 'softfail', 'neutral', 'permerror']).toContain((await judged(`v=spf1 ${words.join(' ')}`, address)).result);
      }),
      { numRuns: 500 },
    );
  });
});

describe('one record of several', () => {
  test.each([
    [['v=spf1 include:_spf.other.test -all'], 'v=spf1 include:_spf.other.test mx -all'],
    [['v=spf1 mx a ~all'], 'v=spf1 mx a ~all'],
    [['v=spf1 redirect=other.test'], 'v=spf1 mx redirect=other.test'],
    [['v=spf1 a'], 'v=spf1 a mx ~all'],
    [['v=spf1 a ?all', 'v=spf1 include:x.test A -all'], 'v=spf1 a include:x.test mx -all'],
    [['v=spf1 +all', 'v=spf1 ~all'], 'v=spf1 mx ~all'],
  ])('%j', (records, merged) => expect(mergedSpf(records, 'mx')).toBe(merged));

  test('merging again changes nothing', () => {
    const term = fc.constantFrom('a', 'mx', 'include:x.test', 'ip4:192.0.2.1', '-all', '~all', 'redirect=y.test', 'exp=z.test');
    fc.assert(
      fc.property(fc.array(fc.array(term, { maxLength: 5 }), { minLength: 1, maxLength: 3 }), (records) => {
        const once = mergedSpf(
          records.map((terms) => ['v=spf1', ...terms].join(' ')),
          'mx',
        );
        expect(mergedSpf([once], 'mx')).toBe(once);
      }),
    );
  });
});
