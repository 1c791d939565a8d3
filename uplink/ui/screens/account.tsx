// One mailbox: who it belongs to, its limit, on or off, a new password, and its end. A helpdesk sees it and gives passwords.

import { type ReactNode, useState } from 'react';
import { ask, wrongAt } from '../api.ts';
import { track } from '../change.ts';
import type { Account, AnswerOf } from '../contract.ts';
import { useDraft } from '../draft.ts';
import { addressText } from '../idn.ts';
import { text } from '../language.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { SwitchField, TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Await, Facts, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { quotaOf, quotaText } from '../quota.ts';
import { refresh, useResource } from '../resource.ts';
import { mayDomain } from '../rights.ts';
import { go, useParam } from '../router.tsx';
import { useEdit, useMay, useSite, useVisitor, useWork } from '../session.ts';
import { limitOf, QuotaField } from './accounts.tsx';

export function AccountScreen(): ReactNode {
  const address = useParam('address');
  const { api, screen } = useSite();
  const { member } = useVisitor();
  const allowed = useMay();
  const account = useResource<Account>(api('accounts', address));
  const own = mayDomain(member, address.slice(address.lastIndexOf('@') + 1));
  return (
    <Page
      title={addressText(address)}
      lead={account.value?.name}
      back={{ to: screen('accounts'), label: text.nav.site.accounts }}
      actions={
        allowed('trace.see') && (
          <LinkButton to={`${screen('trace')}?about=${encodeURIComponent(address)}`} icon="trace">
            {text.accounts.trace}
          </LinkButton>
        )
      }
      narrow
    >
      <Await of={account}>
        {(found) => (
          <>
            {own && allowed('accounts.edit') ? <Details account={found} etag={account.etag} /> : <DetailsShown account={found} />}
            {own && allowed('accounts.password') && <NewPassword account={found} />}
            {own && allowed('accounts.edit') && <Removal account={found} />}
          </>
        )}
      </Await>
    </Page>
  );
}

function DetailsShown({ account }: { readonly account: Account }): ReactNode {
  return (
    <Section title={text.accounts.details}>
      <Facts
        rows={[
          [text.accounts.name, account.name || '–'],
          [text.accounts.state, account.enabled ? text.accounts.on : text.accounts.off],
          [text.accounts.quota, limitOf(account)],
        ]}
      />
    </Section>
  );
}

interface Fields {
  readonly name: string;
  readonly quota: string;
}
const fieldsOf = ({ name, quotaBytes }: Account): Fields => ({ name, quota: quotaText(quotaBytes) });

function Details({ account, etag }: { readonly account: Account; readonly etag: string | undefined }): ReactNode {
  const { api } = useSite();
  const edit = useEdit();
  const path = api('accounts', account.address);
  const put = (body: Partial<Account>, what: string, ifMatch?: string): ReturnType<typeof edit> => edit({ path, method: 'PUT', body, what, ifMatch });
  const draft = useDraft<Account, Fields>({ path, about: `accounts/${account.address}`, read: fieldsOf }, { value: account, etag });
  const { name, quota } = draft.value;
  const octets = quotaOf(quota);
  const save = useWork(async () => {
    const { typed } = draft;
    // a limit that nobody touched is not sent: it stays as it is, to the octet
    const limit = typed.quota === undefined || octets === undefined ? {} : { quotaBytes: octets };
    const body = { ...(typed.name !== undefined && { name: name.trim() }), ...limit };
    return draft.save(({ etag }) => put(body, text.accounts.changed(account.address), etag));
  });
  const flip = useWork((enabled: boolean) => put({ enabled }, enabled ? text.accounts.enabled(account.address) : text.accounts.disabled(account.address)));
  const same = name.trim() === account.name && octets === account.quotaBytes && draft.conflict === null;
  return (
    <Section title={text.accounts.details}>
      <Form
        work={save}
        verb={text.form.save}
        disabled={same || octets === undefined}
        conflict={draft.conflict}
        fields={['name', 'quotaBytes']}
        names={{ name: text.accounts.name, quota: text.accounts.quota }}
      >
        <TextField
          label={text.accounts.name}
          value={name}
          onValue={(value) => draft.type({ name: value })}
          error={wrongAt(save.trouble, 'name')}
          maxLength={100}
          autoComplete="off"
        />
        <QuotaField value={quota} onValue={(value) => draft.type({ quota: value })} error={wrongAt(save.trouble, 'quotaBytes')} />
      </Form>
      <SwitchField
        label={text.accounts.enabledLabel}
        hint={text.accounts.enabledHint}
        checked={account.enabled}
        disabled={flip.busy}
        onChecked={(on) => void flip.start(on)}
      />
      <TroubleNotice trouble={flip.trouble} />
    </Section>
  );
}

function NewPassword({ account }: { readonly account: Account }): ReactNode {
  const { site, api } = useSite();
  const { member } = useVisitor();
  const [made, setMade] = useState<string>();
  const work = useWork(async () => {
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/sites/{site}/accounts/{address}/password'>>(
      api('accounts', account.address, 'password'),
      {
        method: 'POST',
        body: { generate: true },
      },
    );
    if (value === undefined) return trouble;
    setMade(value.password ?? undefined);
    track({ org: member.id, site: site.id, rev: value.wantedRev, what: text.accounts.reset(account.address) });
    refresh(api());
    return undefined;
  });
  return (
    <Section title={text.accounts.password} about={text.accounts.passwordAbout}>
      {made !== undefined && (
        <>
          <CopyLine value={made} what={text.accounts.newPassword} />
          <p className="field-hint">{text.accounts.onceShown}</p>
        </>
      )}
      <TroubleNotice trouble={work.trouble} />
      <Button icon="key" busy={work.busy} onPress={() => void work.start()}>
        {made === undefined ? text.accounts.resetVerb : text.accounts.resetAgain}
      </Button>
    </Section>
  );
}

function Removal({ account }: { readonly account: Account }): ReactNode {
  const { api, screen } = useSite();
  const edit = useEdit();
  const [asking, setAsking] = useState(false);
  return (
    <Section title={text.accounts.removal} about={text.accounts.removalAbout}>
      <Button look="danger" onPress={() => setAsking(true)}>
        {text.accounts.remove}
      </Button>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={text.accounts.removeTitle(account.address)}
        word={account.address}
        verb={text.accounts.remove}
        onConfirm={async () => {
          const trouble = await edit({ path: api('accounts', account.address), method: 'DELETE', what: text.accounts.removed(account.address) });
          if (trouble === undefined) go(screen('accounts'));
          return trouble;
        }}
      >
        {text.accounts.removeText}
      </Confirm>
    </Section>
  );
}
