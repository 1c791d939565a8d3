// The document: what is accepted, in which form, and that every error is told with its path.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizeAddress, normalizeDomain, parseEndpoint } from '../../../storage/addresses.ts';
import { documentJsonSchema, isPasswordHash, sealDocument, validateDocument } from '../../../storage/document.ts';

const hash = '$argon2id$v=19$m=19456,t=2,p=1$F+9YudNiAZvnKESCTEyMG5s043CDuIj5bBEaVGEmYZY$SnimsyH75Su00C7LNcpoAIRsz7qnc91Fhkh1E7DU/E4';
const account = (address: string) => ({ address, password: hash });
const small = { schema: 1, host: 'mail.example.test', domains: [{ name: 'example.test' }], accounts: [account('alice@example.test')] };
const validate = (document: unknown) => validateDocument(JSON.stringify(document));
const errors = (document: unknown): string[] => {
  const found = validate(document);
  return found.ok ? [] : found.errors.map((e) => `${e.path}: ${e.message}`);
};

describe('the normal form', () => {
  test('only schema, host, domains and accounts are required; everything else has its default', () => {
    expect(validate(small)).toEqual({
      ok: true,
      document: {
        schema: 1,
        host: 'mail.example.test',
        domains: [{ name: 'example.test', aliasOf: null, catchAll: null, subaddress: '+' }],
        accounts: [{ address: 'alice@example.test', name: '', password: hash, quotaBytes: 0, enabled: true }],
        aliases: [],
        outbound: { relays: [] },
        network: { resolvers: [] },
        snapshots: null,
      },
    });
  });

  test('the normal form of a normal form is itself', async () => {
    const found = validate({ ...small, network: { resolvers: ['::1', '9.9.9.9'] }, outbound: { relays: [{ for: '*', host: 'Relay.Test' }] } });
    if (!found.ok) throw new Error('refused');
    const sealed = await sealDocument(found.document, async () => hash);
    expect(validate(sealed)).toEqual({ ok: true, document: sealed });
  });

  test('names have one spelling: lower case, A-labels, no final dot, port always said', () => {
    const found = validate({
      ...small,
      host: 'MAIL.Bücher.example.',
      domains: [{ name: 'Example.Test' }, { name: 'BÜCHER.example', aliasOf: 'example.TEST' }],
      accounts: [account('Alice@EXAMPLE.test')],
      aliases: [{ address: 'INFO@example.test', to: ['Bob@Elsewhere.TEST', 'ALICE@bücher.example'] }],
      network: { resolvers: ['127.0.0.1', '[2001:DB8::1]:5353'] },
    });
    expect(found).toMatchObject({
      ok: true,
      document: {
        host: 'mail.xn--bcher-kva.example',
        domains: [{ name: 'example.test' }, { name: 'xn--bcher-kva.example', aliasOf: 'example.test' }],
        accounts: [{ address: 'alice@example.test' }],
        aliases: [{ address: 'info@example.test', to: ['bob@elsewhere.test', 'alice@xn--bcher-kva.example'] }],
        network: { resolvers: ['127.0.0.1:53', '[2001:db8::1]:5353'] },
      },
    });
  });

  test('a password in clear stays apart until it is hashed, and keys of an account keep their order', async () => {
    const found = validate({
      ...small,
      accounts: [
        { address: 'a@example.test', password: { plain: 'one' } },
        account('b@example.test'),
        { address: 'c@example.test', password: { plain: 'three' } },
      ],
    });
    if (!found.ok) throw new Error('refused');
    const sealed = await sealDocument(found.document, async (address, plain) => `${address}:${plain}`, 4);
    expect(sealed.accounts.map((a) => a.password)).toEqual(['a@example.test:one', hash, 'c@example.test:three']);
    expect(Object.keys(sealed.accounts[0] ?? {})).toEqual(['address', 'name', 'password', 'quotaBytes', 'enabled']);
  });
});

