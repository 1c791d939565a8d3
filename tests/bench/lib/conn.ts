// One TCP (or TLS) connection with a write queue, and on top of it an SMTP and an IMAP client.
// Replies are parsed incrementally and nothing is kept that no one asked for: the client shares
// the machine with the server, so it must be cheap.
import type { Socket } from 'bun';
import { now } from './util.ts';

const EMPTY = Buffer.alloc(0);

export abstract class Conn {
  private sock!: Socket<undefined>;
  private queue: Uint8Array[] = [];
  private onDrained: (() => void) | null = null;
  private rest: Buffer = EMPTY;
  protected skip = 0; // octets of a literal still to come
  closed = false;
  received = 0;

  async connect(host: string, port: number, tls: boolean): Promise<void> {
    this.sock = await Bun.connect({
      hostname: host,
      port,
      ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
      socket: {
        data: (_s, b) => this.feed(b as Buffer),
        drain: () => this.flush(),
        close: () => this.end(new Error('connection closed by the server')),
        error: (_s, e) => this.end(e),
      },
    });
    this.sock.setNoDelay(true);
  }

  /** Queues data; several calls in one go leave the socket in order. */
  write(d: string | Uint8Array): void {
    const b = typeof d === 'string' ? Buffer.from(d, 'latin1') : d;
    if (this.queue.length) {
      this.queue.push(b);
      return;
    }
    const n = this.sock.write(b);
    if (n < b.length) this.queue.push(b.subarray(Math.max(n, 0)));
  }
  /** Resolves when all that was written has been handed to the kernel. */
  drained(): Promise<void> {
    return this.queue.length ? new Promise((r) => (this.onDrained = r)) : Promise.resolve();
  }
  private flush(): void {
    while (this.queue.length) {
      const b = this.queue[0]!;
      const n = this.sock.write(b);
      if (n < b.length) {
        this.queue[0] = b.subarray(Math.max(n, 0));
        return;
      }
      this.queue.shift();
    }
    const f = this.onDrained;
    this.onDrained = null;
    f?.();
  }
  private feed(chunk: Buffer): void {
    this.received += chunk.length;
    const b = this.rest.length ? Buffer.concat([this.rest, chunk]) : chunk;
    let i = 0;
    while (i < b.length) {
      if (this.skip > 0) {
        const n = Math.min(this.skip, b.length - i);
        this.literal(b, i, i + n);
        this.skip -= n;
        i += n;
        continue;
      }
      const j = b.indexOf(10, i);
      if (j < 0) break;
      this.line(b, i, j > i && b[j - 1] === 13 ? j - 1 : j);
      i = j + 1;
    }
    this.rest = i < b.length ? Buffer.from(b.subarray(i)) : EMPTY;
  }
  private end(e: Error): void {
    if (this.closed) return;
    this.closed = true;
    const f = this.onDrained;
    this.onDrained = null;
    f?.();
    this.fail(e);
  }
  /** Reads no more: what the server sends stays with it. */
  pause(): void {
    this.sock.pause();
  }
  close(): void {
    this.closed = true;
    this.sock?.end();
  }
  /** A server whose accept queue overflowed never greets, and the client's half stays open: give up. */
  protected async within<T>(ms: number, p: Promise<T>): Promise<T> {
    const t = setTimeout(() => {
      this.sock.terminate();
      this.end(new Error('no greeting'));
    }, ms);
    try {
      return await p;
    } finally {
      clearTimeout(t);
    }
  }

  protected abstract line(b: Buffer, from: number, to: number): void;
  protected literal(_b: Buffer, _from: number, _to: number): void {}
  protected abstract fail(e: Error): void;
}

export interface Reply {
  code: number;
  text: string;
  at: number;
}

export class Smtp extends Conn {
  private replies: Reply[] = [];
  private waiting: { ok: (r: Reply) => void; no: (e: Error) => void }[] = [];
  private lines: string[] = [];
  caps = '';

