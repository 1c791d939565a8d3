// Notifications as a mail program reads them: RFC 3464 inside RFC 6522, and what of the original comes back.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { unpackParts } from '../../../protocols/mime/parts.ts';
import { scan } from '../../../protocols/mime/scanner.ts';
import { compose, decodeXtext, deliveryNotice, type Mail, type Notice, queued, wanted } from '../../../protocols/smtp/bounce.ts';
import { notify } from '../../../storage/messages.ts';
import { accountRow, alice, type House, house } from './house.ts';

const header = 'From: alice@our.test\r\nSubject: hello\r\n\r\n';
const original = (text = `${header}hello\r\n`, head = header): Notice['original'] => ({
  header: Buffer.from(head),
  size: Buffer.byteLength(text),
  whole: () => Buffer.from(text),
});
const notice = (more: Partial<Notice> = {}): Notice => ({
  envelopeFrom: alice,
  envid: '',
  ret: '',
  arrivedAt: 1_799_999_999_000,
  expiresAt: 1_800_400_000_000,
  recipients: [
    {
      address: 'bob@remote.test',
      orcpt: '',
      action: 'failed',
      status: '5.1.1',
      reply: '550 5.1.1 no such user',
      reason: '550 5.1.1 no such user',
      host: 'mx.remote.test',
    },
  ],
  original: original(),
  ...more,
});
const recipient = (more: object): Notice['recipients'][number] => ({ ...(notice().recipients[0] as Notice['recipients'][number]), ...more });

interface Read {
  readonly mail: Mail;
  readonly text: string;
  readonly head: string;
  readonly types: string[];
  /** The octets of the three parts. */
  readonly parts: string[];
}
function read(h: House, given: Notice): Read {
  const mail = compose(h.site, given);
  if (!mail) throw new Error('no notification');
  const text = Buffer.concat(mail.content.chunks.map((c) => (c[0] === 1 ? Bun.zstdDecompressSync(c.subarray(1)) : c.subarray(1)))).toString();
  const bytes = Buffer.from(text);
  const root = unpackParts(scan(bytes).info.parts);
  return {
    mail,
    text,
    head: text.slice(0, text.indexOf('\r\n\r\n')),
    types: [root, ...root.children].map((p) => `${p.type}/${p.subtype}`),
    parts: root.children.map((p) => bytes.subarray(p.bodyFrom, p.bodyTo).toString()),
  };
}

describe('a failure', () => {
  test('RFC 3464, RFC 6522: three parts; the fields that name what, whom and why', async () => {
    const { mail, head, types, parts, text } = read(
      await house(),
      notice({ envid: 'QQ+2B1', recipients: [recipient({ orcpt: 'rfc822;Bob+2Bx@remote.test' })] }),
    );
    expect(types).toEqual(['multipart/report', 'text/plain', 'message/delivery-status', 'message/rfc822']);
    expect(head).toContain('Content-Type: multipart/report; report-type=delivery-status; boundary="');
    expect(head).toContain(`To: <${alice}>`);
    expect(head).toContain('From: Mail Delivery System <MAILER-DAEMON@mail.our.test>');
    expect(head).toContain('Auto-Submitted: auto-replied');
    expect(parts[0]).toContain('<bob@remote.test>');
    expect(parts[1]?.split('\r\n')).toEqual([
      'Original-Envelope-Id: QQ+1',
      'Reporting-MTA: dns; mail.our.test',
      'Arrival-Date: Fri, 15 Jan 2027 07:59:59 +0000',
      '',
      'Original-Recipient: rfc822;Bob+x@remote.test',
      'Final-Recipient: rfc822;bob@remote.test',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx.remote.test',
      'Diagnostic-Code: smtp; 550 5.1.1 no such user',
      'Last-Attempt-Date: Fri, 15 Jan 2027 08:00:00 +0000',
      '',
    ]);
    expect(parts[2]).toBe(`${header}hello\r\n`);
    // for the local mailbox with its Return-Path, for the queue without
    expect(mail).toMatchObject({ envelopeFrom: '', account: 0, eightBit: false, smtputf8: false, local: [{ account: 1, mailbox: 'INBOX' }], remote: [] });
    expect(text.slice(0, mail.skip)).toBe('Return-Path: <>\r\n');
    for (const line of text.split('\r\n')) expect(line.length).toBeLessThanOrEqual(998);
    expect(text.replace(/\r\n/g, '')).not.toMatch(/[\r\n]/);
  });

  test('our own verdict is no SMTP reply', async () => {
    const { parts } = read(await house(), notice({ recipients: [recipient({ reply: '', reason: 'the domain does not exist', host: '' })] }));
    expect(parts[1]).toContain('Diagnostic-Code: X-Mailsite; the domain does not exist\r\n');
    expect(parts[1]).not.toContain('Remote-MTA');
  });

  test.each([
    ['HDRS', 'hello\r\n', 'text/rfc822-headers'],
    ['FULL', 'hello\r\n', 'message/rfc822'],
    ['', 'hello\r\n', 'message/rfc822'],
    ['FULL', 'x'.repeat(limits.returned), 'text/rfc822-headers'],
  ] as const)('RFC 3461 §4.3: RET=%s of %j…', async (ret, body, type) => {
    const { types, parts } = read(await house(), notice({ ret, original: original(header + body) }));
    expect(types[3]).toBe(type);
    expect(parts[2]).toBe(type === 'message/rfc822' ? header + body : header);
  });

  test('a header that is too long comes back up to a whole field', async () => {
    const long = `Subject: x\r\n${Array.from({ length: 3_000 }, (_, i) => `X-${i}: some\r\n folded text\r\n`).join('')}\r\n`;
    const { parts, mail } = read(await house(), notice({ ret: 'HDRS', original: original(long, long) }));
    const back = parts[2] ?? '';
    expect(back.length).toBeGreaterThan(limits.returned - 100);
    expect(back.length).toBeLessThanOrEqual(limits.returned + 2);
    expect(long.startsWith(back.slice(0, -2))).toBe(true);
    expect(back).toMatch(/ folded text\r\n\r\n$/);
    expect(mail.content.size).toBeLessThan(limits.inlineBody);
    const endless = 'a'.repeat(2 * limits.returned);
    expect(read(await house(), notice({ ret: 'HDRS', original: original(endless, endless) })).types.length).toBe(4);
  });

  test('8-bit originals make an 8-bit notification', async () => {
    const { mail, head } = read(await house(), notice({ original: original(`${header}grün\r\n`) }));
    expect(mail).toMatchObject({ eightBit: true, smtputf8: false });
    expect(head).toContain('Content-Transfer-Encoding: 8bit');
  });

  test('RFC 6533: internationalized addresses make a global one', async () => {
    const { mail, types, parts } = read(await house(), notice({ recipients: [recipient({ address: 'bücher@remote.test', reply: '550 größer' })] }));
    expect(mail).toMatchObject({ eightBit: true, smtputf8: true });
    expect(types).toEqual(['multipart/report', 'text/plain', 'message/global-delivery-status', 'message/global']);
    expect(parts[1]).toContain('Final-Recipient: utf-8;bücher@remote.test');
    expect(parts[1]).toContain('Diagnostic-Code: smtp; 550 größer');
  });

  test('what a host says stays in its field', async () => {
    const said = '550 no\r\nStatus: 2.0.0\r\n\r\nAction: delivered\x00 é';
    const { parts, types } = read(await house(), notice({ recipients: [recipient({ reply: said, reason: said, host: 'mx\r\nX: y' })] }));
    expect(types.length).toBe(4);
    expect(parts[1]?.match(/^Status: .*$/gm)).toEqual(['Status: 5.1.1']);
    expect(parts[1]).toContain('Diagnostic-Code: smtp; 550 no Status: 2.0.0 Action: delivered  ?\r\n');
  });
});