describe('errors', () => {
  test.each<[string, object, string]>([
    ['an unknown key', { ...small, colour: 'red' }, 'colour: is not known here'],
    ['an unknown key deep down', { ...small, domains: [{ name: 'example.test', dkim: true }] }, 'domains[0].dkim: is not known here'],
    ['another schema', { ...small, schema: 2 }, 'schema: must be 1, the only version there is'],
    ['a host without a dot', { ...small, host: 'mail' }, 'host: must be a host name with a dot, such as mail.example.org; it is "mail"'],
    ['a host that is an address', { ...small, host: '192.0.2.1' }, 'host: must be a host name with a dot, such as mail.example.org; it is "192.0.2.1"'],
    ['no domains', { ...small, domains: [], accounts: [] }, 'domains: must declare at least one domain'],
    [
      'a missing password',
      { ...small, accounts: [{ address: 'a@example.test' }] },
      'accounts[0].password: is required: an argon2, bcrypt, $5$, $6$, $1$ or $apr1$ hash, or {"plain": "…"}',
    ],
    ['an empty password', { ...small, accounts: [{ address: 'a@example.test', password: { plain: '' } }] }, 'accounts[0].password.plain: must not be empty'],
    ['a fraction', { ...small, accounts: [{ ...account('a@example.test'), quotaBytes: 1.5 }] }, 'accounts[0].quotaBytes: must be a whole number'],
    [
      'an account in a foreign domain',
      { ...small, accounts: [account('a@other.test')] },
      'accounts[0].address: a@other.test is in a domain that is not declared: add it to domains',
    ],
    [
      'an account twice',
      { ...small, accounts: [account('a@example.test'), account('A@example.test')] },
      'accounts[1].address: a@example.test is declared twice: also at accounts[0].address',
    ],
    [
      'an alias that is an account',
      { ...small, aliases: [{ address: 'alice@example.test', to: ['x@y.test'] }] },
      'aliases[0].address: alice@example.test is declared twice: also at accounts[0].address',
    ],
    ['a domain twice', { ...small, domains: [{ name: 'example.test' }, { name: 'EXAMPLE.test' }] }, 'domains[1].name: example.test is declared twice'],
    [
      'a domain alias of nothing',
      { ...small, domains: [{ name: 'example.test' }, { name: 'b.test', aliasOf: 'c.test' }] },
      'domains[1].aliasOf: c.test is not declared: add it to domains',
    ],
    [
      'a domain alias of an alias',
      { ...small, domains: [{ name: 'example.test' }, { name: 'b.test', aliasOf: 'c.test' }, { name: 'c.test', aliasOf: 'example.test' }] },
      'domains[1].aliasOf: c.test is itself an alias: name example.test',
    ],
    [
      'a domain alias of itself',
      { ...small, domains: [{ name: 'example.test' }, { name: 'b.test', aliasOf: 'b.test' }] },
      'domains[1].aliasOf: b.test cannot be an alias of itself',
    ],
    [
      'an account in an alias domain',
      { ...small, domains: [{ name: 'example.test' }, { name: 'b.test', aliasOf: 'example.test' }], accounts: [account('a@b.test')] },
      'accounts[0].address: a@b.test is in an alias domain: declare it in example.test',
    ],
    [
      'a catch-all for nobody',
      { ...small, domains: [{ name: 'example.test', catchAll: 'nobody@example.test' }] },
      'domains[0].catchAll: nobody@example.test is neither an account nor an alias of this document',
    ],
    [
      'an alias to nobody',
      { ...small, aliases: [{ address: 'x@example.test', to: ['nobody@example.test'] }] },
      'aliases[0].to[0]: nobody@example.test is neither an account nor an alias of this document',
    ],
    [
      'an alias loop',
      {
        ...small,
        aliases: [
          { address: 'x@example.test', to: ['y@example.test'] },
          { address: 'y@example.test', to: ['x+z@example.test'] },
        ],
      },
      'aliases[0].to: x@example.test leads back to itself or through more than 10 aliases',
    ],
    [
      'two relays for one domain',
      {
        ...small,
        outbound: {
          relays: [
            { for: '*', host: 'a.test' },
            { for: '*', host: 'b.test' },
          ],
        },
      },
      'outbound.relays[1].for: * has two relays: keep one',
    ],
    [
      'a relay user without a password',
      { ...small, outbound: { relays: [{ for: '*', host: 'a.test', user: 'u' }] } },
      'outbound.relays[0].password: is required with a user',
    ],
    [
      'a resolver by name',
      { ...small, network: { resolvers: ['dns.test'] } },
      'network.resolvers[0]: must be an IP address with or without a port, such as 127.0.0.1:53; it is "dns.test"',
    ],
  ])('%s', (_what, document, error) => {
    expect(errors(document)).toContain(error);
  });

  test('all errors are told at once, each with its path', () => {
    expect(errors({ ...small, schema: 7, host: '', accounts: [{ address: 'x', password: 3 }] }).map((e) => e.slice(0, e.indexOf(':')))).toEqual([
      'schema',
      'host',
      'accounts[0].address',
      'accounts[0].password',
    ]);
  });

  test('a password never appears in an error', () => {
    for (const password of ['hunter2', { plain: 'hunter2', extra: 'hunter2' }, { plain: `hunter2\n` }, ['hunter2'], { plain: 'hunter2'.repeat(200) }]) {
      const said = errors({ ...small, accounts: [{ address: 'a@example.test', password }] });
      expect(said.length).toBeGreaterThan(0);
      expect(said.join()).not.toContain('hunter2');
    }
  });

  test('what is no JSON object is refused, not thrown at', () => {
    for (const text of ['', '{', '[]', 'null', '3', '"x"', '{"schema":1}', '\u0000']) expect(validateDocument(text).ok).toBe(false);
    fc.assert(
      fc.property(fc.json(), (text) => typeof validateDocument(text).ok === 'boolean'),
      { numRuns: 300 },
    );
  });
});

