// Octets in a named charset to Unicode. Guarantees: never throws; an unknown or absent charset is read as UTF-8 where
// that is valid and as windows-1252 otherwise. WHATWG names come from TextDecoder, the rest (utf-7, cp437 …) from iconv-lite.

import iconv from 'iconv-lite';

type Decode = (bytes: Uint8Array) => string;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: false });
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });
const western = new TextDecoder('windows-1252');

/** What nobody labelled, or labelled US-ASCII: RFC 6532 text where valid, else the commonest 8-bit guess. */
const guess: Decode = (bytes) => {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return western.decode(bytes);
  }
};

const decoders = new Map<string, Decode>([
  ['', guess],
  ['us-ascii', guess],
  ['ascii', guess],
  ['ansi_x3.4-1968', guess],
  ['unknown-8bit', guess],
  ['x-unknown', guess],
  ['utf-8', (bytes) => utf8.decode(bytes)],
  ['utf8', (bytes) => utf8.decode(bytes)],
]);
/** Strangers choose the names: no more of them are remembered than this. */
const remembered = 256;

function decoderOf(name: string): Decode {
  try {
    const decoder = new TextDecoder(name as 'utf-8');
    return (bytes) => decoder.decode(bytes);
  } catch {
    // not a WHATWG name
  }
  if (iconv.encodingExists(name)) return (bytes) => iconv.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), name);
  return guess;
}

/** `charset` in any case, with or without an RFC 2231 language suffix (`utf-8*en`). */
export function decodeCharset(bytes: Uint8Array, charset: string): string {
  const name = charset.replace(/\*.*$/s, '').trim().toLowerCase().slice(0, 64);
  let decode = decoders.get(name);
  if (!decode) {
    decode = decoderOf(name);
    if (decoders.size < remembered) decoders.set(name, decode);
  }
  try {
    return decode(bytes);
  } catch {
    return guess(bytes);
  }
}

/** Octets kept as a string of code units 0–255: how this folder passes raw header text. */
export const octetsOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** Raw header text (see `octetsOf`) as Unicode: UTF-8 (RFC 6532) where valid. Text that is Unicode already stays. */
export function unicodeOf(octets: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the octets of US-ASCII
  if (/^[\x00-\x7f]*$/.test(octets)) return octets;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: beyond an octet
  if (/[^\x00-\xff]/.test(octets)) return octets;
  return guess(Buffer.from(octets, 'latin1'));
}

/** A charset's decoder for octets that come in pieces. */
export interface CharsetStream {
  write(bytes: Uint8Array): string;
  end(): string;
}

/** Like `decodeCharset`, in pieces; a guess is made anew where it proves wrong. */
export function charsetStream(charset: string): CharsetStream {
  const name = charset.replace(/\*.*$/s, '').trim().toLowerCase().slice(0, 64);
  if (decoders.get(name) === guess) return guessStream();
  try {
    const decoder = new TextDecoder((name === 'utf8' ? 'utf-8' : name) as 'utf-8');
    return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() };
  } catch {
    // not a WHATWG name
  }
  if (!iconv.encodingExists(name)) return guessStream();
  const decoder = iconv.getDecoder(name);
  const write = (bytes: Uint8Array): string => decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const end = (): string => decoder.end() ?? '';
  return name.includes('7') ? byLines(write, end) : { write, end };
}

/** iconv-lite misreads UTF-7 that is cut within a shift, and no shift goes past a line (RFC 2152): it gets whole lines. */
function byLines(write: CharsetStream['write'], end: CharsetStream['end']): CharsetStream {
  let rest = Buffer.alloc(0);
  const longest = 64 * 1024;
  return {
    write(bytes) {
      const all = Buffer.concat([rest, bytes]);
      const to = all.length > longest ? all.length : all.lastIndexOf(10) + 1;
      rest = all.subarray(to);
      return write(all.subarray(0, to));
    },
    end: () => write(rest) + end(),
  };
}

function guessStream(): CharsetStream {
  let decoder = new TextDecoder('utf-8', { fatal: true });
  return {
    write(bytes) {
      try {
        return decoder.decode(bytes, { stream: true });
      } catch {
        decoder = new TextDecoder('windows-1252');
        return decoder.decode(bytes, { stream: true });
      }
    },
    end() {
      try {
        return decoder.decode();
      } catch {
        return '�';
      }
    },
  };
}
