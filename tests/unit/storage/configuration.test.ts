// The document in force: applied whole, users' own changes kept, addresses resolved as it says; certificates, credentials.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Document } from '../../../storage/document.ts';
import {
  account,
  accountByAddress,
  authFailures,
  certificate,
  config,
  dkimKeys,
  isLocalDomain,
  mayFrom,
  relayFor,
  resolveAddress,
  resolvers,
} from '../../../storage/views.ts';
import { contentOf, documentOf, mailOf, type TestStore, testStore } from './fixture.ts';

let store: TestStore;
beforeEach(async () => {
  store = await testStore();
});
afterEach(() => expect(store.problems()).toEqual([]));

const person = (name: string, more: object = {}) => ({
  address: `${name}@example.test`,
  name,
  password: `hash of ${name}`,
  quotaBytes: 0,
  enabled: true,
  ...more,
});
const apply = (document: Document) => store.ok('applyConfig', { document: JSON.stringify(document) });
const domain = (name: string, more: object = {}) => ({ name, aliasOf: null, catchAll: null, subaddress: '+', ...more });

describe('applyConfig (U2)', () => {
  test('the same document again is the same rev', async () => {
    const { commit } = await store.ok('stats', {});
    expect(await apply(documentOf())).toEqual({ rev: 1 });
    expect((await store.ok('stats', {})).commit).toBe(commit);
    expect(await apply(documentOf({ host: 'other.example.test' }))).toEqual({ rev: 2 });
    expect(config(store.engine)).toMatchObject({ rev: 2, document: { host: 'other.example.test' } });
  });

  test('subscribers are told the new rev', async () => {
    const revs: number[] = [];
    store.address.on('configured', ({ rev }) => revs.push(rev));
    await store.ok('subscribe', {});
    await apply(documentOf({ host: 'b.example.test' }));
    await store.ok('putCertificate', { host: 'Mail.example.test', certificatePem: 'c', keyPem: 'k', notAfter: 9, selfSigned: true });
    expect(revs).toEqual([1, 2, 2]); // at once what is in force, then each change
    expect(certificate(store.engine, 'mail.Example.test')?.certificatePem).toBe('c');
  });

  test('an account that is gone keeps its mail, takes none, and comes back as it was', async () => {
    await store.ok('deliver', { mails: [mailOf(contentOf('kept'), [[2, 'INBOX']])] });
    await apply(documentOf({ accounts: [person('alice')] }));
    expect(account(store.engine, 2)).toMatchObject({ present: false, messages: 1 });
    expect(accountByAddress(store.engine, 'bob@example.test')).toBeUndefined();
    expect(resolveAddress(store.engine, 'bob@example.test')).toEqual({ error: 'unknown' });
    expect(await store.no('deliver', { mails: [mailOf(contentOf('late'), [[2, 'INBOX']])] })).toBe('noSuchAccount');
    expect(store.problems()).toEqual([]);
    await apply(documentOf({ accounts: [person('alice'), person('bob', { password: 'new' }), person('carol')] }));
    expect(accountByAddress(store.engine, 'bob@example.test')).toMatchObject({ account: 2, row: { present: true, messages: 1, password: 'new' } });
    expect(accountByAddress(store.engine, 'carol@example.test')?.account).toBe(3);
  });

  test('a password that a user or a rehash set stays until the document says another', async () => {
    await store.ok('rehash', { account: 1, was: 'hash of alice', password: 'better' });
    expect(await store.no('rehash', { account: 1, was: 'hash of alice', password: 'late' })).toBe('conflict');
    expect(await store.no('rehash', { account: 9, was: '', password: '' })).toBe('noSuchAccount');
    await apply(documentOf({ host: 'b.example.test' }));
    expect(account(store.engine, 1)?.password).toBe('better');
    await apply(documentOf({ accounts: [person('alice', { password: 'reset' }), person('bob')] }));
    expect(account(store.engine, 1)?.password).toBe('reset');
  });

  test('a disabled account takes no mail and keeps what it has', async () => {
    await apply(documentOf({ accounts: [person('alice', { enabled: false }), person('bob')] }));
    expect(resolveAddress(store.engine, 'alice@example.test')).toEqual({ error: 'disabled' });
    expect(await store.no('append', { account: 1, mailbox: 'INBOX', flags: 0, keywords: [], internalDate: 0, content: contentOf('x') })).toBe('noSuchAccount');
  });

  test('an account may become an alias, and back', async () => {
    await apply(documentOf({ accounts: [person('alice')], aliases: [{ address: 'bob@example.test', to: ['alice@example.test'] }] }));
    expect(resolveAddress(store.engine, 'bob@example.test')).toMatchObject({ targets: [{ account: 1 }] });
    expect(store.problems()).toEqual([]);
    await apply(documentOf());
    expect(accountByAddress(store.engine, 'BOB@Example.test')?.account).toBe(2);
  });
});

