// The question before something is lost: what is lost, in words, and its name typed by hand.

import { AlertDialog } from '@base-ui/react/alert-dialog';
import { type FormEvent, type ReactNode, useState } from 'react';
import type { Trouble } from '../api.ts';
import { text } from '../language.ts';
import { Button } from './button.tsx';
import type { ConfirmProps } from './confirm.tsx';
import { TextField } from './field.tsx';
import { TroubleNotice } from './page.tsx';

export function Confirmation({ open, onClose, title, children, word, verb, onConfirm }: ConfirmProps): ReactNode {
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const right = typed.trim().toLowerCase() === word.toLowerCase();
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!right || busy) return;
    setBusy(true);
    const found = await onConfirm();
    setBusy(false);
    setTrouble(found);
    if (found === undefined) onClose();
  };
  const change = (next: boolean): void => {
    if (next) return;
    setTyped('');
    setTrouble(undefined);
    onClose();
  };
  return (
    <AlertDialog.Root open={open} onOpenChange={change}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="dialog">
          <AlertDialog.Title className="dialog-title">{title}</AlertDialog.Title>
          <AlertDialog.Description render={<div />} className="dialog-text">
            {children}
          </AlertDialog.Description>
          <form onSubmit={(event) => void submit(event)}>
            <TextField label={text.confirm.type(word)} value={typed} onValue={setTyped} autoComplete="off" spellCheck={false} autoFocus />
            <TroubleNotice trouble={trouble} />
            <div className="dialog-actions">
              <AlertDialog.Close className="button button-plain">{text.confirm.keep}</AlertDialog.Close>
              <Button look="danger" submit busy={busy} disabled={!right}>
                {verb}
              </Button>
            </div>
          </form>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
