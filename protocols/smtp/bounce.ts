// Delivery status notifications (RFC 3461, 3462/6522, 3464; RFC 6533 for internationalized addresses). Guarantees: a
// notification is at most limits.returned octets of the original larger than its own text; it goes out with an empty
// reverse-path, so that no notification is ever made of it; an empty reverse-path gets none.

import { limits } from '../../actors/limits.ts';
import type { Ask } from '../../actors/wire.ts';
import { notify, type StoreProtocol } from '../../storage/messages.ts';
import { config, resolveAddress } from '../../storage/views.ts';
import { type Body, composeMessage, formatDate, messageId, multipartBody, textBody } from '../mime/compose.ts';
import { contentOf } from '../mime/intake.ts';
import type { Site } from '../site.ts';

export type Mail = Ask<StoreProtocol, 'deliver'>['mails'][number];
export type Action = 'failed' | 'delayed' | 'delivered' | 'relayed';

/** What became of one recipient. */
export interface NoticeRecipient {
  readonly address: string;
  /** `type;xtext` as the sender gave it; empty: none. */
  readonly orcpt: string;
  readonly action: Action;
  /** RFC 3463. */
  readonly status: string;
  /** What the remote host said; empty: nothing. */
  readonly reply: string;
  /** For people. */
  readonly reason: string;
  /** The remote host; empty: it was not reached, or it is us. */
  readonly host: string;
}
export interface Notice {
  /** Whom to tell. */
  readonly envelopeFrom: string;
  /** xtext as the sender gave it; empty: none. */
  readonly envid: string;
  readonly ret: '' | 'FULL' | 'HDRS';
  /** ms since the epoch */
  readonly arrivedAt: number;
  /** Until when it is tried; only said in a delay notice. */
  readonly expiresAt: number;
  readonly recipients: readonly NoticeRecipient[];
  /** The original, from its first header octet on. `size` in octets, all of it. */
  readonly original: { readonly header: Uint8Array; readonly size: number; readonly whole: () => Uint8Array };
}

/** Does the sender want to hear of it? RFC 3461 §4.1: without NOTIFY, of failure and delay. */
export function wanted(bits: number, of: 'success' | 'failure' | 'delay'): boolean {
  return ((bits === 0 ? notify.failure | notify.delay : bits) & notify[of]) !== 0;
}

/** What a notification needs of its site. */
type Local = Pick<Site, 'world' | 'view'>;

/** The notification as a mail to put into a store command, or null when there is nobody to tell. */
export function compose(site: Local, notice: Notice): Mail | null {
  if (notice.envelopeFrom === '' || notice.recipients.length === 0) return null;
  const target = destination(site, notice.envelopeFrom);
  if (typeof target === 'string') {
    site.world.log('queue.doubleBounce', { to: notice.envelopeFrom, code: notice.recipients[0]?.status ?? '', reason: `the sender is ${target}` });
    return null;
  }
  const prefix = 'Return-Path: <>\r\n';
  const { bytes, eightBit, smtputf8 } = render(site, notice);
  const whole = Buffer.concat([Buffer.from(prefix), bytes]);
  return {
    envelopeFrom: '',
    content: contentOf(whole),
    ...target,
    ret: '',
    envid: '',
    smtputf8,
    eightBit,
    skip: prefix.length,
    account: 0,
    origin: madeHere([notice.envelopeFrom]),
  };
}

/** Mail of our own, for the recipients `named`. */
export const madeHere = (named: readonly string[]): Mail['origin'] => ({ session: '', ip: '', helo: '', tls: '', named });

/** The same mail through the queue: for a sender whose mailbox cannot take it now. */
export const queued = (mail: Mail, envelopeFrom: string): Mail => ({ ...mail, local: [], remote: [remoteTo(envelopeFrom)] });

