// The first owner of a portal, and who was invited: a name and a password, with a secret from the address after `#`, which
// browsers send to nobody.

import { type ReactNode, useState } from 'react';
import { ask } from '../api.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { Entry } from '../parts/entry.tsx';
import { PasswordField, TextField } from '../parts/field.tsx';
import { Notice, TroubleNotice } from '../parts/page.tsx';
import { useWork } from '../session.ts';

interface WelcomeProps {
  readonly onEntered: () => Promise<void>;
}
const secretHere = (): string => decodeURIComponent(location.hash.slice(1));

export function Welcome({ onEntered }: WelcomeProps): ReactNode {
  const [token] = useState(secretHere);
  const [organisation, setOrganisation] = useState('');
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const work = useWork(async () => {
    const { trouble } = await ask('/setup', { method: 'POST', body: { token, organisation, name, email, password }, quiet: true });
    if (trouble === undefined) await onEntered();
    return trouble;
  });
  const wrong = (path: string): string | undefined => work.trouble?.errors.find((error) => error.path === path)?.message;
  return (
    <Entry title={text.setup.title} lead={text.setup.lead} onSubmit={() => void work.start()}>
      {token === '' && (
        <Notice tone="warn" title={text.setup.noToken}>
          {text.setup.noTokenNext}
        </Notice>
      )}
      <TextField
        label={text.setup.organisation}
        hint={text.setup.organisationHint}
        value={organisation}
        onValue={setOrganisation}
        autoComplete="organization"
        error={wrong('organisation')}
        maxLength={100}
        required
        autoFocus
      />
      <TextField label={text.setup.name} value={name} onValue={setName} autoComplete="name" error={wrong('name')} maxLength={100} required />
      <TextField label={text.setup.email} type="email" value={email} onValue={setEmail} autoComplete="username" error={wrong('email')} required />
      <PasswordField
        label={text.setup.password}
        hint={text.form.passwordHint}
        value={password}
        onValue={setPassword}
        autoComplete="new-password"
        error={wrong('password')}
        minLength={12}
        required
      />
      <TroubleNotice trouble={work.trouble} />
      <Button look="primary" submit busy={work.busy}>
        {text.setup.verb}
      </Button>
    </Entry>
  );
}

export function Invitation({ onEntered }: WelcomeProps): ReactNode {
  const [secret] = useState(secretHere);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const work = useWork(async () => {
    const { trouble } = await ask('/invitations/accept', { method: 'POST', body: { secret, name, password }, quiet: true });
    if (trouble === undefined) await onEntered();
    return trouble;
  });
  return (
    <Entry title={text.invitation.title} lead={text.invitation.lead} onSubmit={() => void work.start()}>
      <TextField label={text.setup.name} value={name} onValue={setName} autoComplete="name" maxLength={100} required autoFocus />
      <PasswordField
        label={text.setup.password}
        hint={text.form.passwordHint}
        value={password}
        onValue={setPassword}
        autoComplete="new-password"
        minLength={12}
        required
      />
      <TroubleNotice trouble={work.trouble} />
      <Button look="primary" submit busy={work.busy}>
        {text.invitation.verb}
      </Button>
    </Entry>
  );
}
