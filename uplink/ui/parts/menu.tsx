// A list of choices below its button: arrows and letters move, Enter takes, Escape leaves.

import { Menu } from '@base-ui/react/menu';
import type { ReactNode } from 'react';
import { Icon } from './icon.tsx';
import type { MenuProps } from './menubutton.tsx';

export function OpenMenu({ className, children, choices }: MenuProps): ReactNode {
  return (
    <Menu.Root defaultOpen>
      <Menu.Trigger className={className}>{children}</Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner className="layer" sideOffset={6} align="start" collisionPadding={8}>
          <Menu.Popup className="popup menu">
            {choices.map(({ key, label, run, current }) => (
              <Menu.Item key={key} className="menu-item" onClick={run}>
                {label}
                {current && <Icon name="check" className="menu-check" />}
              </Menu.Item>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
