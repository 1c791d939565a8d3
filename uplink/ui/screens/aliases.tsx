// Addresses that are no mailbox: they hand mail on, to mailboxes here (aliases) or to addresses elsewhere (forwarding).
// Taking one away loses no mail, so nobody is asked: it can be undone.

import { type ReactNode, useMemo, useState } from 'react';
import { wrongAt } from '../api.ts';
import type { Alias, Domain } from '../contract.ts';
import { useDraft } from '../draft.ts';
import { addressText } from '../idn.ts';
import { text } from '../language.ts';
import { Button, IconButton, LinkButton } from '../parts/button.tsx';
import { AreaField, TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Empty, Loading, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { SearchBox } from '../parts/searchbox.tsx';
import { Badge } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import { useList, useResource } from '../resource.ts';
import { mayDomain } from '../rights.ts';
import { go, useParam } from '../router.tsx';
import { useEdit, useMay, useSite, useVisitor, useWork } from '../session.ts';

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1).toLowerCase();

export function Aliases(): ReactNode {
  const { api, screen } = useSite();
  const { member } = useVisitor();
  const allowed = useMay();
  const [filter, setFilter] = useState('');
  const [large, setLarge] = useState(false); // then the portal looks for what is typed
  const aliases = useList<Alias>(`${api('aliases')}${large && filter.trim() !== '' ? `?q=${encodeURIComponent(filter.trim())}` : ''}`);
  if (!large && aliases.more !== undefined) setLarge(true);
  const add = allowed('aliases.edit') ? (
    <LinkButton to={screen('aliases', 'new')} look="primary" icon="plus">
      {text.aliases.add}
    </LinkButton>
  ) : undefined;
  const rows = useMemo(
    () =>
      (aliases.value?.items ?? []).filter(
        (a) => mayDomain(member, domainOf(a.address)) && `${a.address} ${a.to.join(' ')}`.toLowerCase().includes(filter.toLowerCase()),
      ),
    [aliases.value, filter, member],
  );
  return (
    <Page title={text.nav.site.aliases} lead={text.aliases.lead} actions={add}>
      <Await of={aliases}>
        {({ items }) =>
          items.length === 0 && filter === '' ? (
            <Empty icon="aliases" title={text.aliases.empty} action={add}>
              {text.aliases.emptyText}
            </Empty>
          ) : (
            <>
              <div className="toolbar">
                <SearchBox label={text.aliases.filter} value={filter} onValue={setFilter} />
              </div>
              {rows.length === 0 ? <Empty icon="search" title={text.table.nothing(filter)} /> : <AliasTable rows={rows} />}
            </>
          )
        }
      </Await>
      <CatchAlls />
    </Page>
  );
}

function AliasTable({ rows }: { readonly rows: readonly Alias[] }): ReactNode {
  const { api, screen } = useSite();
  const allowed = useMay()('aliases.edit');
  const edit = useEdit();
  const local = new Set((useList<Domain>(api('domains')).value?.items ?? []).map((d) => d.name));
  const remove = useWork((address: string) => edit({ path: api('aliases', address), method: 'DELETE', what: text.aliases.removed(address) }));
  return (
    <>
      <TroubleNotice trouble={remove.trouble} />
      <Table
        label={text.nav.site.aliases}
        rows={rows}
        keyOf={(alias) => alias.address}
        to={(alias) => screen('aliases', alias.address)}
        columns={[
          { label: text.aliases.address, wide: true, cell: (alias) => <span className="strong">{addressText(alias.address)}</span> },
          {
            label: text.aliases.to,
            wide: true,
            cell: (alias) => (
              <span className="chips">
                {alias.to.slice(0, 4).map((to) => (
                  <span className="target" key={to}>
                    {addressText(to)} {local.size > 0 && !local.has(domainOf(to)) && <Badge tone="info">{text.aliases.elsewhere}</Badge>}
                  </span>
                ))}
                {alias.to.length > 4 && <Badge>{text.aliases.more(alias.to.length - 4)}</Badge>}
              </span>
            ),
          },
        ]}
        tail={
          allowed
            ? (alias) => <IconButton icon="trash" label={text.aliases.removeOne(alias.address)} onPress={() => void remove.start(alias.address)} />
            : undefined
        }
      />
    </>
  );
}

