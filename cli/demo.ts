// `mailsite demo`: a real site on high loopback ports with two accounts and some mail, for a first look. It runs in the
// foreground like `mailsite run`; Ctrl-C ends it like any crash. With --data it is the same site again the next time.

import { chmodSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import type { Address } from '../actors/actor.ts';
import { limits } from '../actors/limits.ts';
import { link } from '../actors/link.ts';
import type { Ask } from '../actors/wire.ts';
import { realWorld } from '../actors/platform.ts';
import type { World } from '../actors/world.ts';
import { formatDate } from '../protocols/mime/compose.ts';
import { contentOf } from '../protocols/mime/intake.ts';
import { hashPassword } from '../protocols/work.ts';
import { sealDocument, validateDocument } from '../storage/document.ts';
import { defaultEngine, engineOf, openView } from '../storage/engines/open.ts';
import { Store, type StoreProtocol } from '../storage/messages.ts';
import { accountByAddress, config } from '../storage/views.ts';
import { tree } from '../tree.ts';
import type { Arguments } from './arguments.ts';
import { bold, Failure, print } from './output.ts';
import { enterData, place } from './place.ts';
import { askSupervisor } from './running.ts';
import { runSite } from './run.ts';
import { portalPort, showcase } from './showcase.ts';
import { document, password, type Sample, samples } from './sample.ts';

const OFFSETS = [10_000, 20_000, 30_000, 40_000, 50_000] as const;

/** Never resolves. */
export async function demo(given: Arguments): Promise<never> {
  const world = realWorld(() => {});
  const program = programName();
  const address = given.listen ?? '127.0.0.1';
  const portOffset = given.portOffset ?? OFFSETS.find((offset) => isFree(address, offset));
  if (portOffset === undefined) throw new Failure('the ports of every offset from 10000 to 50000 are taken: name a free one with --port-offset');
  const data = given.data === undefined ? temporaryData() : resolve(given.data);
  enterData(data, true);
  const other = await askSupervisor(world);
  if (other !== null) throw new Failure(`a site already runs on ${data} (pid ${other.pid}): look at it with mailsite status, or name another --data`);
  const log = join(data, place.log);
  const output = openSync(log, 'a', 0o600);
  const cloud = showcase(world, address, portalPort + portOffset, output);
  const crashed = runSite({ data, listen: address, portOffset, demo: true, engine: undefined, output });
  const store = link(world, place.storeSocket, Store);
  await Promise.race([crashed, fill(world, store)]);
  const signIn = await cloud.ready(data);
  print(welcome({ program, address, portOffset, data, log, signIn }));
  return crashed as Promise<never>;
}

/** The sample document and mail, where there is no document yet. */
async function fill(world: World, store: Address<StoreProtocol>): Promise<void> {
  await store.ask('stats', {});
  const view = await openView('.', engineOf('.') ?? defaultEngine, place.readSocket);
  view.refresh();
  if (config(view) !== null) return;
  const checked = validateDocument(JSON.stringify(document));
  if (!checked.ok) throw new Failure(`the sample document is wrong: ${checked.errors[0]?.message}`);
  const sealed = await sealDocument(checked.document, (_address, plain) => hashPassword(plain));
  const applied = await store.ask('applyConfig', { now: world.now(), document: JSON.stringify(sealed) });
  if ('refused' in applied) throw new Failure(`the sample document was refused: ${applied.detail}`);
  view.refresh();
  for (const sample of samples) {
    const account = accountByAddress(view, sample.account)?.account;
    if (account === undefined) throw new Failure(`the sample mail names ${sample.account}, which nobody has`);
    await append(world, store, account, sample);
  }
}

/** What is in an INBOX came from somewhere: `mailsite trace` tells of it. */
async function append(world: World, store: Address<StoreProtocol>, account: number, sample: Sample): Promise<void> {
  const at = world.now() - sample.minutesAgo * 60_000;
  const content = contentOf(Buffer.from(`Date: ${formatDate(at)}\r\n${sample.message}`));
  const { mailbox, flags } = sample;
  const appended = { now: world.now(), account, mailbox, flags, keywords: [], internalDate: at, content };
  const done = mailbox === 'INBOX' ? await store.ask('deliver', delivered(sample, at, { account, content })) : await store.ask('append', appended);
  if ('refused' in done) throw new Failure(`the sample mail was refused: ${done.detail || done.refused}`);
}

function delivered({ flags, message }: Sample, at: number, { account, content }: Pick<Ask<StoreProtocol, 'append'>, 'account' | 'content'>) {
  const envelopeFrom = /^From: .*?([^\s<]+@[^\s>]+)/m.exec(message)?.[1] ?? '';
  const helo = `mail.${envelopeFrom.split('@')[1]}`;
  const origin = { session: `sample.${at}`, ip: '192.0.2.25', helo, tls: '', named: [] };
  const nothing = { remote: [], ret: '', envid: '', smtputf8: false, eightBit: true, skip: 0, account: 0 } as const;
  const mail = { ...nothing, envelopeFrom, content, local: [{ account, mailbox: 'INBOX', flags }], origin };
  return { now: at, expiryMs: limits.queueExpiryMs, mails: [mail] };
}

/** Are all ports of the tree free at this offset? */
function isFree(hostname: string, offset: number): boolean {
  const ports = tree.flatMap((row) => row.children.flatMap((child) => (child.port === undefined ? [] : [child.port + offset])));
  return [...ports, portalPort + offset].every((port) => {
    try {
      Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
      return true;
    } catch {
      return false;
    }
  });
}

/** A new folder which programs may be run from: the native engine is unpacked into it, and /tmp may be mounted noexec. */
function temporaryData(): string {
  for (const parent of [tmpdir(), '/var/tmp', homedir()]) {
    try {
      const folder = mkdtempSync(join(parent, 'mailsite-demo-'));
      const probe = join(folder, 'probe');
      writeFileSync(probe, '#!/bin/sh\n');
      chmodSync(probe, 0o700);
      if (Bun.spawnSync([probe]).exitCode === 0) {
        rmSync(probe);
        return folder;
      }
      rmSync(folder, { recursive: true });
    } catch {}
  }
  throw new Failure('no temporary folder allows programs to run: name a folder with --data');
}

/** How the person in front of the terminal calls this program. */
function programName(): string {
  if (!Bun.main.startsWith('/$bunfs/')) return `bun ${relative(process.cwd(), Bun.main)}`;
  const near = relative(process.cwd(), process.execPath);
  return near.startsWith('..') ? process.execPath : near.includes('/') ? near : `./${near}`;
}

interface Place {
  readonly program: string;
  readonly address: string;
  readonly portOffset: number;
  readonly data: string;
  readonly log: string;
  /** Signs in to the portal, once. */
  readonly signIn: string;
}

function welcome({ program, address, portOffset, data, log, signIn }: Place): string {
  const host = address === '::' || address === '0.0.0.0' ? '127.0.0.1' : address;
  const at = host.includes(':') ? `[${host}]` : host;
  const port = (standard: number): number => standard + portOffset;
  const user = `alice@example.test:${password}`;
  return `
${bold('A mail site runs here, with some mail in it, and the portal that configures it.')}

${bold('Configure')} it in a browser; this link signs you in, once, within an hour
  ${signIn}
  Another one: ${program} portal link --data ${join(data, 'portal')}

${bold('Log in')} with a mail client (its certificate is its own: say yes to it)
  IMAP    ${host}  port ${port(993)} (TLS) or ${port(143)} (STARTTLS)
  SMTP    ${host}  port ${port(465)} (TLS) or ${port(587)} (STARTTLS)
  Users   alice@example.test and bob@example.test, password ${password}

${bold('Read')} Alice's newest message, and list her folders
  curl -sSk -u ${user} 'imaps://${at}:${port(993)}/INBOX;MAILINDEX=*'
  curl -sSk -u ${user} imaps://${at}:${port(993)}/

${bold('Send')} to Bob
  printf 'From: alice@example.test\\nTo: bob@example.test\\nSubject: Hello\\n\\nHi Bob.\\n' |
    curl -sSk --crlf -u ${user} --mail-from alice@example.test \\
      --mail-rcpt bob@example.test -T - smtps://${at}:${port(465)}
  swaks --server ${at}:${port(587)} -tls -au alice@example.test -ap ${password} \\
    --from alice@example.test --to bob@example.test

${bold('Look inside')}
  ${program} status --data ${data}
  ${program} tree
  tail -f ${log}

Ctrl-C ends it. Nothing is lost: ${program} demo --data ${data} goes on.
`;
}
