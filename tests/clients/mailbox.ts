// What a test sees of a mailbox, through imapflow over TLS: the subjects, the flags, the sources.

import { ImapFlow } from 'imapflow';
import { until } from './programs.ts';
import { password, type Site } from './site.ts';

export async function withImap<T>(site: Site, user: string, work: (client: ImapFlow) => Promise<T>): Promise<T> {
  const client = new ImapFlow({
    host: site.address,
    port: site.port('imaps'),
    secure: true,
    auth: { user: `${user}@example.test`, pass: password },
    tls: { rejectUnauthorized: false },
    logger: false,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

export interface Seen {
  readonly uid: number;
  readonly subject: string;
  readonly flags: readonly string[];
  readonly source: string;
}

/** All messages of a mailbox, in UID order. */
export function messages(site: Site, user: string, mailbox = 'INBOX'): Promise<Seen[]> {
  return withImap(site, user, async (client) => {
    const box = await client.mailboxOpen(mailbox, { readOnly: true });
    if (box.exists === 0) return [];
    const found = await client.fetchAll('1:*', { uid: true, envelope: true, flags: true, source: true });
    return found.map((message) => ({
      uid: message.uid,
      subject: message.envelope?.subject ?? '',
      flags: [...(message.flags ?? [])].filter((flag) => flag !== '\\Recent').sort(),
      source: message.source?.toString('latin1') ?? '',
    }));
  });
}

/** The messages with that subject, once there is one. */
export function arrives(site: Site, user: string, subject: string, mailbox = 'INBOX', timeoutMs = 20_000): Promise<Seen> {
  return until(
    `"${subject}" in ${mailbox} of ${user}`,
    async () => (await messages(site, user, mailbox)).find((message) => message.subject.includes(subject)),
    timeoutMs,
    200,
  );
}
