// What comes in from the side of a narrow screen and covers it, until one chooses or leaves.

import { Dialog } from '@base-ui/react/dialog';
import type { ReactNode } from 'react';

interface DrawerProps {
  readonly label: string;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly children: ReactNode;
}
export function Drawer({ label, open, onClose, children }: DrawerProps): ReactNode {
  return (
    <Dialog.Root open={open} onOpenChange={(wanted) => !wanted && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="drawer" aria-label={label}>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
