// One attempt at one queued message for one destination: hosts by preference, addresses of each, one transaction at the
// first that takes it. Guarantees: every recipient gets exactly one verdict; no host is tried after one has answered for
// the message; it ends within limits.outboundAttemptMs and the reply timeouts. Nothing is written here: see report.ts.

import { limits } from '../../actors/limits.ts';
import { blob, body, config, header, info, queued, resolveAddress } from '../../storage/views.ts';
import { type Signing, signatureOf } from '../dkim/sign.ts';
import type { Resolver } from '../dns/resolver.ts';
import { contentOf, Intake, IntakeFailed } from '../mime/intake.ts';
import { unpackParts } from '../mime/parts.ts';
import type { Site } from '../site.ts';
import { type Mail, madeHere } from './bounce.ts';
import { openClient, type Outgoing, type Sent, SmtpClient } from './client.ts';
import { failed, later, type Verdict } from './reply.ts';
import { type Destination, hopsOf, hostsOf } from './route.ts';
import { convert, plan, type Source } from './sevenbit.ts';

type Queued = NonNullable<ReturnType<typeof queued>>;
/** A message and those of its recipients that are tried together. */
export interface Pending {
  readonly queue: number;
  readonly row: Queued['row'];
  readonly recipients: Queued['recipients'];
}
export interface Attempted {
  /** One for each recipient, in order. */
  readonly verdicts: readonly Verdict[];
  /** The host that answered, or the last that did not. */
  readonly host: string;
  /** Its address; empty: none was tried. */
  readonly ip: string;
  readonly tls: string;
  /** Will the next host report further (RFC 3461 §5.2.1)? */
  readonly dsn: boolean;
  /** What to put into local mailboxes in the commit that reports the verdicts. */
  readonly local: Mail | null;
  /** A connection that may be used again. */
  readonly client: SmtpClient | null;
  /** No host was reached: others for the same destination need not try now. */
  readonly unreachable: Verdict | null;
}

/** The message as it stands in the store, or null when nothing of it is left to do. */
export function pendingOf(site: Site, queue: number, numbers: readonly number[]): Pending | null {
  site.view.refresh();
  const found = queued(site.view, queue);
  const recipients = found?.recipients.filter((r) => numbers.includes(r.n)) ?? [];
  return found && recipients.length > 0 ? { queue, row: found.row, recipients } : null;
}

const everyone = (pending: Pending, verdict: Verdict, rest: Partial<Attempted> = {}): Attempted => ({
  verdicts: pending.recipients.map(() => verdict),
  host: '',
  ip: '',
  tls: '',
  dsn: false,
  local: null,
  client: null,
  unreachable: null,
  ...rest,
});

/**
 * Tries `pending` at `to`. `client`: an idle connection to that destination, which is used first or closed. `signing`: what
 * the message is signed with, null: it is not.
 */
