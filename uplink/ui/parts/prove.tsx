// Asks who one is once more, before a change of how one signs in; then the change goes on by itself.

import { Dialog } from '@base-ui/react/dialog';
import { type FormEvent, type ReactNode, useState } from 'react';
import { ask } from '../api.ts';
import { text } from '../language.ts';
import { useVisitor, useWork } from '../session.ts';
import { Button } from './button.tsx';
import { PasswordField, TextField } from './field.tsx';
import { TroubleNotice } from './page.tsx';

/** `onEnd`: they did, or would not. */
export function Prove({ onEnd }: { readonly onEnd: (proved: boolean) => void }): ReactNode {
  const { session } = useVisitor();
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const work = useWork(async () => {
    const body = { password, ...(code.trim() !== '' && { code: code.replace(/\s/g, '') }) };
    const { trouble } = await ask('/session', { method: 'PUT', body, quiet: true });
    if (trouble === undefined) onEnd(true);
    return trouble;
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void work.start();
  };
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onEnd(false)}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">{text.prove.title}</Dialog.Title>
          <Dialog.Description className="dialog-text">{text.prove.why}</Dialog.Description>
          <form onSubmit={submit}>
            <PasswordField label={text.signIn.password} value={password} onValue={setPassword} autoComplete="current-password" autoFocus required />
            {session.person.totp && (
              <TextField label={text.signIn.code} value={code} onValue={setCode} autoComplete="one-time-code" inputMode="numeric" mono required />
            )}
            <TroubleNotice trouble={work.trouble} />
            <div className="dialog-actions">
              <Dialog.Close className="button button-plain">{text.prove.leave}</Dialog.Close>
              <Button look="primary" submit busy={work.busy}>
                {text.prove.verb}
              </Button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
