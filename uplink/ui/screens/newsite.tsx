// A new site: a name, one command to paste on the machine, and then watching it appear.

import { type ReactNode, useEffect, useState } from 'react';
import { ask, wrongAt } from '../api.ts';
import { after } from '../clock.ts';
import type { AnswerOf } from '../contract.ts';
import { text } from '../language.ts';
import { LinkButton } from '../parts/button.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Notice, Page, Section } from '../parts/page.tsx';
import { refresh } from '../resource.ts';
import { go } from '../router.tsx';
import { devicePath, joinCommand, orgPath, screenOf, useMay, useSite, useVisitor, useWork } from '../session.ts';
import { ClaimCommand, expectedOf, expectMachine, Watching } from './claim.tsx';

export function NewSite(): ReactNode {
  const { member } = useVisitor();
  const [name, setName] = useState('');
  const work = useWork(async () => {
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/sites'>>(orgPath(member.id, 'sites'), {
      method: 'POST',
      body: { name: name.trim() },
    });
    if (value === undefined) return trouble;
    expectMachine(value.site.id, value.claim);
    refresh(orgPath(member.id, 'sites'));
    go(screenOf(member.id, 'sites', value.site.id));
    return undefined;
  });
  return (
    <Page title={text.newSite.title} lead={text.newSite.lead} back={{ to: screenOf(member.id), label: text.nav.sites }} narrow>
      <Form work={work} verb={text.newSite.verb} fields={['name']}>
        <TextField
          label={text.newSite.name}
          hint={text.newSite.nameHint}
          error={wrongAt(work.trouble, 'name')}
          value={name}
          onValue={setName}
          placeholder={text.newSite.example}
          maxLength={60}
          required
          autoFocus
        />
      </Form>
      <ByCode of={{ organisation: member.id }} />
    </Page>
  );
}

/** The other way round: the machine begins. */
function ByCode({ of }: { readonly of: Parameters<typeof devicePath>[0] }): ReactNode {
  return (
    <Section title={text.waiting.byCode} about={text.waiting.byCodeText}>
      <CopyLine value={joinCommand()} what={text.waiting.command} prompt="#" />
      <div className="actions">
        <LinkButton to={devicePath(of)}>{text.waiting.typeCode}</LinkButton>
      </div>
    </Section>
  );
}

/** What a site that no machine has joined yet shows. */
export function Waiting(): ReactNode {
  const { site } = useSite();
  const { member } = useVisitor();
  const allowed = useMay()('site.add');
  const [isTaken, setTaken] = useState(expectedOf(site.id) === 'code');
  if (isTaken)
    return (
      <Page title={site.name} lead={text.waiting.taken} narrow>
        <Watching>{text.waiting.takenWatch}</Watching>
        <Section title={text.waiting.nothing}>
          <ClaimCommand absent={text.waiting.takenNext} onMade={() => setTaken(false)} />
        </Section>
      </Page>
    );
  return (
    <Page title={site.name} lead={text.waiting.lead} narrow>
      <ol className="numbered">
        <li>
          <h2>{text.waiting.install}</h2>
          <p>{text.waiting.installText}</p>
        </li>
        <li>
          <h2>{text.waiting.join}</h2>
          <ClaimCommand absent={text.waiting.again} />
        </li>
        <li>
          <h2>{text.waiting.watch}</h2>
          <Watching>{text.waiting.watching}</Watching>
        </li>
      </ol>
      {allowed && <ByCode of={{ organisation: member.id, site: site.id }} />}
    </Page>
  );
}

/** Shown once where one has waited, when the machine is there. */
export function Arrived(): ReactNode {
  const { site, screen } = useSite();
  const [over, setOver] = useState(false);
  useEffect(() => after(10 * 60_000, () => setOver(true)), []);
  if (over || expectedOf(site.id) === undefined || site.state === 'quarantined') return null;
  const isHere = site.state === 'online';
  const isNew = site.domains === 0;
  return (
    <Section title={text.arrived.title}>
      <Notice
        tone={isHere ? 'good' : 'info'}
        title={isHere ? text.arrived.here(site.name, site.version) : text.arrived.joined(site.name)}
        action={
          isNew && (
            <LinkButton to={screen('domains', 'new')} look="primary">
              {text.arrived.next}
            </LinkButton>
          )
        }
      >
        {isHere ? isNew && text.arrived.nextText : text.arrived.start}
      </Notice>
    </Section>
  );
}