export async function attempt(
  site: Site,
  resolver: Resolver,
  to: Destination,
  pending: Pending,
  client: SmtpClient | null,
  signing: Signing | null,
): Promise<Attempted> {
  if (to.kind === 'local') return deliverHere(site, pending);
  const message = outgoing(site, pending, signing);
  if (client?.reusable) {
    const sent = await sendWithin(site, client, message, limits.outboundAttemptMs);
    if (sent.kind === 'answered') return answered(sent.verdicts, client);
  }
  await client?.quit();
  const hosts = await hostsOf(site, resolver, to);
  if ('kind' in hosts) return everyone(pending, hosts, { unreachable: hosts.kind === 'later' ? hosts : null });
  const deadline = site.world.monotonicMs() + limits.outboundAttemptMs;
  const verdicts: Verdict[] = [];
  let host = '';
  let ip = '';
  let reached = false;
  for (const candidate of hosts) {
    host = candidate.name;
    const hops = await hopsOf(resolver, candidate);
    if ('kind' in hops) {
      verdicts.push(hops);
      continue;
    }
    for (const hop of hops) {
      const leftMs = deadline - site.world.monotonicMs();
      if (leftMs <= 0) break;
      ip = hop.endpoint.address;
      const opened = await openClient(site.world, hop, ourName(site));
      if (opened instanceof SmtpClient) {
        reached = true;
        const sent = await sendWithin(site, opened, message, leftMs);
        if (sent.kind === 'answered') return answered(sent.verdicts, opened);
        await opened.quit();
        verdicts.push(sent.verdict);
        continue;
      }
      verdicts.push(opened);
      // RFC 5321 §6.3: further hosts would only lead back here.
      if (opened.status === '5.4.6') return everyone(pending, opened, { host, ip });
    }
  }
  // Gone for good only when no host holds out hope (RFC 7504 §3).
  const verdict = verdicts.find((v) => v.kind === 'later') ?? verdicts.at(-1) ?? later('4.4.1', 'no host could be tried in time');
  return everyone(pending, verdict, { host, ip, unreachable: reached ? null : verdict });
}

function answered(verdicts: readonly Verdict[], client: SmtpClient): Attempted {
  const reusable = client.reusable;
  if (!reusable) client.destroy();
  const { host, endpoint } = client.hop;
  const dsn = client.offers('DSN');
  return { verdicts, host, ip: endpoint.address, tls: client.tls, dsn, local: null, client: reusable ? client : null, unreachable: null };
}

async function sendWithin(site: Site, client: SmtpClient, message: Outgoing, withinMs: number): Promise<Sent> {
  const timer = site.world.after(withinMs, () => client.destroy());
  const sent = await client.send(message);
  timer.cancel();
  return sent;
}

const ourName = (site: Site): string => {
  site.view.refresh();
  return config(site.view)?.document.host ?? 'localhost';
};

function outgoing(site: Site, pending: Pending, signing: Signing | null): Outgoing {
  site.view.refresh();
  const { row } = pending;
  const stored = blob(site.view, row.blob);
  const recipients = pending.recipients.map((r) => ({ address: r.row.address, notify: r.row.notify, orcpt: r.row.orcpt }));
  // RFC 6531 §3.4: asked for only where this header, this sender or one of these recipients needs it.
  const international = row.smtputf8 && (!isAscii(header(site.view, row.blob)) || [row.envelopeFrom, ...recipients.map((r) => r.address)].some(wideLocalPart));
  const size = stored?.size ?? 0;
  const bodies = { whole: () => octets(site, row.blob, row.skip, size), sevenBit: () => sevenBit(site, row.blob, row.skip) };
  return {
    envelopeFrom: row.envelopeFrom,
    recipients,
    size: size - row.skip,
    eightBit: row.eightBit,
    smtputf8: international,
    ret: row.ret,
    envid: row.envid,
    body: bodies.whole,
    sevenBit: bodies.sevenBit,
    signature: signature(site, signing, bodies),
  };
}

/** The signature of a message in either form, made once for all hosts that are tried. */
function signature(
  site: Site,
  signing: Signing | null,
  bodies: { readonly [form in 'whole' | 'sevenBit']: () => (() => Uint8Array | null) | null },
): Outgoing['signature'] {
  const known = new Map<string, Uint8Array>();
  return async (form) => {
    const found = known.get(form);
    const next = found === undefined && signing !== null ? bodies[form]() : null;
    const made =
      found ?? (next === null || signing === null ? new Uint8Array(0) : await signatureOf(next, signing, site.world.now(), () => site.world.sleep(0)));
    known.set(form, made);
    return made;
  };
}

/** Octets [from, to) of a body, each read in a view of its own: the network may be waited for in between. */
const octets = (site: Site, id: number, from: number, to: number): (() => Uint8Array | null) => pulled(site, body(site.view, id, from, to));

