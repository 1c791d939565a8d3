// Bodies as Unicode text, for SEARCH BODY and TEXT: the transfer encoding undone, the charset decoded, piece by piece.
// Guarantees: never throws; memory is a piece; malformed encodings are read as far as they make sense.

import { type CharsetStream, charsetStream, decodeCharset, octetsOf } from './charset.ts';

/** Undoes a transfer encoding (RFC 2045 §6) in pieces. */
interface Transfer {
  write(bytes: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

const none = new Uint8Array(0);
const identity: Transfer = { write: (bytes) => bytes, end: () => none };

/** RFC 2045 §6.8: what is not in the alphabet is skipped, missing padding does not matter, and after padding it starts anew. */
function base64Transfer(): Transfer {
  let rest = '';
  return {
    write(bytes) {
      const runs = (rest + octetsOf(bytes).replace(/[^A-Za-z0-9+/=]+/g, '')).split(/=+/);
      const open = runs.pop() as string;
      const whole = open.length - (open.length % 4);
      rest = open.slice(whole);
      const last = Buffer.from(open.slice(0, whole), 'base64');
      return runs.length === 0 ? last : Buffer.concat([...runs.map((run) => Buffer.from(run, 'base64')), last]);
    },
    end: () => Buffer.from(rest, 'base64'),
  };
}

/** RFC 2045 §6.7: a `=` which means nothing stays as it is. */
function quotedPrintableTransfer(): Transfer {
  let rest = '';
  const decode = (text: string): Uint8Array =>
    Buffer.from(
      text.replace(/=(?:([0-9A-Fa-f]{2})|[ \t]*\r?\n)/g, (_all, hex: string | undefined) => (hex ? String.fromCharCode(Number.parseInt(hex, 16)) : '')),
      'latin1',
    );
  return {
    write(bytes) {
      const text = rest + octetsOf(bytes);
      // What may be the beginning of an escape waits; white space behind a `=` at the end of a piece only so long.
      const open = text.lastIndexOf('=');
      const waits = open >= 0 && text.length - open < 80 && /^=(?:[0-9A-Fa-f]?|[ \t]*\r?)$/.test(text.slice(open));
      rest = waits ? text.slice(open) : '';
      return decode(waits ? text.slice(0, open) : text);
    },
    end: () => decode(rest),
  };
}

const transferOf = (encoding: string): Transfer => {
  const name = encoding.toLowerCase();
  if (name === 'base64') return base64Transfer();
  return name === 'quoted-printable' ? quotedPrintableTransfer() : identity;
};

/** One body in pieces: `write` each, then `end`. The results together are its text. */
export class BodyDecoder {
  readonly #transfer: Transfer;
  readonly #charset: CharsetStream;
  constructor(encoding: string, charset: string) {
    this.#transfer = transferOf(encoding);
    this.#charset = charsetStream(charset);
  }
  write(bytes: Uint8Array): string {
    return this.#charset.write(this.#transfer.write(bytes));
  }
  end(): string {
    return this.#charset.write(this.#transfer.end()) + this.#charset.end();
  }
}

/** The octets of a body without its transfer encoding. */
function decodeTransfer(bytes: Uint8Array, encoding: string): Uint8Array {
  const transfer = transferOf(encoding);
  if (transfer === identity) return bytes;
  return Buffer.concat([transfer.write(bytes), transfer.end()]);
}

/** A whole body that is in memory, as Unicode. */
export const decodeText = (bytes: Uint8Array, charset: string, encoding: string): string => decodeCharset(decodeTransfer(bytes, encoding), charset);
