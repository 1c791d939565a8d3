// "?": a term of art in plain words, for who asks. One row of the catalogue each.

import { Popover } from '@base-ui/react/popover';
import type { ReactNode } from 'react';
import { text } from '../language.ts';

export type Term = keyof typeof text.terms;

export function Help({ term }: { readonly term: Term }): ReactNode {
  const { name, meaning } = text.terms[term];
  return (
    <Popover.Root>
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