test('an alias may lead to a folder, to an alias domain, and to an address that only the catch-all takes', () => {
  const document = {
    ...small,
    domains: [
      { name: 'example.test', catchAll: 'alice@example.test' },
      { name: 'b.test', aliasOf: 'example.test' },
    ],
    aliases: [{ address: 'x@example.test', to: ['alice+work@example.test', 'alice@b.test', 'anybody@example.test', 'a@far.test'] }],
  };
  expect(errors(document)).toEqual([]);
});

test('without a subaddress separator a plus is a letter', () => {
  const document = {
    ...small,
    domains: [{ name: 'example.test', subaddress: null }],
    aliases: [{ address: 'x@example.test', to: ['alice+work@example.test'] }],
  };
  expect(errors(document)).toEqual(['aliases[0].to[0]: alice+work@example.test is neither an account nor an alias of this document']);
});

test('100,000 accounts and aliases in a chain are checked in seconds', () => {
  const accounts = Array.from({ length: 20_000 }, (_, i) => account(`u${i}@example.test`));
  const aliases = Array.from({ length: 20_000 }, (_, i) => ({ address: `a${i}@example.test`, to: [i < 9 ? `a${i + 1}@example.test` : `u${i}@example.test`] }));
  expect(errors({ ...small, accounts, aliases })).toEqual([]);
});

test('hashes that the program can verify, and no others', () => {
  const good = [
    hash,
    `$2b$10$${'a'.repeat(53)}`,
    `$2y$12$${'.'.repeat(53)}`,
    `$5$salt$${'a'.repeat(43)}`,
    `$6$rounds=5000$salt$${'a'.repeat(86)}`,
    `$1$salt$${'a'.repeat(22)}`,
    `$apr1$salt$${'a'.repeat(22)}`,
  ];
  const bad = [
    '',
    'secret',
    '{SHA}x',
    '$y$j9T$abc$def',
    '!',
    '*',
    `$6$rounds=999999999$salt$${'a'.repeat(86)}`,
    `$2b$31$${'a'.repeat(53)}`,
    hash.replace('m=19456', 'm=9999999'),
    ` ${hash}`,
  ];
  expect(good.filter((text) => !isPasswordHash(text))).toEqual([]);
  expect(bad.filter(isPasswordHash)).toEqual([]);
});

