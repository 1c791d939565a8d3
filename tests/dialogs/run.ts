// Runs dialogs: text files of what a client says and what it must hear. The transport is a parameter: a session in this
// process, or the real executable over a socket.
//
//   # comment
//   C: a LOGIN $user $password     said by connection 1, with CRLF; C2: by connection 2, which is opened at first use
//   S: a OK …                      the next line heard; … stands for anything within the line
//   S~: a OK …                     the same, after any lines that do not match (S2~: for connection 2)
//   L: text                        a line of the literal which the C: before announced as {@} or {@+}: its size is filled in,
//                                  and after the last one the line of the command ends
//   R: a\x00b\r\n                  octets as they are
//   N: 50                          nothing is heard for so many ms
//   X:                             the server closes the connection
// $user, $password; $user64, $password64, $plain64 (SASL PLAIN) in base64. Variables in S: lines: <name> takes digits the first time, and stands for them afterwards, also in C: lines.

export interface Peer {
  write(bytes: Uint8Array): void;
  /** The next octets, or null at the end. */
  read(): Promise<Uint8Array | null>;
  close(): void;
}
/** What a dialog talks to: a fresh account each time. */
export interface Transport {
  readonly user: string;
  readonly password: string;
  dial(): Promise<Peer>;
}

interface Step {
  readonly line: number;
  readonly kind: 'C' | 'S' | 'S~' | 'L' | 'R' | 'N' | 'X';
  readonly connection: number;
  readonly text: string;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const PATIENCE_MS = 5_000;

export function parseDialog(text: string): Step[] {
  const steps: Step[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const match = /^([CSLRNX])(\d*)(~?):(?: (.*))?$/.exec(line);
    if (!match) throw new Error(`line ${i + 1} is no step: ${line}`);
    steps.push({ line: i + 1, kind: `${match[1]}${match[3]}` as Step['kind'], connection: Number(match[2] || 1), text: match[4] ?? '' });
  }
  return steps;
}

/** Lines heard on one connection. A literal belongs to its line: octets and line endings are seen as they are. */
class Ear {
  private rest = '';
  private ended = false;
  private waiting: (() => void) | null = null;
  readonly peer: Peer;
  readonly heard: string[] = [];

  constructor(peer: Peer) {
    this.peer = peer;
    void this.listen();
  }

  private async listen(): Promise<void> {
    for (let bytes = await this.peer.read(); bytes !== null; bytes = await this.peer.read()) {
      this.rest += Buffer.from(bytes).toString('latin1');
      this.waiting?.();
    }
    this.ended = true;
    this.waiting?.();
  }

  /** The next line, null at the end, undefined when nothing comes for `ms`. */
  async line(ms: number): Promise<string | null | undefined> {
    const until = Date.now() + ms;
    for (;;) {
      const at = this.rest.indexOf('\r\n');
      if (at >= 0) {
        const line = this.rest.slice(0, at);
        this.rest = this.rest.slice(at + 2);
        this.heard.push(line);
        return line;
      }
      if (this.ended) return null;
      const left = until - Date.now();
      if (left <= 0) return undefined;
      await new Promise<void>((done) => {
        const timer = setTimeout(done, left);
        this.waiting = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
  }
}

/** A pattern of an S: line: … is anything, <name> a number kept under that name. */
function compile(pattern: string, variables: Map<string, string>): { readonly test: RegExp; readonly names: readonly string[] } {
  const names: string[] = [];
  const parts = pattern.split(/(…|<[a-z][A-Za-z]*>)/).map((part) => {
    if (part === '…') return '.*';
    const name = /^<([a-z][A-Za-z]*)>$/.exec(part)?.[1];
    if (name === undefined) return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    const known = variables.get(name);
    if (known !== undefined) return known;
    names.push(name);
    return '(\\d+)';
  });
  return { test: new RegExp(`^${parts.join('')}$`), names };
}

/** Runs one dialog; throws at the first thing that is not as told, with the line and what was heard. */
export async function runDialog(name: string, text: string, transport: Transport): Promise<void> {
  const steps = parseDialog(text);
  const ears = new Map<number, Ear>();
  const variables = new Map<string, string>();
  const ear = async (n: number): Promise<Ear> => {
    let found = ears.get(n);
    if (!found) ears.set(n, (found = new Ear(await transport.dial())));
    return found;
  };
  const fail = (step: Step, what: string, by: Ear): never => {
    throw new Error(
      `${name}:${step.line}: ${step.kind.slice(0, 1)}${step.connection}${step.kind.slice(1)}: ${step.text}\n  ${what}\n  heard before:\n    ${by.heard.slice(-8).join('\n    ')}`,
    );
  };
  const fill = (said: string): string =>
    said
      .replaceAll('$user64', base64(transport.user))
      .replaceAll('$password64', base64(transport.password))
      .replaceAll('$plain64', base64(`\0${transport.user}\0${transport.password}`))
      .replaceAll('$user', transport.user)
      .replaceAll('$password', transport.password)
      .replace(/<([a-z][A-Za-z]*)>/g, (whole, variable: string) => variables.get(variable) ?? whole);
  try {
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i] as Step;
      const by = await ear(step.connection);
      if (step.kind === 'C') i = await say(steps, i, by, fill, fail);
      else if (step.kind === 'R') by.peer.write(Buffer.from(JSON.parse(`"${fill(step.text).replace(/\\x/g, '\\u00').replaceAll('"', '\\"')}"`), 'latin1'));
      else if (step.kind === 'N') {
        const line = await by.line(Number(step.text));
        if (line !== undefined) fail(step, `heard: ${line}`, by);
      } else if (step.kind === 'X') {
        const line = await by.line(PATIENCE_MS);
        if (line !== null) fail(step, line === undefined ? 'the connection stays open' : `heard: ${line}`, by);
      } else if (step.kind === 'L') fail(step, 'a literal that no C: announced', by);
      else await hear(step, by, variables, fail);
    }
  } finally {
    for (const { peer } of ears.values()) peer.close();
  }
}

type Fail = (step: Step, what: string, by: Ear) => never;

async function say(steps: readonly Step[], at: number, by: Ear, fill: (text: string) => string, fail: Fail): Promise<number> {
  const step = steps[at] as Step;
  let last = at;
  const lines: string[] = [];
  while (steps[last + 1]?.kind === 'L' && /\{@\+?\}$/.test(step.text)) lines.push(fill((steps[++last] as Step).text));
  const literal = Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
  const said = fill(step.text);
  const command = said.replace(/\{@(\+?)\}$/, `{${literal.length}$1}`);
  by.peer.write(Buffer.from(`${command}\r\n`));
  if (lines.length === 0) return last;
  if (!command.endsWith('+}')) {
    const line = await by.line(PATIENCE_MS);
    if (line === undefined || line === null || !line.startsWith('+')) fail(step, `no + but: ${line}`, by);
  }
  by.peer.write(Buffer.concat([literal, Buffer.from('\r\n')]));
  return last;
}

async function hear(step: Step, by: Ear, variables: Map<string, string>, fail: Fail): Promise<void> {
  const { test, names } = compile(step.text, variables);
  for (;;) {
    const line = await by.line(PATIENCE_MS);
    if (line === null) fail(step, 'the connection was closed', by);
    if (line === undefined) fail(step, 'nothing came', by);
    const match = test.exec(line as string);
    if (match) {
      names.forEach((name, k) => void variables.set(name, match[k + 1] as string));
      return;
    }
    if (step.kind === 'S') fail(step, `heard: ${line}`, by);
  }
}
