// The screens of one site, and what is around all of them: how it stands, whether it is locked, what becomes of the last change.

import { lazy, type ReactNode, Suspense, useCallback, useMemo } from 'react';
import type { Site } from '../contract.ts';
import { text } from '../language.ts';
import { LinkButton } from '../parts/button.tsx';
import { ChangeBar, LockedNotice } from '../parts/changebar.tsx';
import { Await, Loading, Notice, Page } from '../parts/page.tsx';
import { refresh, useResource, useStream } from '../resource.ts';
import type { Right } from '../rights.ts';
import { type Route, Routes, useParam, useWhere } from '../router.tsx';
import { orgPath, screenOf, Siting, useMay, useSite, useVisitor } from '../session.ts';
import { Waiting } from './newsite.tsx';
import { Overview } from './overview.tsx';

const Trace = lazy(async () => ({ default: (await import('./trace.tsx')).Trace }));
const Queue = lazy(async () => ({ default: (await import('./queue.tsx')).Queue }));
const QueuedMessage = lazy(async () => ({ default: (await import('./queue.tsx')).QueuedMessage }));
const Domains = lazy(async () => ({ default: (await import('./domains.tsx')).Domains }));
const NewDomain = lazy(async () => ({ default: (await import('./domains.tsx')).NewDomain }));
const DomainScreen = lazy(async () => ({ default: (await import('./domain.tsx')).DomainScreen }));
const Accounts = lazy(async () => ({ default: (await import('./accounts.tsx')).Accounts }));
const NewAccount = lazy(async () => ({ default: (await import('./accounts.tsx')).NewAccount }));
const AccountScreen = lazy(async () => ({ default: (await import('./account.tsx')).AccountScreen }));
const Aliases = lazy(async () => ({ default: (await import('./aliases.tsx')).Aliases }));
const AliasScreen = lazy(async () => ({ default: (await import('./aliases.tsx')).AliasScreen }));
const Snapshots = lazy(async () => ({ default: (await import('./snapshots.tsx')).Snapshots }));
const Launch = lazy(async () => ({ default: (await import('./launch.tsx')).Launch }));
const Activity = lazy(async () => ({ default: (await import('./activity.tsx')).Activity }));
const Settings = lazy(async () => ({ default: (await import('./settings.tsx')).Settings }));

const base = '/o/:org/sites/:site';
const behind = (right: Right, screen: () => ReactNode) => (): ReactNode => <Behind right={right}>{screen()}</Behind>;
const screens: readonly Route[] = [
  { pattern: base, screen: () => <Overview /> },
  { pattern: `${base}/trace`, screen: behind('trace.see', () => <Trace />) },
  { pattern: `${base}/queue`, screen: behind('queue.see', () => <Queue />) },
  { pattern: `${base}/queue/:message`, screen: behind('queue.see', () => <QueuedMessage />) },
  { pattern: `${base}/domains`, screen: behind('domains.see', () => <Domains />) },
  { pattern: `${base}/domains/new`, screen: behind('domains.edit', () => <NewDomain />) },
  { pattern: `${base}/domains/:domain`, screen: behind('domains.see', () => <DomainScreen />) },
  { pattern: `${base}/accounts`, screen: () => <Accounts /> },
  { pattern: `${base}/accounts/new`, screen: behind('accounts.edit', () => <NewAccount />) },
  { pattern: `${base}/accounts/:address`, screen: () => <AccountScreen /> },
  { pattern: `${base}/aliases`, screen: () => <Aliases /> },
  { pattern: `${base}/aliases/new`, screen: behind('aliases.edit', () => <AliasScreen />) },
  { pattern: `${base}/aliases/:address`, screen: () => <AliasScreen /> },
  { pattern: `${base}/snapshots`, screen: behind('snapshots.see', () => <Snapshots />) },
  { pattern: `${base}/snapshots/:snapshot/launch`, screen: behind('snapshots.launch', () => <Launch />) },
  { pattern: `${base}/activity`, screen: behind('activity.see', () => <Activity />) },
  { pattern: `${base}/settings`, screen: behind('site.settings', () => <Settings />) },
];

export function SiteScreens(): ReactNode {
  const { member } = useVisitor();
  const id = useParam('site');
  const allowed = useMay();
  const path = orgPath(member.id, 'sites', id);
  const site = useResource<Site>(path);
  useStream(
    allowed('overview.see') ? orgPath(member.id, 'sites', id, 'stream') : orgPath(member.id, 'stream'),
    useCallback(() => {
      refresh(orgPath(member.id, 'sites'), /[?]check=1/); // what the world sees of it has not changed by that
    }, [member.id]),
  );
  if (site.trouble?.status === 404) return <Gone title={text.missing.site} next={text.missing.siteNext} />;
  return (
    <Await of={site}>
      {(value) => (
        <InSite site={value}>
          <Routes
            routes={screens.filter((s) => value.state !== 'waiting' || s.pattern === `${base}/settings`)}
            otherwise={value.state === 'waiting' ? <Waiting /> : <Gone title={text.missing.page} next={text.missing.pageNext} />}
          />
        </InSite>
      )}
    </Await>
  );
}

function InSite({ site, children }: { readonly site: Site; readonly children: ReactNode }): ReactNode {
  const { member } = useVisitor();
  const org = member.id;
  const seen = useMemo(
    () => ({
      site,
      api: (...parts: string[]) => orgPath(org, 'sites', site.id, ...parts),
      screen: (...parts: string[]) => screenOf(org, 'sites', site.id, ...parts),
    }),
    [site, org],
  );
  return (
    <Siting value={seen}>
      <LockedNotice site={site} />
      <Standing site={site} />
      <Suspense fallback={<div className="page">{<Loading />}</div>}>{children}</Suspense>
      <ChangeBar />
    </Siting>
  );
}

/** States in which a site is nobody's primary any more, and a rev that it would not take. */
function Standing({ site }: { readonly site: Site }): ReactNode {
  const { screen } = useSite();
  const { path } = useWhere();
  if (site.state === 'superseded' || site.state === 'quarantined' || site.state === 'decommissioned')
    return (
      <div className="standing">
        <Notice
          tone={site.state === 'quarantined' ? 'bad' : 'warn'}
          title={text.standing[site.state].title}
          action={site.state === 'quarantined' && path !== screen() && <LinkButton to={screen()}>{text.wayOut.title}</LinkButton>}
        >
          {text.standing[site.state].next}
        </Notice>
      </div>
    );
  if (site.errors.length === 0 || site.runningRev >= site.wantedRev) return null;
  return (
    <div className="standing">
      <Notice tone="bad" title={text.standing.refused(site.wantedRev, site.runningRev)}>
        <ul>
          {site.errors.map((error) => (
            <li key={error.path + error.message}>
              {error.path !== '' && <code>{error.path}</code>} {error.message}
            </li>
          ))}
        </ul>
      </Notice>
    </div>
  );
}

function Behind({ right, children }: { readonly right: Right; readonly children: ReactNode }): ReactNode {
  return useMay()(right) ? children : <Gone title={text.missing.right} next={text.missing.rightNext} />;
}
/** For all that is not there. */
function Gone({ title, next }: { readonly title: string; readonly next: string }): ReactNode {
  const { member } = useVisitor();
  return (
    <Page title={title} lead={next} narrow>
      <div className="actions">
        <LinkButton to={screenOf(member.id)}>{text.missing.sites}</LinkButton>
      </div>
    </Page>
  );
}
