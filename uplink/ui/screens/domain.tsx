// One domain: the records to publish with a live check of each, what is done with mail for nobody, and its end.

import { type ReactNode, useEffect, useState } from 'react';
import { sentence, wrongAt } from '../api.ts';
import { every } from '../clock.ts';
import type { Account, Alias, DnsRow, Domain, List } from '../contract.ts';
import { useDraft } from '../draft.ts';
import { domainText } from '../idn.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { CopyValue } from '../parts/copy.tsx';
import { ChoiceField, TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Icon } from '../parts/icon.tsx';
import { Await, Facts, Loading, Notice, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { Badge, State } from '../parts/state.tsx';
import { useList, useResource } from '../resource.ts';
import { go, useParam } from '../router.tsx';
import { useEdit, useMay, useSite, useWork } from '../session.ts';
import { aliasesOf } from './domains.tsx';

const CHECK_MS = 20_000;

export function DomainScreen(): ReactNode {
  const name = useParam('domain');
  const { site, api, screen } = useSite();
  const allowed = useMay();
  const domain = useResource<Domain>(api('domains', name));
  return (
    <Page title={domainText(domain.value?.name ?? name)} back={{ to: screen('domains'), label: text.nav.site.domains }}>
      <Await of={domain}>
        {(found) => (
          <>
            {site.state === 'online' ? (
              <Records domain={name} />
            ) : (
              <Notice tone="idle" title={text.dns.offline}>
                {text.dns.offlineNext}
              </Notice>
            )}
            {allowed('domains.edit') ? <Rules domain={found} etag={domain.etag} /> : <RulesShown domain={found} />}
            {allowed('domains.edit') && <Removal domain={found} />}
          </>
        )}
      </Await>
    </Page>
  );
}

const order = ['required', 'recommended', 'conditional', 'optional'] as const;

function Records({ domain }: { readonly domain: string }): ReactNode {
  const { api } = useSite();
  const wanted = useResource<List<DnsRow>>(api('domains', domain, 'dns')); // is there at once: to ask the world takes a while
  const judged = useResource<List<DnsRow>>(`${api('domains', domain, 'dns')}?check=1`);
  const items = (judged.value ?? wanted.value)?.items ?? [];
  const unfinished = (judged.value?.items ?? []).some((row) => row.state !== 'right' && row.state !== 'unneeded');
  // nobody answers: it is said once
  const silent = judged.value !== undefined && items.every((row) => row.state === 'unknown') ? items[0] : undefined;
  const { reload } = judged;
  useEffect(() => (unfinished ? every(CHECK_MS, () => document.visibilityState === 'visible' && reload()) : undefined), [unfinished, reload]);
  return (
    <Section
      title={text.dns.title}
      beside={<Help term="dns" />}
      about={text.dns.about}
      actions={
        <Button icon="retry" onPress={reload}>
          {text.dns.again}
        </Button>
      }
    >
      {items.length === 0 && judged.trouble === undefined && <Loading rows={6} />}
      <TroubleNotice trouble={judged.trouble} onRetry={reload} />
      {items.length > 0 && judged.trouble === undefined && (
        <div className="dns-verdict" role="status">
          {judged.value === undefined ? <State tone="idle">{text.dns.asking}</State> : <Verdict items={items} />}
          {unfinished && <span className="faint">{text.dns.watching}</span>}
        </div>
      )}
      {silent !== undefined && (
        <Notice tone="warn" title={text.dns.silent}>
          {sentence(silent.reason)} {sentence(silent.fix)}
        </Notice>
      )}
      {order.map((level) => {
        const rows = items.filter((row) => row.level === level);
        return rows.length === 0 ? null : (
          <div className="dns-level" key={level}>
            <h3>{text.dns.levels[level]}</h3>
            <ul className="dns">
              {rows.map((row) => (
                <RecordRow key={row.type + row.name + row.values.join()} row={row} said={silent !== undefined} />
              ))}
            </ul>
          </div>
        );
      })}
    </Section>
  );
}

/** What is not known is neither there nor missing. */
function Verdict({ items }: { readonly items: readonly DnsRow[] }): ReactNode {
  const needed = items.filter((row) => row.level === 'required');
  const open = needed.filter((row) => row.state === 'missing' || row.state === 'wrong').length;
  const unknown = needed.filter((row) => row.state === 'unknown').length;
  if (open > 0) return <State tone="warn">{text.dns.open(open)}</State>;
  return unknown > 0 ? <State tone="idle">{text.dns.unknown(unknown)}</State> : <State tone="good">{text.dns.ready}</State>;
}

const looks = {
  right: { icon: 'check', tone: 'good' },
  missing: { icon: 'missing', tone: 'warn' },
  wrong: { icon: 'wrong', tone: 'bad' },
  unneeded: { icon: 'check', tone: 'idle' },
  unknown: { icon: 'missing', tone: 'idle' },
} as const;

/** `said`: why it is so is said above all of them. */
function RecordRow({ row, said }: { readonly row: DnsRow; readonly said: boolean }): ReactNode {
  const { icon, tone } = looks[row.state];
  return (
    <li className={`dns-row dns-${tone}`}>
      <span className="dns-state">
        <Icon name={icon} />
        <span>{text.dns.states[row.state]}</span>
      </span>
      <div className="dns-record">
        <div className="dns-name">
          <Badge>{row.type}</Badge>
          <CopyValue value={row.name} what={text.dns.nameOf(row.type)} />
        </div>
        {row.values.map((value) => (
          <div className="dns-value" key={value}>
            <CopyValue value={value} what={text.dns.valueOf(row.type)} />
          </div>
        ))}
        {row.state === 'wrong' && row.found.length > 0 && (
          <p className="dns-found">
            {text.dns.found} <code>{row.found.join(' · ')}</code>
          </p>
        )}
        {!said && (row.reason !== '' || row.fix !== '') && (
          <p className="dns-why">
            {sentence(row.reason)} {row.fix !== '' && <strong>{sentence(row.fix)}</strong>}
          </p>
        )}
      </div>
    </li>
  );
}

type Mode = 'own' | 'alias';
interface Ruled {
  readonly mode: Mode;
  readonly aliasOf: string;
  readonly catchAll: string;
  readonly subaddress: string;
}
const rulesOf = ({ aliasOf, catchAll, subaddress }: Domain): Ruled => ({
  mode: aliasOf === null ? 'own' : 'alias',
  aliasOf: aliasOf ?? '',
  catchAll: catchAll ?? '',
  subaddress,
});
const ruleNames = { mode: text.domains.kind, aliasOf: text.domains.of, catchAll: text.domains.catchAll, subaddress: text.domains.subaddress };

function Rules({ domain, etag }: { readonly domain: Domain; readonly etag: string | undefined }): ReactNode {
  const { api } = useSite();
  const edit = useEdit();
  const domains = useList<Domain>(api('domains')).value?.items ?? [];
  const accounts = useList<Account>(api('accounts')).value?.items ?? [];
  const others = domains.filter((d) => d.name !== domain.name && d.aliasOf === null);
  const path = api('domains', domain.name);
  const draft = useDraft({ path, about: `domains/${domain.name}`, read: rulesOf }, { value: domain, etag });
  const { mode, aliasOf, catchAll, subaddress } = draft.value;
  const next = { aliasOf: mode === 'alias' ? aliasOf || (others[0]?.name ?? null) : null, catchAll: catchAll.trim() || null, subaddress };
  const same = next.aliasOf === domain.aliasOf && next.catchAll === domain.catchAll && next.subaddress === domain.subaddress;
  const work = useWork(() => {
    const { typed } = draft; // what was not touched is not sent: it stays
    const body = {
      ...((typed.mode !== undefined || typed.aliasOf !== undefined) && { aliasOf: next.aliasOf }),
      ...(typed.catchAll !== undefined && { catchAll: next.catchAll }),
      ...(typed.subaddress !== undefined && { subaddress }),
    };
    return draft.save(({ etag }) => edit({ path, method: 'PUT', body, what: text.domains.changed(domain.name), ifMatch: etag }));
  });
  return (
    <Section title={text.domains.rules}>
      <Form
        work={work}
        verb={text.form.save}
        disabled={same && draft.conflict === null}
        conflict={draft.conflict}
        names={ruleNames}
        fields={mode === 'own' ? ['catchAll'] : []}
        wide
      >
        {(others.length > 0 || mode === 'alias') && (
          <ChoiceField<Mode>
            label={text.domains.kind}
            term="aliasDomain"
            value={mode}
            onValue={(value) => draft.type({ mode: value })}
            options={[
              { value: 'own', label: text.domains.own },
              { value: 'alias', label: text.domains.aliasMode },
            ]}
          />
        )}
        {mode === 'alias' ? (
          <ChoiceField
            label={text.domains.of}
            value={aliasOf}
            onValue={(value) => draft.type({ aliasOf: value })}
            options={others.map((d) => ({ value: d.name, label: domainText(d.name) }))}
          />
        ) : (
          <>
            <TextField
              label={text.domains.catchAll}
              term="catchAll"
              hint={text.domains.catchAllHint}
              value={catchAll}
              onValue={(value) => draft.type({ catchAll: value })}
              placeholder={text.domains.refused}
              type="email"
              error={wrongAt(work.trouble, 'catchAll')}
              list="catch-all-accounts"
              optional
            />
            <datalist id="catch-all-accounts">
              {accounts.map((account) => (
                <option key={account.address} value={account.address} />
              ))}
            </datalist>
            <ChoiceField
              label={text.domains.subaddress}
              term="subaddress"
              value={subaddress}
              onValue={(value) => draft.type({ subaddress: value })}
              options={[
                { value: '+', label: text.domains.plus },
                { value: '-', label: text.domains.minus },
                { value: '', label: text.domains.noSub },
              ]}
            />
          </>
        )}
      </Form>
    </Section>
  );
}
function RulesShown({ domain }: { readonly domain: Domain }): ReactNode {
  return (
    <Section title={text.domains.rules}>
      <Facts
        rows={[
          [text.domains.kind, domain.aliasOf === null ? text.domains.own : text.domains.same(domainText(domain.aliasOf))],
          [text.domains.catchAll, domain.catchAll ?? text.domains.refused],
          [text.domains.subaddress, domain.subaddress === '' ? text.domains.noSub : <code key="sub">{domain.subaddress}</code>],
        ]}
      />
    </Section>
  );
}

function Removal({ domain }: { readonly domain: Domain }): ReactNode {
  const { api, screen } = useSite();
  const edit = useEdit();
  const [asking, setAsking] = useState(false);
  const accounts = useList<Account>(api('accounts')).value?.items ?? [];
  const aliases = useList<Alias>(api('aliases')).value?.items ?? [];
  const here = accounts.filter((account) => account.address.endsWith(`@${domain.name}`)).length;
  return (
    <Section title={text.domains.removal} about={text.domains.removalAbout(here, aliasesOf(aliases, domain.name))}>
      <Button look="danger" onPress={() => setAsking(true)}>
        {text.domains.remove}
      </Button>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={text.domains.removeTitle(domain.name)}
        word={domain.name}
        verb={text.domains.remove}
        onConfirm={async () => {
          const trouble = await edit({ path: api('domains', domain.name), method: 'DELETE', what: text.domains.removed(domain.name) });
          if (trouble === undefined) go(screen('domains'));
          return trouble;
        }}
      >
        {text.domains.removeText(here, aliasesOf(aliases, domain.name))}
      </Confirm>
    </Section>
  );
}
