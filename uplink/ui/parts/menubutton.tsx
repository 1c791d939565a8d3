// A button that opens a short list of choices. What draws the list comes when it is first wanted.

import { lazy, type ReactNode, Suspense, useState } from 'react';

export interface MenuChoice {
  readonly key: string;
  readonly label: ReactNode;
  readonly run: () => void;
  readonly current?: boolean;
}
export interface MenuProps {
  readonly className: string;
  readonly children: ReactNode;
  readonly choices: readonly MenuChoice[];
}
const load = () => import('./menu.tsx');
const OpenMenu = lazy(async () => ({ default: (await load()).OpenMenu }));

export function MenuButton(props: MenuProps): ReactNode {
  const [wanted, setWanted] = useState(false);
  const { className, children } = props;
  const button = (
    <button
      type="button"
      className={className}
      aria-haspopup="menu"
      aria-expanded={false}
      onPointerEnter={() => void load()}
      onFocus={() => void load()}
      onClick={() => setWanted(true)}
    >
      {children}
    </button>
  );
  if (!wanted) return button;
  return (
    <Suspense fallback={button}>
      <OpenMenu {...props} />
    </Suspense>
  );
}
