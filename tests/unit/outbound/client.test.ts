// The SMTP client against a scripted host: what it says, what it does with each answer, and what it never sends.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { type Hop, openClient, type Outgoing, type Sent, SmtpClient } from '../../../protocols/smtp/client.ts';
import { DotStuffing, parseReplyLine, type Verdict } from '../../../protocols/smtp/reply.ts';
import { notify } from '../../../storage/messages.ts';
import { FakeWorld } from './network.ts';
import { everyExtension, type Script, type Sink, sink } from './sink.ts';

const place = '192.0.2.1:25';
const hop: Hop = { host: 'mx.remote.test', endpoint: { address: '192.0.2.1', port: 25 }, implicitTls: false, login: null };
const self = 'mail.our.test';

function message(text: string, more: Partial<Outgoing> = {}): Outgoing {
  const bytes = Buffer.from(text);
  const body = (): (() => Uint8Array | null) => {
    let at = 0;
    return () => {
      const chunk = bytes.subarray(at, at + 7);
      at += 7;
      return chunk.length > 0 ? chunk : null;
    };
  };
  return {
    envelopeFrom: 'alice@our.test',
    recipients: [{ address: 'bob@remote.test', notify: 0, orcpt: '' }],
    size: bytes.length,
    eightBit: false,
    smtputf8: false,
    ret: '',
    envid: '',
    body,
    sevenBit: () => null,
    signature: async () => new Uint8Array(0),
    ...more,
  };
}
const to = (...addresses: string[]): Outgoing['recipients'] => addresses.map((address) => ({ address, notify: 0, orcpt: '' }));

interface Run {
  readonly world: FakeWorld;
  readonly host: Sink;
  readonly sent: Sent | Verdict;
  readonly client: SmtpClient | null;
}
async function run(
  script: Script,
  outgoing: Outgoing,
  options: { hop?: Partial<Hop>; brokenTls?: boolean; trusted?: boolean; quit?: boolean } = {},
): Promise<Run> {
  const world = new FakeWorld();
  const host = sink(script);
  const at: Hop = { ...hop, ...options.hop };
  world.listen(`${at.endpoint.address}:${at.endpoint.port}`, host.serve, { brokenTls: options.brokenTls ?? false, trusted: options.trusted ?? false });
  let sent: Sent | Verdict | null = null;
  let client: SmtpClient | null = null;
  const go = async (): Promise<void> => {
    const opened = await openClient(world, at, self);
    if (!(opened instanceof SmtpClient)) {
      sent = opened;
      return;
    }
    client = opened;
    const done = await opened.send(outgoing);
    if (options.quit !== false) await opened.quit();
    sent = done;
  };
  void go();
  await world.until(() => sent !== null);
  return { world, host, sent: sent as unknown as Sent | Verdict, client };
}
const verdicts = (sent: Sent | Verdict): (string | undefined)[] =>
  'verdicts' in sent ? sent.verdicts.map((v) => `${v.kind} ${v.status}`) : [('verdict' in sent ? sent.verdict : sent).kind];

