// What is filled in and sent: the fields, what went wrong with them, and the one thing to press. A form at work takes no second press.

import type { FormEvent, ReactNode } from 'react';
import { besides, type Trouble } from '../api.ts';
import type { Conflict } from '../draft.ts';
import { text } from '../language.ts';
import { Button, type Look } from './button.tsx';
import { Notice, TroubleNotice } from './page.tsx';

export interface FormProps {
  /** What happens when it is sent: see useWork. */
  readonly work: { readonly busy: boolean; readonly trouble: Trouble | undefined; readonly start: () => Promise<boolean>; readonly clear: () => void };
  /** Without it there is nothing to send: the fields are shown. */
  readonly verb?: string | undefined;
  readonly look?: Look;
  readonly disabled?: boolean;
  /** Where it is not that of the work alone. */
  readonly trouble?: Trouble | undefined;
  /** Where in what is sent its fields are: what is wrong there they say themselves (see wrongAt). */
  readonly fields?: readonly string[];
  /** What another hand changed meanwhile, and what the fields are called: see useDraft. */
  readonly conflict?: Conflict | null;
  readonly names?: Readonly<Record<string, string>>;
  /** Its fields stand side by side. */
  readonly wide?: boolean;
  /** Other buttons. */
  readonly beside?: ReactNode;
  /** What came of it. */
  readonly after?: ReactNode;
  readonly children: ReactNode;
}
export function Form({
  work,
  verb,
  look = 'primary',
  disabled,
  trouble,
  conflict,
  names = {},
  fields = [],
  wide,
  beside,
  after,
  children,
}: FormProps): ReactNode {
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!work.busy) void work.start();
  };
  return (
    <form className={wide ? 'form form-wide' : 'form'} onSubmit={submit}>
      {children}
      {conflict ? <ConflictNotice conflict={conflict} names={names} work={work} /> : <TroubleNotice trouble={trouble ?? besides(work.trouble, fields)} />}
      {(verb !== undefined || beside !== undefined) && (
        <div className="actions">
          {verb !== undefined && (
            <Button look={look} submit busy={work.busy} disabled={disabled}>
              {verb}
            </Button>
          )}
          {beside}
        </div>
      )}
      {after}
    </form>
  );
}

/** Both are shown; nothing is lost before one has chosen. */
function ConflictNotice({ conflict, names, work }: { readonly conflict: Conflict } & Required<Pick<FormProps, 'names' | 'work'>>): ReactNode {
  return (
    <Notice tone="warn" title={text.form.conflict(conflict.by.join(', '))}>
      {text.form.conflictNext}
      <ul>
        {conflict.fields.map(({ field, was, now, yours }) => (
          <li key={field}>
            {names[field] ?? field}: {text.form.conflictField(said(was), said(now), said(yours))}
          </li>
        ))}
      </ul>
      <div className="actions">
        <Button
          onPress={() => {
            conflict.theirs();
            work.clear();
          }}
        >
          {text.form.conflictTheirs}
        </Button>
        <Button look="primary" busy={work.busy} onPress={() => void work.start()}>
          {text.form.conflictMine}
        </Button>
      </div>
    </Notice>
  );
}
/** A value of a field for people; never a password. */
function said(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? text.form.nothing : value.map(said).join('; ');
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .filter(([name, part]) => name !== 'password' && part !== '')
      .map(([, part]) => String(part))
      .join(' ');
  const words = String(value ?? '').trim();
  return words === '' ? text.form.nothing : `“${words.replaceAll('\n', ', ')}”`;
}
