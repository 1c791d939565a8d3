// Runs the scripted IMAP sessions of Apache James (../shared/corpus) against a session of ours. Their server's wording,
// order of untagged responses, and what it advertises beyond RFC 3501 differ, so a reply is compared as a set: its tag
// and status, and every untagged line as the script's regular expression, without what only informs.

import { readFileSync } from 'node:fs';
import type { Peer } from '../../dialogs/run.ts';

type Step = { readonly session: number; readonly line: number } & ({ readonly say: string } | { readonly hear: string });

/** The steps of a script. `#` comments, LOG, TIMER and the like say nothing. */
export function parseScript(text: string): Step[] {
  const steps: Step[] = [];
  let session = 1;
  for (const [i, line] of text.split('\n').entries()) {
    const chosen = /^SESSION: (\S+)/.exec(line)?.[1];
    if (chosen !== undefined) session = Number(chosen);
    const said = /^C:(?: (.*))?$/.exec(line.replace(/\r$/, ''));
    const heard = /^S: ?(.*)$/.exec(line.replace(/\r$/, ''));
    if (said) steps.push({ session, line: i + 1, say: said[1] ?? '' });
    else if (heard) steps.push({ session, line: i + 1, hear: heard[1] as string });
  }
  return steps;
}

/** Lines that only inform, or that we do not promise: not compared. */
const informs = /^(?:\* (?:OK|FLAGS|\d+ RECENT|CAPABILITY|ID|NAMESPACE|BYE)\b|\+)/;
const informsPattern = /^(?:\\\* (?:OK|FLAGS|\S+ RECENT|CAPABILITY|ID|NAMESPACE|BYE)\b|\\\+)/;

/** FLAGS in the order of the alphabet, as theirs are, without \Recent, which they keep when a session selects again. */
const sorted = (line: string): string =>
  line.replace(/FLAGS \(([^)]*)\)/g, (_all, flags: string) => {
    const list = flags.split(' ').filter((flag) => flag !== '\\Recent' && flag !== '');
    return `FLAGS (${list.sort().join(' ')})`;
  });
/** The same for their patterns; and what Java takes for itself, but JavaScript does not. */
const adapted = (pattern: string): string =>
  pattern
    .replace(/FLAGS \\\(([^)]*)\\\)/g, (_all, flags: string) => `FLAGS \\(${flags.replace(/\\\\Recent ?/, '').trim()}\\)`)
    .replace(/(?<= )\{(\d+)\}/g, '\\{$1\\}')
    .replace(/^(\\\* X?L(?:IST|SUB) .*)$/, (list) => list.replaceAll('\\.', '/'));

