// The first owner of a portal, and who was invited: a name and a password, with a secret from the address after `#`, which
// browsers send to nobody.

import { type ReactNode, useEffect, useState } from 'react';
import { ask, type Trouble, wrongAt } from '../api.ts';
import type { Invited } from '../contract.ts';
import { text } from '../language.ts';
import { Entry } from '../parts/entry.tsx';
import { NewPasswordField, TextField } from '../parts/field.tsx';
import { Notice } from '../parts/page.tsx';
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
  const wrong = (path: string): string | undefined => wrongAt(work.trouble, path);
  return (
    <Entry title={text.setup.title} lead={text.setup.lead} work={work} verb={text.setup.verb} fields={['organisation', 'name', 'email', 'password']}>
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
      <NewPasswordField label={text.setup.password} value={password} onValue={setPassword} error={wrong('password')} required />
    </Entry>
  );
}

export function Invitation({ onEntered }: WelcomeProps): ReactNode {
  const [secret] = useState(secretHere);
  const [invited, setInvited] = useState<Invited>();
  const [missing, setMissing] = useState<Trouble>();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  useEffect(() => {
    void ask<Invited>('/invitations/show', { method: 'POST', body: { secret }, quiet: true }).then(({ value, trouble }) => {
      setInvited(value);
      setMissing(trouble);
    });
  }, [secret]);
  const known = invited?.known === true;
  const work = useWork(async () => {
    const { trouble } = await ask('/invitations/accept', { method: 'POST', body: { secret, ...(!known && { name, password }) }, quiet: true });
    if (trouble === undefined) await onEntered();
    return trouble;
  });
  return (
    <Entry
      title={invited === undefined ? text.invitation.title : text.invitation.join(invited.organisation)}
      lead={invited === undefined ? text.invitation.lead : text.invitation.as(invited.email, text.roles[invited.role].name)}
      work={work}
      verb={text.invitation.verb}
      fields={known ? [] : ['name', 'password']}
      trouble={missing}
      disabled={missing !== undefined}
    >
      {known ? (
        <p>{text.invitation.known}</p>
      ) : (
        <>
          <TextField
            label={text.setup.name}
            value={name}
            onValue={setName}
            error={wrongAt(work.trouble, 'name')}
            autoComplete="name"
            maxLength={100}
            required
            autoFocus
          />
          <NewPasswordField label={text.setup.password} value={password} onValue={setPassword} error={wrongAt(work.trouble, 'password')} required />
        </>
      )}
    </Entry>
  );
}

/** For who lost every other way in: a link that the machine of the portal printed. */
export function LinkIn({ onEntered }: WelcomeProps): ReactNode {
  const [secret] = useState(secretHere);
  const [password, setPassword] = useState('');
  const work = useWork(async () => {
    const { trouble } = await ask('/session/link', { method: 'POST', body: { secret, ...(password !== '' && { password }) }, quiet: true });
    if (trouble === undefined) await onEntered();
    return trouble;
  });
  return (
    <Entry title={text.link.title} lead={text.link.lead} work={work} verb={text.link.verb} fields={['password']}>
      <NewPasswordField
        label={text.link.password}
        hint={text.link.hint}
        value={password}
        onValue={setPassword}
        error={wrongAt(work.trouble, 'password')}
        autoFocus
      />
    </Entry>
  );
}
