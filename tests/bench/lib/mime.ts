// Deterministic, realistic messages. Message i of a run is a small unique head (headers and the
// first line of text) plus one of a few shared bodies, so that sending costs the client little.
import { rng, shuffle } from './util.ts';

export interface Msg {
  readonly i: number;
  readonly id: string;
  readonly cls: number;
  readonly user: number;
  readonly head: Buffer;
  readonly body: Buffer;
  readonly size: number;
}

/** The size mix: bytes and share. Shares are met exactly, in shuffled order. */
export const CLASSES = [
  { name: '2K', size: 2048, share: 0.6, variants: 32 },
  { name: '20K', size: 20480, share: 0.3, variants: 16 },
  { name: '200K', size: 204800, share: 0.09, variants: 6 },
  { name: '2M', size: 2097152, share: 0.01, variants: 2 },
] as const;

const WORDS = (
  'the of and to in a is that for it was on are as with they be at one have this from or had by hot word but what some we can out other were all there when up use your how said an each she ' +
  'which do their time if will way about many then them write would like so these her long make thing see him two has look more day could go come did number sound no most people my over know water than call first who may down side been now find ' +
  'invoice payment meeting project report schedule delivery customer contract account update review budget planning travel server release issue ticket support request answer office quarter agreement attachment document signature confirm deadline holiday season'
).split(' ');
const NAMES =
  'Anna Bob Carla David Elena Frank Greta Hugo Irene Jakob Karin Liam Maria Nils Olga Pavel Rosa Stefan Tanja Uwe Vera Walter Xenia Yusuf Zoe'.split(' ');
const SURNAMES =
  'Abbot Becker Conti Duval Eriksen Fischer Garcia Hansen Ivanov Jansen Keller Lopez Moreau Novak Olsen Petrov Quinn Rossi Schmidt Tanaka Ueda Vogel Weber Xu Young'.split(
    ' ',
  );

type R = () => number;
const pick = <T>(a: readonly T[], r: R): T => a[Math.floor(r() * a.length)]!;
const word = (r: R) => WORDS[Math.floor(r() * r() * WORDS.length)]!; // skewed: the early words are commoner

function text(bytes: number, r: R): string {
  let out = '',
    line = '';
  while (out.length + line.length + 2 < bytes) {
    const w = word(r);
    if (line.length + w.length + 1 > 72) {
      out += line + '\r\n';
      line = '';
      if (r() < 0.12) out += '\r\n';
    }
    line += (line ? ' ' : '') + w;
  }
  return out + line + '\r\n';
}

/** HTML in quoted-printable: "=" escaped, soft line breaks, as most senders make it. */
function htmlQp(bytes: number, r: R): string {
  let out = '<!DOCTYPE html><html><head><meta charset=3D"utf-8"></head><body>\r\n';
  while (out.length < bytes - 160) {
    let p = `<p style=3D"font-family:Arial;font-size:${10 + Math.floor(r() * 6)}px;color:#${Math.floor(r() * 0xfff)
      .toString(16)
      .padStart(3, '0')}">`;
    const n = 8 + Math.floor(r() * 40);
    for (let k = 0; k < n; k++) p += word(r) + (r() < 0.02 ? '=C3=A9 ' : ' ');
    p += '</p>';
    let i = 0;
    while (p.length - i > 75) {
      let e = i + 74;
      while (p[e - 1] === '=' || p[e - 2] === '=') e--;
      out += p.slice(i, e) + '=\r\n';
      i = e;
    }
    out += p.slice(i) + '\r\n';
  }
  return out + '</body></html>\r\n';
}

function base64(bytes: number, r: R): string {
  // `bytes` is the encoded size wanted
  const raw = Buffer.alloc(Math.floor(bytes / 78) * 57);
  for (let i = 0; i + 4 <= raw.length; i += 4) raw.writeUInt32LE((r() * 4294967296) >>> 0, i);
  return raw.toString('base64').replace(/.{76}/g, '$&\r\n');
}

const B1 = '=_mixed_5f1c',
  B2 = '=_alt_77ab';
const PLAIN = 'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n';
const HTML = 'Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n';
const attach = (n: number, r: R, k: number) =>
  `\r\n--${B1}\r\nContent-Type: application/pdf; name="report-${k}.pdf"\r\nContent-Disposition: attachment; filename="report-${k}.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n` +
  base64(n, r);

