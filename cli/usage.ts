// What `mailsite`, `mailsite help` and `mailsite help VERB` print, from the rows of the verb table.

import { type OptionName, type OptionRow, options } from './arguments.ts';
import { bold } from './output.ts';

export interface UsageRow {
  readonly operands: string;
  readonly options: readonly OptionName[];
  readonly about: string;
  /** What an option means to this verb, where it is something else than to others. */
  readonly own?: Readonly<Partial<Record<OptionName, OptionRow>>>;
  /** Not shown: the program says it to itself. */
  readonly hidden?: true;
  /** What else help says of this verb. */
  readonly more?: () => string;
}
export type UsageRows = Readonly<Record<string, UsageRow>>;

const rowOf = (row: UsageRow, name: OptionName): OptionRow => row.own?.[name] ?? options[name];
const optionText = (row: UsageRow, name: OptionName): string => `--${name}${rowOf(row, name).value === null ? '' : ` ${rowOf(row, name).value}`}`;

export function usage(verbs: UsageRows): string {
  const shown = Object.entries(verbs).filter(([, row]) => row.hidden !== true);
  const left = shown.map(([name, row]) => `${name}${row.operands === '' ? '' : ` ${row.operands}`}`);
  const wide = Math.max(...left.map((text) => text.length));
  return [
    `${bold('mailsite')}: a whole mail site in one executable`,
    '',
    ...shown.map(([, row], i) => `  mailsite ${(left[i] ?? '').padEnd(wide)}   ${row.about}`),
    '',
    'mailsite help VERB tells the options of one. To look around first: mailsite demo',
  ].join('\n');
}

export function usageOf(name: string, row: UsageRow): string {
  const wide = Math.max(0, ...row.options.map((option) => optionText(row, option).length));
  return [
    `mailsite ${name}${row.operands === '' ? '' : ` ${row.operands}`}${row.more === undefined ? row.options.map((option) => ` [${optionText(row, option)}]`).join('') : ''}`,
    `  ${row.about}`,
    ...(row.more === undefined ? [] : ['', row.more()]),
    ...(row.options.length > 0 ? ['', ...row.options.map((option) => `  ${optionText(row, option).padEnd(wide)}   ${rowOf(row, option).about}`)] : []),
  ].join('\n');
}
