// The words behind a "?", beside it.

import { Popover } from '@base-ui/react/popover';
import type { ReactNode } from 'react';
import { text } from '../language.ts';
import type { Term } from './help.tsx';

export function Explanation({ term }: { readonly term: Term }): ReactNode {
  const { name, meaning } = text.terms[term];
  return (
    <Popover.Root defaultOpen>
      <Popover.Trigger className="help" aria-label={text.help.label(name)}>
        ?
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner sideOffset={6} collisionPadding={12} className="layer">
          <Popover.Popup className="popup help-popup">
            <Popover.Title className="help-title">{name}</Popover.Title>
            <Popover.Description className="help-text">{meaning}</Popover.Description>
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}
