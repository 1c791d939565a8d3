// What a site holds, as an IMAP client sees it: the same look when a folder is made and when a later version opens it.

import { ImapFlow } from 'imapflow';

export interface Login {
  readonly address: string;
  readonly password: string;
}
export interface Seen {
  readonly uid: number;
  readonly flags: readonly string[];
  readonly size: number;
  readonly modseq: number;
  readonly internalDate: string;
  /** Of the whole message. */
  readonly sha256: string;
  readonly subject: string;
  /** The types of its parts. */
  readonly parts: readonly string[];
}
export interface Folder {
  readonly path: string;
  readonly subscribed: boolean;
  readonly specialUse: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModseq: number;
  readonly messages: readonly Seen[];
}

export async function look(port: number, { address, password }: Login): Promise<Folder[]> {
  const client = await connect(port, { address, password });
  const folders: Folder[] = [];
  for (const { path, subscribed, specialUse } of await client.list()) {
    const box = await client.mailboxOpen(path, { readOnly: true });
    const messages: Seen[] = [];
    const query = { uid: true, flags: true, size: true, internalDate: true, envelope: true, bodyStructure: true, source: true } as const;
    if (box.exists > 0) {
      for await (const m of client.fetch('1:*', query)) {
        messages.push({
          uid: m.uid,
          flags: [...(m.flags ?? [])].sort(),
          size: m.size ?? 0,
          modseq: Number(m.modseq),
          internalDate: new Date(m.internalDate ?? 0).toISOString(),
          sha256: new Bun.CryptoHasher('sha256').update(m.source ?? '').digest('hex'),
          subject: m.envelope?.subject ?? '',
          parts: partsOf(m.bodyStructure as Part | undefined),
        });
      }
    }
    folders.push({
      path,
      subscribed: subscribed === true,
      specialUse: specialUse ?? '',
      uidValidity: Number(box.uidValidity),
      uidNext: box.uidNext,
      highestModseq: Number(box.highestModseq),
      messages,
    });
  }
  client.close();
  return folders.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export async function connect(port: number, { address, password }: Login): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: true,
    auth: { user: address, pass: password },
    tls: { rejectUnauthorized: false },
    logger: false,
  });
  client.on('error', () => {}); // told by what waits for it
  await client.connect();
  return client;
}

interface Part {
  readonly type: string;
  readonly childNodes?: readonly Part[];
}
const partsOf = (part: Part | undefined): string[] => (part === undefined ? [] : [part.type, ...(part.childNodes ?? []).flatMap(partsOf)]);
