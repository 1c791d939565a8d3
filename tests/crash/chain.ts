// Is a copy of a site one point in time? Numbered messages are appended round-robin over many accounts, each after the one
// before it was acknowledged. A copy that is one point in time holds 1..m without a hole, and no number twice; made while k
// to l were acknowledged, its m is between k and l + 1.
//
//   bun tests/crash/chain.ts append HOST PORT USERS FORMAT PASSWORD STOPFILE   by IMAP, to any server, until the file is there; `%d` in FORMAT is 1, 2 …
//   bun tests/crash/chain.ts imap HOST PORT USERS FORMAT PASSWORD              what a server has
//   bun tests/crash/chain.ts data FOLDER                                       what the data folder of a site has, which does not run
//
// One JSON line tells; the exit code is 1 when it is not one point in time.

import { existsSync } from 'node:fs';
import type { Reader } from '../../storage/engine.ts';
import { readPage } from '../../storage/page.ts';
import { getRow, scanRows } from '../../storage/rows.ts';
import { Imap } from '../bench/lib/conn.ts';

export interface Server {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly users: number;
  /** The login of user 1, 2 … */
  readonly login: (user: number) => string;
  readonly password: string;
}
export interface Links {
  readonly present: number;
  readonly last: number;
  readonly holes: number;
  /** 0: none. */
  readonly firstHole: number;
  readonly twice: number;
  readonly pointInTime: boolean;
}

/** The appending end. */
export class Chain {
  /** How many are acknowledged: 1 to this. */
  acknowledged = 0;
  private stopped = false;
  private readonly server: Server;
  private working: Promise<void> = Promise.resolve();

  constructor(server: Server) {
    this.server = server;
  }

  /** Logs in everywhere, and begins. */
  async begin(stop: () => boolean = () => false): Promise<void> {
    const { users, login } = this.server;
    const boxes: Imap[] = [];
    for (let user = 1; user <= users; user++) boxes.push(await logIn(this.server, login(user)));
    this.working = this.append(boxes, stop);
    this.working.catch(() => {}); // told by `end`
  }

  private async append(boxes: readonly Imap[], stop: () => boolean): Promise<void> {
    while (!this.stopped && !stop()) {
      const n = this.acknowledged + 1;
      const done = await (boxes[n % boxes.length] as Imap).append('INBOX', '', [message(n)]);
      if (!done.ok) throw new Error(`message ${n}: ${done.text}`);
      this.acknowledged = n;
    }
    for (const box of boxes) box.close();
  }

  /** Resolves with the number of the last one. */
  async end(): Promise<number> {
    this.stopped = true;
    await this.working;
    return this.acknowledged;
  }

  /** Resolves when `stop` said so. */
  ended = (): Promise<void> => this.working;
}

const message = (n: number): Buffer =>
  Buffer.from(
    `From: chain@example.test\r\nSubject: chain ${n}\r\nMessage-ID: <chain.${n}@example.test>\r\n\r\n${`Line of message ${n}.\r\n`.repeat(1 + (n % 60))}`,
  );

async function logIn({ host, port, tls, password }: Server, name: string): Promise<Imap> {
  const imap = await Imap.open(host, port, tls);
  await imap.login(name, password);
  return imap;
}

/** Of a Message-ID, as it stands in a header (`<…>`) or in the store. */
const numberOf = (text: string): number | null => {
  const found = /\bchain\.(\d+)@/.exec(text);
  return found ? Number(found[1]) : null;
};

export function linksOf(numbers: Iterable<number>): Links {
  const seen = new Set<number>();
  let [twice, last] = [0, 0];
  for (const n of numbers) {
    if (seen.has(n)) twice++;
    seen.add(n);
    last = Math.max(last, n);
  }
  let firstHole = 1;
  while (seen.has(firstHole)) firstHole++;
  const holes = last - seen.size;
  return { present: seen.size, last, holes, firstHole: holes > 0 ? firstHole : 0, twice, pointInTime: holes === 0 && twice === 0 };
}

/** Of a store: every message of every mailbox. */
export function linksInStore(reader: Reader): Links {
  const numbers: number[] = [];
  for (const { key } of scanRows(reader, 'mailbox', [])) {
    for (const { row } of scanRows(reader, 'page', [key.mailbox])) {
      for (const { blob } of readPage(row)) {
        const n = numberOf(getRow(reader, 'info', { blob })?.messageId ?? '');
        if (n !== null) numbers.push(n);
      }
    }
  }
  return linksOf(numbers);
}

/** Of the data folder of a site that does not run. */
export async function linksInData(folder: string): Promise<Links> {
  const { openData } = await import('./data.ts');
  const view = await openData(folder, false);
  const snapshot = view.snapshot();
  try {
    return linksInStore(snapshot);
  } finally {
    snapshot.release();
    await view.close();
  }
}

/** Of any server. A mailbox that does not open has none. */
export async function linksByImap(server: Server): Promise<Links> {
  const numbers: number[] = [];
  for (let user = 1; user <= server.users; user++) {
    const imap = await logIn(server, server.login(user));
    let header = '';
    const take = (): void => {
      const n = numberOf(header);
      if (n !== null) numbers.push(n);
      header = '';
    };
    if ((await imap.cmd('EXAMINE INBOX')).ok && imap.exists > 0) {
      imap.onLine = take;
      imap.onLiteral = (part) => (header += part);
      await imap.cmd('FETCH 1:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]');
      take();
    }
    imap.close();
  }
  return linksOf(numbers);
}

if (import.meta.main) {
  const [verb, first = '', port = '', users = '', format = '', password = '', stopFile = ''] = process.argv.slice(2);
  const server: Server = { host: first, port: Number(port), tls: false, users: Number(users), login: (user) => format.replace('%d', `${user}`), password };
  if (verb === 'append') {
    const chain = new Chain(server);
    await chain.begin(() => existsSync(stopFile));
    await chain.ended();
    process.stdout.write(`${JSON.stringify({ acknowledged: chain.acknowledged })}\n`);
  } else {
    const links = verb === 'data' ? await linksInData(first) : await linksByImap(server);
    process.stdout.write(`${JSON.stringify(links)}\n`);
    process.exit(links.pointInTime ? 0 : 1);
  }
}
