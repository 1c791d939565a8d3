// The frame of what stands before the sign-in: one box, one thing to do.

import type { FormEvent, ReactNode } from 'react';
import { useTitle } from '../router.tsx';
import { Mark } from './icon.tsx';

interface EntryProps {
  readonly title: string;
  readonly lead?: ReactNode;
  readonly children: ReactNode;
  readonly onSubmit: () => void;
  readonly foot?: ReactNode;
}
export function Entry({ title, lead, children, onSubmit, foot }: EntryProps): ReactNode {
  useTitle(title);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <main className="entry">
      <div className="entry-box">
        <Mark />
        <h1>{title}</h1>
        {lead !== undefined && <p className="lead">{lead}</p>}
        <form className="form" onSubmit={submit}>
          {children}
        </form>
        {foot}
      </div>
    </main>
  );
}
