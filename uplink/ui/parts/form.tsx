// What is filled in and sent: the fields, what went wrong with them, and the one thing to press. A form at work takes no second press.

import type { FormEvent, ReactNode } from 'react';
import type { Trouble } from '../api.ts';
import { Button, type Look } from './button.tsx';
import { TroubleNotice } from './page.tsx';

export interface FormProps {
  /** What happens when it is sent: see useWork. */
  readonly work: { readonly busy: boolean; readonly trouble: Trouble | undefined; readonly start: () => Promise<boolean> };
  /** Without it there is nothing to send: the fields are shown. */
  readonly verb?: string | undefined;
  readonly look?: Look;
  readonly disabled?: boolean;
  /** Where it is not that of the work alone. */
  readonly trouble?: Trouble | undefined;
  /** Its fields stand side by side. */
  readonly wide?: boolean;
  /** Other buttons. */
  readonly beside?: ReactNode;
  /** What came of it. */
  readonly after?: ReactNode;
  readonly children: ReactNode;
}
export function Form({ work, verb, look = 'primary', disabled, trouble, wide, beside, after, children }: FormProps): ReactNode {
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!work.busy) void work.start();
  };
  return (
    <form className={wide ? 'form form-wide' : 'form'} onSubmit={submit}>
      {children}
      <TroubleNotice trouble={trouble ?? work.trouble} />
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
