// On or off, with what it means beside it. It is apart from the other fields, which stand at the sign-in already.

import { Switch } from '@base-ui/react/switch';
import { type ReactNode, useId } from 'react';

/** On or off, at once. */
export function SwitchField({
  label,
  hint,
  checked,
  onChecked,
  disabled,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  onChecked: (on: boolean) => void;
  disabled?: boolean;
}): ReactNode {
  const id = useId();
  return (
    <div className="switchfield">
      <div>
        <div className="switch-label" id={`${id}-label`}>
          {label}
        </div>
        {hint !== undefined && (
          <p className="field-hint" id={`${id}-hint`}>
            {hint}
          </p>
        )}
      </div>
      <Switch.Root
        className="switch"
        checked={checked}
        onCheckedChange={onChecked}
        disabled={disabled ?? false}
        aria-labelledby={`${id}-label`}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
      >
        <Switch.Thumb className="switch-thumb" />
      </Switch.Root>
    </div>
  );
}
