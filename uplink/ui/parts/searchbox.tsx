// Narrows what is shown, as one types.

import type { ReactNode } from 'react';
import { Icon } from './icon.tsx';

export function SearchBox({ label, value, onValue }: { readonly label: string; readonly value: string; readonly onValue: (value: string) => void }): ReactNode {
  return (
    <span className="searchbox">
      <Icon name="search" />
      <input
        className="input"
        type="search"
        aria-label={label}
        placeholder={label}
        value={value}
        onChange={(event) => onValue(event.target.value)}
        spellCheck={false}
      />
    </span>
  );
}