describe('a transaction', () => {
  test('over TLS, pipelined, with what the host offers', async () => {
    const { host, sent } = await run({}, message('Subject: x\r\n\r\nhello\r\n', { eightBit: true }));
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
    expect(host.commands).toEqual([
      'EHLO mail.our.test',
      'STARTTLS',
      'TLS',
      'EHLO mail.our.test',
      'MAIL FROM:<alice@our.test> SIZE=21 BODY=8BITMIME',
      'RCPT TO:<bob@remote.test>',
      'DATA',
      'QUIT',
    ]);
    expect(host.mails).toMatchObject([{ data: 'Subject: x\r\n\r\nhello\r\n', tls: true }]);
  });

  test('RFC 5321 §3.2: HELO where EHLO is not known; nothing is offered then', async () => {
    const { host, sent } = await run({ extensions: null }, message('\r\nx\r\n', { ret: 'FULL', envid: 'e1' }));
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
    expect(host.commands.slice(0, 3)).toEqual(['EHLO mail.our.test', 'HELO mail.our.test', 'MAIL FROM:<alice@our.test>']);
  });

  test.each([true, false])('each recipient has its own outcome (pipelining: %s)', async (pipelining) => {
    const script: Script = {
      extensions: pipelining ? everyExtension : ['8BITMIME'],
      on: (c) => (/^RCPT.*no@/.test(c) ? '550 5.1.1 no such user' : /^RCPT.*slow@/.test(c) ? '450 4.2.1 try later' : undefined),
    };
    const { host, sent } = await run(script, message('\r\nx\r\n', { recipients: to('a@remote.test', 'no@remote.test', 'slow@remote.test', 'b@remote.test') }));
    expect(verdicts(sent)).toEqual(['relayed 2.0.0', 'failed 5.1.1', 'later 4.2.1', 'relayed 2.0.0']);
    expect(host.mails.map((m) => m.to)).toEqual([['a@remote.test', 'b@remote.test']]);
  });

  test.each([true, false])('nobody taken: no message is sent (pipelining: %s)', async (pipelining) => {
    const script: Script = { extensions: pipelining ? ['PIPELINING'] : [], on: (c) => (c.startsWith('RCPT') ? '550 no' : undefined) };
    const { host, sent } = await run(script, message('\r\nsecret\r\n', { recipients: to('a@remote.test', 'b@remote.test') }));
    expect(verdicts(sent)).toEqual(['failed 5.0.0', 'failed 5.0.0']);
    expect(host.mails).toEqual([]);
    expect(host.commands.at(-1)).toBe('QUIT');
  });

  /** Sends `first`, then `second` over the same connection, and says what became of `second`. */
  async function both(script: Script, first: Outgoing, second: Outgoing): Promise<Run & { readonly next: Sent }> {
    const ran = await run(script, first, { quit: false });
    expect(ran.client?.reusable).toBe(true);
    let next: Sent | null = null;
    void ran.client?.send(second).then((answer) => (next = answer));
    await ran.world.until(() => next !== null);
    return { ...ran, next: next as unknown as Sent };
  }

  test.each([
    ['pipelined', ['PIPELINING'], false],
    ['one by one', [], false],
    ['answered 354 all the same', ['PIPELINING'], true],
  ] as const)('nobody taken, then another message over the same connection, which is taken (%s)', async (_, extensions, begins) => {
    const script: Script = {
      extensions,
      on(command, { recipients }) {
        if (/^RCPT.*full@/.test(command)) return '452 4.2.2 mailbox full';
        if (begins && command === 'DATA' && recipients === 0) return '354 go on';
        return command === '.' && recipients === 0 ? '554 5.5.1 nobody' : undefined;
      },
    };
    const { host, sent, next } = await both(script, message('\r\nfirst\r\n', { recipients: to('full@remote.test') }), message('\r\nsecond\r\n'));
    expect(verdicts(sent)).toEqual(['later 4.2.2']);
    expect(verdicts(next)).toEqual(['relayed 2.0.0']);
    expect(host.mails.map((m) => m.data)).toEqual(['\r\nsecond\r\n']);
    expect(host.connections).toBe(1);
  });

  test('503 to MAIL where mail went before says nothing of the message: another connection may take it', async () => {
    let mails = 0;
    const script: Script = { on: (c) => (c.startsWith('MAIL') && ++mails > 1 ? '503 5.5.1 nested MAIL' : undefined) };
    const { next, client } = await both(script, message('\r\nfirst\r\n'), message('\r\nsecond\r\n'));
    expect(next).toMatchObject({ kind: 'refused', verdict: { kind: 'later' } });
    expect(client?.reusable).toBe(false);
  });

  test('RFC 2920 §3.1: 354 without a recipient is answered with an empty message only', async () => {
    const script: Script = {
      extensions: ['PIPELINING'],
      on: (c) => (c.startsWith('RCPT') ? '550 no' : c === 'DATA' ? '354 go on' : c === '.' ? '554 5.5.1 nobody' : undefined),
    };
    const { host, sent } = await run(script, message('\r\nsecret\r\n'));
    expect(verdicts(sent)).toEqual(['failed 5.0.0']);
    expect(host.commands.join(' ')).not.toContain('secret');
    expect(host.commands.at(-1)).toBe('QUIT');
  });

  test('a refused message keeps the verdicts of RCPT', async () => {
    const script: Script = { on: (c) => (/^RCPT.*no@/.test(c) ? '550 5.1.1 no' : c === '.' ? '554 5.7.1 spam' : undefined) };
    const { sent } = await run(script, message('\r\nx\r\n', { recipients: to('a@remote.test', 'no@remote.test') }));
    expect(verdicts(sent)).toEqual(['failed 5.7.1', 'failed 5.1.1']);
  });

  test('Q1: a connection lost at the dot is no success', async () => {
    const { sent } = await run({ on: (c) => (c === '.' ? 'close' : undefined) }, message('\r\nx\r\n', { recipients: to('a@remote.test', 'b@remote.test') }));
    expect(verdicts(sent)).toEqual(['later 4.4.2', 'later 4.4.2']);
  });

  test('Q1: lost at the dot, a recipient refused before stays refused', async () => {
    const script: Script = { on: (c) => (/^RCPT.*no@/.test(c) ? '550 5.1.1 no' : c === '.' ? 'close' : undefined) };
    const { sent } = await run(script, message('\r\nx\r\n', { recipients: to('a@remote.test', 'no@remote.test') }));
    expect(verdicts(sent)).toEqual(['later 4.4.2', 'failed 5.1.1']);
  });

  test.each(['MAIL', 'RCPT', 'DATA'])('lost at %s, another host may have it', async (verb) => {
    const { sent } = await run({ extensions: [], on: (c) => (c.startsWith(verb) ? 'close' : undefined) }, message('\r\nx\r\n'));
    expect(sent).toMatchObject({ kind: 'refused', verdict: { kind: 'later' } });
  });

  test('MAIL refused for now: another host may have it; for good: nobody', async () => {
    expect((await run({ on: (c) => (c.startsWith('MAIL') ? '451 4.3.0 later' : undefined) }, message('\r\n'))).sent).toMatchObject({ kind: 'refused' });
    const { sent } = await run(
      { on: (c) => (c.startsWith('MAIL') ? '553 5.7.1 not you' : c.startsWith('RCPT') ? '503 mail first' : undefined) },
      message('\r\n'),
    );
    expect(verdicts(sent)).toEqual(['failed 5.7.1']);
  });

  test('more than limits.outboundRecipients go in several transactions over one connection', async () => {
    const many = to(...Array.from({ length: limits.outboundRecipients + 20 }, (_, i) => `u${i}@remote.test`));
    const { host, sent } = await run({}, message('\r\nx\r\n', { recipients: many }));
    expect(host.mails.map((m) => m.to.length)).toEqual([limits.outboundRecipients, 20]);
    expect(new Set(verdicts(sent))).toEqual(new Set(['relayed 2.0.0']));
    expect(host.connections).toBe(1);
  });

  test('RFC 5321 §4.5.3.1.10: recipients too many for one transaction follow in the next', async () => {
    const script: Script = { extensions: [], on: (c, s) => (c.startsWith('RCPT') && s.recipients >= 2 ? '452 4.5.3 too many' : undefined) };
    const { host, sent } = await run(script, message('\r\nx\r\n', { recipients: to('a@r.test', 'b@r.test', 'c@r.test', 'd@r.test', 'e@r.test') }));
    expect(host.mails.map((m) => m.to.length)).toEqual([2, 2, 1]);
    expect(new Set(verdicts(sent))).toEqual(new Set(['relayed 2.0.0']));
  });

  test('a connection on which more was said than asked is not used again', async () => {
    const { client } = await run({ on: (c) => (c === '.' ? '250 2.0.0 taken\r\n250 2.0.0 and more\r\n' : undefined) }, message('\r\n'), { quit: false });
    expect(client?.reusable).toBe(false);
    expect((await run({}, message('\r\n'), { quit: false })).client?.reusable).toBe(true);
  });

  test('a domain in U-labels goes out as A-labels', async () => {
    const { host } = await run({ extensions: [] }, message('\r\n', { recipients: to('bob@bücher.test') }));
    expect(host.mails[0]?.to).toEqual(['bob@xn--bcher-kva.test']);
  });
});

