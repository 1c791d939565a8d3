// What is there to be taken elsewhere: a value, a command, a secret. One press takes it, and says that it did.

import { type ReactNode, useEffect, useState } from 'react';
import { after } from '../clock.ts';
import { text } from '../language.ts';
import { Icon } from './icon.tsx';

function useCopied(): readonly [boolean, (value: string) => void] {
  const [copied, setCopied] = useState(false);
  useEffect(() => (copied ? after(1_800, () => setCopied(false)) : undefined), [copied]);
  const take = (value: string): void => {
    void navigator.clipboard.writeText(value).then(
      () => setCopied(true),
      () => getSelection()?.selectAllChildren(document.body.querySelector(`[data-copy="${CSS.escape(value)}"]`) ?? document.body),
    );
  };
  return [copied, take];
}

/** `what`: what it is, for who does not see where it stands. */
export function Copy({ value, what }: { readonly value: string; readonly what: string }): ReactNode {
  const [copied, take] = useCopied();
  return (
    <button
      type="button"
      className="copy"
      onClick={() => take(value)}
      aria-label={text.copy.label(what)}
      title={text.copy.label(what)}
      data-copied={copied || undefined}
    >
      <Icon name={copied ? 'check' : 'copy'} />
      <output className="hidden">{copied ? text.copy.done : ''}</output>
    </button>
  );
}
/** A line of its own. */
export function CopyLine({ value, what, prompt }: { readonly value: string; readonly what: string; readonly prompt?: string }): ReactNode {
  const [copied, take] = useCopied();
  return (
    <div className="copyline">
      <code data-copy={value}>
        {prompt !== undefined && <span className="prompt">{prompt} </span>}
        {value}
      </code>
      <button type="button" className="button button-plain" onClick={() => take(value)} aria-label={text.copy.label(what)}>
        <Icon name={copied ? 'check' : 'copy'} />
        <span>{copied ? text.copy.done : text.copy.verb}</span>
      </button>
    </div>
  );
}
/** A short value in a table or a list, in the letters of machines. */
export function CopyValue({ value, what }: { readonly value: string; readonly what: string }): ReactNode {
  return (
    <span className="copyvalue">
      <code>{value}</code>
      <Copy value={value} what={what} />
    </span>
  );
}
