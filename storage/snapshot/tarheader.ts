// The 512 octets before each file of a tar archive (POSIX ustar). Guarantees: what we write every tar reads; what tar
// wrote of a folder we read. The last 12 octets of a header, which no format uses, hold the CRC-32 of the content, so
// that a put torn by a crash is told from one that was whole.

export const blockSize = 512;

/** Octets with their padding. */
export const padded = (size: number): number => Math.ceil(size / blockSize) * blockSize;

export interface Header {
  readonly name: string;
  readonly size: number;
  readonly modifiedMs: number;
  /** false: a directory, a link, a record of attributes: skipped. */
  readonly file: boolean;
  /** null: written by another program. */
  readonly crc: number | null;
}

/** Of a file of ours: closed to others, and nobody's by name. */
export function encodeHeader(name: string, size: number, modifiedMs: number, crc: number): Buffer {
  const header = Buffer.alloc(blockSize);
  const octal = (value: number, at: number, digits: number): void => void header.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  header.write(name, 0, 'latin1');
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(Math.floor(modifiedMs / 1000), 136, 11);
  header.write('0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.write(crcText(crc), 500, 'latin1');
  octal(sumOf(header), 148, 6);
  header[154] = 0;
  header[155] = 0x20;
  return header;
}

/** null: this is no header. */
export function decodeHeader(header: Buffer): Header | null {
  if (header.length < blockSize || header.toString('latin1', 257, 262) !== 'ustar') return null;
  if (octalAt(header, 148, 8) !== sumOf(header)) return null;
  const size = octalAt(header, 124, 12);
  if (size === null) return null;
  // POSIX puts a second part of the name here; GNU's own format ('ustar  ') does not
  const prefix = header[262] === 0 ? textAt(header, 345, 155) : '';
  const name = `${prefix === '' ? '' : `${prefix}/`}${textAt(header, 0, 100)}`.replace(/^(\.\/)+/, '');
  const type = header[156];
  const crc = /^[0-9a-f]{8}$/.exec(textAt(header, 500, 12))?.[0];
  return {
    name,
    size,
    modifiedMs: (octalAt(header, 136, 12) ?? 0) * 1000,
    file: type === 0x30 || type === 0,
    crc: crc === undefined ? null : Number.parseInt(crc, 16),
  };
}

const crcText = (crc: number): string => crc.toString(16).padStart(8, '0');

function textAt(header: Buffer, at: number, length: number): string {
  const end = header.indexOf(0, at);
  return header.toString('latin1', at, end < 0 ? at + length : Math.min(end, at + length));
}

function octalAt(header: Buffer, at: number, length: number): number | null {
  const text = header
    .toString('latin1', at, at + length)
    .replace(/[\0 ]+$/, '')
    .trimStart();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : null;
}

/** All octets, with those of the sum itself taken as blanks. */
function sumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < blockSize; i++) if (i < 148 || i >= 156) sum += header[i] as number;
  return sum;
}