describe('what a host does not offer', () => {
  test('RFC 1870 §6.1: a message above its SIZE is not sent', async () => {
    const { host, sent } = await run({ extensions: ['SIZE 10'] }, message('Subject: long\r\n\r\n'));
    expect(verdicts(sent)).toEqual(['failed 5.3.4']);
    expect(host.commands.join()).not.toContain('MAIL');
  });
  test('RFC 6531: no SMTPUTF8, no internationalized mail', async () => {
    const { sent } = await run({ extensions: ['8BITMIME'] }, message('\r\n', { smtputf8: true }));
    expect(verdicts(sent)).toEqual(['failed 5.6.7']);
    const { host } = await run({}, message('\r\n', { smtputf8: true }));
    expect(host.mails[0]?.mailLine).toMatch(/ SMTPUTF8$/);
  });
  test('RFC 6152 §3: no 8BITMIME: the message is converted, or it fails', async () => {
    const eight = message('\r\ngr\u00fcn\r\n', { eightBit: true });
    expect(verdicts((await run({ extensions: [] }, eight)).sent)).toEqual(['failed 5.6.3']);
    const { host, sent } = await run({ extensions: [] }, { ...eight, sevenBit: message('\r\ngr=C3=BCn\r\n').body });
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
    expect(host.mails[0]?.data).toBe('\r\ngr=C3=BCn\r\n');
    expect(host.mails[0]?.mailLine).not.toContain('BODY');
  });
  test('RFC 3461 §5.2.1: DSN parameters go to those who know them only', async () => {
    const outgoing = message('\r\n', {
      ret: 'HDRS',
      envid: 'QQ314159',
      recipients: [
        { address: 'a@r.test', notify: notify.success | notify.failure, orcpt: 'rfc822;a+2Bb@r.test' },
        { address: 'b@r.test', notify: notify.never, orcpt: '' },
      ],
    });
    const { host } = await run({ extensions: ['DSN'] }, outgoing);
    expect(host.mails[0]?.mailLine).toBe('MAIL FROM:<alice@our.test> RET=HDRS ENVID=QQ314159');
    expect(host.mails[0]?.rcptLines).toEqual(['RCPT TO:<a@r.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@r.test', 'RCPT TO:<b@r.test> NOTIFY=NEVER']);
    const { host: other } = await run({ extensions: [] }, outgoing);
    expect(other.mails[0]?.mailLine).toBe('MAIL FROM:<alice@our.test>');
    expect(other.mails[0]?.rcptLines[0]).toBe('RCPT TO:<a@r.test>');
  });
});