describe('addresses', () => {
  const local = (name: string, mailbox = 'INBOX') => ({ kind: 'local', account: name === 'alice' ? 1 : 2, mailbox, address: `${name}@example.test` });
  const resolve = (address: string) => {
    const found = resolveAddress(store.engine, address);
    return 'error' in found ? found.error : found.targets;
  };
  const aliases = (...rows: [string, string[]][]) => rows.map(([name, to]) => ({ address: `${name}@example.test`, to }));

  test('own, in any case; others; nobody', () => {
    expect(resolve('Alice@EXAMPLE.test')).toEqual([local('alice')]);
    expect(resolve('alice@example.test.')).toEqual([local('alice')]);
    expect([resolve('nobody@example.test'), resolve('alice@elsewhere.test'), resolve('alice'), resolve('alice@'), resolve('"a b"@example.test')]).toEqual([
      'unknown',
      'notOurs',
      'notOurs',
      'notOurs',
      'unknown',
    ]);
    expect([isLocalDomain(store.engine, 'Example.Test'), isLocalDomain(store.engine, '[127.0.0.1]'), isLocalDomain(store.engine, 'le.test')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('RFC 5321 §4.5.1: postmaster falls to the first account', async () => {
    expect(resolve('postmaster@example.test')).toEqual([local('alice')]);
    expect(resolve('Postmaster')).toEqual([local('alice')]);
    await apply(documentOf({ aliases: aliases(['postmaster', ['bob@example.test']]) }));
    expect(resolve('POSTMASTER@example.test')).toEqual([local('bob')]);
  });

  test('aliases lead on, to each target once, here and elsewhere', async () => {
    await apply(
      documentOf({
        aliases: aliases(['all', ['team@example.test', 'alice@example.test', 'x@elsewhere.test']], ['team', ['bob@example.test', 'alice@example.test']]),
      }),
    );
    expect(resolve('all@example.test')).toEqual([local('bob'), local('alice'), { kind: 'remote', address: 'x@elsewhere.test' }]);
    expect([
      mayFrom(store.engine, 1, 'all@example.test'),
      mayFrom(store.engine, 1, 'bob@example.test'),
      mayFrom(store.engine, 2, 'team+x@example.test'),
    ]).toEqual([true, false, true]);
  });

  test('a loop ends', async () => {
    const chain = Array.from({ length: 30 }, (_, i) => [`l${i}`, [`l${i + 1}@example.test`]] as [string, string[]]);
    await apply(documentOf({ aliases: aliases(['a', ['b@example.test']], ['b', ['a@example.test']], ...chain, ['l30', ['alice@example.test']]) }));
    expect([resolve('a@example.test'), resolve('l0@example.test'), resolve('l25@example.test')]).toEqual(['unknown', 'loop', [local('alice')]]);
  });

  test('a domain that is an alias of another', async () => {
    await apply(documentOf({ domains: [domain('example.test'), domain('other.test', { aliasOf: 'example.test' })] }));
    expect(resolve('alice@other.test')).toEqual([local('alice')]);
    expect(accountByAddress(store.engine, 'Alice@Other.test')?.account).toBe(1);
    expect(mayFrom(store.engine, 1, 'alice+x@other.test')).toBe(true);
    expect(resolve('nobody@other.test')).toBe('unknown');
  });

  test('catch-all takes what nobody has, and does not lend its name', async () => {
    await apply(documentOf({ domains: [domain('example.test', { catchAll: 'bob@example.test' })] }));
    expect(resolve('anything@example.test')).toEqual([local('bob')]);
    expect(resolve('alice+x@example.test')).toEqual([local('alice')]);
    expect(mayFrom(store.engine, 2, 'anything@example.test')).toBe(false);
  });

  test('a subaddress names a folder that exists, in any case', async () => {
    await store.ok('createMailbox', { account: 1, name: 'Lists/Bun', specialUse: '' });
    expect(resolve('alice+lists/bun@example.test')).toEqual([local('alice', 'Lists/Bun')]);
    expect(resolve('alice+nothing@example.test')).toEqual([local('alice')]);
    expect([resolve('alice+@example.test'), resolve('+x@example.test'), resolve('nobody+x@example.test')]).toEqual(['unknown', 'unknown', 'unknown']);
    expect(mayFrom(store.engine, 1, 'alice+anything@example.test')).toBe(true);
    await apply(documentOf({ domains: [domain('example.test', { subaddress: '' })] }));
    expect(resolve('alice+archive@example.test')).toBe('unknown');
  });

  test('a full account takes no more', async () => {
    await apply(documentOf({ accounts: [person('alice', { quotaBytes: 10 }), person('bob')] }));
    expect(resolve('alice@example.test')).toEqual([local('alice')]);
    await store.ok('deliver', { mails: [mailOf(contentOf('long enough'), [[1, 'INBOX']])] });
    expect(resolve('alice@example.test')).toBe('full');
    expect(mayFrom(store.engine, 1, 'alice@example.test')).toBe(true);
  });
});

test('relays and resolvers of the document', async () => {
  const relay = { host: 'relay.test', port: 587, user: '', password: '' };
  const relays = [
    { ...relay, for: '*' },
    { ...relay, for: 'one.test', host: 'one' },
  ];
  await apply(documentOf({ outbound: { relays }, network: { resolvers: ['127.0.0.1:5353', '[::1]:53'] } }));
  expect([relayFor(store.engine, 'One.test')?.host, relayFor(store.engine, 'two.test')?.host]).toEqual(['one', 'relay.test']);
  expect(resolvers(store.engine)).toEqual([
    { address: '127.0.0.1', port: 5353 },
    { address: '::1', port: 53 },
  ]);
  expect(relayFor((await testStore({ document: null })).engine, 'x')).toBeNull();
});

test('brute-force counts live in the store, and are forgotten when their window is over', async () => {
  const fail = (...keys: string[]) => store.ok('authFailed', { windowMs: 1_000, keys });
  expect(await fail('a', 'b')).toEqual({ counts: [1, 1] });
  expect(await fail('a')).toEqual({ counts: [2] });
  expect(authFailures(store.engine, 'a')).toEqual({ count: 2, since: store.world.time });
  await store.ok('authSucceeded', { keys: ['b', 'never'] });
  store.world.time += 1_000;
  expect(await fail('a')).toEqual({ counts: [1] });
  expect(authFailures(store.engine, 'b')).toBeUndefined();
  store.world.time += 1e9;
  await store.ok('collect', { transferAgeMs: 1 });
  expect(authFailures(store.engine, 'a')).toBeUndefined();
});

describe('putDkim', () => {
  const key = (selector: string, octet: number) => ({
    selector,
    algorithm: 'ed25519' as const,
    privateKey: Uint8Array.of(octet),
    publicKey: Uint8Array.of(octet, 1),
  });

  test('a key that is there stays, whoever brings another; the rest of the command counts', async () => {
    expect(await store.ok('putDkim', { domain: 'example.test', keys: [key('s1', 1)] })).toEqual({ added: 1 });
    expect(await store.ok('putDkim', { domain: 'example.test', keys: [key('s1', 2), key('s2', 3)] })).toEqual({ added: 1 });
    const { commit } = await store.ok('stats', {});
    expect(await store.ok('putDkim', { domain: 'example.test', keys: [key('s1', 4), key('s2', 5)] })).toEqual({ added: 0 });
    expect((await store.ok('stats', {})).commit).toBe(commit);
    expect(dkimKeys(store.engine, 'example.test').map((k) => [k.selector, k.privateKey[0], k.state])).toEqual([
      ['s1', 1, 'current'],
      ['s2', 3, 'current'],
    ]);
  });

  test('the keys of a domain are its own: not those of a longer name', async () => {
    await store.ok('putDkim', { domain: 'example.test.other', keys: [key('s1', 1)] });
    await store.ok('putDkim', { domain: 'a.example.test', keys: [key('s1', 2)] });
    expect(dkimKeys(store.engine, 'example.test')).toEqual([]);
  });
});
