// A machine shows a code and asks to be taken in: is it one's own, for whom, and as which site. Guarantees: nothing is taken in
// before one has seen what tells it from a stranger's machine; a code from a link is a code that anybody may have sent.

import { type ReactNode, useState } from 'react';
import { ask } from '../api.ts';
import { ago, ahead } from '../clock.ts';
import type { AnswerOf, Device as Machine, List, Membership, Session, Site } from '../contract.ts';
import { text } from '../language.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { Entry, EntryBox } from '../parts/entry.tsx';
import { ChoiceField, TextField } from '../parts/field.tsx';
import { Facts, Loading, Notice, TroubleNotice } from '../parts/page.tsx';
import { refresh, useResource } from '../resource.ts';
import { may } from '../rights.ts';
import { go, useWhere } from '../router.tsx';
import { devicePath, joinCommand, orgPath, screenOf, useWork } from '../session.ts';
import { expectMachine } from './claim.tsx';

export function Device({ session }: { readonly session: Session }): ReactNode {
  const { search } = useWhere();
  const homes = session.organisations.filter((member) => may(member, 'site.add'));
  const [home, setHome] = useState(search.get('organisation') ?? '');
  const [first] = homes;
  const member = homes.find((one) => one.id === home) ?? first;
  const code = formed(search.get('code') ?? '');
  if (member === undefined)
    return (
      <EntryBox title={text.device.notAllowed} lead={text.device.notAllowedNext}>
        <Away />
      </EntryBox>
    );
  if (code === '') return <Ask code="" />;
  return <Look key={code} code={code} homes={homes} member={member} onHome={setHome} />;
}

/** `bcdfghjk` → `BCDF-GHJK`. */
const formed = (typed: string): string =>
  typed
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .replace(/^(.{4})(?=.)/, '$1-');

function Ask({ code }: { readonly code: string }): ReactNode {
  const { search } = useWhere();
  const [typed, setTyped] = useState(code);
  const work = useWork(async () => {
    const among = { organisation: search.get('organisation') ?? undefined, site: search.get('site') ?? undefined };
    go(devicePath({ code: formed(typed), ...among }), true);
    return undefined;
  });
  return (
    <Entry
      title={text.device.title}
      lead={code === '' ? text.device.lead : undefined}
      work={work}
      verb={text.device.look}
      disabled={formed(typed) === '' || formed(typed) === code}
      after={
        <div className="device-how">
          <p className="field-hint">{text.device.how}</p>
          <CopyLine value={joinCommand()} what={text.waiting.command} prompt="#" />
        </div>
      }
    >
      {code !== '' && (
        <Notice tone="warn" title={text.device.missing(code)}>
          {text.device.missingNext}
        </Notice>
      )}
      <TextField
        label={text.device.code}
        value={typed}
        onValue={setTyped}
        placeholder="BCDF-GHJK"
        autoComplete="off"
        spellCheck={false}
        maxLength={20}
        mono
        required
        autoFocus
      />
    </Entry>
  );
}

interface LookProps {
  readonly code: string;
  readonly homes: readonly Membership[];
  readonly member: Membership;
  readonly onHome: (id: string) => void;
}
function Look({ code, member, ...rest }: LookProps): ReactNode {
  const path = orgPath(member.id, 'devices', code);
  const machine = useResource<Machine>(path);
  const sites = useResource<List<Site>>(`${orgPath(member.id, 'sites')}?limit=200`);
  const [isAway, setAway] = useState(false);
  if (isAway)
    return (
      <EntryBox title={text.device.turned} lead={text.device.turnedNext}>
        <Away />
      </EntryBox>
    );
  if (machine.trouble?.status === 404) return <Ask code={code} />;
  const trouble = machine.trouble ?? sites.trouble;
  if (machine.value === undefined || sites.value === undefined)
    return (
      <EntryBox title={text.device.title}>
        {trouble === undefined ? <Loading rows={3} /> : <TroubleNotice trouble={trouble} onRetry={machine.reload} />}
      </EntryBox>
    );
  const waiting = sites.value.items.filter((site) => site.state === 'waiting');
  return <Review key={member.id} {...rest} member={member} machine={machine.value} waiting={waiting} onGone={machine.reload} onAway={() => setAway(true)} />;
}

interface ReviewProps extends Omit<LookProps, 'code'> {
  readonly machine: Machine;
  readonly waiting: readonly Site[];
  /** The code is nobody's any more. */
  readonly onGone: () => void;
  readonly onAway: () => void;
}
const fresh = '';
function Review({ machine, homes, member, waiting, onHome, onGone, onAway }: ReviewProps): ReactNode {
  const { search } = useWhere();
  const [site, setSite] = useState(() => waiting.find(({ id }) => id === search.get('site'))?.id ?? fresh);
  const [name, setName] = useState('');
  const take = useWork(async () => {
    const as = site === fresh ? { name: name.trim() } : { site };
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/devices'>>(orgPath(member.id, 'devices'), {
      method: 'POST',
      body: { code: machine.code, ...as },
    });
    if (trouble?.errors.some(({ path }) => path === 'code')) onGone();
    if (value === undefined) return trouble;
    expectMachine(value.site.id, 'code');
    refresh(orgPath(member.id, 'sites'));
    go(screenOf(member.id, 'sites', value.site.id), true);
    return undefined;
  });
  const refuse = useWork(async () => {
    const { trouble } = await ask(orgPath(member.id, 'devices', machine.code), { method: 'DELETE' });
    if (trouble === undefined || trouble.status === 404) onAway();
    return trouble;
  });
  return (
    <Entry
      title={text.device.yours}
      lead={text.device.yoursLead}
      work={take}
      trouble={refuse.trouble}
      verb={text.device.take}
      beside={
        <Button busy={refuse.busy} onPress={() => void refuse.start()}>
          {text.device.notMine}
        </Button>
      }
    >
      <Shown machine={machine} />
      <Notice tone="warn" title={text.device.beware}>
        {text.device.bewareNext}
      </Notice>
      {homes.length > 1 && (
        <ChoiceField label={text.nav.organisation} value={member.id} onValue={onHome} options={homes.map((o) => ({ value: o.id, label: o.name }))} />
      )}
      {waiting.length > 0 && (
        <ChoiceField
          label={text.device.as}
          value={site}
          onValue={setSite}
          options={[{ value: fresh, label: text.device.newSite }, ...waiting.map((one) => ({ value: one.id, label: one.name }))]}
        />
      )}
      {site === fresh && (
        <TextField
          label={text.device.name}
          hint={text.newSite.nameHint}
          value={name}
          onValue={setName}
          placeholder={text.newSite.example}
          maxLength={60}
          required
        />
      )}
    </Entry>
  );
}

/** What must be the same on the machine, and what is known of it. */
function Shown({ machine }: { readonly machine: Machine }): ReactNode {
  const { code, words, host, version, address, askedAt, expiresAt } = machine;
  return (
    <div className="device">
      <div className="device-same">
        <p className="field-hint">{text.device.same}</p>
        <p className="device-code">{code}</p>
        <p className="device-words">{words.join(' ')}</p>
      </div>
      <Facts
        rows={[
          [text.device.host, host === '' ? '–' : <code key="host">{host}</code>],
          [text.overview.program, version === '' ? '–' : text.fields.version(version)],
          [text.device.address, <code key="address">{address}</code>],
          [text.device.asked, ago(askedAt)],
          [text.device.until, ahead(expiresAt)],
        ]}
      />
    </div>
  );
}

function Away(): ReactNode {
  return (
    <div className="actions">
      <LinkButton to="/">{text.missing.sites}</LinkButton>
    </div>
  );
}
