// A client that keeps no rule: it sends octets as given, and gathers what comes back until it has seen enough.

import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export class Raw {
  private socket: Socket;
  private text = '';
  private wake: (() => void) | null = null;
  closed = false;
  /** The peer ended the connection by a reset or an error. */
  error: Error | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.attach(socket);
  }

  /** `from`: the address to come from. */
  static open(host: string, port: number, from?: string): Promise<Raw> {
    return new Promise((resolve, reject) => {
      const socket = connectSocket({ host, port, noDelay: true, ...(from === undefined ? {} : { localAddress: from }) });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new Raw(socket)));
    });
  }

  private attach(socket: Socket): void {
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      this.wake?.();
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => {
      this.closed = true;
      this.wake?.();
    });
  }

  /** Writes, waiting for the kernel to take it. Resolves also when the peer has closed. */
  write(octets: string | Uint8Array): Promise<void> {
    if (this.closed) return Promise.resolve();
    const bytes = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets;
    return new Promise((resolve) => {
      const done = (): void => {
        this.socket.off('close', done);
        resolve();
      };
      this.socket.once('close', done);
      this.socket.write(bytes, done);
    });
  }

  /** Everything received and not yet taken, as soon as it matches or the connection is closed. */
  async read(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) {
        const taken = this.text.slice(0, match.index + match[0].length);
        this.text = this.text.slice(taken.length);
        return taken;
      }
      const left = end - performance.now();
      if (this.closed || left <= 0) throw new Error(`${this.closed ? 'closed' : 'silent'} before ${pattern}: ${JSON.stringify(this.text.slice(-500))}`);
      await this.more(left);
    }
  }

  private more(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One whole SMTP reply, or the tagged IMAP response when a tag is given. */
  reply(tag?: string, timeoutMs = 10_000): Promise<string> {
    return this.read(tag === undefined ? /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\r\n/m : new RegExp(`^${tag} [^\\n]*\\r\\n`, 'm'), timeoutMs);
  }

  async ask(line: string, tag?: string): Promise<string> {
    await this.write(`${tag === undefined ? '' : `${tag} `}${line}\r\n`);
    return this.reply(tag);
  }

  /** What came until the end of the connection. */
  async rest(timeoutMs = 10_000): Promise<string> {
    for (const end = performance.now() + timeoutMs; !this.closed; ) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`still open: ${JSON.stringify(this.text.slice(-500))}`);
      await this.more(left);
    }
    return this.text;
  }

  /** What has come in the next `ms`. */
  async listen(ms: number): Promise<string> {
    for (const end = performance.now() + ms; !this.closed && performance.now() < end; ) await this.more(end - performance.now());
    const taken = this.text;
    this.text = '';
    return taken;
  }

  startTls(): Promise<void> {
    const plain = this.socket;
    plain.removeAllListeners('data');
    plain.removeAllListeners('close');
    return new Promise((resolve, reject) => {
      const socket = connectTls({ socket: plain, rejectUnauthorized: false }, () => resolve());
      socket.once('error', reject);
      this.socket = socket;
      this.attach(socket);
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
