// A new site: a name, one command to paste on the machine, and then watching it appear.

import { type ReactNode, useEffect, useState } from 'react';
import { ask } from '../api.ts';
import { ahead, after, now } from '../clock.ts';
import type { AnswerOf, Claim } from '../contract.ts';
import { text } from '../language.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { TextField } from '../parts/field.tsx';
import { Icon } from '../parts/icon.tsx';
import { Form } from '../parts/form.tsx';
import { Notice, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { refresh } from '../resource.ts';
import { go } from '../router.tsx';
import { orgPath, screenOf, useMay, useSite, useVisitor, useWork } from '../session.ts';

/** Claims are said once: they are kept by this page only, for the site that it shows next. */
const claims = new Map<string, Claim>();

export function NewSite(): ReactNode {
  const { member } = useVisitor();
  const [name, setName] = useState('');
  const work = useWork(async () => {
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/sites'>>(orgPath(member.id, 'sites'), {
      method: 'POST',
      body: { name: name.trim() },
    });
    if (value === undefined) return trouble;
    claims.set(value.site.id, value.claim);
    refresh(orgPath(member.id, 'sites'));
    go(screenOf(member.id, 'sites', value.site.id));
    return undefined;
  });
  return (
    <Page title={text.newSite.title} lead={text.newSite.lead} back={{ to: screenOf(member.id), label: text.nav.sites }} narrow>
      <Form work={work} verb={text.newSite.verb}>
        <TextField
          label={text.newSite.name}
          hint={text.newSite.nameHint}
          value={name}
          onValue={setName}
          placeholder={text.newSite.example}
          maxLength={100}
          required
          autoFocus
        />
      </Form>
    </Page>
  );
}

/** What a site that no machine has joined yet shows. */
export function Waiting(): ReactNode {
  const { site, api } = useSite();
  const allowed = useMay()('site.add');
  const [claim, setClaim] = useState<Claim | undefined>(() => claims.get(site.id));
  const work = useWork(async () => {
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/sites/{site}/claims'>>(api('claims'), { method: 'POST' });
    if (value !== undefined) {
      claims.set(site.id, value.claim);
      setClaim(value.claim);
    }
    return trouble;
  });
  const expired = claim !== undefined && claim.expiresAt <= now();
  return (
    <Page title={site.name} lead={text.waiting.lead} narrow>
      <ol className="numbered">
        <li>
          <h2>{text.waiting.install}</h2>
          <p>{text.waiting.installText}</p>
        </li>
        <li>
          <h2>{text.waiting.join}</h2>
          {claim !== undefined && !expired ? (
            <>
              <CopyLine value={claim.command} what={text.waiting.command} prompt="#" />
              <p className="field-hint">{text.waiting.once(ahead(claim.expiresAt))}</p>
            </>
          ) : (
            <>
              <p>{expired ? text.waiting.expired : text.waiting.again}</p>
              <TroubleNotice trouble={work.trouble} />
              {allowed && (
                <Button busy={work.busy} onPress={() => void work.start()}>
                  {text.waiting.make}
                </Button>
              )}
            </>
          )}
        </li>
        <li>
          <h2>{text.waiting.watch}</h2>
          <div className="watching" role="status">
            <span className="pulse" aria-hidden="true" />
            {text.waiting.watching}
          </div>
        </li>
      </ol>
    </Page>
  );
}

/** Shown once where one has waited, when the machine is there. */
export function Arrived(): ReactNode {
  const { site, screen } = useSite();
  const [over, setOver] = useState(false);
  useEffect(() => after(10 * 60_000, () => setOver(true)), []);
  if (over || !claims.has(site.id)) return null;
  return (
    <Section title={text.arrived.title}>
      <Notice
        tone="good"
        title={text.arrived.here(site.name, site.version)}
        action={
          <LinkButton to={screen('domains', 'new')} look="primary">
            {text.arrived.next}
          </LinkButton>
        }
      >
        <Icon name="arrow" /> {text.arrived.nextText}
      </Notice>
    </Section>
  );
}