/** What follows the head, for each class (the head ends inside the first text part). */
function makeBody(cls: number, size: number, r: R): string {
  if (cls === 0) return text(size, r);
  if (cls === 1) return text(size * 0.3, r) + `\r\n--${B2}\r\n${HTML}\r\n` + htmlQp(size * 0.7 - 120, r) + `\r\n--${B2}--\r\n`;
  const alt = text(3000, r) + `\r\n--${B2}\r\n${HTML}\r\n` + htmlQp(9000, r) + `\r\n--${B2}--\r\n`;
  const rest = size - alt.length - 60;
  const files = cls === 2 ? 1 : 2;
  let s = alt;
  for (let k = 1; k <= files; k++) s += attach(rest / files - 200, r, k);
  return s + `\r\n--${B1}--\r\n`;
}

const DKIM =
  'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender.test; s=mail2026;\r\n\th=from:to:subject:date:message-id:mime-version:content-type;\r\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4\r\n\t Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4=\r\n';

export class Corpus {
  private readonly bodies: Buffer[][];
  private readonly seed: number;
  constructor(seed: number) {
    this.seed = seed;
    const r = rng(seed * 7919 + 13);
    this.bodies = CLASSES.map((c, k) => Array.from({ length: c.variants }, () => Buffer.from(makeBody(k, c.size - [925, 965, 1075, 1075][k]!, r), 'latin1')));
  }
  /** Message i. It has "needleodd" in its subject when i%100==7 and "haystackpin" in its text when i%100==9. */
  make(i: number, cls: number, user: number, to: string, run: string): Msg {
    const r = rng(this.seed * 1000003 + i);
    const from = pick(NAMES, r),
      sur = pick(SURNAMES, r);
    const id = `<${run}.${i}.${this.seed}@sender.test>`;
    const date = new Date(1767225600000 + i * 97000).toUTCString().replace('GMT', '+0000');
    const subj = (i % 100 === 7 ? 'needleodd ' : '') + `${word(r)} ${word(r)} ${word(r)} ${word(r)} #${i}`;
    const subject = r() < 0.2 ? `=?utf-8?Q?${subj.replace(/ /g, '_')}_=C3=BCber?=` : subj;
    const refs = r() < 0.4 ? `In-Reply-To: <prev.${i >> 2}@sender.test>\r\nReferences: <root.${i >> 4}@sender.test>\r\n\t<prev.${i >> 2}@sender.test>\r\n` : '';
    const ctype =
      cls === 0 ? PLAIN : cls === 1 ? `Content-Type: multipart/alternative; boundary="${B2}"\r\n` : `Content-Type: multipart/mixed; boundary="${B1}"\r\n`;
    const open =
      cls === 0
        ? ''
        : cls === 1
          ? `This is a multi-part message in MIME format.\r\n--${B2}\r\n${PLAIN}\r\n`
          : `--${B1}\r\nContent-Type: multipart/alternative; boundary="${B2}"\r\n\r\n--${B2}\r\n${PLAIN}\r\n`;
    const first = `Reference ${i}${i % 100 === 9 ? ' haystackpin' : ''} for ${from}\r\n`;
    const head = Buffer.from(
      `Received: from mx${i % 7}.sender.test (mx${i % 7}.sender.test [192.0.2.${i % 250}])\r\n\tby gw.example.test with ESMTPS id ${((i * 2654435761) >>> 0).toString(36)}\r\n\tfor <${to}>; ${date}\r\n` +
        DKIM +
        `From: ${from} ${sur} <${from.toLowerCase()}.${sur.toLowerCase()}@sender.test>\r\nTo: User ${user} <${to}>\r\nSubject: ${subject}\r\nDate: ${date}\r\nMessage-ID: ${id}\r\n${refs}MIME-Version: 1.0\r\n${ctype}X-Mailer: bench 1.0\r\n\r\n${open}${first}`,
      'latin1',
    );
    const bs = this.bodies[cls]!;
    const body = bs[i % bs.length]!;
    return { i, id, cls, user, head, body, size: head.length + body.length };
  }
}

/** n size classes in the exact shares of CLASSES, shuffled by seed. `only` forces one class. */
export function mix(n: number, seed: number, only = -1): number[] {
  if (only >= 0) return new Array<number>(n).fill(only);
  const a: number[] = [];
  for (let k = 1; k < CLASSES.length; k++) for (let j = Math.round(n * CLASSES[k]!.share); j > 0; j--) a.push(k);
  while (a.length < n) a.push(0);
  return shuffle(a, rng(seed * 31 + 5));
}