test('snapshots go to a folder, or to a bucket with its keys', () => {
  const to = (snapshots: unknown): string[] => errors({ ...small, snapshots });
  expect(to({ to: '/backup' })).toEqual([]);
  expect(to(null)).toEqual([]);
  expect(to({ to: 'backup' })).toEqual(['snapshots.to: must be an absolute folder or s3://bucket/prefix']);
  expect(to({ to: '/backup.tar' })).toEqual(['snapshots.to: must be a folder or a bucket: a tar file only grows']);
  expect(to({ to: '/backup', everySeconds: 0 })).toEqual(['snapshots.everySeconds: must be at least 1']);
  expect(to({ to: 's3://b/x' })).toEqual(['snapshots.s3: is required with a bucket: its accessKeyId and secretAccessKey']);
  expect(to({ to: 's3://b/x', s3: { accessKeyId: 'a', secretAccessKey: 'b' } })).toEqual([]);
});

test('the JSON Schema requires what is required and closes every object', () => {
  const schema = documentJsonSchema() as { required: string[]; additionalProperties: boolean; properties: Record<string, object> };
  expect(schema.required).toEqual(['schema', 'host', 'domains', 'accounts']);
  expect(schema.additionalProperties).toBe(false);
  expect(Object.keys(schema.properties)).toEqual(['schema', 'host', 'domains', 'accounts', 'aliases', 'outbound', 'network', 'snapshots']);
});

describe('addresses', () => {
  test.each([
    ['Example.TEST', 'example.test'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['XN--BCHER-KVA.example', 'xn--bcher-kva.example'],
    ['a.b.', 'a.b'],
    ['', null],
    ['a..b', null],
    ['-a.test', null],
    ['a b.test', null],
    ['1.2.3.4', null],
    ['[::1]', null],
    [`${'a'.repeat(64)}.test`, null],
  ])('domain %s is %s', (text, expected) => {
    expect(normalizeDomain(text)).toBe(expected);
  });

  test.each([
    ['Alice@Example.Test', 'alice@example.test'],
    ["o'neil+x/y=z@a.test", "o'neil+x/y=z@a.test"],
    ['Jörg@a.test', 'jörg@a.test'],
    ['jo\u0308rg@a.test', 'jörg@a.test'],
    ['a@b@c.test', null],
    ['.a@b.test', null],
    ['a..b@c.test', null],
    ['"a b"@c.test', null],
    ['@c.test', null],
    ['a@', null],
    [`${'a'.repeat(65)}@c.test`, null],
    ['a\r\nb@c.test', null],
  ])('address %j is %j', (text, expected) => {
    expect(normalizeAddress(text)).toBe(expected);
  });

  test('what is normal stays as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.domain(), (local, domain) => {
        const once = normalizeAddress(`${local}@${domain}`);
        return once === null || normalizeAddress(once) === once;
      }),
    );
  });

  test.each([
    ['127.0.0.1', { address: '127.0.0.1', port: 53 }],
    ['127.0.0.1:5353', { address: '127.0.0.1', port: 5353 }],
    ['::1', { address: '::1', port: 53 }],
    ['[::1]:54', { address: '::1', port: 54 }],
    ['[::1]', { address: '::1', port: 53 }],
    ['127.0.0.1:0', null],
    ['127.0.0.1:65536', null],
    ['256.0.0.1', null],
    ['1.2.3', null],
    ['[::1', null],
    ['::1::2', null],
    ['host:53', null],
  ])('endpoint %s', (text, expected) => {
    expect(parseEndpoint(text, 53)).toEqual(expected);
  });
});
