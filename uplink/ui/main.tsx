// The start of the web UI: who is here, then the screen of the address. Screens come in pieces, each when it is first shown.

import './style/layers.css';
// in the first file: one of their own would cost more than they hold
import './draft.ts';
import './idn.ts';
import { CSPProvider } from '@base-ui/react/csp-provider';
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ask, onSignedOut } from './api.ts';
import type { Session } from './contract.ts';
import { text } from './language.ts';
import { Button, LinkButton } from './parts/button.tsx';
import { EntryBox } from './parts/entry.tsx';
import { Loading, TroubleNotice } from './parts/page.tsx';
import { forgetAll } from './resource.ts';
import { go, Redirect, type Route, Routes, useParam, useWhere } from './router.tsx';
import { SignIn } from './screens/signin.tsx';
import { screenOf, Visiting } from './session.ts';

const Shell = lazy(async () => ({ default: (await import('./shell.tsx')).Shell }));
const Welcome = lazy(async () => ({ default: (await import('./screens/welcome.tsx')).Welcome }));
const Invitation = lazy(async () => ({ default: (await import('./screens/welcome.tsx')).Invitation }));
const LinkIn = lazy(async () => ({ default: (await import('./screens/welcome.tsx')).LinkIn }));
const Sites = lazy(async () => ({ default: (await import('./screens/sites.tsx')).Sites }));
const NewSite = lazy(async () => ({ default: (await import('./screens/newsite.tsx')).NewSite }));
const SiteScreens = lazy(async () => ({ default: (await import('./screens/site.tsx')).SiteScreens }));
const Organisation = lazy(async () => ({ default: (await import('./screens/organisation.tsx')).Organisation }));
const Device = lazy(async () => ({ default: (await import('./screens/device.tsx')).Device }));
const Profile = lazy(async () => ({ default: (await import('./screens/profile.tsx')).Profile }));

type Known = Session | 'asking' | 'nobody';

function App(): ReactNode {
  const { path, search } = useWhere();
  const [session, setSession] = useState<Known>('asking');
  const [failed, setFailed] = useState<Awaited<ReturnType<typeof ask>>['trouble']>();
  const look = useCallback(async () => {
    const { value, trouble } = await ask<Session>('/session', { quiet: true });
    setFailed(trouble !== undefined && trouble.status !== 401 ? trouble : undefined);
    setSession(value ?? 'nobody');
  }, []);
  useEffect(() => {
    onSignedOut(() => setSession('nobody'));
    void look();
  }, [look]);
  const entered = useCallback(
    async (to: string) => {
      forgetAll();
      await look();
      go(to, true);
    },
    [look],
  );
  const leave = useCallback(async () => {
    await ask('/session', { method: 'DELETE' });
    forgetAll();
    setSession('nobody');
    go('/signin', true);
  }, []);
  if (path === '/setup') return <Welcome onEntered={() => entered('/')} />;
  if (path === '/invitation') return <Invitation onEntered={() => entered('/')} />;
  if (path === '/link') return <LinkIn onEntered={() => entered('/')} />;
  if (session === 'asking') return <Loading />;
  if (failed !== undefined && session === 'nobody') return <Outside trouble={failed} onRetry={() => void look()} />;
  if (session === 'nobody') return <SignIn onEntered={() => entered(path === '/signin' ? (search.get('to') ?? '/') : path + location.search)} />;
  return <Inside session={session} onSignOut={() => void leave()} />;
}

function Outside({ trouble, onRetry }: { readonly trouble: NonNullable<Awaited<ReturnType<typeof ask>>['trouble']>; readonly onRetry: () => void }): ReactNode {
  return (
    <EntryBox title="mailsite">
      <TroubleNotice trouble={trouble} onRetry={onRetry} />
    </EntryBox>
  );
}

interface InsideProps {
  readonly session: Session;
  readonly onSignOut: () => void;
}
function Inside({ session, onSignOut }: InsideProps): ReactNode {
  const { path } = useWhere();
  const home = session.organisations[0];
  if (home === undefined) return <Nowhere onSignOut={onSignOut} />;
  return (
    <Routes
      routes={[
        { pattern: '/device', screen: () => <Device session={session} /> },
        { pattern: '/o/:org/*', screen: () => <InOrganisation session={session} onSignOut={onSignOut} /> },
      ]}
      otherwise={path === '/' || path === '/signin' ? <Redirect to={screenOf(home.id)} /> : <NotHere home={screenOf(home.id)} />}
    />
  );
}

const screens: readonly Route[] = [
  { pattern: '/o/:org', screen: () => <Sites /> },
  { pattern: '/o/:org/new', screen: () => <NewSite /> },
  { pattern: '/o/:org/sites/:site/*', screen: () => <SiteScreens /> },
  { pattern: '/o/:org/profile', screen: () => <Profile /> },
  { pattern: '/o/:org/*', screen: () => <Organisation /> },
];
function InOrganisation({ session, onSignOut }: InsideProps): ReactNode {
  const org = useParam('org');
  const member = session.organisations.find((o) => o.id === org);
  if (member === undefined) return <NotHere home="/" />;
  return (
    <Visiting value={{ session, member }}>
      <Shell onSignOut={onSignOut}>
        <Suspense fallback={<div className="page">{<Loading />}</div>}>
          <Routes routes={screens} otherwise={null} />
        </Suspense>
      </Shell>
    </Visiting>
  );
}
function NotHere({ home }: { readonly home: string }): ReactNode {
  return (
    <EntryBox title={text.missing.page} lead={text.missing.pageOutside}>
      <div className="actions">
        <LinkButton to={home}>{text.missing.sites}</LinkButton>
      </div>
    </EntryBox>
  );
}
function Nowhere({ onSignOut }: { readonly onSignOut: () => void }): ReactNode {
  return (
    <EntryBox title={text.nowhere.title} lead={text.nowhere.next}>
      <div className="actions">
        <Button onPress={onSignOut}>{text.nav.signOut}</Button>
      </div>
    </EntryBox>
  );
}

const root = document.getElementById('root');
if (root !== null)
  createRoot(root).render(
    <CSPProvider disableStyleElements>
      <Suspense fallback={null}>
        <App />
      </Suspense>
    </CSPProvider>,
  );
