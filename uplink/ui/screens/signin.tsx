// Signing in: a passkey, or a password and, where one is set up, the code of the day. One answer for every wrong pair.

import { type ReactNode, useState } from 'react';
import { ask } from '../api.ts';
import type { AnswerOf } from '../contract.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { Entry } from '../parts/entry.tsx';
import { PasswordField, TextField } from '../parts/field.tsx';
import { answerSignIn, hasPasskeys } from '../passkey.ts';
import { useWork } from '../session.ts';

export function SignIn({ onEntered }: { readonly onEntered: () => Promise<void> }): ReactNode {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [needsCode, setNeedsCode] = useState(false);
  const work = useWork(async () => {
    const body = { email: email.trim(), password, ...(needsCode && { code: code.replace(/\s/g, '') }) };
    const { value, trouble } = await ask<AnswerOf<'POST /session'>>('/session', { method: 'POST', body, quiet: true });
    if (value !== undefined && 'needs' in value) {
      setNeedsCode(true);
      return undefined;
    }
    if (trouble === undefined) await onEntered();
    return trouble;
  });
  const passkey = useWork(async () => {
    const options = await ask<{ options: PublicKeyCredentialRequestOptionsJSON }>('/session/passkey/options', { method: 'POST', quiet: true });
    if (options.value === undefined) return options.trouble;
    const response = await answerSignIn(options.value.options);
    if (response === null) return undefined;
    const { trouble } = await ask('/session/passkey', { method: 'POST', body: { response }, quiet: true });
    if (trouble === undefined) await onEntered();
    return trouble;
  });
  if (needsCode)
    return (
      <Entry
        key="code"
        title={text.signIn.codeTitle}
        lead={text.signIn.codeLead}
        work={work}
        verb={text.signIn.verb}
        beside={
          <Button look="quiet" onPress={() => setNeedsCode(false)}>
            {text.signIn.other}
          </Button>
        }
      >
        <TextField
          label={text.signIn.code}
          value={code}
          onValue={setCode}
          autoComplete="one-time-code"
          inputMode="numeric"
          hint={text.signIn.codeHint}
          autoFocus
          required
          mono
        />
      </Entry>
    );
  return (
    <Entry
      key="password"
      title={text.signIn.title}
      work={work}
      trouble={passkey.trouble}
      verb={text.signIn.verb}
      after={hasPasskeys() && <ByPasskey work={passkey} />}
    >
      <TextField label={text.signIn.email} type="email" value={email} onValue={setEmail} autoComplete="username webauthn" autoFocus required />
      <PasswordField label={text.signIn.password} value={password} onValue={setPassword} autoComplete="current-password" required />
    </Entry>
  );
}

function ByPasskey({ work }: { readonly work: ReturnType<typeof useWork<[]>> }): ReactNode {
  return (
    <>
      <p className="divider">
        <span>{text.signIn.or}</span>
      </p>
      <Button icon="key" busy={work.busy} onPress={() => void work.start()}>
        {text.signIn.passkey}
      </Button>
    </>
  );
}
