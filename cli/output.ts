// What the command line says, and how it fails: answers on stdout, as text for people or as JSON; an error is one line
// on stderr that tells what failed, why, and what to do.

import { writeSync } from 'node:fs';

/** The command was understood and could not be done: exit code 1. `message` is one line: what, why, what to do. */
export class Failure extends Error {}
/** The command was not understood: exit code 2. */
export class UsageError extends Error {}

/** Writes all of it before it returns; a reader that has gone ends the process quietly, as it should a pipe's writer. */
export function print(text: string): void {
  writeAll(1, text.endsWith('\n') ? text : `${text}\n`);
}
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));
/** The last line of a verb that may have told its progress in lines before. */
export const printJsonLine = (value: unknown): void => print(JSON.stringify(value));
export const complain = (message: string): void => writeAll(2, `mailsite: ${message}\n`);

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') process.exit(0);
      if (code !== 'EAGAIN') throw error;
      Bun.sleepSync(1);
    }
  }
}

/** Left-aligned columns; numbers on the right. */
export function table(rows: readonly (readonly (string | number)[])[], indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, width(String(cell)))));
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, i) => {
        const gap = ' '.repeat((widths[i] ?? 0) - width(String(cell)));
        return typeof cell === 'number' ? gap + String(cell) : i === row.length - 1 ? String(cell) : String(cell) + gap;
      })
      .join('  ');
  return rows.map((row) => indent + line(row).trimEnd()).join('\n');
}
const width = (text: string): number => Bun.stringWidth(text);

/** `3 messages`, `1 message`. */
export const count = (n: number, noun: string): string => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : /[sx]$/.test(noun) ? 'es' : 's'}`;

/** Octets for people: `512 B`, `1.4 MB`. */
export function size(octets: number): string {
  if (octets < 1_000) return `${octets} B`;
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let value = octets / 1_000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A span of time for people, in its largest unit: `4 s`, `3 min`, `2 h`, `5 d`, `9 years`. */
export function span(ms: number): string {
  const s = Math.round(Math.abs(ms) / 1_000);
  if (s < 120) return `${s} s`;
  if (s < 7_200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${Math.round(s / 3_600)} h`;
  return s < 2 * 365 * 86_400 ? `${Math.round(s / 86_400)} d` : `${Math.round(s / (365.25 * 86_400))} years`;
}

/** Emphasis where a person looks at a terminal. */
const styled = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
export const bold = (text: string): string => (styled ? `\x1b[1m${text}\x1b[22m` : text);

/** How far a long work is: a bar on a terminal, JSON lines with --json, nothing otherwise. Quiet for the first second. */
export interface Progress {
  at(done: number, total: number): void;
  end(): void;
}
export function progress(what: string, json: boolean, monotonicMs: () => number): Progress {
  const start = monotonicMs();
  let last = start + 500;
  let shown = false;
  return {
    at(done, total) {
      const now = monotonicMs();
      if (now - last < 500) return;
      last = now;
      if (json) return print(JSON.stringify({ progress: what, done, total }));
      if (process.stderr.isTTY !== true) return;
      shown = true;
      const filled = total > 0 ? Math.min(30, Math.round((30 * done) / total)) : 0;
      writeAll(2, `\r${what} [${'#'.repeat(filled)}${' '.repeat(30 - filled)}] ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`);
    },
    end() {
      if (shown) writeAll(2, '\r\x1b[K');
    },
  };
}
