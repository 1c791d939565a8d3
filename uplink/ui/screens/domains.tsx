// The domains of a site, and adding one: its name, then (screens/domain.tsx) the records to publish.

import { type ReactNode, useState } from 'react';
import { wrongAt } from '../api.ts';
import type { Alias, Domain } from '../contract.ts';
import { addressText, domainText } from '../idn.ts';
import { text } from '../language.ts';
import { LinkButton } from '../parts/button.tsx';
import { TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Await, Empty, Page } from '../parts/page.tsx';
import { Table } from '../parts/table.tsx';
import { useList } from '../resource.ts';
import { go } from '../router.tsx';
import { useEdit, useMay, useSite, useWork } from '../session.ts';

export function Domains(): ReactNode {
  const { api, screen } = useSite();
  const allowed = useMay();
  const domains = useList<Domain>(api('domains'));
  const add = allowed('domains.edit') ? (
    <LinkButton to={screen('domains', 'new')} look="primary" icon="plus">
      {text.domains.add}
    </LinkButton>
  ) : undefined;
  return (
    <Page title={text.nav.site.domains} lead={text.domains.lead} actions={add}>
      <Await of={domains}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty icon="domains" title={text.domains.empty} action={add}>
              {text.domains.emptyText}
            </Empty>
          ) : (
            <Table
              label={text.nav.site.domains}
              rows={items}
              keyOf={(domain) => domain.name}
              to={(domain) => screen('domains', domain.name)}
              columns={[
                { label: text.domains.name, wide: true, cell: (domain) => <span className="strong">{domainText(domain.name)}</span> },
                {
                  label: text.domains.kind,
                  cell: (domain) => (domain.aliasOf === null ? text.domains.own : text.domains.same(domainText(domain.aliasOf))),
                },
                {
                  label: text.domains.catchAll,
                  cell: (domain) => (domain.catchAll === null ? <span className="faint">{text.domains.refused}</span> : addressText(domain.catchAll)),
                },
              ]}
            />
          )
        }
      </Await>
    </Page>
  );
}

export function NewDomain(): ReactNode {
  const { api, screen } = useSite();
  const [name, setName] = useState('');
  const edit = useEdit();
  const work = useWork(async () => {
    const domain = name.trim().toLowerCase();
    const trouble = await edit({ path: api('domains'), method: 'POST', body: { name: domain }, what: text.domains.added(domain) });
    if (trouble === undefined) go(screen('domains', domain));
    return trouble;
  });
  return (
    <Page title={text.domains.add} lead={text.domains.addLead} back={{ to: screen('domains'), label: text.nav.site.domains }} narrow>
      <Form work={work} verb={text.domains.addVerb} fields={['name']}>
        <TextField
          label={text.domains.name}
          hint={text.domains.nameHint}
          value={name}
          onValue={setName}
          placeholder="example.org"
          spellCheck={false}
          autoComplete="off"
          error={wrongAt(work.trouble, 'name')}
          maxLength={253}
          required
          autoFocus
        />
      </Form>
    </Page>
  );
}

/** What of a domain gets mail that is not for an account: shown beside its catch-all. */
export const aliasesOf = (aliases: readonly Alias[], domain: string): number => aliases.filter((alias) => alias.address.endsWith(`@${domain}`)).length;