/** "Delivered" for local recipients that asked NOTIFY=SUCCESS: to go into the same `deliver` as the message itself. */
export function deliveryNotice(
  site: Site,
  message: { readonly envelopeFrom: string; readonly envid: string; readonly header: Uint8Array; readonly size: number },
  recipients: readonly { readonly address: string; readonly orcpt: string }[],
): Mail | null {
  const now = site.world.now();
  return compose(site, {
    envelopeFrom: message.envelopeFrom,
    envid: message.envid,
    // RFC 3461 §4.3: the message itself is returned for failures only.
    ret: 'HDRS',
    arrivedAt: now,
    expiresAt: now,
    recipients: recipients.map((r) => ({ ...r, action: 'delivered', status: '2.0.0', reply: '', reason: 'delivered to the mailbox', host: '' })),
    original: { header: message.header, size: message.size, whole: () => message.header },
  });
}

// RFC 3461 §6.2.7.1, §5.2.1 (k): nothing is ever reported about a notification
const remoteTo = (address: string): Mail['remote'][number] => ({ address, notify: notify.never, orcpt: '' });

/** Where the sender gets it, or why not: `unknown`, `disabled` or `loop`. */
function destination(site: Local, sender: string): Pick<Mail, 'local' | 'remote'> | string {
  site.view.refresh();
  const found = resolveAddress(site.view, sender);
  if ('error' in found) {
    // a mailbox without room is waited for in the queue
    return found.error === 'notOurs' || found.error === 'full' ? { local: [], remote: [remoteTo(sender)] } : found.error;
  }
  const local: Mail['local'][number][] = [];
  const remote: Mail['remote'][number][] = [];
  for (const target of found.targets) {
    if (target.kind === 'local') local.push({ account: target.account, mailbox: target.mailbox, flags: 0 });
    else remote.push(remoteTo(target.address));
  }
  return { local, remote };
}

function render(site: Local, notice: Notice): { bytes: Uint8Array; eightBit: boolean; smtputf8: boolean } {
  const host = config(site.view)?.document.host ?? 'localhost';
  const now = site.world.now();
  const action = notice.recipients.some((r) => r.action === 'failed') ? 'failed' : (notice.recipients[0]?.action ?? 'failed');
  const smtputf8 = !isAscii(notice.envelopeFrom) || notice.recipients.some((r) => !isAscii(r.address));
  const { octets, full } = returned(notice, action);
  const eightBit = smtputf8 || octets.some((octet) => octet > 127);
  // RFC 6533 §4: the global forms, where an address is not ASCII
  const family = smtputf8 ? 'global' : 'rfc822';
  const report = smtputf8 ? 'global-delivery-status' : 'delivery-status';
  const boundary = `=_${Buffer.from(site.world.random(15)).toString('base64url')}`;
  const raw = (type: string, what: string, bytes: Uint8Array): Body => ({
    fields: [
      ['Content-Description', what],
      ['Content-Type', type],
      ['Content-Transfer-Encoding', eightBit ? '8bit' : '7bit'],
    ],
    octets: bytes,
  });
  const body = multipartBody(`report; report-type=${report}`, boundary, [
    textBody(explanation(host, now, notice, action)),
    raw(`message/${report}`, 'Delivery report', Buffer.from(statusFields(host, now, notice, smtputf8))),
    full ? raw(`message/${family}`, 'Message', octets) : raw(smtputf8 ? 'message/global-headers' : 'text/rfc822-headers', 'Message header', octets),
  ]);
  const bytes = composeMessage({
    from: { name: 'Mail Delivery System', address: `MAILER-DAEMON@${host}` },
    to: [{ name: '', address: notice.envelopeFrom }],
    subject: subjects[action],
    date: now,
    messageId: messageId(site.world, host),
    fields: [['Auto-Submitted', 'auto-replied'], ...(eightBit ? [['Content-Transfer-Encoding', '8bit'] as const] : [])],
    body,
  });
  return { bytes, eightBit, smtputf8 };
}

