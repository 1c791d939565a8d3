// Is my server healthy? The word and why, the facts behind it, what happened last; and the way to the other question.

import { type FormEvent, lazy, type ReactNode, Suspense, useState } from 'react';
import { ago, count, moment, now, size, span } from '../clock.ts';
import type { Facts as SiteFacts, List, Overview as OverviewOf, Site, SiteEvent } from '../contract.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { Help, type Term } from '../parts/help.tsx';
import { Icon } from '../parts/icon.tsx';
import { Card, Facts, Notice, Page, Section } from '../parts/page.tsx';
import { Badge, isBare, State, toneOf, wordOf } from '../parts/state.tsx';
import { useResource } from '../resource.ts';
import { go, Link } from '../router.tsx';
import { useMay, useSite } from '../session.ts';
import { EventLine } from './activity.tsx';
import { Arrived } from './newsite.tsx';

const WayOut = lazy(async () => ({ default: (await import('./wayout.tsx')).WayOut }));

export function Overview(): ReactNode {
  const { site, api, screen } = useSite();
  const allowed = useMay();
  const overview = useResource<OverviewOf>(allowed('overview.see') ? api('overview') : null);
  const events = useResource<List<SiteEvent>>(allowed('activity.see') ? `${api('events')}?limit=8` : null);
  const facts = overview.value?.facts ?? {};
  const tone = toneOf(site);
  const why = (site.errors.length === 0 && site.because) || (tone === 'good' ? text.overview.nothing : '');
  return (
    <Page
      title={site.name}
      lead={
        <span className="headline">
          <State tone={tone}>{wordOf(site)}</State>
          {why !== '' && <span className="faint">{why}</span>}
          {isBare(site) && allowed('domains.edit') && <Link to={screen('domains', 'new')}>{text.overview.addDomain}</Link>}
        </span>
      }
      actions={<Freshness overview={overview.value} />}
    >
      <Arrived />
      {(site.state === 'quarantined' || site.state === 'superseded') && (
        <Suspense fallback={null}>
          <WayOut />
        </Suspense>
      )}
      <Damage facts={facts} />
      {allowed('trace.see') && <Ask />}
      <Tiles site={site} facts={facts} />
      <div className="columns">
        <Section title={text.overview.runs}>
          <Card>
            <Running site={site} facts={facts} />
          </Card>
        </Section>
        {allowed('activity.see') && (
          <Section title={text.overview.lately}>
            <Card className="card-list">
              {events.value?.items.map((event) => (
                <EventLine key={event.seq} event={event} />
              ))}
              {events.value?.items.length === 0 && <p className="faint pad">{text.activity.noEvents}</p>}
            </Card>
          </Section>
        )}
      </div>
    </Page>
  );
}

function Freshness({ overview }: { readonly overview: OverviewOf | undefined }): ReactNode {
  if (overview === undefined || overview.at === null) return null;
  return <Badge tone={overview.live ? 'good' : 'idle'}>{overview.live ? text.overview.live : text.overview.asOf(moment(overview.at))}</Badge>;
}

/** The question that people ask most. */
function Ask(): ReactNode {
  const { screen } = useSite();
  const [about, setAbout] = useState('');
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (about.trim() !== '') go(`${screen('trace')}?about=${encodeURIComponent(about.trim())}`);
  };
  return (
    <search>
      <form className="ask" onSubmit={submit}>
        <Icon name="trace" />
        <input
          aria-label={text.trace.question}
          placeholder={text.trace.askLong}
          value={about}
          onChange={(event) => setAbout(event.target.value)}
          spellCheck={false}
        />
        <Button submit>{text.trace.verb}</Button>
      </form>
    </search>
  );
}

interface TileProps {
  readonly label: string;
  readonly term?: Term;
  readonly value: ReactNode;
  readonly about?: ReactNode;
  readonly tone?: 'warn' | 'bad' | undefined;
  readonly to?: string | undefined;
}
function Tile({ label, term, value, about, tone, to }: TileProps): ReactNode {
  return (
    <div className="tile" data-tone={tone}>
      <div className="tile-label">
        {to === undefined ? label : <Link to={to}>{label}</Link>}
        {term !== undefined && <Help term={term} />}
      </div>
      <div className="tile-value">{value}</div>
      <div className="tile-about">{about}</div>
    </div>
  );
}