/** A pattern of a tagged reply: [status, tag]. */
const taggedPattern = /^\(?([A-Za-z0-9_/-]+ (?:OK|NO|BAD))\b/;

class Ear {
  private rest = '';
  private ended = false;
  private wake: (() => void) | null = null;
  readonly peer: Peer;
  constructor(peer: Peer) {
    this.peer = peer;
    void this.listen();
  }
  private async listen(): Promise<void> {
    for (let bytes = await this.peer.read(); bytes !== null; bytes = await this.peer.read()) {
      this.rest += Buffer.from(bytes).toString('latin1');
      this.wake?.();
    }
    this.ended = true;
    this.wake?.();
  }
  async line(): Promise<string | null> {
    const until = Date.now() + 1_000;
    for (;;) {
      const at = this.rest.indexOf('\r\n');
      if (at >= 0) {
        const line = this.rest.slice(0, at);
        this.rest = this.rest.slice(at + 2);
        return line;
      }
      if (this.ended || Date.now() > until) return null;
      await new Promise<void>((done) => {
        const timer = setTimeout(done, 50);
        this.wake = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
  }
}

/** Their hierarchy is divided by dots, ours by slashes. Their users have no domain. */
const slashes = (line: string): string =>
  /^\S+ (?:CREATE|DELETE|RENAME|SELECT|EXAMINE|SUBSCRIBE|UNSUBSCRIBE|LIST|LSUB|XLIST|STATUS|APPEND) /i.test(line)
    ? line.replace(/(?<=[A-Za-z0-9%*])\.(?=[A-Za-z0-9%*])/g, '/')
    : line.replace(/^(\S+ LOGIN "?)(imapuser)/i, '$1$2@our.test');

/** Runs the files one after the other on the same connections. Throws at the first reply that differs; `differs`: lines of the
 *  last file whose replies are known to, and are not compared. */
export async function runScripts(files: readonly string[], dial: () => Promise<Peer>, login: boolean, differs: ReadonlySet<number>): Promise<void> {
  const ears = new Map<number, Ear>();
  const earOf = async (session: number): Promise<Ear> => {
    let ear = ears.get(session);
    if (!ear) {
      ears.set(session, (ear = new Ear(await dial())));
      await ear.line();
      if (login) {
        ear.peer.write(Buffer.from('login LOGIN imapuser@our.test password\r\n'));
        await ear.line();
      }
    }
    return ear;
  };
  const reached = new Set<number>();
  for (const file of files) {
    const steps = parseScript(readFileSync(file, 'utf8'));
    for (let i = 0; i < steps.length; ) {
      const first = steps[i] as Step;
      const ear = await earOf(first.session);
      let said = '';
      for (; i < steps.length && 'say' in (steps[i] as Step) && (steps[i] as Step).session === first.session; i++) {
        const line = slashes((steps[i] as { say: string }).say);
        said += `${line}\r\n`;
        ear.peer.write(Buffer.from(`${line}\r\n`));
      }
      const wanted: string[] = [];
      const at = steps[i]?.line ?? first.line;
      for (; i < steps.length && 'hear' in (steps[i] as Step) && (steps[i] as Step).session === first.session; i++)
        wanted.push((steps[i] as { hear: string }).hear);
      const last = file === files.at(-1);
      if (last) reached.add(at);
      if (wanted.length > 0) await compare(ear, wanted, last && differs.has(at), `${file.split('/').at(-1)}:${at} after ${said.slice(0, 300)}`);
    }
  }
  for (const ear of ears.values()) ear.peer.close();
  for (const line of differs) if (!reached.has(line)) throw new Error(`no reply at line ${line}`);
}

async function compare(ear: Ear, wanted: readonly string[], differs: boolean, where: string): Promise<void> {
  const tagged = wanted.flatMap((w) => taggedPattern.exec(w)?.[1] ?? []);
  // A last pattern that is neither tagged nor untagged stands for any reply
  const any = tagged.length === 0 && !/^\\[*+]/.test(wanted.at(-1) as string);
  const untagged = (any ? wanted.slice(0, -1) : wanted).filter((w) => !taggedPattern.test(w) && !informsPattern.test(w)).map(adapted);
  const heard: string[] = [];
  const all: string[] = [];
  let enough = tagged.length === 0 && untagged.length === 0 && !any;
  let got = 0;
  while (!enough) {
    const line = await ear.line();
    if (line === null) throw new Error(`${where}\nno more lines; heard:\n${all.join('\n')}\nwanted:\n${wanted.join('\n')}`);
    all.push(line);
    const status = /^(\S+ (?:OK|NO|BAD)) /.exec(line)?.[1];
    if (status !== undefined && !status.startsWith('*')) {
      if (!differs && !any && status !== tagged[got]) throw new Error(`${where}\nwanted ${tagged[got]}, heard:\n${all.join('\n')}`);
      got++;
    } else if (/BODY\[[^\]]*\] NIL\)$/.test(line)) heard.push(`${line.slice(0, -4)}{0}`, ')');
    // A part that is not there is NIL here, and empty there
    else if (!informs.test(line)) heard.push(sorted(line));
    enough = any ? got > 0 : got === tagged.length && (tagged.length > 0 || heard.length >= untagged.length);
  }
  if (differs) return;
  for (const pattern of untagged) {
    const test = new RegExp(`^${pattern}$`, 'si');
    const k = heard.findIndex((line) => test.test(line));
    if (k < 0) throw new Error(`${where}\nnot heard: ${pattern}\nheard:\n${all.join('\n')}`);
    heard.splice(k, 1);
  }
  if (heard.length > 0) throw new Error(`${where}\nheard beyond: ${heard.join('\n')}\nof:\n${all.join('\n')}\nwanted:\n${wanted.join('\n')}`);
}