/** RFC 3461 §4.3: all of the message only for a failure, and never a big one. */
function returned(notice: Notice, action: Action): { octets: Uint8Array; full: boolean } {
  const { header, size, whole } = notice.original;
  if (action === 'failed' && notice.ret !== 'HDRS' && size <= limits.returned) return { octets: whole(), full: true };
  if (header.length <= limits.returned) return { octets: header, full: false };
  // a cut at a line's end, before a line that does not go on from the last one
  let end = limits.returned;
  while (end > 0 && !(header[end - 1] === 10 && header[end] !== 32 && header[end] !== 9)) end--;
  return { octets: Buffer.concat([header.subarray(0, end), Buffer.from('\r\n')]), full: false };
}

const subjects: Readonly<Record<Action, string>> = {
  failed: 'Undelivered mail returned to sender',
  delayed: 'Your mail is delayed',
  delivered: 'Your mail was delivered',
  relayed: 'Your mail was passed on',
};
const openings: Readonly<Record<Action, string>> = {
  failed: 'Your message could not be delivered to the recipients below.\r\nIt is not tried again.',
  delayed: 'Your message could not be delivered to the recipients below yet.\r\nYou need not send it again.',
  delivered: 'Your message was delivered to the recipients below.',
  relayed: 'Your message was passed on to a mail system that does not confirm delivery.\r\nYou will hear no more of it unless it fails there.',
};

function explanation(host: string, now: number, notice: Notice, action: Action): string {
  let out = `This is the mail system at ${host}.\r\n\r\n${openings[action]}\r\n`;
  if (action === 'delayed') out += `It is tried until ${formatDate(Math.max(now, notice.expiresAt))}.\r\n`;
  for (const r of notice.recipients) out += `\r\n<${r.address}>\r\n${wrap(r.reason)}`;
  return out;
}

/** Lines of at most 76 characters, indented. */
function wrap(text: string): string {
  let out = '';
  let line = '   ';
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length > 75 && line.trim() !== '') {
      out += `${line}\r\n`;
      line = '   ';
    }
    line += ` ${word}`;
  }
  return `${out}${line}\r\n`;
}

/** RFC 3464 §2.2 and §2.3. */
function statusFields(host: string, now: number, notice: Notice, global: boolean): string {
  let out = `Reporting-MTA: dns; ${host}\r\n`;
  if (notice.envid !== '') out = `Original-Envelope-Id: ${clean(decodeXtext(notice.envid))}\r\n${out}`;
  out += `Arrival-Date: ${formatDate(notice.arrivedAt)}\r\n`;
  for (const r of notice.recipients) {
    const split = r.orcpt.indexOf(';');
    out += '\r\n';
    if (split > 0) out += `Original-Recipient: ${clean(r.orcpt.slice(0, split))};${clean(decodeXtext(r.orcpt.slice(split + 1)))}\r\n`;
    out += `Final-Recipient: ${global && !isAscii(r.address) ? 'utf-8' : 'rfc822'};${clean(r.address)}\r\n`;
    out += `Action: ${r.action}\r\nStatus: ${r.status}\r\n`;
    if (r.host !== '') out += `Remote-MTA: dns; ${clean(r.host)}\r\n`;
    out += r.reply === '' ? `Diagnostic-Code: X-Mailsite; ${field(r.reason, global)}\r\n` : `Diagnostic-Code: smtp; ${field(r.reply, global)}\r\n`;
    if (r.action !== 'delivered') out += `Last-Attempt-Date: ${formatDate(now)}\r\n`;
    if (r.action === 'delayed') out += `Will-Retry-Until: ${formatDate(notice.expiresAt)}\r\n`;
  }
  return out;
}

/** RFC 3461 §4: `+` and two hexadecimal digits are one octet. */
export function decodeXtext(text: string): string {
  return text.replace(/\+([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a field is one line of visible text
const clean = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
const field = (text: string, global: boolean): string => (global ? clean(text) : clean(text).replace(/[^ -~]/g, '?'));
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is the range
const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text);
