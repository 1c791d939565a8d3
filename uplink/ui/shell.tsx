// The frame around every screen behind the sign-in: where one is on the left (on a phone: behind a button), the screen on the right.

import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react';
import { onProve } from './api.ts';
import { setTheme, useTheme } from './appearance.ts';
import type { Membership, Session, Site } from './contract.ts';
import { text } from './language.ts';
import { type Place, placesOfOrg, placesOfSite } from './navigation.ts';
import { Icon, Mark } from './parts/icon.tsx';
import { Late } from './parts/late.tsx';
import { MenuButton } from './parts/menubutton.tsx';
import { State, toneOf } from './parts/state.tsx';
import { useList } from './resource.ts';
import { go, Link, useWhere } from './router.tsx';
import { orgPath, screenOf, useVisitor } from './session.ts';

const loadPalette = () => import('./palette.tsx');
const Palette = lazy(async () => ({ default: (await loadPalette()).Palette }));
const loadDrawer = () => import('./parts/drawer.tsx');
const Drawer = lazy(async () => ({ default: (await loadDrawer()).Drawer }));
const Prove = lazy(async () => ({ default: (await import('./parts/prove.tsx')).Prove }));
const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

export function Shell({ children, onSignOut }: { readonly children: ReactNode; readonly onSignOut: () => void }): ReactNode {
  const { member } = useVisitor();
  const [palette, setPalette] = useState(false);
  const [drawer, setDrawer] = useState(false);
  const [proving, setProving] = useState<((proved: boolean) => void) | null>(null);
  useEffect(() => onProve(() => new Promise((done) => setProving(() => done))), []);
  const main = useRef<HTMLElement>(null);
  const { path } = useWhere();
  const sites = useList<Site>(orgPath(member.id, 'sites')).value?.items ?? [];
  useShortcut(() => setPalette((open) => !open));
  useEffect(
    whenTouched(() => void loadPalette()),
    [],
  ); // what is typed after the shortcut must find it there
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    setDrawer(false);
    void path;
  }, [path]);
  const side = <Side sites={sites} onSearch={() => setPalette(true)} onSignOut={onSignOut} />;
  return (
    <div className="shell">
      <a className="skip" href="#main">
        {text.nav.skip}
      </a>
      <aside className="side">{side}</aside>
      <header className="topbar">
        <button
          type="button"
          className="iconbutton"
          aria-label={text.nav.open}
          aria-haspopup="dialog"
          aria-expanded={drawer}
          onPointerEnter={() => void loadDrawer()}
          onFocus={() => void loadDrawer()}
          onClick={() => setDrawer(true)}
        >
          <Icon name="menu" />
        </button>
        <Link to={screenOf(member.id)} className="topbar-name">
          <Mark />
          {member.name}
        </Link>
        <button type="button" className="iconbutton" aria-label={text.nav.search} onClick={() => setPalette(true)}>
          <Icon name="search" />
        </button>
      </header>
      <main id="main" className="main" ref={main} tabIndex={-1}>
        {children}
      </main>
      <Late wanted={drawer}>
        <Drawer label={text.nav.label} open={drawer} onClose={() => setDrawer(false)}>
          {side}
        </Drawer>
      </Late>
      {proving !== null && (
        <Suspense fallback={null}>
          <Prove
            onEnd={(proved) => {
              proving(proved);
              setProving(null);
            }}
          />
        </Suspense>
      )}
      {palette && (
        <Suspense fallback={null}>
          <Palette sites={sites} onClose={() => setPalette(false)} onSignOut={onSignOut} />
        </Suspense>
      )}
    </div>
  );
}

/** Once somebody moves, presses or touches anything: until then nothing is fetched that nobody sees. */
const whenTouched = (run: () => void) => (): (() => void) => {
  const ended = new AbortController();
  const touched = (): void => {
    ended.abort();
    run();
  };
  for (const name of ['pointermove', 'pointerdown', 'keydown']) addEventListener(name, touched, { signal: ended.signal, passive: true });
  return () => ended.abort();
};