describe('TLS', () => {
  test('RFC 7435: a failed handshake does not stop the mail: it goes in clear', async () => {
    const { host, sent } = await run({}, message('\r\nx\r\n'), { brokenTls: true });
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
    expect(host.mails[0]?.tls).toBe(false);
    expect(host.connections).toBe(2);
  });
  test('STARTTLS refused: on in clear, on the same connection', async () => {
    const { host } = await run({ on: (c) => (c === 'STARTTLS' ? '454 4.7.0 not now' : undefined) }, message('\r\n'));
    expect(host.mails[0]?.tls).toBe(false);
    expect(host.connections).toBe(1);
  });
  test('RFC 3207 §4.2: what was said before the handshake does not count after it', async () => {
    const { host } = await run({ on: (c, s) => (c.startsWith('EHLO') && s.tls ? '250 mx.remote.test' : undefined) }, message('\r\n', { ret: 'FULL' }));
    expect(host.mails[0]?.mailLine).toBe('MAIL FROM:<alice@our.test>');
  });
});

describe('a relay with a login', () => {
  const login = { user: 'user', password: 'pass word' };
  const auth = ['STARTTLS', 'AUTH PLAIN LOGIN'];
  const accepting = (c: string): string | undefined => (c.startsWith('AUTH PLAIN') ? '235 2.7.0 ok' : c === 'AUTH LOGIN' ? '334 VXNlcm5hbWU6' : undefined);

  test('AUTH PLAIN under verified TLS', async () => {
    const { host, sent } = await run({ extensions: auth, on: accepting }, message('\r\n'), { hop: { login }, trusted: true });
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
    expect(host.commands).toContain(`AUTH PLAIN ${Buffer.from('\0user\0pass word').toString('base64')}`);
  });
  test('AUTH LOGIN where PLAIN is not offered', async () => {
    const on = (c: string): string | undefined =>
      c === 'AUTH LOGIN' ? '334 VXNlcm5hbWU6' : c === 'dXNlcg==' ? '334 UGFzc3dvcmQ6' : c === 'cGFzcyB3b3Jk' ? '235 ok' : undefined;
    const { sent } = await run({ extensions: ['STARTTLS', 'AUTH=LOGIN'], on }, message('\r\n'), { hop: { login }, trusted: true });
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
  });
  test.each([
    ['no STARTTLS', { extensions: ['AUTH PLAIN'] }, { trusted: true }],
    ['a certificate that is not its own', { extensions: auth }, { trusted: false }],
    ['a broken handshake', { extensions: auth }, { brokenTls: true }],
  ] as const)('with %s the password is not sent and the mail waits', async (_name, script, options) => {
    const { host, sent } = await run({ ...script, on: accepting }, message('\r\n'), { hop: { login }, ...options });
    expect(sent).toMatchObject({ kind: 'later' });
    expect(host.commands.join()).not.toContain('AUTH');
    expect(host.mails).toEqual([]);
  });
  test('on loopback the password may go in clear', async () => {
    const endpoint = { address: '127.0.0.1', port: 2587 };
    const { sent } = await run({ extensions: ['AUTH PLAIN'], on: accepting }, message('\r\n'), { hop: { login, endpoint } });
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
  });
  test('a refused login is tried again later', async () => {
    const { sent } = await run({ extensions: auth, on: (c) => (c.startsWith('AUTH') ? '535 5.7.8 no' : undefined) }, message('\r\n'), {
      hop: { login },
      trusted: true,
    });
    expect(sent).toMatchObject({ kind: 'later', status: '4.7.8' });
  });
  test('RFC 8314 §3.3: implicit TLS', async () => {
    const endpoint = { address: '192.0.2.1', port: 465 };
    const { host, sent } = await run({ extensions: ['AUTH PLAIN'], on: accepting }, message('\r\n'), {
      hop: { login, endpoint, implicitTls: true },
      trusted: true,
    });
    expect(verdicts(sent)).toEqual(['relayed 2.0.0']);
    expect(host.commands).not.toContain('STARTTLS');
  });
});