  static async open(host: string, port: number, tls = false): Promise<Smtp> {
    const c = new Smtp();
    await c.connect(host, port, tls);
    const g = await c.within(15000, c.reply());
    if (g.code !== 220) throw new Error('greeting: ' + g.text);
    c.write('EHLO bench.sender.test\r\n');
    c.caps = (await c.reply()).text.toUpperCase();
    return c;
  }
  reply(): Promise<Reply> {
    const r = this.replies.shift();
    if (r) return Promise.resolve(r);
    if (this.closed) return Promise.reject(new Error('connection closed by the server'));
    return new Promise((ok, no) => this.waiting.push({ ok, no }));
  }
  async auth(user: string, pass: string): Promise<void> {
    this.write(`AUTH PLAIN ${Buffer.from(`\0${user}\0${pass}`).toString('base64')}\r\n`);
    const r = await this.reply();
    if (r.code !== 235) throw new Error('AUTH: ' + r.text);
  }
  /** Sends one message. `final` is the time from the last octet sent to the final reply. */
  async send(from: string, to: string, head: Uint8Array, body: Uint8Array): Promise<{ code: number; text: string; final: number; total: number }> {
    const t0 = now();
    const size = this.caps.includes('SIZE') ? ` SIZE=${head.length + body.length}` : '';
    const cmds = [`MAIL FROM:<${from}>${size}\r\n`, `RCPT TO:<${to}>\r\n`, 'DATA\r\n'];
    let r: Reply = { code: 0, text: '', at: 0 };
    if (this.caps.includes('PIPELINING')) {
      this.write(cmds.join(''));
      const a = await this.reply(),
        b = await this.reply();
      r = await this.reply();
      const bad = a.code !== 250 ? a : b.code >= 300 ? b : null;
      if (bad && r.code === 354) {
        this.write('.\r\n');
        await this.reply();
      }
      if (bad) r = bad;
    } else {
      for (const c of cmds) {
        this.write(c);
        r = await this.reply();
        if (r.code >= 400) break;
      }
    }
    if (r.code !== 354) {
      const total = now() - t0;
      this.write('RSET\r\n');
      await this.reply();
      return { code: r.code, text: r.text, final: 0, total };
    }
    this.write(head);
    this.write(body);
    this.write('.\r\n');
    await this.drained();
    const t1 = now();
    r = await this.reply();
    return { code: r.code, text: r.text, final: r.at - t1, total: r.at - t0 };
  }
  async quit(): Promise<void> {
    this.write('QUIT\r\n');
    await this.reply().catch(() => {});
    this.close();
  }
  protected line(b: Buffer, from: number, to: number): void {
    this.lines.push(b.toString('latin1', from, to));
    if (to - from > 3 && b[from + 3] === 45) return; // "250-": more lines follow
    const text = this.lines.join('\n');
    this.lines = [];
    const r = { code: Number(text.slice(0, 3)), text, at: now() };
    const w = this.waiting.shift();
    if (w) w.ok(r);
    else this.replies.push(r);
  }
  protected fail(e: Error): void {
    for (const w of this.waiting.splice(0)) w.no(e);
  }
}

export interface Done {
  ok: boolean;
  text: string;
  ms: number;
  bytes: number;
  fetches: number;
}

export class Imap extends Conn {
  private tag = 0;
  /** By tag: a server may complete pipelined commands in another order. */
  private waiting = new Map<string, { t0: number; r0: number; f0: number; ok: (d: Done) => void; no: (e: Error) => void }>();
  private greeted: { ok: () => void; no: (e: Error) => void } | null = null;
  private plus: (() => void) | null = null;
  private inResponse = false; // after a literal: this line continues a response
  private fetches = 0;
  greeting = '';
  caps = '';
  literalPlus = false;
  exists = 0;
  /** Set to see untagged lines and literals; unset they are only counted. */
  onLine: ((line: string) => void) | null = null;
  onLiteral: ((part: string) => void) | null = null;
  onExists: ((n: number) => void) | null = null;

