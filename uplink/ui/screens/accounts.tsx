// The mailboxes of a site: who has one, how full it is, and a new one.

import { type ReactNode, useMemo, useState } from 'react';
import { wrongAt } from '../api.ts';
import { strongPassword } from '../chance.ts';
import { count, size } from '../clock.ts';
import type { Account, Domain } from '../contract.ts';
import { addressText, domainText } from '../idn.ts';
import { text } from '../language.ts';
import { LinkButton } from '../parts/button.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { ChoiceField, NewPasswordField, TextField } from '../parts/field.tsx';
import { SearchBox } from '../parts/searchbox.tsx';
import { Form } from '../parts/form.tsx';
import { Await, Empty, Notice, Page } from '../parts/page.tsx';
import { State } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import { quotaOf } from '../quota.ts';
import { useList } from '../resource.ts';
import { mayDomain } from '../rights.ts';
import { useEdit, useMay, useSite, useVisitor, useWork } from '../session.ts';

export function Accounts(): ReactNode {
  const { api, screen } = useSite();
  const allowed = useMay();
  const { member } = useVisitor();
  const [filter, setFilter] = useState('');
  const [large, setLarge] = useState(false); // then the portal looks for what is typed
  const accounts = useList<Account>(`${api('accounts')}${large && filter.trim() !== '' ? `?q=${encodeURIComponent(filter.trim())}` : ''}`);
  if (!large && accounts.more !== undefined) setLarge(true);
  const add = allowed('accounts.edit') ? (
    <LinkButton to={screen('accounts', 'new')} look="primary" icon="plus">
      {text.accounts.add}
    </LinkButton>
  ) : undefined;
  const rows = useMemo(() => {
    const wanted = filter.toLowerCase();
    return (accounts.value?.items ?? []).filter((a) => mayDomain(member, domainOf(a.address)) && `${a.address} ${a.name}`.toLowerCase().includes(wanted));
  }, [accounts.value, filter, member]);
  return (
    <Page title={text.nav.site.accounts} lead={text.accounts.lead} actions={add}>
      <Await of={accounts}>
        {({ items }) =>
          items.length === 0 && filter === '' ? (
            <Empty icon="accounts" title={text.accounts.empty} action={add}>
              {text.accounts.emptyText}
            </Empty>
          ) : (
            <>
              <div className="toolbar">
                <SearchBox label={text.accounts.filter} value={filter} onValue={setFilter} />
                <span className="faint">{text.accounts.total(count(rows.length))}</span>
              </div>
              {rows.length === 0 ? <Empty icon="search" title={text.table.nothing(filter)} /> : <AccountTable rows={rows} />}
            </>
          )
        }
      </Await>
    </Page>
  );
}
const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);

function AccountTable({ rows }: { readonly rows: readonly Account[] }): ReactNode {
  const { screen } = useSite();
  return (
    <Table
      label={text.nav.site.accounts}
      rows={rows}
      keyOf={(account) => account.address}
      to={(account) => screen('accounts', account.address)}
      columns={[
        {
          label: text.accounts.address,
          wide: true,
          cell: (account) => (
            <span className="twoline">
              <span className="strong">{addressText(account.address)}</span>
              <span className="faint">{account.name}</span>
            </span>
          ),
        },
        {
          label: text.accounts.state,
          cell: (account) => <State tone={account.enabled ? 'good' : 'idle'}>{account.enabled ? text.accounts.on : text.accounts.off}</State>,
        },
        {
          label: text.accounts.quota,
          end: true,
          cell: (account) => <span className={account.quotaBytes === 0 ? 'faint' : 'num'}>{limitOf(account)}</span>,
        },
      ]}
    />
  );
}

/** How much a mailbox may hold, in words. */
export const limitOf = ({ quotaBytes }: Account): string => (quotaBytes === 0 ? text.accounts.noQuota : size(quotaBytes));