describe('hosts that will not', () => {
  test.each([
    ['421 busy', 'later', '4.0.0'],
    ['554 no', 'later', '4.0.0'],
    ['521 5.3.2 no mail here', 'failed', '5.3.2'],
    ['hello', 'later', '4.4.2'],
    ['220-one\r\n421 two\r\n', 'later', undefined],
  ])('greeting %s: %s', async (greeting, kind, status) => {
    const { sent } = await run({ greeting }, message('\r\n'));
    expect(sent).toMatchObject({ kind, ...(status === undefined ? {} : { status }) });
  });
  test('RFC 5321 §6.3: our own name in the greeting or in EHLO is a loop', async () => {
    expect((await run({ greeting: '220 Mail.Our.Test ESMTP' }, message('\r\n'))).sent).toMatchObject({ kind: 'failed', status: '5.4.6' });
    expect((await run({ greeting: '220 x', host: 'mail.our.test' }, message('\r\n'))).sent).toMatchObject({ kind: 'failed', status: '5.4.6' });
  });
  test('nobody there, and a silent host', async () => {
    const world = new FakeWorld();
    expect(await openClient(world, hop, self)).toMatchObject({ kind: 'later', status: '4.4.1' });
    let done: unknown = null;
    world.listen(place, async (c) => void (await c.read()));
    void openClient(world, hop, self).then((v) => {
      done = v;
    });
    await world.until(() => done !== null);
    expect(done).toMatchObject({ kind: 'later', status: '4.4.2' });
    expect(world.monotonicMs()).toBe(limits.outboundReplyMs);
  });
  test('an endless reply ends', async () => {
    const world = new FakeWorld();
    let lines = 0;
    world.listen(place, async (c) => {
      while (!c.closed && lines < 10_000) {
        c.write('220-more\r\n');
        lines++;
        if (lines % 50 === 0) await new Promise((r) => setImmediate(r));
      }
    });
    expect(await openClient(world, hop, self)).toMatchObject({ kind: 'later', status: '4.4.2' });
    expect(lines).toBeLessThan(10_000);
  });
});

