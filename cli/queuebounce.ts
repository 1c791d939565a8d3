// What senders are told of mail that an administrator deletes: a notification for each message, to go into the same commit.

import type { World } from '../actors/world.ts';
import { compose, type Mail, wanted } from '../protocols/smtp/bounce.ts';
import { blob, body, header, type QueuedView } from '../storage/views.ts';
import type { Opened } from './site.ts';

/** One for each message that has a sender to be told. */
export function bounces(world: World, { view }: Opened, batch: readonly QueuedView[]): Mail[] {
  const out: Mail[] = [];
  for (const { row, recipients } of batch) {
    const size = blob(view, row.blob)?.size ?? 0;
    const mail = compose(
      { world, view },
      {
        envelopeFrom: row.envelopeFrom,
        envid: row.envid,
        ret: row.ret,
        arrivedAt: row.arrivedAt,
        expiresAt: row.expiresAt,
        recipients: recipients
          .filter(({ row: r }) => wanted(r.notify, 'failure'))
          .map(({ row: r }) => ({
            address: r.address,
            orcpt: r.orcpt,
            action: 'failed',
            // RFC 3463 §3.8: other or undefined security or policy status
            status: '5.7.0',
            reply: '',
            reason: 'The administrator of this mail system took it out of the queue.',
            host: '',
          })),
        original: {
          header: header(view, row.blob).subarray(row.skip),
          size: size - row.skip,
          whole: () => Buffer.concat([...body(view, row.blob, row.skip, size)]),
        },
      },
    );
    if (mail) out.push(mail);
  }
  return out;
}
