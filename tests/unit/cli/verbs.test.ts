// The command line is a contract (DESIGN §8): verbs, exit codes, one line an error, JSON where it prints. Run on the real
// executable.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { holdAlone } from '../../../actors/lock.ts';
import { answerIn, executable, mailsite, temporary } from './program.ts';

describe('what the program is', () => {
  test('no words, help and --help print the verbs', () => {
    const usage = mailsite([]);
    expect(usage).toMatchObject({ code: 0, errors: [] });
    for (const verb of ['run', 'demo', 'apply FILE', 'status', 'check', 'tree', 'wire', 'schema', 'install', 'uninstall', 'version'])
      expect(usage.out).toContain(`  mailsite ${verb} `);
    expect(usage.out).not.toContain('role');
    expect(mailsite(['help']).out).toBe(usage.out);
    expect(mailsite(['--help']).out).toBe(usage.out);
    expect(mailsite(['help', 'apply']).out).toContain('--data DIR');
    expect(mailsite(['apply', '--help']).out).toBe(mailsite(['help', 'apply']).out);
  });

  test('version, tree, wire, schema and the document schema print, and print JSON', () => {
    expect(mailsite(['version']).out).toMatch(/^mailsite \d+\.\d+\.\d+ \(Bun /);
    for (const verb of ['version', 'tree', 'wire', 'schema']) {
      expect(mailsite([verb])).toMatchObject({ code: 0, errors: [] });
      expect(() => JSON.parse(mailsite([verb, '--json']).out)).not.toThrow();
    }
    expect(JSON.parse(mailsite(['schema', '--document']).out)).toMatchObject({ required: ['schema', 'host', 'domains', 'accounts'] });
    expect(mailsite(['install', '--print']).out).toBe(readFileSync(join(executable, '../mailsite.service'), 'utf8'));
  });

  test.each([
    [['nothing'], 'mailsite: there is no verb "nothing"; mailsite help tells what there is'],
    [['constructor'], 'mailsite: there is no verb "constructor"; mailsite help tells what there is'],
    [['status', '--deep'], 'mailsite: there is no option --deep here; mailsite help tells what there is'],
    [['apply'], 'mailsite: apply needs FILE; mailsite help tells what there is'],
    [['dns', 'look'], 'mailsite: dns takes records or check, not "look"; mailsite help tells what there is'],
    [['status', 'x'], 'mailsite: status does not take "x"; mailsite help tells what there is'],
  ])('%j is wrong use: exit code 2 and one line', (argv, line) => {
    expect(mailsite(argv)).toEqual({ code: 2, out: '', errors: [line] });
  });

  test('a reader that goes away is no error', () => {
    const piped = Bun.spawnSync(['sh', '-c', `"${executable}" schema | head -1`]);
    expect(piped.stderr.toString()).toBe('');
  });
});

describe('a site that does not run', () => {
  const data = temporary();
  const document = {
    schema: 1,
    host: 'mail.example.test',
    domains: [{ name: 'example.test' }],
    accounts: [{ address: 'alice@example.test', password: { plain: 'a secret' } }],
  };
  const apply = (value: object, ...more: string[]) => mailsite(['apply', '-', '--data', data, ...more], { stdin: JSON.stringify(value) });

  test('status and check say that there is none', () => {
    for (const verb of ['status', 'check']) {
      expect(mailsite([verb, '--data', join(data, 'none')])).toEqual({
        code: 1,
        out: '',
        errors: [`mailsite: ${join(data, 'none')} holds no site: start one with mailsite run, mailsite apply or mailsite join, or name another --data`],
      });
    }
    expect(existsSync(join(data, 'none'))).toBe(false);
  });

  test('a document with errors is refused, each on its line with its path, and nothing is made', () => {
    const bad = { ...document, host: 'mail', accounts: [{ address: 'x@other.test', password: 'hunter2', nick: 'x' }] };
    const said = apply(bad);
    expect(said.code).toBe(1);
    expect(said.out).toBe('');
    expect(said.errors.map((line) => line.slice(0, line.indexOf(' must') > 0 ? line.indexOf(' must') : undefined))).toEqual([
      'mailsite: -: host:',
      'mailsite: -: accounts[0].password:',
      'mailsite: -: accounts[0].nick: is not known here',
    ]);
    expect(answerIn(apply(bad, '--json').out)).toMatchObject({
      ok: false,
      errors: [{ path: 'host' }, { path: 'accounts[0].password' }, { path: 'accounts[0].nick' }],
    });
    expect(existsSync(join(data, 'mail.lmdb'))).toBe(false);
    expect(mailsite(['apply', '/no/such.json', '--data', data])).toMatchObject({ code: 1, errors: [expect.stringContaining('/no/such.json cannot be read')] });
  });

  test('a good document is in force, the same again changes nothing, another says what changed', () => {
    expect(apply(document)).toMatchObject({
      code: 0,
      errors: [],
      out: [
        'Rev 1 of mail.example.test is in force: domain example.test added, account alice@example.test added.',
        `No site runs on ${data}: it will follow when it starts.\n`,
      ].join('\n'),
    });
    expect(apply(document)).toMatchObject({ code: 0, out: 'Nothing to change: rev 1 of mail.example.test says the same.\n' });
    expect(answerIn(apply(document, '--json').out)).toEqual({ ok: true, rev: 1, changed: [] });
    const more = {
      ...document,
      accounts: [
        { address: 'alice@example.test', password: { plain: 'another' } },
        { address: 'bob@example.test', password: { plain: 'b' } },
      ],
    };
    expect(apply(more).out).toContain('Rev 2 of mail.example.test is in force: account bob@example.test added, account alice@example.test changed.');
  });

  test('dns records prints a zone, with the keys to come; of domains that it has only', () => {
    const { code, out } = mailsite(['dns', 'records', '--data', data, '--address', '192.0.2.4']);
    expect(code).toBe(0);
    expect(out).toContain('\nmail.example.test. 3600 IN A 192.0.2.4\n');
    expect(out).toContain('; required: its keys are made when the site runs: start it, and ask again\n; s1._domainkey.example.test. 3600 IN TXT …\n');
    const rows = JSON.parse(mailsite(['dns', 'records', '--data', data, '--json']).out) as object[];
    expect(rows).toContainEqual({
      domain: 'example.test',
      name: 'example.test',
      type: 'MX',
      values: ['10 mail.example.test'],
      level: 'required',
      why: 'where mail for the domain goes',
    });
    expect(mailsite(['dns', 'records', '--data', data, '--domain', 'x.test'])).toMatchObject({
      code: 1,
      errors: [expect.stringContaining('x.test is no domain of this site')],
    });
    expect(mailsite(['dns', 'check', '--data', data, '--address', 'here'])).toMatchObject({ code: 2 });
  });

  test('status shows it; no password and no hash is shown', () => {
    const said = mailsite(['status', '--data', data]);
    expect(said).toMatchObject({ code: 0, errors: [] });
    expect(said.out).toContain('site  mail.example.test, rev 2\n');
    expect(said.out).toContain('runs  no: start it with mailsite run, or mailsite install\n');
    expect(said.out).toContain('of 2 accounts');
    const json = mailsite(['status', '--data', data, '--json']).out;
    expect(JSON.parse(json)).toMatchObject({
      host: 'mail.example.test',
      rev: 2,
      accounts: 2,
      messages: 0,
      octets: 0,
      queue: [],
      supervisor: null,
      processes: [],
    });
    expect(json + said.out).not.toMatch(/argon2|secret|another/);
  });

  test('check finds it whole', () => {
    expect(mailsite(['check', '--data', data])).toMatchObject({ code: 0, errors: [] });
    expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0, errors: [] });
    expect(answerIn(mailsite(['check', '--data', data, '--json']).out)).toMatchObject({ ok: true, problems: [] });
  });
});