function useShortcut(run: () => void): void {
  const kept = useRef(run);
  kept.current = run;
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLElement && event.target.closest('input, select, textarea') !== null;
      if (((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') || (event.key === '/' && !typing)) {
        event.preventDefault();
        kept.current();
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

function Side({ sites, onSearch, onSignOut }: { readonly sites: readonly Site[]; readonly onSearch: () => void; readonly onSignOut: () => void }): ReactNode {
  const { member, session } = useVisitor();
  const { path } = useWhere();
  const here = /^\/o\/[^/]+\/sites\/([^/]+)/.exec(path)?.[1];
  const site = sites.find((s) => s.id === here);
  const home = screenOf(member.id);
  return (
    <>
      <OrganisationMenu member={member} session={session} />
      <button type="button" className="searchbutton" onClick={onSearch}>
        <Icon name="search" />
        <span>{text.nav.searchShort}</span>
        <kbd>{isMac ? '⌘K' : 'Ctrl K'}</kbd>
      </button>
      <nav className="nav" aria-label={text.nav.label}>
        <Places places={[{ to: home, label: text.nav.sites, icon: 'sites' }]} />
        {site !== undefined && (
          <div className="nav-site">
            <SiteMenu site={site} sites={sites} />
            <Places places={placesOfSite(member, site)} />
          </div>
        )}
        <p className="nav-title">{text.nav.organisation}</p>
        <Places places={placesOfOrg(member)} />
      </nav>
      <PersonMenu session={session} onSignOut={onSignOut} />
    </>
  );
}

function Places({ places }: { readonly places: readonly Place[] }): ReactNode {
  const { path } = useWhere();
  // the longest that is the start of the address: a page below one of them keeps it marked
  const fits = (to: string): boolean => path === to || path.startsWith(`${to}/`);
  const isRoot = (to: string): boolean => /^\/o\/[^/]+(\/sites\/[^/]+)?$/.test(to);
  return (
    <ul>
      {places.map(({ to, label, icon }) => (
        <li key={to}>
          <Link to={to} className="nav-link" current={isRoot(to) ? path === to : fits(to)}>
            <Icon name={icon} />
            {label}
          </Link>
        </li>
      ))}
    </ul>
  );
}

function OrganisationMenu({ member, session }: { readonly member: Membership; readonly session: Session }): ReactNode {
  const name = (
    <>
      <Mark />
      <span className="side-name">{member.name}</span>
    </>
  );
  if (session.organisations.length < 2) return <div className="side-head">{name}</div>;
  return (
    <MenuButton
      className="side-head"
      choices={session.organisations.map((o) => ({ key: o.id, label: o.name, current: o.id === member.id, run: () => go(screenOf(o.id)) }))}
    >
      {name}
      <span className="hidden">{text.nav.switchOrganisation}</span>
      <Icon name="down" />
    </MenuButton>
  );
}
function SiteMenu({ site, sites }: { readonly site: Site; readonly sites: readonly Site[] }): ReactNode {
  const { member } = useVisitor();
  return (
    <MenuButton
      className="nav-sitename"
      choices={sites.map((s) => ({
        key: s.id,
        label: <State tone={toneOf(s)}>{s.name}</State>,
        current: s.id === site.id,
        run: () => go(screenOf(member.id, 'sites', s.id)),
      }))}
    >
      <State tone={toneOf(site)}>{site.name}</State>
      <span className="hidden">{text.nav.switchSite}</span>
      <Icon name="down" />
    </MenuButton>
  );
}
function PersonMenu({ session, onSignOut }: { readonly session: Session; readonly onSignOut: () => void }): ReactNode {
  const { member } = useVisitor();
  const theme = useTheme();
  const { name, email } = session.person;
  const initials = (name || email)
    .split(/\s+/)
    .map((word) => word[0] ?? '')
    .join('')
    .slice(0, 2)
    .toUpperCase();
  return (
    <MenuButton
      className="personbutton"
      choices={[
        { key: 'profile', label: text.nav.profile, run: () => go(screenOf(member.id, 'profile')) },
        ...(['system', 'light', 'dark'] as const).map((t) => ({ key: t, label: text.theme[t], current: theme === t, run: () => setTheme(t) })),
        { key: 'out', label: text.nav.signOut, run: onSignOut },
      ]}
    >
      <span className="avatar" aria-hidden="true">
        {initials}
      </span>
      <span className="personbutton-words">
        <span>
          {name || email}
          <span className="hidden">{text.nav.person}</span>
        </span>
        <span className="faint">{text.roles[member.role].name}</span>
      </span>
      <Icon name="down" />
    </MenuButton>
  );
}
