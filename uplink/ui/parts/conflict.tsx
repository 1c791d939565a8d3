// What two hands changed in one field: was, is now, yours; and the choice.

import type { ReactNode } from 'react';
import type { Conflict } from '../draft.ts';
import { text } from '../language.ts';
import { Button } from './button.tsx';
import type { FormProps } from './form.tsx';
import { Notice } from './page.tsx';

interface ConflictProps {
  readonly conflict: Conflict;
  /** Of its fields. */
  readonly names: Readonly<Record<string, string>>;
  readonly work: FormProps['work'];
}
/** Both are shown; nothing is lost before one has chosen. */
export function ConflictNotice({ conflict, names, work }: ConflictProps): ReactNode {
  return (
    <Notice tone="warn" title={text.form.conflict(conflict.by.join(', '))}>
      {text.form.conflictNext}
      {conflict.fields.map(({ field, was, now, yours }) => (
        <div key={field} className="contested">
          <strong>{names[field] ?? field}</strong>
          <dl>
            <dt>{text.form.conflictWas}</dt>
            <dd>{said(was)}</dd>
            <dt>{text.form.conflictNow}</dt>
            <dd>{said(now)}</dd>
            <dt>{text.form.conflictYours}</dt>
            <dd>{said(yours)}</dd>
          </dl>
        </div>
      ))}
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
