// A mail host on a loopback port that answers each recipient as a test says, and keeps what it took.

import { createServer, type Server, type Socket } from 'node:net';

export interface MailSink {
  readonly port: number;
  /** By local part: the reply to RCPT. Others are taken. */
  readonly replies: Map<string, string>;
  /** `recipient Message-ID` of what was taken. */
  readonly taken: string[];
  /** Called before the reply to RCPT: its promise is waited for. */
  before: (recipient: string) => Promise<void> | void;
  close(): void;
}

export async function mailSink(): Promise<MailSink> {
  const sockets = new Set<Socket>();
  const sink = { port: 0, replies: new Map<string, string>(), taken: [] as string[], before: (() => {}) as MailSink['before'], close: () => {} };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    converse(socket, sink).catch(() => {}); // its peer may be killed
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  return Object.assign(sink, {
    port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
}

async function converse(socket: Socket, sink: Pick<MailSink, 'replies' | 'taken' | 'before'>): Promise<void> {
  const say = (line: string): void => void socket.write(`${line}\r\n`);
  say('220 sink.test ESMTP');
  let rest = '';
  let to: string[] = [];
  let data: string | null = null;
  for await (const chunk of socket) {
    rest += String(chunk);
    for (let at = rest.indexOf('\r\n'); at >= 0; at = rest.indexOf('\r\n')) {
      const line = rest.slice(0, at);
      rest = rest.slice(at + 2);
      if (data !== null) {
        if (line !== '.') data += `${line}\n`;
        else {
          const id = /^message-id:\s*(\S+)/im.exec(data)?.[1] ?? '';
          sink.taken.push(...to.map((recipient) => `${recipient} ${id}`));
          [data, to] = [null, []];
          say(`250 2.0.0 taken as number ${sink.taken.length}`);
        }
        continue;
      }
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === 'RCPT') {
        const recipient = /<([^>]*)>/.exec(line)?.[1] ?? '';
        await sink.before(recipient);
        const reply = sink.replies.get(recipient.split('@')[0] ?? '') ?? '250 2.1.5 ok';
        if (reply.startsWith('250')) to.push(recipient);
        say(reply);
      } else if (verb === 'DATA') {
        if (to.length > 0) data = '';
        say(to.length > 0 ? '354 go on' : '554 5.5.1 nobody');
      } else if (verb === 'QUIT') {
        say('221 bye');
        socket.end();
      } else {
        if (verb === 'MAIL' || verb === 'RSET') to = [];
        say(verb === 'EHLO' ? '250 sink.test' : '250 2.0.0 ok');
      }
    }
  }
}
