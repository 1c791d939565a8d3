// What a process did to the files of a folder, from the text of strace. Guarantees: every call that can change a file below
// the folder is an event, or an error here; nothing is guessed. (What goes by an io_uring is not
// seen: the files that the load left are compared with what the events make of them, replay.ts.) A write is told at its entry, since any part of it may have
// happened from then on; a sync at its return, with what it can have covered: the writes that had returned when it began.

import type { EngineRow } from './engines.ts';

export type Event =
  | { readonly kind: 'write'; readonly path: string; readonly at: number; readonly data: Buffer; readonly id: number }
  | { readonly kind: 'size'; readonly path: string; readonly size: number; readonly id: number }
  /** `covers`: events with an id of these were complete when it began. `only`: just that one (O_DSYNC). */
  | { readonly kind: 'sync'; readonly path: string; readonly covers: ReadonlySet<number>; readonly only?: number }
  | { readonly kind: 'create' | 'unlink' | 'mkdir' | 'rmdir'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'mark'; readonly line: string };

const calls = [
  'openat openat2 open creat close lseek dup dup2 dup3 fcntl pwrite64 write pwritev pwritev2 writev ftruncate truncate fallocate',
  'rename renameat renameat2 unlink unlinkat link linkat symlink symlinkat mkdir mkdirat rmdir fsync fdatasync sync syncfs sync_file_range',
  'msync mmap mprotect sendfile copy_file_range splice',
].flatMap((line) => line.split(' '));

/** The command that records what another does. Strings come whole, in hexadecimal. */
export const straced = (output: string, command: readonly string[]): string[] => [
  ...['strace', '-f', '-y', '-v', '-xx', '-s', '100000000', '--seccomp-bpf', '-qq', '-o', output, '-e', `trace=${calls.join(',')}`, '-e', 'signal=none'],
  ...command,
];

interface Descriptor {
  position: number;
  readonly append: boolean;
  readonly sync: boolean;
}

class Reading {
  readonly events: Event[] = [];
  private readonly folder: string;
  private readonly marks: string;
  private readonly row: EngineRow;
  private readonly unfinished = new Map<string, { text: string; entered: () => void }>();
  private readonly descriptors = new Map<string, Descriptor>();
  private readonly sizes = new Map<string, number>();
  private readonly complete = new Map<string, Set<number>>();
  private next = 0;

  constructor(folder: string, marks: string, row: EngineRow) {
    this.folder = folder;
    this.marks = marks;
    this.row = row;
  }

  line(text: string): void {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/s.exec(text) ?? [];
    if (rest.startsWith('+++') || rest.startsWith('---') || rest === '') return;
    const cut = rest.indexOf(' <unfinished ...>');
    if (cut >= 0) {
      const begun = rest.slice(0, cut);
      this.unfinished.set(pid, { text: begun, entered: this.enter(begun) });
      return;
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest);
    const begun = resumed ? this.unfinished.get(pid) : undefined;
    if (!resumed) this.leave(rest, this.enter(rest));
    if (resumed && begun) this.leave(begun.text + rest.slice(resumed[0].length), begun.entered);
    this.unfinished.delete(pid);
  }

  private inside = (path: string): boolean => path === this.folder || path.startsWith(`${this.folder}/`);

