// What is filled in and sent: the fields, what went wrong with them, and the one thing to press. A form at work takes no second press.

import { type FormEvent, lazy, type ReactNode, Suspense } from 'react';
import { besides, type Trouble } from '../api.ts';
import type { Conflict } from '../draft.ts';
import { Button, type Look } from './button.tsx';
import { TroubleNotice } from './page.tsx';

const ConflictNotice = lazy(async () => ({ default: (await import('./conflict.tsx')).ConflictNotice }));

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
      {conflict ? (
        <Suspense fallback={null}>
          <ConflictNotice conflict={conflict} names={names} work={work} />
        </Suspense>
      ) : (
        <TroubleNotice trouble={trouble ?? besides(work.trouble, fields)} />
      )}
      {((verb !== undefined && !conflict) || beside !== undefined) && (
        <div className="actions">
          {verb !== undefined && !conflict && (
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
