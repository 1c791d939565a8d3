// SMTP as text: the dialogs in smtp/*.txt, and those of Apache James, said to the real session over the real store.
// `C:` a line, `R:` octets with escapes and nothing added, `S:` the next reply line as a whole (a pattern), `...` the rest of
// a reply of several lines, `END` the server has closed. After the reply to STARTTLS the client shakes hands.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ListenerKind } from '../../protocols/site.ts';
import { type Client, house } from '../unit/smtp/house.ts';

const folder = join(import.meta.dirname, 'smtp');
const james = join(import.meta.dirname, '../../../shared/corpus/james/mpt/impl/smtp/core/src/main/resources/org/apache/james/smtp/scripts');

const octetsOf = (text: string): string =>
  text.replace(
    /\\(r|n|0|x([0-9a-f]{2}))/g,
    (_all, what: string, hex?: string) => (hex ? String.fromCharCode(Number.parseInt(hex, 16)) : { r: '\r', n: '\n', 0: '\0' }[what]) ?? '',
  );

/** Lines the server has said, one by one. */
class Ear {
  private readonly client: Client;
  private heard: string[] = [];

  constructor(client: Client) {
    this.client = client;
  }
  async line(): Promise<string> {
    if (this.heard.length === 0) this.heard = (await this.client.heardNow()).split('\r\n').slice(0, -1);
    return this.heard.shift() ?? '(nothing)';
  }
  async rest(): Promise<string[]> {
    return [...this.heard.splice(0), ...(await this.client.heardNow()).split('\r\n').slice(0, -1)];
  }
}

async function play(script: string): Promise<void> {
  const h = await house();
  const lines = script.split('\n');
  const named = lines.find((line) => line.startsWith('listener '))?.slice(9) as ListenerKind['name'] | undefined;
  const client = h.dial(named);
  const ear = new Ear(client);
  let said = '';
  for (const [i, line] of lines.entries()) {
    const where = `line ${i + 1}: ${line}`;
    if (/^[CR]:/.test(line)) {
      said += line[0] === 'C' ? `${line.slice(3)}\r\n` : octetsOf(line.slice(3));
      continue;
    }
    if (said !== '' && /^(S:|END)/.test(line)) client.end.write(new Uint8Array(Buffer.from(said)));
    if (/^(S:|END)/.test(line)) said = '';
    if (line.startsWith('S:')) expect(await ear.line(), where).toMatch(new RegExp(`^${line.slice(3)}$`));
    else if (line === '...') for (let next = await ear.line(); next[3] === '-'; next = await ear.line()) expect(next, where).toMatch(/^\d{3}-/);
    else if (line === 'END') {
      await client.session;
      expect(client.closed, where).toBe(true);
    }
  }
  expect(await ear.rest()).toEqual([]);
}

test.each(readdirSync(folder))('dialog %s', (name) => play(readFileSync(join(folder, name), 'utf8')));

/** Where we differ from James, and why. */
const differs: Readonly<Record<string, string>> = {
  'authplain.test': 'it logs in before EHLO and without TLS',
  'starttls_session_fixation.test': 'it refuses STARTTLS after AUTH in clear; we never take AUTH in clear',
  'starttls_with_injection.test': 'it refuses STARTTLS with octets behind it; we drop them (RFC 3207 §4.2), see smtp/starttls.txt',
};
const scripts = existsSync(james) ? readdirSync(james) : [];
test.skipIf(scripts.length === 0)('the corpus of Apache James is there', () => expect(scripts.length).toBeGreaterThan(5));
test.each(scripts.filter((name) => !(name in differs)))('James: %s, by its codes', async (name) => {
  const h = await house();
  const client = h.dial();
  const text = readFileSync(join(james, name), 'utf8').replaceAll('starttls@mydomain.tld', 'bob@our.test').replaceAll('mydomain.tld', 'our.test');
  const wanted: string[] = [];
  let said = '';
  let heard = '';
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('S:') && said !== '') {
      heard += await client.raw(said);
      said = '';
    }
    // their patterns for one reply of several lines: the last one has the code
    if (/^S: \d{3} /.test(line)) wanted.push(line.slice(3, 6));
    if (line.startsWith('C:')) said += `${line.slice(3)}\r\n`;
  }
  heard += await client.raw(said);
  const codes = heard.split('\r\n').filter((line) => line !== '' && line[3] !== '-');
  expect(codes.map((line) => line.slice(0, 3))).toEqual(wanted);
});
