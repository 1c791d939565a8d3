// Home: is everything well? One sentence for all sites, one row a site.

import { type ReactNode, useCallback } from 'react';
import { ago, count, span, now } from '../clock.ts';
import type { Site } from '../contract.ts';
import { text } from '../language.ts';
import { LinkButton } from '../parts/button.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Empty, Page } from '../parts/page.tsx';
import { isBare, State, toneOf, wordOf } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import { refresh, useList, useStream } from '../resource.ts';
import { orgPath, screenOf, useMay, useVisitor } from '../session.ts';

export function Sites(): ReactNode {
  const { member } = useVisitor();
  const allowed = useMay();
  const path = orgPath(member.id, 'sites');
  const sites = useList<Site>(path);
  useStream(
    orgPath(member.id, 'stream'),
    useCallback(() => refresh(path), [path]),
  );
  const items = sites.value?.items;
  const add = allowed('site.add') ? (
    <LinkButton to={screenOf(member.id, 'new')} look="primary" icon="plus">
      {text.sites.add}
    </LinkButton>
  ) : undefined;
  return (
    <Page title={text.nav.sites} lead={items === undefined || items.length === 0 ? undefined : summary(items)} actions={items?.length === 0 ? undefined : add}>
      <Await of={sites}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty icon="sites" title={text.sites.empty} action={add}>
              {text.sites.emptyText}
            </Empty>
          ) : (
            <SiteTable sites={items} />
          )
        }
      </Await>
    </Page>
  );
}

function summary(sites: readonly Site[]): string {
  const needy = sites.filter((site) => ['warn', 'bad'].includes(toneOf(site)));
  const first = needy.find((site) => toneOf(site) === 'bad') ?? needy[0];
  const bare = sites.find(isBare);
  if (first === undefined && bare !== undefined) return text.sites.noDomain(bare.name);
  if (first === undefined) return text.sites.allWell(sites.filter((site) => site.state !== 'waiting').length);
  return text.sites.needy(needy.length, sites.length, first.name, first.because || wordOf(first));
}

function SiteTable({ sites }: { readonly sites: readonly Site[] }): ReactNode {
  const { member } = useVisitor();
  return (
    <>
      <Table
        label={text.nav.sites}
        rows={sites}
        keyOf={(site) => site.id}
        to={(site) => screenOf(member.id, 'sites', site.id)}
        columns={[
          {
            label: text.sites.site,
            wide: true,
            cell: (site) => (
              <span className="twoline">
                <span className="strong">{site.name}</span>
                <span className="faint">{site.host || text.sites.noHost}</span>
              </span>
            ),
          },
          {
            label: text.sites.state,
            cell: (site) => (
              <span className="twoline">
                <State tone={toneOf(site)}>{wordOf(site)}</State>
                {site.state === 'offline' && site.lastSeenAt !== null && <span className="faint">{text.sites.seen(ago(site.lastSeenAt))}</span>}
              </span>
            ),
          },
          { label: text.sites.rev, cell: (site) => <Rev site={site} /> },
          { label: text.sites.proven, cell: proven },
          { label: text.sites.queue, cell: queue },
          { label: text.sites.certificate, end: true, cell: (site) => <Days days={site.certificateDays} /> },
        ]}
      />
      <p className="footnote">
        {(['rev', 'proven', 'queue', 'certificate'] as const).map((term) => (
          <span key={term}>
            {text.terms[term].name} <Help term={term} />
          </span>
        ))}
      </p>
    </>
  );
}

/** `41`, or `41 → 42` while a change is on its way. */
export function Rev({ site }: { readonly site: Site }): ReactNode {
  if (site.state === 'waiting') return <span className="faint">–</span>;
  if (site.runningRev === site.wantedRev) return <span className="num">{site.runningRev}</span>;
  return (
    <span className="num">
      {site.runningRev} <span aria-hidden="true">→</span>
      <span className="hidden">{text.sites.becomes}</span> <span className="accent">{site.wantedRev}</span>
    </span>
  );
}
function proven(site: Site): ReactNode {
  if (site.snapshot.at === null) return <span className="faint">{site.state === 'waiting' ? '–' : text.sites.noSnapshot}</span>;
  if (site.snapshot.provenAt === null) return <span className="faint">{text.sites.neverProven}</span>;
  return ago(site.snapshot.provenAt);
}
function queue(site: Site): ReactNode {
  if (site.state === 'waiting') return <span className="faint">–</span>;
  if (site.queue.messages === 0) return <span className="faint">{text.sites.queueEmpty}</span>;
  const age = site.queue.oldestAt === null ? '' : span(now() - site.queue.oldestAt);
  return text.sites.queueOf(count(site.queue.messages), age);
}
export function Days({ days }: { readonly days: number | null }): ReactNode {
  if (days === null) return <span className="faint">–</span>;
  return <span className={days < 10 ? 'warn num' : 'num'}>{text.time.days(days)}</span>;
}