test('never two writers: while another process holds the lock, apply is refused and says so', () => {
  const data = temporary();
  mkdirSync(join(data, 'run'));
  expect(holdAlone(join(data, 'run/lock'))).toBe(true);
  const document = { schema: 1, host: 'mail.example.test', domains: [{ name: 'example.test' }], accounts: [] };
  expect(mailsite(['apply', '-', '--data', data], { stdin: JSON.stringify(document) })).toEqual({
    code: 1,
    out: '',
    errors: [`mailsite: another process is writing to ${data}: let it end, then run this again`],
  });
  expect(existsSync(join(data, 'mail.lmdb'))).toBe(false);
});

test('what is no engine file is an error and no crash: octets of something else, and a file that was never begun', () => {
  for (const octets of ['', 'x'.repeat(50_000)]) {
    const data = temporary();
    writeFileSync(join(data, 'mail.lmdb'), octets);
    for (const verb of ['status', 'check']) {
      const said = mailsite([verb, '--data', data]);
      expect(said).toMatchObject({
        code: 1,
        out: '',
        errors: [expect.stringContaining(`${data} cannot be used (mail.lmdb is not an LMDB file)`)],
      });
    }
    const document = { schema: 1, host: 'mail.example.test', domains: [{ name: 'example.test' }], accounts: [] };
    expect(mailsite(['apply', '-', '--data', data], { stdin: JSON.stringify(document) }).code).toBe(octets === '' ? 0 : 1);
  }
});

