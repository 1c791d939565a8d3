// SMTP replies as a client reads them (RFC 5321 §4.2), and dot-stuffing as it writes (§4.5.2). Pure functions of octets.

export interface SmtpReply {
  readonly code: number;
  /** The text of each line, control characters removed. */
  readonly lines: readonly string[];
}

/** What became of one recipient, or of all of a transaction. */
export interface Verdict {
  readonly kind: 'relayed' | 'later' | 'failed';
  /** RFC 3463 status. */
  readonly status: string;
  /** What the peer said, code first; empty when the verdict is our own. */
  readonly reply: string;
  /** For people: why. */
  readonly reason: string;
}

export const later = (status: string, reason: string): Verdict => ({ kind: 'later', status, reply: '', reason });
export const failed = (status: string, reason: string): Verdict => ({ kind: 'failed', status, reply: '', reason });

/** One line of a reply: its code, whether it is the last, its text; null when it is not SMTP. */
export function parseReplyLine(bytes: Uint8Array): { readonly code: number; readonly last: boolean; readonly text: string } | null {
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  const found = /^([2-5][0-9][0-9])(?:([ -])(.*))?$/s.exec(line);
  if (!found) return null;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return { code: Number(found[1]), last: found[2] !== '-', text: (found[3] ?? '').replace(/[\x00-\x1f\x7f]/g, ' ').trim() };
}

/** The verdict a reply means for a recipient: 2xx relayed, 4xx later, anything else failed. */
export function verdictOf(reply: SmtpReply): Verdict {
  const text = reply.lines.join(' ');
  const kind = reply.code < 300 ? 'relayed' : reply.code >= 500 ? 'failed' : 'later';
  const status = enhancedStatus(reply);
  return { kind, status, reply: `${reply.code} ${text}`.trim().slice(0, 450), reason: `${reply.code} ${text}`.trim().slice(0, 450) };
}

/** RFC 2034 §4: the enhanced code counts when its class is the reply's; else RFC 3463's "other" of that class. */
function enhancedStatus(reply: SmtpReply): string {
  const said = /^([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)/.exec(reply.lines[0] ?? '')?.[1];
  const kind = reply.code < 300 ? '2' : reply.code >= 500 ? '5' : '4';
  if (said?.startsWith(kind)) return said;
  return `${kind}.0.0`;
}

/**
 * Streams a message as DATA: lines that begin with a dot get another (RFC 5321 §4.5.2), bare CR and bare LF become line
 * endings (§2.3.8: they must not be sent, and a lax receiver would take LF.LF for an end).
 */
export class DotStuffing {
  private lineStart = true;
  private afterCr = false;

  push(chunk: Uint8Array): Uint8Array {
    const out = new Uint8Array(chunk.length * 2 + 2);
    let to = 0;
    for (let i = 0; i < chunk.length; i++) {
      const octet = chunk[i] as number;
      if (this.afterCr || octet === 10) {
        out[to++] = 13;
        out[to++] = 10;
        this.lineStart = true;
        this.afterCr = false;
        if (octet === 10) continue;
      }
      if (octet === 13) {
        this.afterCr = true;
        continue;
      }
      if (octet === 46 && this.lineStart) out[to++] = 46;
      out[to++] = octet;
      this.lineStart = false;
    }
    return out.subarray(0, to);
  }

  /** The end of the data, on a line of its own. */
  finish(): string {
    return this.lineStart && !this.afterCr ? '.\r\n' : '\r\n.\r\n';
  }
}