function pulled(site: Site, chunks: Iterator<Uint8Array>): () => Uint8Array | null {
  return () => {
    site.view.refresh();
    const next = chunks.next();
    return next.done === true ? null : next.value;
  };
}

function sevenBit(site: Site, id: number, skip: number): (() => Uint8Array | null) | null {
  site.view.refresh();
  const row = blob(site.view, id);
  const known = info(site.view, id);
  if (!row || !known) return null;
  const source: Source = { octets: (from, to) => body(site.view, id, from, to) };
  const segments = plan(source, unpackParts(known.parts), skip, row.size);
  return segments === null ? null : pulled(site, convert(source, segments));
}

/** The domain became ours after the mail was queued. */
async function deliverHere(site: Site, pending: Pending): Promise<Attempted> {
  const { row } = pending;
  const local: Mail['local'][number][] = [];
  const remote: Mail['remote'][number][] = [];
  site.view.refresh();
  const verdicts = pending.recipients.map((r): Verdict => {
    const found = resolveAddress(site.view, r.row.address);
    if ('error' in found) return refusedHere(found.error, r.row.address);
    for (const target of found.targets) {
      if (target.kind === 'local') local.push({ account: target.account, mailbox: target.mailbox, flags: 0 });
      else remote.push({ address: target.address, notify: r.row.notify, orcpt: r.row.orcpt });
    }
    return { kind: 'relayed', status: '2.0.0', reply: '', reason: 'delivered to the mailbox' };
  });
  if (local.length + remote.length === 0) return { ...everyone(pending, failed('5.1.1', '')), verdicts };
  const prefix = Buffer.from(`Return-Path: <${row.envelopeFrom}>\r\n`);
  const content = await copyOf(site, pending, prefix);
  if (content === null) return everyone(pending, later('4.3.0', 'the message could not be stored'));
  const { ret, envid, smtputf8, eightBit, account, envelopeFrom } = row;
  const mail: Mail = {
    envelopeFrom,
    content,
    local,
    remote,
    ret,
    envid,
    smtputf8,
    eightBit,
    account,
    skip: prefix.length,
    origin: madeHere(pending.recipients.map((r) => r.row.address)),
  };
  return { ...everyone(pending, failed('5.1.1', '')), verdicts, local: mail };
}

function refusedHere(error: string, address: string): Verdict {
  if (error === 'full') return later('4.2.2', `the mailbox of ${address} is full`);
  if (error === 'disabled') return failed('5.2.1', `${address} takes no mail`);
  return error === 'loop' ? failed('5.4.6', `${address} leads back to itself`) : failed('5.1.1', `there is no ${address} here`);
}

/** The queued message behind `prefix`, as content for the store; null when the store could not take it. */
async function copyOf(site: Site, pending: Pending, prefix: Uint8Array): Promise<Mail['content'] | null> {
  const { row } = pending;
  const size = blob(site.view, row.blob)?.size ?? 0;
  const next = octets(site, row.blob, row.skip, size);
  if (size + prefix.length <= limits.inlineBody) {
    const chunks: Uint8Array[] = [prefix];
    for (let chunk = next(); chunk !== null; chunk = next()) chunks.push(chunk);
    return contentOf(Buffer.concat(chunks));
  }
  const intake = new Intake(site.world, site.store);
  try {
    await intake.write(prefix);
    for (let chunk = next(); chunk !== null; chunk = next()) await intake.write(chunk);
    const content = await intake.finish();
    // Its memory is bounded by limits.outboundConcurrency from here on
    intake.release();
    return content;
  } catch (error) {
    if (!(error instanceof IntakeFailed)) throw error;
    // The store restarted, or its disk is full: the queue keeps the message.
    intake.abort();
    return null;
  }
}

function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) > 127) return false;
  return true;
}
const wideLocalPart = (address: string): boolean => !isAscii(Buffer.from(address.slice(0, Math.max(0, address.lastIndexOf('@')))));