  static async open(host: string, port: number, tls = false): Promise<Imap> {
    const c = new Imap();
    const g = new Promise<void>((ok, no) => (c.greeted = { ok, no }));
    await c.connect(host, port, tls);
    await c.within(15000, g);
    return c;
  }
  async login(user: string, pass: string): Promise<Done> {
    const d = await this.must(`LOGIN "${user}" "${pass}"`);
    const m = /\[CAPABILITY ([^\]]*)\]/i.exec(d.text);
    if (m) this.caps = m[1]!.toUpperCase();
    else {
      this.onLine = (l) => {
        if (/^\* CAPABILITY /i.test(l)) this.caps = l.toUpperCase();
      };
      await this.must('CAPABILITY');
      this.onLine = null;
    }
    this.literalPlus = / LITERAL[+]/.test(' ' + this.caps);
    return d;
  }
  /** Sends a command; resolves at its tagged reply. Commands may be pipelined. */
  cmd(text: string, literals?: Uint8Array[], tail = ''): Promise<Done> {
    if (this.closed) return Promise.reject(new Error('connection closed'));
    const tag = 'T' + ++this.tag;
    const p = new Promise<Done>((ok, no) => this.waiting.set(tag, { t0: now(), r0: this.received, f0: this.fetches, ok, no }));
    this.write(`${tag} ${text}${literals ? '' : '\r\n'}`);
    if (literals) {
      for (const l of literals) this.write(l);
      this.write(tail + '\r\n');
    }
    return p;
  }
  async must(text: string): Promise<Done> {
    const d = await this.cmd(text);
    if (!d.ok) throw new Error(`${text.slice(0, 60)} -> ${d.text}`);
    return d;
  }
  async append(mailbox: string, flags: string, parts: Uint8Array[]): Promise<Done> {
    const n = parts.reduce((a, p) => a + p.length, 0);
    if (this.literalPlus) return this.cmd(`APPEND "${mailbox}" (${flags}) {${n}+}\r\n`, parts);
    const go = new Promise<void>((r) => (this.plus = r));
    const d = this.cmd(`APPEND "${mailbox}" (${flags}) {${n}}\r\n`, []);
    await Promise.race([go, d]);
    for (const p of parts) this.write(p);
    this.write('\r\n');
    return d;
  }
  async status(mailbox: string): Promise<{ messages: number; uidnext: number }> {
    let s = '';
    this.onLine = (l) => {
      if (l.startsWith('* STATUS')) s = l;
    };
    await this.must(`STATUS "${mailbox}" (MESSAGES UIDNEXT)`);
    this.onLine = null;
    const n = (k: string) => Number(new RegExp(k + ' (\\d+)').exec(s)?.[1] ?? 0);
    return { messages: n('MESSAGES'), uidnext: n('UIDNEXT') };
  }
  /** IDLE: resolves once the server has said "+". `done` ends it. */
  idle(): Promise<void> {
    const p = new Promise<void>((r) => (this.plus = r));
    void this.cmd('IDLE').catch(() => {});
    return p;
  }
  done(): void {
    this.write('DONE\r\n');
  }
  async logout(): Promise<void> {
    await this.cmd('LOGOUT').catch(() => {});
    this.close();
  }

  protected override literal(b: Buffer, from: number, to: number): void {
    this.onLiteral?.(b.toString('latin1', from, to));
  }
  protected line(b: Buffer, from: number, to: number): void {
    const cont = this.inResponse;
    this.inResponse = false;
    if (to > from + 2 && b[to - 1] === 125) {
      // "}": a literal follows
      let k = to - 2,
        n = 0,
        m = 1;
      while (k > from && b[k]! >= 48 && b[k]! <= 57) {
        n += (b[k]! - 48) * m;
        m *= 10;
        k--;
      }
      if (b[k] === 123 && k < to - 2) {
        this.skip = n;
        this.inResponse = true;
      }
    }
    if (cont) return;
    if (b[from] === 42) {
      // "* ..."
      let k = from + 2,
        n = 0;
      while (k < to && b[k]! >= 48 && b[k]! <= 57) n = n * 10 + b[k++]! - 48;
      if (k > from + 2) {
        if (b[k + 1] === 70 && b[k + 2] === 69)
          this.fetches++; // FE(TCH)
        else if (b[k + 1] === 69 && b[k + 3] === 73) {
          this.exists = n;
          this.onExists?.(n);
        } // EXI(STS)
      }
      if (this.onLine) this.onLine(b.toString('latin1', from, to));
      if (this.greeted) {
        this.greeting = b.toString('latin1', from, to);
        const g = this.greeted;
        this.greeted = null;
        g.ok();
      }
      return;
    }
    if (b[from] === 43) {
      const f = this.plus;
      this.plus = null;
      f?.();
      return;
    } // "+ "
    const l = b.toString('latin1', from, to),
      sp = l.indexOf(' '),
      w = this.waiting.get(l.slice(0, sp));
    if (w) {
      this.waiting.delete(l.slice(0, sp));
      const text = l.slice(sp + 1);
      w.ok({ ok: text.startsWith('OK'), text, ms: now() - w.t0, bytes: this.received - w.r0, fetches: this.fetches - w.f0 });
    }
  }
  protected fail(e: Error): void {
    this.greeted?.no(e);
    this.greeted = null;
    for (const w of this.waiting.values()) w.no(e);
    this.waiting.clear();
  }
}
