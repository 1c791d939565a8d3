// One's own: the password, the second factor, passkeys, and where one is signed in.

import { type ReactNode, useState } from 'react';
import { ask, wrongAt } from '../api.ts';
import { useTheme, setTheme, type Theme } from '../appearance.ts';
import { ago, dayOf } from '../clock.ts';
import type { List, Passkey, Session, SignedIn } from '../contract.ts';
import { text } from '../language.ts';
import { Button, IconButton } from '../parts/button.tsx';
import { ChoiceField, NewPasswordField, PasswordField, TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Card, Empty, Facts, Notice, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { Badge, State } from '../parts/state.tsx';
import { answerNew, hasPasskeys } from '../passkey.ts';
import { refresh, useResource } from '../resource.ts';
import { useVisitor, useWork } from '../session.ts';
import { Totp } from './totp.tsx';

export function Profile(): ReactNode {
  const { session, member } = useVisitor();
  const live = useResource<Session>('/session').value ?? session;
  const theme = useTheme();
  return (
    <Page title={text.nav.profile} narrow>
      <Card>
        <Facts
          rows={[
            [text.setup.name, live.person.name || '–'],
            [text.setup.email, live.person.email],
            [text.members.role, `${text.roles[member.role].name}: ${text.roles[member.role].about}`],
          ]}
        />
      </Card>
      <Section title={text.profile.totp} beside={<Help term="totp" />} about={text.profile.totpAbout}>
        <Totp on={live.person.totp} onChanged={() => refresh('/session')} />
      </Section>
      <Passkeys />
      <Password />
      <Sessions />
      <Section title={text.theme.title}>
        <ChoiceField<Theme>
          label={text.theme.label}
          value={theme}
          onValue={setTheme}
          options={(['system', 'light', 'dark'] as const).map((value) => ({ value, label: text.theme[value] }))}
        />
      </Section>
    </Page>
  );
}

function Password(): ReactNode {
  const [was, setWas] = useState('');
  const [password, setPassword] = useState('');
  const [done, setDone] = useState(false);
  const work = useWork(async () => {
    const { trouble } = await ask('/me/password', { method: 'PUT', body: { was, password }, quiet: true });
    setDone(trouble === undefined);
    if (trouble === undefined) {
      setWas('');
      setPassword('');
      refresh('/sessions');
    }
    return trouble;
  });
  return (
    <Section title={text.profile.password} about={text.profile.passwordAbout}>
      <Form work={work} verb={text.profile.passwordVerb} fields={['password']} disabled={was === '' || password === ''}>
        <PasswordField label={text.profile.was} value={was} onValue={setWas} autoComplete="current-password" required />
        <NewPasswordField label={text.profile.next} value={password} onValue={setPassword} error={wrongAt(work.trouble, 'password')} required />
        {done && <Notice tone="good" title={text.profile.passwordDone} />}
      </Form>
    </Section>
  );
}

function Passkeys(): ReactNode {
  const passkeys = useResource<List<Passkey>>('/me/passkeys');
  const [name, setName] = useState('');
  const add = useWork(async () => {
    const options = await ask<{ options: PublicKeyCredentialCreationOptionsJSON }>('/me/passkeys/options', { method: 'POST' });
    if (options.value === undefined) return options.trouble;
    const response = await answerNew(options.value.options);
    if (response === null) return undefined;
    const { trouble } = await ask('/me/passkeys', { method: 'POST', body: { name: name.trim() || text.profile.passkeyName, response } });
    setName('');
    refresh('/me/passkeys');
    return trouble;
  });
  const remove = useWork(async (id: string) => {
    const { trouble } = await ask(`/me/passkeys/${encodeURIComponent(id)}`, { method: 'DELETE' });
    refresh('/me/passkeys');
    return trouble;
  });
  return (
    <Section title={text.profile.passkeys} beside={<Help term="passkey" />} about={text.profile.passkeysAbout}>
      <Await of={passkeys} rows={2}>
        {({ items }) => (
          <ul className="lines">
            {items.map((key) => (
              <li key={key.id}>
                <span className="twoline">
                  <span className="strong">{key.name}</span>
                  <span className="faint">{text.profile.added(dayOf(key.createdAt), key.seenAt === null ? text.tokens.unused : ago(key.seenAt))}</span>
                </span>
                <IconButton icon="trash" label={text.profile.passkeyRemove(key.name)} onPress={() => void remove.start(key.id)} />
              </li>
            ))}
          </ul>
        )}
      </Await>
      <TroubleNotice trouble={add.trouble ?? remove.trouble} />
      {hasPasskeys() ? (
        <form
          className="form form-inline"
          onSubmit={(event) => {
            event.preventDefault();
            void add.start();
          }}
        >
          <TextField label={text.profile.passkeyLabel} value={name} onValue={setName} placeholder={text.profile.passkeyName} maxLength={100} optional />
          <Button icon="key" submit busy={add.busy}>
            {text.profile.passkeyAdd}
          </Button>
        </form>
      ) : (
        <Empty icon="key" title={text.profile.noPasskeys}>
          {text.profile.noPasskeysText}
        </Empty>
      )}
    </Section>
  );
}

function Sessions(): ReactNode {
  const sessions = useResource<List<SignedIn>>('/sessions');
  const end = useWork(async (id: string) => {
    const { trouble } = await ask(`/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' });
    refresh('/sessions');
    return trouble;
  });
  return (
    <Section title={text.profile.sessions} about={text.profile.sessionsAbout}>
      <TroubleNotice trouble={end.trouble} />
      <Await of={sessions} rows={2}>
        {({ items }) => (
          <ul className="lines">
            {items.map((row) => (
              <li key={row.id}>
                <span className="twoline">
                  <span className="strong">
                    {browserOf(row.agent)} {row.current && <Badge tone="good">{text.profile.here}</Badge>}
                  </span>
                  <span className="faint">
                    {row.address} · {text.profile.seen(ago(row.seenAt))}
                  </span>
                </span>
                {row.current ? <State tone="good">{text.profile.current}</State> : <Button onPress={() => void end.start(row.id)}>{text.profile.end}</Button>}
              </li>
            ))}
          </ul>
        )}
      </Await>
    </Section>
  );
}
/** `Firefox, Linux` of a long line; the line itself where it is of no browser. */
function browserOf(agent: string): string {
  const browser = (['Edg', 'Firefox', 'Chrome', 'Safari'] as const).find((name) => agent.includes(name));
  const system = (['Windows', 'Android', 'iPhone', 'iPad', 'Mac OS', 'Linux'] as const).find((name) => agent.includes(name));
  return browser === undefined ? agent.slice(0, 60) || text.profile.unknown : [browser === 'Edg' ? 'Edge' : browser, system].filter(Boolean).join(', ');
}
