// A strict reader of the text format of Prometheus 0.0.4, as promtool's: it throws on what that would refuse.

/** Samples by their name and labels as they are written. */
export function parseExposition(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  const helped = new Set<string>();
  let family = '';
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  for (const line of text.slice(0, -1).split('\n')) {
    const about = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (about) {
      const [, what, name = '', rest = ''] = about;
      if (what === 'HELP' && (helped.has(name) || /(^|[^\\])(\\\\)*\\([^\\n]|$)/.test(rest))) throw new Error(`help twice or badly escaped: ${line}`);
      if (what === 'TYPE' && (types.has(name) || !['counter', 'gauge'].includes(rest))) throw new Error(`type twice or unknown: ${line}`);
      if (what === 'HELP') helped.add(name);
      else types.set(name, rest);
      family = name;
      continue;
    }
    const sample =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,(?!\})|(?=\})))+\})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)$/.exec(
        line,
      );
    if (!sample) throw new Error(`no sample: ${line}`);
    const [, name = '', labels = '', value] = sample;
    if (name !== family || !types.has(name) || !helped.has(name)) throw new Error(`a sample outside its family: ${line}`);
    if (samples.has(name + labels)) throw new Error(`a sample twice: ${line}`);
    if (types.get(name) === 'counter' && (!/_total$|_commit$/.test(name) || Number(value) < 0)) throw new Error(`no counter: ${line}`);
    samples.set(name + labels, Number(value));
  }
  return samples;
}