describe('whom to tell', () => {
  test('nobody, when the reverse-path is empty or the sender is not known here', async () => {
    const h = await house();
    expect(compose(h.site, notice({ envelopeFrom: '' }))).toBeNull();
    expect(compose(h.site, notice({ envelopeFrom: 'nobody@our.test' }))).toBeNull();
    expect(h.world.logged('queue.doubleBounce').length).toBe(1);
  });
  test('a sender elsewhere by the queue, an alias by its targets, a folder by its name', async () => {
    const h = await house({ aliases: [{ address: 'team@our.test', to: [alice, 'x@else.test'] }], accounts: [accountRow('bob@our.test')] });
    expect(compose(h.site, notice({ envelopeFrom: 'x@else.test' }))).toMatchObject({
      local: [],
      remote: [{ address: 'x@else.test', notify: notify.never, orcpt: '' }],
    });
    expect(compose(h.site, notice({ envelopeFrom: 'team@our.test' }))).toMatchObject({ local: [{ account: 1 }], remote: [{ address: 'x@else.test' }] });
    const mail = compose(h.site, notice()) as Mail;
    expect(queued(mail, alice)).toMatchObject({ local: [], remote: [{ address: alice, notify: notify.never }] });
  });
  test.each([
    [0, ['failure', 'delay']],
    [notify.never, []],
    [notify.success, ['success']],
    [notify.failure | notify.delay, ['failure', 'delay']],
  ] as const)('RFC 3461 §4.1: NOTIFY bits %i want %j', (bits, kinds) => {
    expect((['success', 'failure', 'delay'] as const).filter((kind) => wanted(bits, kind))).toEqual(kinds);
  });
});

test('a delivery to a mailbox is told with the header only', async () => {
  const h = await house();
  const mail = deliveryNotice(h.site, { envelopeFrom: alice, envid: 'e', header: Buffer.from(header), size: 5_000 }, [
    { address: 'bob@our.test', orcpt: '' },
  ]) as Mail;
  const text = Buffer.concat(mail.content.chunks.map((c) => (c[0] === 1 ? Bun.zstdDecompressSync(c.subarray(1)) : c.subarray(1)))).toString();
  expect(text).toContain('Action: delivered\r\nStatus: 2.0.0\r\n');
  expect(text).toContain('Content-Type: text/rfc822-headers');
});

test('a delay says until when, and returns the header only', async () => {
  const { parts, types } = read(await house(), notice({ recipients: [recipient({ action: 'delayed', status: '4.4.1' })] }));
  expect(parts[1]).toContain('Will-Retry-Until: Tue, 19 Jan 2027 23:06:40 +0000');
  expect(types[3]).toBe('text/rfc822-headers');
});

test('whatever the original, the report has its three parts and parses', async () => {
  const h = await house();
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ maxLength: 60 }), fc.constantFrom('FULL', 'HDRS'), (text, said, ret) => {
      const { types } = read(h, notice({ ret, original: original(text, text), recipients: [recipient({ reply: said, reason: said })] }));
      expect(types.slice(0, 3)).toEqual(['multipart/report', 'text/plain', 'message/delivery-status']);
      expect(types.length).toBe(4);
    }),
    { numRuns: 200 },
  );
});

test('RFC 3461 §4: xtext', () => {
  expect(decodeXtext('a+2Bb+3Dc+zz')).toBe('a+b=c+zz');
});
