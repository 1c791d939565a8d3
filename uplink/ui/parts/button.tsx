// What one presses. A button that is at work says so and takes no second press.

import type { MouseEvent, ReactNode } from 'react';
import { Link } from '../router.tsx';
import { Icon, type IconName } from './icon.tsx';

export type Look = 'primary' | 'plain' | 'quiet' | 'danger';
interface ButtonProps {
  readonly children: ReactNode;
  readonly look?: Look;
  readonly icon?: IconName | undefined;
  readonly busy?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  readonly submit?: boolean;
  readonly onPress?: ((event: MouseEvent) => void) | undefined;
  readonly className?: string;
}
export function Button({ children, look = 'plain', icon, busy, disabled, submit, onPress, className }: ButtonProps): ReactNode {
  const classes = `button button-${look}${busy ? ' button-busy' : ''}${className === undefined ? '' : ` ${className}`}`;
  return (
    <button type={submit ? 'submit' : 'button'} className={classes} disabled={disabled} aria-busy={busy || undefined} onClick={busy ? undefined : onPress}>
      {icon !== undefined && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}
export function LinkButton({ to, children, look = 'plain', icon }: { to: string; children: ReactNode; look?: Look; icon?: IconName }): ReactNode {
  return (
    <Link to={to} className={`button button-${look}`}>
      {icon !== undefined && <Icon name={icon} />}
      <span>{children}</span>
    </Link>
  );
}
/** A sign without words to be seen; `label` is heard. */
export function IconButton({ icon, label, onPress }: { readonly icon: IconName; readonly label: string; readonly onPress: () => void }): ReactNode {
  return (
    <button type="button" className="iconbutton" aria-label={label} title={label} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}
