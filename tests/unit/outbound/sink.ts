// A scripted mail host for tests: it takes what it is sent and remembers it, or answers as the script says. It checks
// that its peer keeps to RFC 5321: no command before the reply to the last one unless it offered PIPELINING.

import type { Serve } from './network.ts';

export interface Received {
  readonly from: string;
  readonly mailLine: string;
  readonly to: string[];
  readonly rcptLines: string[];
  /** The message, dots removed, behind its signatures. */
  data: string;
  /** The DKIM-Signature fields before it. */
  signatures: string;
  readonly tls: boolean;
}
export interface Script {
  readonly host?: string;
  readonly greeting?: string | (() => Promise<string>);
  /** Lines of the EHLO reply after the first; null: EHLO is not known. */
  readonly extensions?: readonly string[] | null;
  /** Another reply to a command (`''`: say nothing), `close` to hang up. `.` is the end of data. */
  readonly on?: (command: string, state: { readonly tls: boolean; readonly recipients: number }) => string | undefined | Promise<string | undefined>;
}
export interface Sink {
  readonly serve: Serve;
  readonly mails: Received[];
  /** Every command line, `TLS` for a handshake. */
  readonly commands: string[];
  connections: number;
  open: number;
  mostOpen: number;
}

export const everyExtension = ['PIPELINING', 'SIZE 10000000', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES', 'STARTTLS'] as const;

/** Our signatures apart from what was signed. */
function unsigned(message: string): { signatures: string; data: string } {
  const signatures = /^(DKIM-Signature:[^\r]*\r\n(?:\t[^\r]*\r\n)*)*/.exec(message)?.[0] ?? '';
  return { signatures, data: message.slice(signatures.length) };
}

export function sink(script: Script = {}): Sink {
  const all: Sink = { serve: (connection) => session(connection), mails: [], commands: [], connections: 0, open: 0, mostOpen: 0 };
  const host = script.host ?? 'mx.remote.test';
  async function session(connection: Parameters<Serve>[0]): Promise<void> {
    all.connections++;
    all.open++;
    all.mostOpen = Math.max(all.mostOpen, all.open);
    let text = '';
    const line = async (): Promise<string | null> => {
      for (;;) {
        const at = text.indexOf('\r\n');
        if (at >= 0) {
          const out = text.slice(0, at);
          text = text.slice(at + 2);
          return out;
        }
        const bytes = await connection.read();
        if (bytes === null) return null;
        text += Buffer.from(bytes).toString('latin1');
      }
    };
    const say = (reply: string): void => {
      if (reply !== '') connection.write(reply.endsWith('\n') ? reply : `${reply}\r\n`);
    };
    say(typeof script.greeting === 'function' ? await script.greeting() : (script.greeting ?? `220 ${host} ESMTP`));
    let mail: Received | null = null;
    for (let command = await line(); command !== null; command = await line()) {
      all.commands.push(command);
      const verb = command.split(/[ :]/)[0]?.toUpperCase() ?? '';
      const scripted = await script.on?.(command, { tls: connection.tls !== null, recipients: mail?.to.length ?? 0 });
      if (scripted === 'close') break;
      if (scripted !== undefined) {
        say(scripted);
        if (/^2/.test(scripted) && verb === 'RCPT') mail?.to.push(/<([^>]*)>/.exec(command)?.[1] ?? '');
        if (!/^354/.test(scripted)) continue;
      }
      if (verb === 'EHLO' && script.extensions === null) say('502 5.5.1 what?');
      else if (verb === 'EHLO') {
        const offered = (script.extensions ?? everyExtension).filter((e) => !(e === 'STARTTLS' && connection.tls));
        say([`250${offered.length > 0 ? '-' : ' '}${host}`, ...offered.map((e, i) => `250${i === offered.length - 1 ? ' ' : '-'}${e}`)].join('\r\n'));
      } else if (verb === 'HELO') say(`250 ${host}`);
      else if (verb === 'STARTTLS') {
        say('220 2.0.0 go on');
        try {
          await connection.secureServer();
          all.commands.push('TLS');
        } catch {
          break;
        }
      } else if (verb === 'MAIL' && mail !== null) say('503 5.5.1 nested MAIL');
      else if (verb === 'MAIL') {
        mail = { from: /<([^>]*)>/.exec(command)?.[1] ?? '', mailLine: command, to: [], rcptLines: [], data: '', signatures: '', tls: connection.tls !== null };
        say('250 2.1.0 ok');
      } else if (verb === 'RCPT') {
        mail?.to.push(/<([^>]*)>/.exec(command)?.[1] ?? '');
        mail?.rcptLines.push(command);
        say('250 2.1.5 ok');
      } else if (verb === 'DATA' && scripted === undefined && (mail === null || mail.to.length === 0)) say('554 5.5.1 no valid recipients');
      else if (verb === 'DATA') {
        if (scripted === undefined) say('354 go on');
        let data = '';
        let row = await line();
        for (; row !== null && row !== '.'; row = await line()) data += `${row.startsWith('.') ? row.slice(1) : row}\r\n`;
        if (row === null) break;
        const end = await script.on?.('.', { tls: connection.tls !== null, recipients: mail?.to.length ?? 0 });
        if (end === 'close') break;
        if ((end === undefined || /^2/.test(end)) && mail) all.mails.push({ ...mail, ...unsigned(data) });
        say(end ?? '250 2.0.0 taken');
        mail = null;
      } else if (verb === 'RSET') {
        mail = null;
        say('250 2.0.0 ok');
      } else if (verb === 'QUIT') {
        say('221 2.0.0 bye');
        break;
      } else say('500 5.5.2 what?');
    }
    all.open--;
    connection.destroy();
  }
  return all;
}
