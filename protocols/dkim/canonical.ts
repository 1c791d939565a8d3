// The relaxed canonicalizations (RFC 6376 §3.4.2, §3.4.4), of a body as it streams by and of one header field. Pure.
// Guarantees: memory is one chunk, whatever the body; how it is cut into chunks changes nothing; an ending that is not CRLF
// counts as CRLF, since that is what goes onto the wire (smtp/reply.ts).

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;

export class RelaxedBody {
  private readonly emit: (octets: Uint8Array) => void;
  private readonly out = new Uint8Array(64 * 1024);
  private filled = 0;
  /** Lines that were empty: they count once something follows (§3.4.4 b). */
  private emptyLines = 0;
  private lineHasText = false;
  private space = false;
  private afterCr = false;

  /** `emit` is given octets which it must use before it returns. */
  constructor(emit: (octets: Uint8Array) => void) {
    this.emit = emit;
  }

  push(chunk: Uint8Array): void {
    for (let i = 0; i < chunk.length; i++) {
      const octet = chunk[i] as number;
      if (octet === LF) {
        this.endLine();
        this.afterCr = false;
        continue;
      }
      if (this.afterCr) this.endLine();
      this.afterCr = octet === CR;
      if (octet === CR) continue;
      if (octet === SPACE || octet === TAB) this.space = true;
      else this.text(octet);
    }
  }

  finish(): void {
    // what has no line ending at its end gets one, and white space alone is an empty line
    if (this.afterCr || this.lineHasText) this.endLine();
    this.flush();
  }

  private text(octet: number): void {
    for (; this.emptyLines > 0; this.emptyLines--) this.ending();
    if (this.space) this.put(SPACE);
    this.space = false;
    this.lineHasText = true;
    this.put(octet);
  }

  private endLine(): void {
    if (this.lineHasText) this.ending();
    else this.emptyLines++;
    this.lineHasText = false;
    this.space = false;
  }

  private ending(): void {
    this.put(CR);
    this.put(LF);
  }

  private put(octet: number): void {
    if (this.filled === this.out.length) this.flush();
    this.out[this.filled++] = octet;
  }

  private flush(): void {
    if (this.filled > 0) this.emit(this.out.subarray(0, this.filled));
    this.filled = 0;
  }
}

/** One field, its octets as code units, with or without its line ending; the canonical form has one. */
export function relaxedField(field: string): string {
  const colon = field.indexOf(':');
  const name = field
    .slice(0, colon)
    .replace(/[ \t]+$/, '')
    .toLowerCase();
  const value = field
    .slice(colon + 1)
    .replace(/[\r\n]+/g, '')
    .replace(/[ \t]+/g, ' ')
    .replace(/^ | $/g, '');
  return `${name}:${value}\r\n`;
}
