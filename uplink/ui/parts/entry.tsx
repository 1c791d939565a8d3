// The frame of what stands before the sign-in, and of what one is asked alone: one box, one thing to do.

import type { ReactNode } from 'react';
import { useTitle } from '../router.tsx';
import { Form, type FormProps } from './form.tsx';
import { Mark } from './icon.tsx';

interface EntryProps extends Omit<FormProps, 'wide'> {
  readonly title: string;
  readonly lead?: ReactNode;
}
export function Entry({ title, lead, ...form }: EntryProps): ReactNode {
  return (
    <EntryBox title={title} lead={lead}>
      <Form {...form} />
    </EntryBox>
  );
}
/** The same, where there is something to be told. */
export function EntryBox({ title, lead, children }: { readonly title: string; readonly lead?: ReactNode; readonly children?: ReactNode }): ReactNode {
  useTitle(title);
  return (
    <main className="entry">
      <div className="entry-box">
        <Mark />
        <h1>{title}</h1>
        {lead !== undefined && <p className="lead">{lead}</p>}
        {children}
      </div>
    </main>
  );
}
