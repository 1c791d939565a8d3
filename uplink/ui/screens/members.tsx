// Who belongs to the organisation and may do what; and inviting another, by a link that is good once.

import { type ReactNode, useState } from 'react';
import { ask, wrongAt } from '../api.ts';
import { dayOf } from '../clock.ts';
import type { AnswerOf, Member, Role } from '../contract.ts';
import { text } from '../language.ts';
import { IconButton } from '../parts/button.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { Choice, RoleField, TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Card, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { Badge } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import { refresh, useList } from '../resource.ts';
import { orgPath, useMay, useVisitor, useWork } from '../session.ts';

const roles: readonly Role[] = ['owner', 'admin', 'domain admin', 'helpdesk', 'read-only'];
/** Nobody gives more than they have. */
const givable = (own: Role): readonly Role[] => (own === 'owner' ? roles : roles.slice(1));

export function Members(): ReactNode {
  const { member } = useVisitor();
  const allowed = useMay()('members.edit');
  const members = useList<Member>(orgPath(member.id, 'members'));
  return (
    <Page title={text.nav.org.members} beside={<Help term="role" />} lead={text.members.lead}>
      <Await of={members}>{({ items }) => <MemberTable items={items} />}</Await>
      {allowed && <Invite />}
    </Page>
  );
}

function MemberTable({ items }: { readonly items: readonly Member[] }): ReactNode {
  const { member, session } = useVisitor();
  const allowed = useMay()('members.edit');
  const [leaving, setLeaving] = useState<Member>();
  const path = orgPath(member.id, 'members');
  const change = useWork(async (row: Member, role: Role) => {
    const { trouble } = await ask(orgPath(member.id, 'members', row.person), {
      method: 'PATCH',
      body: { role, domains: role === 'domain admin' ? row.domains : [] },
    });
    refresh(path);
    return trouble;
  });
  const editable = (row: Member): boolean => allowed && row.person !== session.person.id && (row.role !== 'owner' || member.role === 'owner');
  return (
    <>
      <TroubleNotice trouble={change.trouble} />
      <Table
        label={text.nav.org.members}
        rows={items}
        keyOf={(row) => row.person}
        columns={[
          {
            label: text.members.person,
            wide: true,
            cell: (row) => (
              <span className="twoline">
                <span className="strong">
                  {row.name || row.email} {row.person === session.person.id && <Badge>{text.members.you}</Badge>}
                </span>
                <span className="faint">{row.email}</span>
              </span>
            ),
          },
          {
            label: text.members.role,
            cell: (row) =>
              editable(row) ? (
                <Choice<Role>
                  aria-label={text.members.roleOf(row.name || row.email)}
                  value={row.role}
                  onValue={(role) => void change.start(row, role)}
                  options={givable(member.role).map((role) => ({ value: role, label: text.roles[role].name }))}
                />
              ) : (
                text.roles[row.role].name
              ),
          },
          {
            label: text.members.domains,
            spare: true,
            cell: (row) => (row.domains.length === 0 ? <span className="faint">{text.members.all}</span> : row.domains.join(', ')),
          },
          { label: text.members.since, end: true, spare: true, cell: (row) => dayOf(row.since) },
        ]}
        tail={
          allowed
            ? (row) =>
                editable(row) ? <IconButton icon="trash" label={text.members.removeOne(row.name || row.email)} onPress={() => setLeaving(row)} /> : null
            : undefined
        }
      />
      <Confirm
        open={leaving !== undefined}
        onClose={() => setLeaving(undefined)}
        title={text.members.removeTitle(leaving?.name ?? '')}
        word={leaving?.email ?? ''}
        verb={text.members.remove}
        onConfirm={async () => {
          const { trouble } = await ask(orgPath(member.id, 'members', leaving?.person ?? ''), { method: 'DELETE' });
          refresh(path);
          return trouble;
        }}
      >
        {text.members.removeText}
      </Confirm>
    </>
  );
}

function Invite(): ReactNode {
  const { member } = useVisitor();
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('read-only');
  const [domains, setDomains] = useState('');
  const [link, setLink] = useState<string>();
  const work = useWork(async () => {
    const names = role === 'domain admin' ? domains.split(/[\s,]+/).filter((word) => word !== '') : [];
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/invitations'>>(orgPath(member.id, 'invitations'), {
      method: 'POST',
      body: { email: email.trim(), role, domains: names },
    });
    setLink(value?.link);
    return trouble;
  });
  return (
    <Section title={text.members.invite} about={text.members.inviteAbout}>
      <Card>
        <Form
          work={work}
          verb={text.members.inviteVerb}
          fields={['email', ...(role === 'domain admin' ? ['domains'] : [])]}
          wide
          after={
            link !== undefined && (
              <div>
                <CopyLine value={link} what={text.members.link} />
                <p className="field-hint">{text.members.linkAbout(email)}</p>
              </div>
            )
          }
        >
          <div className="fieldgrid">
            <TextField
              label={text.members.email}
              type="email"
              value={email}
              onValue={setEmail}
              error={wrongAt(work.trouble, 'email')}
              autoComplete="off"
              required
            />
            <RoleField roles={givable(member.role)} value={role} onValue={setRole} />
            {role === 'domain admin' && (
              <TextField
                label={text.members.domains}
                hint={text.members.domainsHint}
                value={domains}
                onValue={setDomains}
                error={wrongAt(work.trouble, 'domains')}
                placeholder="example.org"
                spellCheck={false}
                required
              />
            )}
          </div>
        </Form>
      </Card>
    </Section>
  );
}
