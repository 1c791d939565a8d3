// Going on from a snapshot on another machine: what will happen, to the new machine and to the old one, then the name of the
// site typed by hand, then the command.

import { type ReactNode, useState } from 'react';
import { ask } from '../api.ts';
import { ago, ahead, count, fullMoment, size } from '../clock.ts';
import type { AnswerOf, Claim, Snapshot } from '../contract.ts';
import { text } from '../language.ts';
import { CopyLine } from '../parts/copy.tsx';
import { TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Card, Facts, Notice, Page, Section } from '../parts/page.tsx';
import { useList } from '../resource.ts';
import { useParam } from '../router.tsx';
import { useSite, useWork } from '../session.ts';
import { isProven } from './snapshots.tsx';

export function Launch(): ReactNode {
  const name = useParam('snapshot');
  const { api, screen } = useSite();
  const snapshots = useList<Snapshot>(api('snapshots'));
  return (
    <Page
      title={text.launch.title}
      beside={<Help term="launch" />}
      lead={text.launch.lead}
      back={{ to: screen('snapshots'), label: text.nav.site.snapshots }}
      narrow
    >
      <Await of={snapshots}>
        {({ items }) => {
          const found = items.find((snapshot) => snapshot.name === name);
          return found === undefined ? (
            <Notice tone="warn" title={text.launch.gone}>
              {text.launch.goneNext}
            </Notice>
          ) : (
            <Steps snapshot={found} items={items} />
          );
        }}
      </Await>
    </Page>
  );
}

function Steps({ snapshot, items }: { readonly snapshot: Snapshot; readonly items: readonly Snapshot[] }): ReactNode {
  const { site, api } = useSite();
  const [typed, setTyped] = useState('');
  const [claim, setClaim] = useState<Claim>();
  const later = items.filter((other) => other.at > snapshot.at).length;
  const work = useWork(async () => {
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/sites/{site}/snapshots/{name}/launch'>>(
      api('snapshots', snapshot.name, 'launch'),
      { method: 'POST' },
    );
    if (value !== undefined) setClaim(value.claim);
    return trouble;
  });
  const isTyped = typed.trim().toLowerCase() === site.name.toLowerCase();
  return (
    <>
      <Card>
        <Facts
          rows={[
            [text.launch.state, fullMoment(snapshot.at)],
            [text.launch.size, text.launch.sizeOf(size(snapshot.size), count(snapshot.commit))],
            [
              text.terms.proven.name,
              isProven(snapshot)
                ? Number.isSafeInteger(Number(snapshot.proven))
                  ? ago(Number(snapshot.proven))
                  : text.snapshots.provenBadge
                : text.launch.unproven,
            ],
          ]}
        />
      </Card>
      <Section title={text.launch.what}>
        <ol className="numbered numbered-small">
          <li>{text.launch.newMachine}</li>
          <li>{text.launch.epoch}</li>
          <li>{site.state === 'online' ? text.launch.oldOnline : text.launch.oldOffline}</li>
          <li>{text.launch.dns}</li>
        </ol>
      </Section>
      {later > 0 && (
        <Notice tone="warn" title={text.launch.later(later)}>
          {text.launch.laterText(fullMoment(snapshot.at))}
        </Notice>
      )}
      {claim === undefined ? (
        <Form work={work} verb={text.launch.verb} look="danger" disabled={!isTyped}>
          <TextField label={text.confirm.type(site.name)} value={typed} onValue={setTyped} autoComplete="off" spellCheck={false} />
        </Form>
      ) : (
        <Section title={text.launch.paste} about={text.launch.pasteAbout}>
          <CopyLine value={claim.command} what={text.waiting.command} prompt="#" />
          <p className="field-hint">{text.launch.kit}</p>
          <p className="field-hint">{text.waiting.once(ahead(claim.expiresAt))}</p>
        </Section>
      )}
    </>
  );
}