/** What is not understood is said at once: nothing that is no limit may pass for none. */
export function QuotaField({
  value,
  onValue,
  error,
}: {
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly error?: string | undefined;
}): ReactNode {
  return (
    <TextField
      label={text.accounts.quota}
      term="quota"
      hint={text.accounts.quotaHint}
      error={quotaOf(value) === undefined ? text.accounts.quotaWrong : error}
      value={value}
      onValue={onValue}
      autoComplete="off"
      optional
    />
  );
}

interface Made {
  readonly address: string;
  readonly password: string;
}
export function NewAccount(): ReactNode {
  const { api, screen } = useSite();
  const { member } = useVisitor();
  const edit = useEdit();
  const domains = (useList<Domain>(api('domains')).value?.items ?? []).filter((d) => d.aliasOf === null && mayDomain(member, d.name));
  const [local, setLocal] = useState('');
  const [domain, setDomain] = useState('');
  const [name, setName] = useState('');
  const [quota, setQuota] = useState('');
  const [own, setOwn] = useState<'made' | 'given'>('made');
  const [password, setPassword] = useState('');
  const [made, setMade] = useState<Made>();
  const octets = quotaOf(quota);
  const work = useWork(async () => {
    const address = local.includes('@') ? local.trim().toLowerCase() : `${local.trim().toLowerCase()}@${domain || domains[0]?.name}`;
    const secret = own === 'given' ? password : strongPassword();
    const body = { address, name: name.trim(), quotaBytes: octets, enabled: true, password: secret };
    const trouble = await edit({ path: api('accounts'), method: 'POST', body, what: text.accounts.added(address) });
    if (trouble === undefined) setMade({ address, password: secret });
    return trouble;
  });
  if (made !== undefined) return <NewPassword {...made} given={own === 'given'} back={screen('accounts')} />;
  return (
    <Page title={text.accounts.add} back={{ to: screen('accounts'), label: text.nav.site.accounts }} narrow>
      <Form
        work={work}
        verb={text.accounts.addVerb}
        disabled={domains.length === 0 || octets === undefined}
        fields={['name', 'address', 'quotaBytes', ...(own === 'given' ? ['password'] : [])]}
      >
        <TextField
          label={text.accounts.name}
          value={name}
          onValue={setName}
          placeholder="Alice Miller"
          error={wrongAt(work.trouble, 'name')}
          maxLength={100}
          autoComplete="off"
          autoFocus
        />
        <div className="fieldpair">
          <TextField
            label={text.accounts.address}
            value={local}
            onValue={setLocal}
            placeholder="alice"
            error={wrongAt(work.trouble, 'address')}
            spellCheck={false}
            autoComplete="off"
            maxLength={254}
            required
          />
          <ChoiceField
            label={text.accounts.at}
            value={domain || (domains[0]?.name ?? '')}
            onValue={setDomain}
            options={domains.map((d) => ({ value: d.name, label: `@${domainText(d.name)}` }))}
          />
        </div>
        <QuotaField value={quota} onValue={setQuota} error={wrongAt(work.trouble, 'quotaBytes')} />
        <ChoiceField
          label={text.accounts.password}
          value={own}
          onValue={setOwn}
          options={[
            { value: 'made', label: text.accounts.generate },
            { value: 'given', label: text.accounts.give },
          ]}
        />
        {own === 'given' && (
          <NewPasswordField label={text.accounts.newPassword} value={password} onValue={setPassword} error={wrongAt(work.trouble, 'password')} required />
        )}
      </Form>
    </Page>
  );
}

function NewPassword({ address, password, given, back }: Made & { readonly given: boolean; readonly back: string }): ReactNode {
  const { site } = useSite();
  return (
    <Page title={text.accounts.ready(address)} lead={given ? text.accounts.readyGiven : text.accounts.readyMade} narrow>
      {!given && <CopyLine value={password} what={text.accounts.password} />}
      <Notice tone="info" title={text.accounts.howTo}>
        {text.accounts.howToText(site.host)}
      </Notice>
      <div className="actions">
        <LinkButton to={back} look="primary">
          {text.form.done}
        </LinkButton>
      </div>
    </Page>
  );
}