  /** What a call may have done from its entry on. Returns what its success adds. */
  private enter(text: string): () => void {
    const name = text.slice(0, text.indexOf('('));
    if (!/^p?write(64|v|v2)?$/.test(name)) return name === 'fsync' || name === 'fdatasync' ? this.sync(text) : () => {};
    const { path, key } = descriptor(text);
    if (path === this.marks) {
      for (const line of strings(text).join('').split('\n')) if (line !== '') this.events.push({ kind: 'mark', line });
      return () => {};
    }
    if (!this.inside(path) || path.endsWith('(deleted)')) return () => {};
    const data = Buffer.concat(strings(text).map((piece) => Buffer.from(piece, 'latin1')));
    const open = this.descriptors.get(key);
    if (!open) throw new Error(`a write to ${path}, which was not seen to be opened`);
    const positional = name.startsWith('p');
    const at = positional ? Number(/(?:, \d+)?, (\d+)(?:, 0)?\)? *(?:= .*)?$/.exec(text)?.[1]) : open.append ? this.sizeOf(path) : open.position;
    if (!Number.isInteger(at)) throw new Error(`no position in ${text.slice(-120)}`);
    const id = this.next++;
    this.events.push({ kind: 'write', path, at, data, id });
    this.sizes.set(path, Math.max(this.sizeOf(path), at + data.length));
    if (!positional) open.position = at + data.length;
    return () => {
      if (open.sync) this.events.push({ kind: 'sync', path, covers: new Set([id]), only: id });
      this.completeOf(path).add(id);
    };
  }

  private sync(text: string): () => void {
    const { path } = descriptor(text);
    if (!this.inside(path)) return () => {};
    const covers = new Set(this.completeOf(path));
    return () => void this.events.push({ kind: 'sync', path, covers });
  }

  private leave(text: string, entered: () => void): void {
    const name = text.slice(0, text.indexOf('('));
    const result = /\) += (-?\w+)/.exec(text.slice(text.lastIndexOf(') ')))?.[1];
    if (result === undefined) return; // it ended with its process
    if (result.startsWith('-')) {
      if (/write/.test(name) && this.inside(descriptor(text).path)) throw new Error(`a write failed: ${text.slice(-200)}`);
      return;
    }
    if (/(INJECTED)/.test(text.slice(-40))) return; // strace left it out
    if (/write/.test(name) && this.inside(descriptor(text).path)) {
      const wanted = strings(text).reduce((sum, piece) => sum + piece.length, 0);
      if (Number(result) !== wanted) throw new Error(`a write was cut short: ${text.slice(-200)}`);
    }
    entered();
    this.done(name, text, result);
  }

  private done(name: string, text: string, result: string): void {
    if (name.startsWith('open') || name === 'creat') this.opened(text);
    else if (/^(renameat2?|rename)$/.test(name)) this.renamed(text);
    else if (/^(unlinkat|unlink|rmdir|mkdirat|mkdir)$/.test(name)) this.named(name, text);
    else if (/^symlink(at)?$/.test(name)) this.linked(text);
    else if (name === 'mmap') this.mapped(text);
    else if (/\(-?\d+</.test(text)) this.changed(name, text, result);
    else this.nameless(name, text);
  }

  /** Calls on a descriptor. */
  private changed(name: string, text: string, result: string): void {
    const { path, key } = descriptor(text);
    if (!this.inside(path) || path.endsWith('(deleted)')) return;
    if (name === 'lseek') {
      const open = this.descriptors.get(key);
      if (open) open.position = Number(result);
    } else if (name === 'ftruncate') this.resize(path, Number(/, (\d+)\)/.exec(text)?.[1]));
    else if (name === 'fallocate') {
      const [, mode, from, length] = /, (\w+), (\d+), (\d+)\)/.exec(text) ?? [];
      if (mode === '0') this.resize(path, Math.max(this.sizeOf(path), Number(from) + Number(length)));
      else if (mode !== 'FALLOC_FL_KEEP_SIZE') throw new Error(`fallocate of another mode: ${text.slice(-120)}`);
    } else if (name === 'dup' || name === 'dup2' || name === 'dup3') throw new Error(`a descriptor was doubled: ${path}`);
    else if (name === 'fcntl' && /F_(DUPFD|SETFL)/.test(text)) throw new Error(`a descriptor was changed: ${path}`);
    else if (/^(sendfile|copy_file_range|splice)$/.test(name)) throw new Error(`${name} to ${path} is not recorded`);
  }

  /** Calls that name no descriptor. */
  private nameless(name: string, text: string): void {
    if (name === 'sync' || name === 'syncfs') throw new Error(`${name} is not modelled`);
    if (/^(link|linkat|truncate)$/.test(name) && strings(text).some((path) => this.inside(path))) throw new Error(`${name} is not modelled: ${strings(text)}`);
  }

  private opened(text: string): void {
    const found = /= (\d+)<((?:\\x[0-9a-f]{2})*)>/.exec(text.slice(text.lastIndexOf(') ')));
    if (!found) return;
    const path = unhex(found[2] as string);
    if (!this.inside(path)) return;
    const flags = /O_[A-Z_|]+/.exec(text)?.[0].split('|') ?? [];
    const has = (flag: string): boolean => flags.includes(flag);
    if (!has('O_DIRECTORY')) {
      if (has('O_CREAT') && !this.sizes.has(path)) {
        this.events.push({ kind: 'create', path });
        this.sizes.set(path, 0);
      }
      if (has('O_TRUNC') && this.sizeOf(path) > 0) this.resize(path, 0);
    }
    this.descriptors.set(`${found[1]} ${path}`, { position: 0, append: has('O_APPEND'), sync: has('O_DSYNC') || has('O_SYNC') });
  }

  private renamed(text: string): void {
    const [path = '', to = ''] = strings(text);
    if (!this.inside(path) && !this.inside(to)) return;
    if (!this.sizes.has(path) || !this.inside(to)) throw new Error(`a rename of ${path} to ${to} is not modelled`);
    this.events.push({ kind: 'rename', path, to });
    this.sizes.set(to, this.sizeOf(path));
    this.sizes.delete(path);
    this.complete.set(to, this.completeOf(path));
    this.complete.delete(path);
    for (const [key, open] of [...this.descriptors]) if (key.endsWith(` ${path}`)) this.descriptors.set(key.slice(0, -path.length) + to, open);
  }

  private linked(text: string): void {
    const [target = '', path = ''] = strings(text);
    if (!this.inside(path)) return;
    this.events.push({ kind: 'link', path, target });
    this.sizes.set(path, 0);
  }

  private named(name: string, text: string): void {
    const [path = ''] = strings(text);
    if (!this.inside(path)) return;
    const removed = name === 'rmdir' || /AT_REMOVEDIR/.test(text);
    this.events.push({ kind: name.startsWith('mkdir') ? 'mkdir' : removed ? 'rmdir' : 'unlink', path });
    this.sizes.delete(path);
    this.complete.delete(path);
  }

  /** No file but those of the row may be written behind our back. */
  private mapped(text: string): void {
    if (!/PROT_WRITE/.test(text) || !/MAP_SHARED/.test(text)) return;
    const path = unhex(/<((?:\\x[0-9a-f]{2})+)>/.exec(text)?.[1] ?? '');
    if (this.inside(path) && !this.row.mapped.test(path)) throw new Error(`${path} is mapped for writing`);
  }

  private resize(path: string, size: number): void {
    const id = this.next++;
    if (size === this.sizeOf(path)) return;
    this.events.push({ kind: 'size', path, size, id });
    this.completeOf(path).add(id);
    this.sizes.set(path, size);
  }

  private sizeOf = (path: string): number => this.sizes.get(path) ?? 0;
  private completeOf(path: string): Set<number> {
    let ids = this.complete.get(path);
    if (!ids) this.complete.set(path, (ids = new Set()));
    return ids;
  }
}

const unhex = (hex: string): string => Buffer.from(hex.replaceAll('\\x', ''), 'hex').toString('latin1');

/** The octet strings of a call, in order, as latin1. */
const strings = (text: string): string[] => [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((found) => unhex(found[1] as string));

/** The file of the first descriptor, and what tells it from others that are open on the same file. */
function descriptor(text: string): { readonly path: string; readonly key: string } {
  const found = /^\w+\((?:NULL|0x\w+)?(?:, [^<]*)?(\d+)<((?:\\x[0-9a-f]{2})*)>/.exec(text.slice(0, 10_000));
  const path = unhex(found?.[2] ?? '');
  return { path, key: `${found?.[1]} ${path}` };
}

/** The events below `folder`, with the lines written to the file `marks`. Throws on what it cannot tell. */
export function readTrace(text: string, folder: string, marks: string, row: EngineRow): Event[] {
  const reading = new Reading(folder, marks, row);
  for (const line of text.split('\n')) reading.line(line);
  return reading.events;
}