test('the directory it is started in has no say: bunfig.toml, .env, package.json, tsconfig.json', () => {
  const cwd = temporary();
  const mark = join(cwd, 'harm');
  writeFileSync(join(cwd, 'harm.ts'), `await Bun.write(${JSON.stringify(mark)}, 'done'); process.exit(7);`);
  writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./harm.ts"]\n[run]\npreload = ["./harm.ts"]\n');
  writeFileSync(join(cwd, '.env'), 'STATE_DIRECTORY=/no/such/place\nHOME=/no/such/place\nBUN_OPTIONS=--preload=./harm.ts\n');
  writeFileSync(join(cwd, 'package.json'), '{"name":"x","type":"commonjs","imports":{"#x":"./harm.ts"}}');
  writeFileSync(join(cwd, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./harm.ts"]}}}');
  mkdirSync(join(cwd, 'node_modules/lmdb'), { recursive: true });
  writeFileSync(join(cwd, 'node_modules/lmdb/index.js'), `require('fs').writeFileSync(${JSON.stringify(mark)}, 'done')`);
  expect(mailsite(['version'], { cwd }).code).toBe(0);
  const home = temporary();
  const said = mailsite(['status'], { cwd, env: { HOME: home } });
  expect(said.errors).toHaveLength(1);
  expect(said.errors[0]).not.toContain('/no/such/place');
  expect(existsSync(mark)).toBe(false);
});

test('the engine is chosen once: the folder says afterwards which it is, and another choice, or two at once, is an error', () => {
  const folder = temporary();
  const data = join(folder, 'data');
  const file = join(folder, 'site.json');
  const document = (name: string): void =>
    writeFileSync(
      file,
      JSON.stringify({
        schema: 1,
        host: 'mail.example.test',
        domains: [{ name: 'example.test' }],
        accounts: [{ address: `${name}@example.test`, password: '$2b$04$abcdefghijklmnopqrstuuW5zMWYVUNJZpv0lE7kiVNLnXPBxbq0q' }],
      }),
    );
  document('a');
  expect(mailsite(['apply', file, '--data', data, '--engine', 'sql'])).toMatchObject({ code: 2 });
  expect(mailsite(['apply', file, '--data', data, '--engine', 'lsm']).code).toBe(0);
  document('b');
  expect(mailsite(['apply', file, '--data', data]).code).toBe(0);
  expect(JSON.parse(mailsite(['status', '--json', '--data', data]).out)).toMatchObject({ engine: 'lsm', rev: 2, accounts: 1 });
  expect(mailsite(['check', '--deep', '--data', data]).code).toBe(0);
  for (const verb of [
    ['apply', file],
    ['run', '--listen', '127.0.0.1', '--port-offset', '28000'],
  ])
    expect(mailsite([...verb, '--data', data, '--engine', 'lmdb'])).toMatchObject({
      code: 1,
      errors: [expect.stringContaining('holds a site on lsm, not on lmdb')],
    });
  writeFileSync(join(data, 'mail.lmdb'), 'x');
  expect(mailsite(['status', '--data', data])).toMatchObject({ code: 1, errors: [expect.stringContaining('it holds mail.lmdb and mail.lsm')] });
});
