// What a session is given of its site. A session owns its socket and its order; everything else comes in here.

import type { Address } from '../actors/actor.ts';
import { type Ask, bin, call, bool, protocol, text, type EventOf } from '../actors/wire.ts';
import type { Connection, World } from '../actors/world.ts';
import type { Reader } from '../storage/engine.ts';
import type { StoreProtocol } from '../storage/messages.ts';

export type Changed = EventOf<StoreProtocol, 'changed'>;
export type Change = Changed['changes'][number];

/** What the work processes do: burn CPU, or take the risk of hostile bytes. */
export const Work = protocol(
  'work',
  {
    /** Compares a password with a PHC or crypt(3) hash. `better`: a hash to store instead, or empty. */
    verifyPassword: call(1, { password: text(1024), hash: text(500) }, { ok: bool, better: text(500) }),
    /** argon2id, PHC string. */
    hashPassword: call(2, { password: text(1024) }, { hash: text(500) }),
    /** A self-signed certificate for a host name, EC P-256, ten years. */
    selfSign: call(3, { host: text(255) }, { certificatePem: text(64 * 1024), keyPem: text(64 * 1024) }),
    /** New keys to sign mail with: private ones as PKCS #8, public ones as DNS publishes them (protocols/dkim/keys.ts). */
    makeDkimKeys: call(10, {}, { rsaPrivate: bin(4_096), rsaPublic: bin(1_024), ed25519Private: bin(256), ed25519Public: bin(64) }),
  },
  {},
);
export type WorkProtocol = typeof Work;

/** Changes of committed mailboxes, for the sessions of this process. `run` must not throw and must not wait. */
export interface ChangeFeed {
  mailbox(mailbox: number, run: (change: Change) => void): () => void;
  /** Mailboxes created, renamed, deleted (kind `mailbox`), and any other change, of one account. */
  account(account: number, run: (change: Change) => void): () => void;
}

/** Mail that was refused, as the store remembers it. */
export type Refused = Ask<StoreProtocol, 'recordRefused'>['refusals'][number];

export interface Site {
  readonly world: World;
  readonly store: Address<StoreProtocol>;
  readonly work: Address<WorkProtocol>;
  /** Reads never pass through the writer. `view.refresh()` first in each synchronous run of reads. */
  readonly view: Reader;
  readonly changes: ChangeFeed;
  /** Remembers mail that was refused, in its own time; costs next to nothing. */
  readonly refused: (what: Refused) => void;
  /** true in the demo: passwords in clear are taken from loopback addresses (DESIGN §9 forbids it elsewhere). */
  readonly plaintextOnLoopback: boolean;
}

/** A protocol session: one actor per connection, forgotten when it crashes. It returns when the connection is over. */
export type Session = (site: Site, connection: Connection, listener: ListenerKind) => Promise<void>;

/** How a connection reached us. `tls`: TLS from the first octet. */
export interface ListenerKind {
  readonly name: 'smtp' | 'submission' | 'submissions' | 'imap' | 'imaps';
  readonly tls: boolean;
}
