// The text format of Prometheus, version 0.0.4. Pure. Guarantees: each family once, with its help and type, samples behind it;
// what a label or a help may not hold is escaped; a value that is not known is no sample.

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  /** Null: not known now. */
  readonly value: number | null;
}
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly Sample[];
}

export const expositionType = 'text/plain; version=0.0.4';

export function exposition(families: readonly Family[]): string {
  let out = '';
  for (const { name, type, help, samples } of families) {
    out += `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n`;
    for (const { labels = {}, value } of samples) if (value !== null) out += `${name}${braced(labels)} ${value}\n`;
  }
  return out;
}

function braced(labels: Readonly<Record<string, string>>): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\\n"]/g, escaped)}"`);
  return all.length === 0 ? '' : `{${all.join(',')}}`;
}

const escaped = (what: string): string => (what === '\n' ? '\\n' : `\\${what}`);
