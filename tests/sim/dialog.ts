// The client's half of a text protocol: lines out, lines and literals in. Ends in Hangup when the connection does.

import type { Connection, World } from '../../actors/world.ts';
import { LineReader } from '../../protocols/reader.ts';

/** The connection is over, or the other side was silent too long. Nobody knows what became of the last command. */
export class Hangup extends Error {}

const SILENCE_MS = 400_000;
const empty = new Uint8Array(0);

export class Dialog {
  readonly connection: Connection;
  private readonly reader: LineReader;

  constructor(world: World, connection: Connection) {
    this.connection = connection;
    this.reader = new LineReader(connection, world);
  }

  send(text: string): void {
    this.connection.write(new Uint8Array(Buffer.from(text, 'latin1')));
  }

  /** One line without its ending. `waitMs`: null when nothing came in that time. */
  async line(): Promise<string>;
  async line(waitMs: number): Promise<string | null>;
  async line(waitMs?: number): Promise<string | null> {
    const line = await this.reader.line(1 << 20, waitMs ?? SILENCE_MS);
    if (line.kind === 'timeout' && waitMs !== undefined) return null;
    if (line.kind !== 'line') throw new Hangup(line.kind);
    return Buffer.from(line.bytes).toString('latin1');
  }

  async octets(count: number): Promise<Uint8Array> {
    const out: Uint8Array[] = [];
    for (let left = count; left > 0; ) {
      const chunk = await this.reader.chunk(left, SILENCE_MS);
      if (chunk === null || chunk === 'timeout') throw new Hangup('in a literal');
      out.push(chunk);
      left -= chunk.length;
    }
    return out.length === 0 ? empty : new Uint8Array(Buffer.concat(out));
  }

  async startTls(): Promise<void> {
    this.reader.drop();
    await this.connection.secureClient({ serverName: 'mail.example.test', verify: false }).catch((error: Error) => {
      throw new Hangup(error.message);
    });
  }

  async startTlsAsServer(): Promise<void> {
    this.reader.drop();
    await this.connection.secureServer().catch((error: Error) => {
      throw new Hangup(error.message);
    });
  }

  close(): void {
    this.connection.destroy();
  }
}
