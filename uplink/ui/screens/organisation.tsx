// What is of the organisation: who belongs to it and may do what, which programs hold a token, who did what, and its name.

import { type ReactNode, useState } from 'react';
import { ask, wrongAt } from '../api.ts';
import { moment } from '../clock.ts';
import type { AuditRow } from '../contract.ts';
import { text } from '../language.ts';
import { TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Empty, Page, Section } from '../parts/page.tsx';
import { SearchBox } from '../parts/searchbox.tsx';
import { Table } from '../parts/table.tsx';
import { useList } from '../resource.ts';
import type { Right } from '../rights.ts';
import { type Route, Routes } from '../router.tsx';
import { orgPath, useMay, useVisitor, useWork } from '../session.ts';
import { Members } from './members.tsx';
import { Tokens } from './tokens.tsx';

const screens: readonly (Route & { readonly right: Right })[] = [
  { pattern: '/o/:org/members', right: 'members.see', screen: () => <Members /> },
  { pattern: '/o/:org/tokens', right: 'tokens.edit', screen: () => <Tokens /> },
  { pattern: '/o/:org/audit', right: 'audit.see', screen: () => <Audit /> },
  { pattern: '/o/:org/organisation', right: 'organisation.edit', screen: () => <Own /> },
];

export function Organisation(): ReactNode {
  const allowed = useMay();
  return (
    <Routes
      routes={screens.filter(({ right }) => allowed(right))}
      otherwise={
        <Page title={text.missing.page} lead={text.missing.pageNext} narrow>
          {null}
        </Page>
      }
    />
  );
}

function Audit(): ReactNode {
  const { member } = useVisitor();
  const [filter, setFilter] = useState('');
  const audit = useList<AuditRow>(orgPath(member.id, 'audit'));
  return (
    <Page title={text.nav.org.audit} beside={<Help term="audit" />} lead={text.audit.lead}>
      <Await of={audit} rows={8}>
        {({ items }) => {
          const rows = [...items]
            .sort((a, b) => b.n - a.n)
            .filter((row) => `${row.actor} ${row.action} ${actionOf(row)} ${row.target} ${row.detail}`.toLowerCase().includes(filter.toLowerCase()));
          return (
            <>
              <div className="toolbar">
                <SearchBox label={text.audit.filter} value={filter} onValue={setFilter} />
              </div>
              {rows.length === 0 ? <Empty icon="search" title={text.table.nothing(filter)} /> : <AuditTable rows={rows} />}
            </>
          );
        }}
      </Await>
    </Page>
  );
}
/** In words where there are some for it. */
function actionOf({ action }: AuditRow): string {
  const [name = ''] = action.split('.unchanged');
  const known = (text.audit.actions as Readonly<Record<string, string | undefined>>)[name] ?? name;
  return name === action ? known : text.audit.unchanged(known);
}
function AuditTable({ rows }: { readonly rows: readonly AuditRow[] }): ReactNode {
  return (
    <Table
      label={text.nav.org.audit}
      rows={rows}
      keyOf={(row) => String(row.n)}
      columns={[
        {
          label: text.audit.what,
          wide: true,
          cell: (row) => (
            <span className="twoline">
              <span>
                {actionOf(row)} <span className="strong">{row.target}</span>
              </span>
              {row.detail !== '' && <span className="faint clip">{row.detail}</span>}
            </span>
          ),
        },
        { label: text.audit.who, cell: (row) => row.actor },
        { label: text.audit.from, spare: true, cell: (row) => <span className="faint">{[row.auth, row.address].filter(Boolean).join(' · ')}</span> },
        { label: text.audit.when, end: true, cell: (row) => moment(row.at) },
      ]}
    />
  );
}

function Own(): ReactNode {
  const { member } = useVisitor();
  const [name, setName] = useState(member.name);
  const work = useWork(async () => {
    const { trouble } = await ask(orgPath(member.id), { method: 'PATCH', body: { name: name.trim() } });
    if (trouble === undefined) location.reload(); // its name stands everywhere
    return trouble;
  });
  return (
    <Page title={text.nav.org.organisation} narrow>
      <Section title={text.organisation.name}>
        <Form work={work} verb={text.form.save} fields={['name']} disabled={name.trim() === member.name}>
          <TextField label={text.organisation.label} value={name} onValue={setName} error={wrongAt(work.trouble, 'name')} maxLength={100} required />
        </Form>
      </Section>
    </Page>
  );
}
