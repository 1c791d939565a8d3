// Tokens for programs: each has a role, and an end. The secret is shown once.

import { type ReactNode, useState } from 'react';
import { ask, wrongAt } from '../api.ts';
import { ago, dayOf, now } from '../clock.ts';
import type { AnswerOf, List, Role, Token } from '../contract.ts';
import { text } from '../language.ts';
import { IconButton } from '../parts/button.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { ChoiceField, RoleField, TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Card, Empty, Notice, Page, Section } from '../parts/page.tsx';
import { Table } from '../parts/table.tsx';
import { refresh, useResource } from '../resource.ts';
import { orgPath, useVisitor, useWork } from '../session.ts';

const day = 86_400_000;
/** Days. */
const lives = { '30': 30, '90': 90, '365': 365, none: null } as const;
type Life = keyof typeof lives;
const roles: readonly Role[] = ['read-only', 'helpdesk', 'admin'];

export function Tokens(): ReactNode {
  const { member } = useVisitor();
  const path = orgPath(member.id, 'tokens');
  const tokens = useResource<List<Token>>(path);
  const [ending, setEnding] = useState<Token>();
  return (
    <Page title={text.nav.org.tokens} beside={<Help term="token" />} lead={text.tokens.lead}>
      <Await of={tokens}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty icon="token" title={text.tokens.empty}>
              {text.tokens.emptyText}
            </Empty>
          ) : (
            <TokenTable items={items} onEnd={setEnding} />
          )
        }
      </Await>
      <NewToken />
      <Confirm
        open={ending !== undefined}
        onClose={() => setEnding(undefined)}
        title={text.tokens.endTitle(ending?.name ?? '')}
        word={ending?.name ?? ''}
        verb={text.tokens.end}
        onConfirm={async () => {
          const { trouble } = await ask(orgPath(member.id, 'tokens', ending?.id ?? ''), { method: 'DELETE' });
          refresh(path);
          return trouble;
        }}
      >
        {text.tokens.endText}
      </Confirm>
    </Page>
  );
}

function TokenTable({ items, onEnd }: { readonly items: readonly Token[]; readonly onEnd: (token: Token) => void }): ReactNode {
  return (
    <Table
      label={text.nav.org.tokens}
      rows={items}
      keyOf={(token) => token.id}
      columns={[
        { label: text.tokens.name, wide: true, cell: (token) => <span className="strong">{token.name}</span> },
        { label: text.members.role, cell: (token) => text.roles[token.role].name },
        {
          label: text.tokens.until,
          cell: (token) =>
            token.expiresAt === null ? (
              text.tokens.never
            ) : (
              <span className={token.expiresAt < now() + 7 * day ? 'warn' : undefined}>
                {token.expiresAt < now() ? text.tokens.over : dayOf(token.expiresAt)}
              </span>
            ),
        },
        {
          label: text.tokens.used,
          end: true,
          cell: (token) => (token.seenAt === null ? <span className="faint">{text.tokens.unused}</span> : ago(token.seenAt)),
        },
      ]}
      tail={(token) => <IconButton icon="trash" label={text.tokens.endOne(token.name)} onPress={() => onEnd(token)} />}
    />
  );
}

function NewToken(): ReactNode {
  const { member } = useVisitor();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('read-only');
  const [life, setLife] = useState<Life>('90');
  const [secret, setSecret] = useState<string>();
  const work = useWork(async () => {
    const body = { name: name.trim(), role, days: lives[life] };
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/tokens'>>(orgPath(member.id, 'tokens'), { method: 'POST', body });
    setSecret(value?.token);
    if (value !== undefined) setName('');
    refresh(orgPath(member.id, 'tokens'));
    return trouble;
  });
  return (
    <Section title={text.tokens.make}>
      <Card>
        <Form
          work={work}
          verb={text.tokens.makeVerb}
          fields={['name']}
          wide
          after={
            secret !== undefined && (
              <>
                <CopyLine value={secret} what={text.tokens.secret} />
                <Notice tone="warn" title={text.tokens.once}>
                  {text.tokens.onceNext}
                </Notice>
              </>
            )
          }
        >
          <div className="fieldgrid">
            <TextField
              label={text.tokens.name}
              hint={text.tokens.nameHint}
              value={name}
              onValue={setName}
              error={wrongAt(work.trouble, 'name')}
              maxLength={100}
              required
            />
            <RoleField roles={roles} value={role} onValue={setRole} />
            <ChoiceField<Life>
              label={text.tokens.life}
              value={life}
              onValue={setLife}
              options={(['30', '90', '365', 'none'] as const).map((value) => ({ value, label: text.tokens.lives[value] }))}
            />
          </div>
        </Form>
      </Card>
    </Section>
  );
}
