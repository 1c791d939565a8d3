// What was in a snapshot, back into the live site: an account, a folder, a message. Guarantees: nothing that is there is
// changed; a message that is already in the folder it goes to is not put there twice, so that what was interrupted can be
// run again; each message comes with its flags, keywords, dates and octets, by the commands that any client's APPEND takes.

import type { Address } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { type Ask, isRefusal } from '../../actors/wire.ts';
import type { Reader } from '../engine.ts';
import type { StoreProtocol } from '../messages.ts';
import { normalizeName, separator } from '../names.ts';
import { type Entry, hasKeyword, readPage } from '../page.ts';
import type { Row } from '../rows.ts';
import { blob as blobRow, mailboxByName, pages } from '../views.ts';
import type { SnapshotView } from './read.ts';

export interface Wanted {
  /** Who had it: an address of an account in the snapshot. */
  readonly from: string;
  /** One folder of it, by name; null: all. */
  readonly folder: string | null;
  /** One message, by Message-ID without its brackets; null: all. */
  readonly messageId: string | null;
  /** The account of the live site that gets it. */
  readonly account: number;
  /** The folder in which the old folders are put, or empty: they go where they were. */
  readonly into: string;
}
export interface Extracted {
  readonly folders: number;
  readonly messages: number;
  /** Messages that were in the folder already. */
  readonly there: number;
}

/** Nothing like that is in the snapshot, or the site cannot take it. `message` says what. */
export class CannotExtract extends Error {}

type Content = Ask<StoreProtocol, 'append'>['content'];

export interface Live {
  readonly store: Address<StoreProtocol>;
  readonly view: Reader;
  readonly now: () => number;
}

/** Throws CannotExtract, Damaged, LinkLost; what was put before stays, and is not put again. */
export async function extract(live: Live, snapshot: SnapshotView, wanted: Wanted, progress: (done: number, of: number) => void = () => {}): Promise<Extracted> {
  const id = await accountIn(snapshot, wanted.from);
  const folders: { mailbox: number; row: Row<'mailbox'> }[] = [];
  for await (const { key, row } of snapshot.scan('mailbox', id)) {
    if (wanted.folder === null || row.name === normalizeName(wanted.folder)) folders.push({ mailbox: key.mailbox, row });
  }
  if (folders.length === 0) throw new CannotExtract(`the snapshot has no folder ${wanted.folder} of ${wanted.from}`);
  const of = folders.reduce((sum, { row }) => sum + row.exists, 0);
  const total = { folders: 0, messages: 0, there: 0 };
  for (const { mailbox, row } of folders) {
    if (wanted.messageId === null && row.exists === 0 && wanted.into !== '') continue;
    const target = await createTarget(live, wanted, row);
    const done = await copyFolder(live, snapshot, wanted, { mailbox, row, target }, (count) => progress(total.messages + total.there + count, of));
    if (done.messages + done.there > 0) total.folders++;
    total.messages += done.messages;
    total.there += done.there;
  }
  if (wanted.messageId !== null && total.messages + total.there === 0)
    throw new CannotExtract(`the snapshot has no message <${wanted.messageId}> of ${wanted.from}`);
  return total;
}

async function accountIn(snapshot: SnapshotView, address: string): Promise<number> {
  const found = await snapshot.row('address', { address });
  if (found?.kind === 'account') return found.account;
  // an account that no document named any more keeps its mail
  for await (const { key, row } of snapshot.scan('account')) if (row.address === address) return key.account;
  throw new CannotExtract(`the snapshot has no account ${address}`);
}

async function createTarget({ store, now }: Live, { account, into, messageId }: Wanted, row: Row<'mailbox'>): Promise<string> {
  const name = into === '' ? row.name : messageId === null ? `${into}${separator}${row.name}` : into;
  const answer = await store.ask('createMailbox', { now: now(), account, name, specialUse: '' });
  if (isRefusal(answer) && answer.refused !== 'mailboxExists') throw new CannotExtract(`the folder ${name} cannot be made: ${answer.detail || answer.refused}`);
  if (!isRefusal(answer)) await store.ask('subscribeMailbox', { account, name, on: true });
  return name;
}

