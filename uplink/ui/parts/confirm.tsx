// Asked only before something is lost. What draws the question comes when it is first asked.

import { lazy, type ReactNode } from 'react';
import type { Trouble } from '../api.ts';
import { Late } from './late.tsx';

export interface ConfirmProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly children: ReactNode;
  /** What has to be typed. */
  readonly word: string;
  readonly verb: string;
  /** Resolves with what went wrong, or nothing. */
  readonly onConfirm: () => Promise<Trouble | undefined>;
}
const Confirmation = lazy(async () => ({ default: (await import('./confirmation.tsx')).Confirmation }));

export function Confirm(props: ConfirmProps): ReactNode {
  return (
    <Late wanted={props.open}>
      <Confirmation {...props} />
    </Late>
  );
}