function Tiles({ site, facts }: { readonly site: Site; readonly facts: SiteFacts }): ReactNode {
  const { screen } = useSite();
  const allowed = useMay();
  const { queue, snapshot, certificateDays: days } = site;
  const age = queue.oldestAt === null ? null : now() - queue.oldestAt;
  const { freeOctets, diskOctets: usedOctets } = facts;
  const link = (right: Parameters<typeof allowed>[0], part: string): string | undefined => (allowed(right) ? screen(part) : undefined);
  return (
    <div className="tiles">
      <Tile
        label={text.terms.queue.name}
        term="queue"
        to={link('queue.see', 'queue')}
        value={queue.messages === 0 ? text.overview.empty : count(queue.messages)}
        about={age === null ? text.overview.queueClear : text.overview.oldest(span(age))}
        tone={age !== null && age > 4 * 3_600_000 ? 'warn' : undefined}
      />
      <Tile
        label={text.terms.proven.name}
        term="proven"
        to={link('snapshots.see', 'snapshots')}
        value={
          snapshot.at === null ? (
            text.overview.none
          ) : snapshot.provenAt === null ? (
            <span className="faint">{text.sites.neverProven}</span>
          ) : (
            ago(snapshot.provenAt)
          )
        }
        about={
          snapshot.at === null
            ? text.overview.noSnapshot
            : snapshot.triedAt === null
              ? text.overview.parked(ago(snapshot.at))
              : text.snapshots.problem(ago(snapshot.triedAt))
        }
        tone={snapshot.at === null || snapshot.triedAt !== null ? 'warn' : undefined}
      />
      <Tile
        label={text.terms.certificate.name}
        term="certificate"
        value={days === null ? '–' : text.time.days(days)}
        about={
          days === null
            ? text.overview.noCertificate
            : facts.certificate?.selfSigned
              ? text.overview.selfSigned
              : days !== null && days < 10
                ? text.overview.late
                : text.overview.renewed
        }
        tone={days !== null && days < 10 ? 'warn' : undefined}
      />
      <Tile
        label={text.overview.disk}
        value={freeOctets === undefined ? (usedOctets === undefined ? '–' : size(usedOctets)) : text.overview.free(size(freeOctets))}
        about={usedOctets === undefined ? '' : text.overview.used(size(usedOctets))}
      />
      <Tile
        label={text.overview.mail}
        value={facts.mail?.messages === undefined ? '–' : count(facts.mail.messages)}
        about={facts.mail?.octets === undefined ? '' : text.overview.mailSize(size(facts.mail.octets))}
      />
      <Tile label={text.nav.site.accounts} to={screen('accounts')} value={count(site.accounts)} about={text.overview.inDomains(site.domains)} />
    </div>
  );
}

function Running({ site, facts }: { readonly site: Site; readonly facts: SiteFacts }): ReactNode {
  const rev =
    site.wantedRev === 0
      ? text.overview.revNone
      : site.runningRev === site.wantedRev
        ? text.overview.revInForce(site.runningRev)
        : site.errors.length > 0
          ? text.overview.revRefused(site.runningRev, site.wantedRev)
          : text.overview.revComing(site.runningRev, site.wantedRev);
  const listeners = facts.listeners ?? [];
  return (
    <Facts
      rows={[
        [
          <>
            {text.terms.rev.name} <Help term="rev" />
          </>,
          rev,
        ],
        [text.overview.host, <code key="host">{site.host || '–'}</code>],
        [text.overview.program, site.version || facts.version ? text.fields.version(site.version || (facts.version ?? '')) : '–'],
        [
          <>
            {text.terms.engine.name} <Help term="engine" />
          </>,
          facts.engine?.toUpperCase() ?? '–',
        ],
        [
          text.overview.listens,
          listeners.length === 0 ? (
            '–'
          ) : (
            <span className="chips" key="listeners">
              {listeners.map((l) => (
                <Badge key={l.name + l.port}>{`${l.name} ${l.port}`}</Badge>
              ))}
            </span>
          ),
        ],
        [text.overview.parking, facts.parking ?? (site.snapshot.at === null ? text.overview.none : text.overview.here)],
        [
          text.overview.seen,
          site.state === 'online' ? text.overview.connected : site.lastSeenAt === null ? text.overview.never : text.sites.seen(ago(site.lastSeenAt)),
        ],
      ]}
    />
  );
}

function Damage({ facts }: { readonly facts: SiteFacts }): ReactNode {
  const { damage = 0 } = facts;
  if (damage === 0) return null;
  return (
    <Notice tone="bad" title={text.overview.damage(damage)}>
      {text.overview.damageNext}
    </Notice>
  );
}