interface Folder {
  readonly mailbox: number;
  readonly row: Row<'mailbox'>;
  readonly target: string;
}

/** Commands of one folder which are under way at the same time: they share commits and stay in order. */
const window = 32;

async function copyFolder(
  live: Live,
  snapshot: SnapshotView,
  wanted: Wanted,
  folder: Folder,
  progress: (done: number) => void,
): Promise<Omit<Extracted, 'folders'>> {
  const have = hashesIn(live.view, wanted.account, folder.target);
  const counts = { messages: 0, there: 0 };
  const pending: Promise<void>[] = [];
  for await (const { row: page } of snapshot.scan('page', folder.mailbox)) {
    for (const entry of readPage(page)) {
      const [body, info] = [await snapshot.row('blob', { blob: entry.blob }), await snapshot.row('info', { blob: entry.blob })];
      if (!body || !info) throw new CannotExtract(`message ${entry.uid} of ${folder.row.name} has no body in the snapshot`);
      if (wanted.messageId !== null && info.messageId.replace(/^<|>$/g, '') !== wanted.messageId) continue;
      if (have.has(Buffer.from(body.hash).toString('latin1'))) counts.there++;
      else {
        if (body.size > limits.inlineBody) await Promise.all(pending.splice(0));
        pending.push(appendOne(live, wanted, folder, entry, await contentOf(live, snapshot, entry.blob, body, info)));
        counts.messages++;
        if (pending.length >= window) await pending.shift();
      }
      progress(counts.messages + counts.there);
    }
  }
  await Promise.all(pending);
  return counts;
}

function hashesIn(view: Reader, account: number, name: string): Set<string> {
  view.refresh();
  const found = mailboxByName(view, account, name);
  const hashes = new Set<string>();
  if (!found) return hashes;
  for (const page of pages(view, found.id, 1, found.uidNext)) {
    for (const entry of page) {
      const row = blobRow(view, entry.blob);
      if (row) hashes.add(Buffer.from(row.hash).toString('latin1'));
    }
  }
  return hashes;
}

/** The body as the store takes it: inside the command, or streamed before it. */
async function contentOf({ store, now }: Live, snapshot: SnapshotView, blob: number, body: Row<'blob'>, info: Row<'info'>): Promise<Content> {
  const { hash, size, headerSize, chunks: chunkCount } = body;
  const content = { hash, size, headerSize, transfer: 0, chunks: [] as Uint8Array[], chunkCount, info };
  let transfer = 0;
  let sent = 0;
  const send = async (): Promise<void> => {
    const answer = await store.ask('appendTransfer', { transfer, first: sent, chunks: content.chunks });
    if (isRefusal(answer)) throw new CannotExtract(`the site does not take it: ${answer.detail || answer.refused}`);
    sent += content.chunks.length;
    content.chunks = [];
  };
  if (size > limits.inlineBody) {
    const begun = await store.ask('beginTransfer', { now: now() });
    if (isRefusal(begun)) throw new CannotExtract(`the site does not take it: ${begun.detail || begun.refused}`);
    transfer = begun.transfer;
  }
  for await (const chunk of snapshot.chunks(blob)) {
    content.chunks.push(chunk);
    if (transfer !== 0 && content.chunks.length === 64) await send();
  }
  if (transfer !== 0 && content.chunks.length > 0) await send();
  return { ...content, transfer };
}

async function appendOne({ store, now }: Live, { account }: Wanted, { row, target }: Folder, entry: Entry, content: Content): Promise<void> {
  const keywords = row.keywords.filter((_, position) => hasKeyword(entry.keywords, position));
  const { flags, internalDate } = entry;
  const answer = await store.ask('append', { now: now(), account, mailbox: target, flags, keywords, internalDate, content });
  if (isRefusal(answer)) throw new CannotExtract(`the site does not take message ${entry.uid} of ${row.name}: ${answer.detail || answer.refused}`);
}