function CatchAlls(): ReactNode {
  const { api, screen } = useSite();
  const allowed = useMay();
  const domains = useList<Domain>(allowed('domains.see') ? api('domains') : null).value?.items ?? [];
  if (domains.length === 0) return null;
  return (
    <Section title={text.aliases.catchAlls} beside={<Help term="catchAll" />} about={text.aliases.catchAllsAbout}>
      <Table
        label={text.aliases.catchAlls}
        rows={domains}
        keyOf={(domain) => domain.name}
        to={(domain) => screen('domains', domain.name)}
        columns={[
          { label: text.domains.name, wide: true, cell: (domain) => `*@${domain.name}` },
          {
            label: text.aliases.to,
            wide: true,
            cell: (domain) =>
              domain.aliasOf !== null ? text.domains.same(domain.aliasOf) : (domain.catchAll ?? <span className="faint">{text.domains.refused}</span>),
          },
        ]}
      />
    </Section>
  );
}

/** A new alias, or one that is there. */
export function AliasScreen(): ReactNode {
  const address = useParam('address');
  const { api, screen } = useSite();
  const alias = useResource<Alias>(address === '' ? null : api('aliases', address));
  return (
    <Page
      title={address === '' ? text.aliases.add : addressText(address)}
      lead={address === '' ? text.aliases.addLead : undefined}
      back={{ to: screen('aliases'), label: text.nav.site.aliases }}
      narrow
    >
      {address === '' ? (
        <AliasForm alias={null} />
      ) : alias.value === undefined ? (
        alias.trouble === undefined ? (
          <Loading />
        ) : (
          <TroubleNotice trouble={alias.trouble} />
        )
      ) : (
        <AliasForm alias={alias.value} etag={alias.etag} />
      )}
    </Page>
  );
}

const targetsOf = (to: string): string[] => to.split(/[\s,;]+/).filter((word) => word !== '');
const nobody: Alias = { address: '', to: [] };

function AliasForm({ alias, etag }: { readonly alias: Alias | null; readonly etag?: string | undefined }): ReactNode {
  const { api, screen } = useSite();
  const { member } = useVisitor();
  const allowed = useMay()('aliases.edit') && (alias === null || mayDomain(member, domainOf(alias.address)));
  const edit = useEdit();
  const [address, setAddress] = useState(alias?.address ?? '');
  const there = { path: api('aliases', alias?.address ?? ''), about: `aliases/${alias?.address ?? ''}`, read: (row: Alias) => ({ to: row.to.join('\n') }) };
  const draft = useDraft(there, { value: alias ?? nobody, etag });
  const { to } = draft.value;
  const targets = targetsOf(to);
  const work = useWork(async () => {
    const named = address.trim().toLowerCase();
    const trouble =
      alias === null
        ? await edit({ path: api('aliases'), method: 'POST', body: { address: named, to: targets }, what: text.aliases.added(named) })
        : await draft.save(({ etag }) => edit({ path: there.path, method: 'PUT', body: { to: targets }, what: text.aliases.changed(named), ifMatch: etag }));
    if (trouble === undefined) go(screen('aliases'));
    return trouble;
  });
  const remove = useWork(async () => {
    const trouble = await edit({ path: api('aliases', address), method: 'DELETE', what: text.aliases.removed(address) });
    if (trouble === undefined) go(screen('aliases'));
    return trouble;
  });
  return (
    <Form
      work={work}
      trouble={remove.trouble}
      verb={allowed ? (alias === null ? text.aliases.addVerb : text.form.save) : undefined}
      disabled={targets.length === 0 || (alias !== null && targets.join('\n') === alias.to.join('\n') && draft.conflict === null)}
      fields={alias === null ? ['address', 'to'] : ['to']}
      conflict={draft.conflict}
      names={{ to: text.aliases.to }}
      beside={
        allowed && alias !== null ? (
          <Button busy={remove.busy} icon="trash" onPress={() => void remove.start()}>
            {text.aliases.remove}
          </Button>
        ) : undefined
      }
    >
      {alias === null && (
        <TextField
          label={text.aliases.address}
          type="email"
          value={address}
          onValue={setAddress}
          placeholder="info@example.org"
          error={wrongAt(work.trouble, 'address')}
          autoComplete="off"
          required
          autoFocus
        />
      )}
      <AreaField
        label={text.aliases.to}
        term="forwarding"
        hint={text.aliases.toHint}
        value={to}
        onValue={(value) => draft.type({ to: value })}
        error={wrongAt(work.trouble, 'to')}
        placeholder={'alice@example.org\nbob@elsewhere.example'}
      />
    </Form>
  );
}
