// The verbs on the queue, a row each, as help tells of them and cli/queue.ts runs them.

import { type OptionName, type OptionRow, options as optionRows } from './arguments.ts';

interface QueueVerb {
  readonly about: string;
  /** Does it take an ID? `either`: that, or --all-matching. */
  readonly id: 'no' | 'yes' | 'either';
  readonly options: readonly OptionName[];
}

const matching: readonly OptionName[] = ['data', 'from', 'to', 'older', 'all-matching', 'json'];

export const queueVerbs = {
  list: {
    id: 'no',
    options: ['data', 'from', 'to', 'older', 'limit', 'after', 'json'],
    about: 'what waits, oldest first: who sent it, to whom, and why it still waits',
  },
  show: { id: 'yes', options: ['data', 'json'], about: 'one message: its recipients, attempts, last answers, next attempts' },
  hold: { id: 'either', options: matching, about: 'hold recipients back: they are neither tried nor expire' },
  release: { id: 'either', options: matching, about: 'let go what is held: it is tried at once, and has the time again that it had left' },
  retry: { id: 'either', options: matching, about: 'try at once, and begin the waits anew' },
  delete: { id: 'either', options: [...matching, 'bounce'], about: 'remove recipients undelivered; nobody is told without --bounce' },
} as const satisfies Readonly<Record<string, QueueVerb>>;
export type QueueVerbName = keyof typeof queueVerbs;

/** Options that one of the verbs takes, and what they mean here. */
export const queueOptions: readonly OptionName[] = [...new Set(Object.values(queueVerbs).flatMap((row): readonly OptionName[] => row.options))];
export const queueOwn: Readonly<Partial<Record<OptionName, OptionRow>>> = {
  from: { value: 'SENDER', about: 'only of this sender: an address, or a domain' },
  to: { value: 'RECIPIENT', about: 'only for this recipient: an address, or a domain' },
};

/** For `mailsite help queue`. */
export function queueUsage(): string {
  const lines = Object.entries(queueVerbs).map(([name, row]) => {
    const id = { no: '', yes: 'ID', either: 'ID|--all-matching' }[row.id];
    const given = row.options.filter((option) => option !== 'all-matching').map((option) => `[--${option}${value(option)}]`);
    return `  ${name.padEnd(8)} ${row.about}\n           ${[id, ...given].filter((word) => word !== '').join(' ')}`;
  });
  return [...lines, '', 'An ID is the number of a message (12) or of one recipient of it (12/0), as list and show print it.'].join('\n');
}

const value = (option: OptionName): string => {
  const row: OptionRow = queueOwn[option] ?? optionRows[option];
  return row.value === null ? '' : ` ${row.value}`;
};
