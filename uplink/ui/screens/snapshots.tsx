// The states of a site that are kept elsewhere, newest first: each is a place from which another machine can go on.

import { type ReactNode, useState } from 'react';
import { ask, sentence } from '../api.ts';
import { followed } from '../command.ts';
import { ago, clockOf, count, dayOf, size, weekdayOf } from '../clock.ts';
import type { Snapshot, Started } from '../contract.ts';
import { text } from '../language.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { Help } from '../parts/help.tsx';
import { Icon } from '../parts/icon.tsx';
import { Await, Empty, Notice, Page, type Tone, TroubleNotice } from '../parts/page.tsx';
import { Badge } from '../parts/state.tsx';
import { refresh, useList } from '../resource.ts';
import { useMay, useSite, useWork } from '../session.ts';

export const isProven = (snapshot: Snapshot): boolean => snapshot.proven !== '';

interface Said {
  readonly tone: Tone;
  readonly title: string;
  readonly why?: string;
}
const hourMs = 3_600_000;

export function Snapshots(): ReactNode {
  const { site, api } = useSite();
  const allowed = useMay();
  const snapshots = useList<Snapshot>(api('snapshots'));
  const take = useWork(async () => {
    const { trouble } = await ask<Started>(api('snapshots'), { method: 'POST' });
    refresh(api('snapshots'));
    return trouble;
  });
  const [said, setSaid] = useState<Said | null>(null);
  const prove = useWork(async () => {
    setSaid(null);
    const { value, trouble } = await ask<Started>(api('snapshots', 'proof'), { method: 'POST' });
    if (value === undefined) return trouble;
    setSaid({ tone: 'info', title: text.snapshots.proving });
    const ended = await followed(api('commands', value.command), hourMs);
    if (ended === undefined) setSaid({ tone: 'info', title: text.snapshots.provingStill });
    else if (ended.state === 'done') setSaid({ tone: 'good', title: text.snapshots.provenNow });
    else setSaid({ tone: 'warn', title: text.snapshots.notProven, why: String(ended.value ?? '') });
    refresh(api('snapshots'));
    refresh(api());
    return undefined;
  });
  const { problem, triedAt } = site.snapshot;
  return (
    <Page
      title={text.nav.site.snapshots}
      beside={<Help term="snapshot" />}
      lead={<Lead />}
      actions={
        allowed('snapshots.take') && (
          <>
            <Button icon="check" busy={prove.busy} disabled={site.state !== 'online' || site.snapshot.at === null} onPress={() => void prove.start()}>
              {text.snapshots.prove}
            </Button>
            <Button icon="plus" busy={take.busy} disabled={site.state !== 'online'} onPress={() => void take.start()}>
              {text.snapshots.take}
            </Button>
          </>
        )
      }
    >
      <TroubleNotice trouble={take.trouble ?? prove.trouble} />
      {said !== null && (
        <Notice tone={said.tone} title={said.title}>
          {said.why === undefined ? null : sentence(said.why)}
        </Notice>
      )}
      {said === null && triedAt !== null && (
        <Notice tone="warn" title={text.snapshots.problem(ago(triedAt))}>
          {sentence(problem)}
        </Notice>
      )}
      <Await of={snapshots} rows={8}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty icon="snapshots" title={text.snapshots.empty}>
              {text.snapshots.emptyText}
            </Empty>
          ) : (
            <History items={items} />
          )
        }
      </Await>
    </Page>
  );
}

function Lead(): ReactNode {
  const { site } = useSite();
  if (site.snapshot.at === null) return text.snapshots.lead;
  return site.snapshot.provenAt === null
    ? text.snapshots.unproven(ago(site.snapshot.at))
    : text.snapshots.proven(ago(site.snapshot.at), ago(site.snapshot.provenAt));
}

function History({ items }: { readonly items: readonly Snapshot[] }): ReactNode {
  const days = Map.groupBy(
    [...items].sort((a, b) => b.at - a.at),
    (snapshot) => weekdayOf(snapshot.at),
  );
  const newest = Math.max(...items.map((snapshot) => snapshot.epoch));
  return (
    <div className="history">
      {[...days].map(([name, list]) => (
        <section key={name} aria-label={name} className="history-day">
          <h2 title={list[0] === undefined ? undefined : dayOf(list[0].at)}>{name}</h2>
          <ol>
            {list.map((snapshot) => (
              <SnapshotRow key={snapshot.name} snapshot={snapshot} newest={newest} />
            ))}
          </ol>
        </section>
      ))}
    </div>
  );
}

function SnapshotRow({ snapshot, newest }: { readonly snapshot: Snapshot; readonly newest: number }): ReactNode {
  const { screen } = useSite();
  const allowed = useMay()('snapshots.launch');
  const proven = isProven(snapshot);
  return (
    <li className="history-row" data-proven={proven || undefined}>
      <span className="history-dot" aria-hidden="true" />
      <time className="num strong">{clockOf(snapshot.at)}</time>
      <span className="history-words">
        <span>{size(snapshot.size)}</span>
        <span className="faint">{text.snapshots.commit(count(snapshot.commit))}</span>
        {proven && (
          <Badge tone="good">
            <Icon name="check" />{' '}
            {Number.isSafeInteger(Number(snapshot.proven)) ? text.snapshots.provenAt(ago(Number(snapshot.proven))) : text.snapshots.provenBadge}
          </Badge>
        )}
        {snapshot.epoch < newest && <Badge>{text.snapshots.earlier(snapshot.epoch)}</Badge>}
      </span>
      {allowed && (
        <LinkButton to={screen('snapshots', snapshot.name, 'launch')} icon="launch">
          {text.snapshots.launch}
        </LinkButton>
      )}
    </li>
  );
}