describe('octets', () => {
  const through = (chunks: readonly Uint8Array[]): string => {
    const stuffing = new DotStuffing();
    return Buffer.concat([...chunks.map((c) => stuffing.push(c)), Buffer.from(stuffing.finish())]).toString('latin1');
  };
  test.each([
    ['', '.\r\n'],
    ['a\r\n', 'a\r\n.\r\n'],
    ['a', 'a\r\n.\r\n'],
    ['.\r\n', '..\r\n.\r\n'],
    ['a\r\n.b\r\n..\r\n', 'a\r\n..b\r\n...\r\n.\r\n'],
    ['a\n.\n', 'a\r\n..\r\n.\r\n'],
    ['a\r.\r\n', 'a\r\n..\r\n.\r\n'],
    ['a\r', 'a\r\n.\r\n'],
    ['a\r\r\nb', 'a\r\n\r\nb\r\n.\r\n'],
    ['a.b\r\n', 'a.b\r\n.\r\n'],
  ])('RFC 5321 §4.5.2: %j goes out as %j', (text, out) => {
    expect(through([Buffer.from(text)])).toBe(out);
  });
  test('however it is cut, only its end is an end, and undoing it gives the message', () => {
    const octet = fc.constantFrom(13, 10, 46, 97);
    fc.assert(
      fc.property(fc.array(fc.array(octet, { maxLength: 6 }), { maxLength: 8 }), (chunks) => {
        const out = through(chunks.map((c) => Uint8Array.from(c)));
        expect(out).toBe(through([Uint8Array.from(chunks.flat())]));
        expect(out).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
        expect(`\r\n${out}`.indexOf('\r\n.\r\n')).toBe(out.length - 3);
        const undone = `\r\n${out}`.slice(2, -3).replace(/(^|\r\n)\./g, '$1');
        const whole = Buffer.from(chunks.flat())
          .toString('latin1')
          .replace(/\r\n|\r|\n/g, '\r\n');
        expect(undone).toBe(whole === '' || whole.endsWith('\r\n') ? whole : `${whole}\r\n`);
      }),
      { numRuns: 2_000 },
    );
  });
  test('reply lines: random octets never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void parseReplyLine(bytes)));
    expect(parseReplyLine(Buffer.from('250-x\x07y'))).toEqual({ code: 250, last: false, text: 'x y' });
    expect(parseReplyLine(Buffer.from('199 no'))).toBeNull();
    expect(parseReplyLine(Buffer.from('2500'))).toBeNull();
  });
});

test('whatever a host says, each recipient has one verdict, in bounded time, and no success without a 2xx to the message', async () => {
  const word = fc.constantFrom(
    '220 x',
    '250 ok',
    '250-a\r\n250 PIPELINING',
    '250-a\r\n250-STARTTLS\r\n250 SIZE 5',
    '354 go',
    '421 bye',
    '450 4.2.0 later',
    '452 full',
    '550 5.1.1 no',
    '235 ok',
    '999 x',
    'x',
    '',
    'close',
    '250-',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant('250 ok') }, word), { maxLength: 12 }),
      fc.integer({ min: 1, max: 3 }),
      async (words, recipients) => {
        const world = new FakeWorld();
        const after: string[] = [];
        world.listen(place, async (connection) => {
          const script = ['220 x', ...words];
          for (const next of script) {
            if (next === 'close') break;
            if (next !== '') connection.write(`${next}\r\n`);
            let heard = '';
            do {
              const bytes = await connection.read();
              if (bytes === null) return;
              heard += Buffer.from(bytes).toString();
            } while (next.startsWith('354') && !heard.endsWith('.\r\n'));
            if (heard.endsWith('.\r\n')) after.push('.');
          }
          connection.destroy();
        });
        const all = to(...Array.from({ length: recipients }, (_, i) => `u${i}@remote.test`));
        let done: Sent | Verdict | null = null;
        void (async () => {
          const opened = await openClient(world, hop, self);
          done = opened instanceof SmtpClient ? await opened.send(message('\r\nx\r\n', { recipients: all })) : opened;
        })();
        await world.until(() => done !== null, 3 * 3_600_000);
        const sent = done as unknown as Sent | Verdict;
        if (!('verdicts' in sent)) return void expect(['later', 'failed']).toContain('verdict' in sent ? sent.verdict.kind : sent.kind);
        expect(sent.verdicts.length).toBe(recipients);
        for (const v of sent.verdicts) {
          expect(['relayed', 'later', 'failed']).toContain(v?.kind);
          if (v?.kind === 'relayed') expect(after.length).toBeGreaterThan(0);
        }
      },
    ),
    { numRuns: 300 },
  );
});
