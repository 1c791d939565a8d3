// From the last octet of a message to its reply. Guarantees: 250 is said only after Store.deliver has answered, and one
// commit holds all of it: every local copy, every queued recipient, every notice (M1). A refusal stored nothing.

import { LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { type Answer, isRefusal, type Refusal } from '../../actors/wire.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { formatDate, messageId, received } from '../mime/compose.ts';
import { deliveryNotice, type Mail, queued } from './bounce.ts';
import type { Conversation, Transaction } from './conversation.ts';
import { Incoming } from './incoming.ts';
import { type HeaderFacts, withProtocol } from './trace.ts';

type Delivered = Answer<StoreProtocol, 'deliver'>;

/** The message of a transaction whose recipients are known. */
export function incoming(s: Conversation, transaction: Transaction): Incoming {
  s.messages++;
  const prefix = (header: HeaderFacts): Uint8Array => Buffer.from(returnPath(transaction) + traceFields(s, transaction, header));
  return new Incoming(s.site, prefix, transaction.recipients.confirmed.length > 0);
}

/** RFC 5321 §4.4: for the final delivery only. It is left off what goes out (`skip`). */
const returnPath = ({ reversePath, recipients }: Transaction): string => (recipients.localCount === 0 ? '' : `Return-Path: <${reversePath}>\r\n`);

function traceFields(s: Conversation, { recipients, parameters }: Transaction, header: HeaderFacts): string {
  const { world } = s.site;
  const at = world.now();
  const { remote, tls } = s.connection;
  let out = received({
    helo: s.greeting?.name ?? '',
    address: remote.address,
    name: '',
    by: s.host,
    protocol: withProtocol(s.greeting?.verb === 'EHLO', tls, s.account !== null, parameters.smtputf8),
    id: `${s.id}.${s.messages}`,
    recipient: recipients.accepted === 1 ? recipients.first : null,
    at,
  });
  if (s.account !== null) {
    // RFC 6409 §8.1, §8.2
    if (!header.hasDate) out += `Date: ${formatDate(at)}\r\n`;
    if (!header.hasMessageId) out += `Message-ID: ${messageId(world, s.host)}\r\n`;
  }
  // a text without a header: our fields are its header
  return header.startsWell ? out : `${out}\r\n`;
}

/** The end of the data: commits, and answers with the reply. */
export async function deliver(s: Conversation, transaction: Transaction, message: Incoming): Promise<string> {
  const { site } = s;
  const content = await message.finish();
  if (content === null) {
    const reply = message.refusal ?? '451 4.3.0 The message cannot be stored now: try again';
    s.refused(transaction.reversePath, transaction.recipients.first, reply);
    return reply;
  }
  const mail = mailOf(s, transaction, message, content);
  const notice = noticeOf(s, transaction, message);
  try {
    let answer = await commit(s, notice === null ? [mail] : [mail, notice]);
    // the sender's own mailbox may be the one without room
    if (isRefusal(answer) && answer.refused === 'overQuota' && notice !== null) answer = await commit(s, [mail, queued(notice, transaction.reversePath)]);
    if (!isRefusal(answer)) {
      const size = content.size;
      const queue = answer.queues[0] ?? 0;
      site.world.log('smtp.accepted', {
        session: s.id,
        remote: s.connection.remote.address,
        from: transaction.reversePath,
        recipients: transaction.recipients.accepted,
        size,
        messageId: content.info.messageId,
        account: s.account?.address ?? null,
        queue,
      });
      return `250 2.6.0 Accepted as ${s.id}.${s.messages}`;
    }
    message.abort();
    const reply = refusalReply(answer);
    s.refused(transaction.reversePath, transaction.recipients.first, reply);
    return reply;
  } catch (error) {
    if (!(error instanceof LinkLost)) throw error;
    // RFC 5321 §4.2.5, §6.1: it may have been stored; a second copy is better than none
    return '451 4.3.0 The message store is restarting: try again';
  } finally {
    message.release();
  }
}

function commit(s: Conversation, mails: readonly Mail[]): Promise<Delivered | Refusal> {
  return s.site.store.ask('deliver', { now: s.site.world.now(), expiryMs: limits.queueExpiryMs, mails });
}

function refusalReply({ refused }: Refusal): string {
  if (refused === 'full') return '452 4.3.1 There is no room on this host now';
  if (refused === 'overQuota') return '452 4.2.2 A mailbox is full';
  if (refused === 'busy') return '451 4.3.2 This host is busy: try again';
  return '451 4.3.0 The message cannot be stored now: try again';
}

function mailOf(s: Conversation, transaction: Transaction, message: Incoming, content: Mail['content']): Mail {
  const { recipients, parameters, reversePath } = transaction;
  const remote = recipients.remote;
  // RFC 6531 §3.6: what is plain ASCII after all can go to any host
  const international = !message.headerAscii || !isPlain(reversePath) || remote.some((r) => !isPlain(r.address));
  return {
    envelopeFrom: reversePath,
    content,
    local: recipients.local,
    remote,
    ret: parameters.ret,
    envid: parameters.envid,
    smtputf8: parameters.smtputf8 && international,
    eightBit: !message.ascii,
    skip: remote.length === 0 ? 0 : Buffer.byteLength(returnPath(transaction)),
    account: s.account?.account ?? 0,
    origin: {
      session: `${s.id}.${s.messages}`,
      ip: s.connection.remote.address.slice(0, 60),
      helo: s.greeting?.name ?? '',
      tls: tlsText(s),
      named: recipients.named,
    },
  };
}

const tlsText = ({ connection: { tls } }: Conversation): string => (tls === null ? '' : `${tls.protocol} ${tls.cipher}`.slice(0, 100));

const isPlain = (text: string): boolean => !/[^ -~]/.test(text);

/** RFC 3461 §5.2.3: delivered here is success. */
function noticeOf(s: Conversation, { reversePath, parameters, recipients }: Transaction, message: Incoming): Mail | null {
  if (recipients.confirmed.length === 0 || reversePath === '') return null;
  const original = { envelopeFrom: reversePath, envid: parameters.envid, header: message.header, size: message.octets };
  return deliveryNotice(s.site, original, recipients.confirmed);
}
