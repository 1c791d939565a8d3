// What becomes of the last change: pending, applied at its rev, verified by an answer of the site that runs it. While it is
// new it can be taken back: the document of the rev before is sent again, as a rev of its own.

import { type ReactNode, useEffect, useState } from 'react';
import { ask } from '../api.ts';
import { type Change, untrack, useChange } from '../change.ts';
import { after, clockOrDay, now } from '../clock.ts';
import type { Edited, Overview, Site } from '../contract.ts';
import { text } from '../language.ts';
import { useEdit, useMay, useSite } from '../session.ts';
import { Button, IconButton } from './button.tsx';
import { Icon } from './icon.tsx';

const UNDO_MS = 30_000;
const SHOWN_MS = 9_000;

export function ChangeBar(): ReactNode {
  const { site } = useSite();
  const change = useChange(site.id);
  return (
    <div className="changes" role="status" aria-live="polite">
      {change !== undefined && <Bar key={change.rev} change={change} site={site} />}
    </div>
  );
}

type Step = 'pending' | 'applied' | 'verified' | 'refused';
function stepOf(change: Change, site: Site, verified: boolean): Step {
  if (site.status !== 'applied' && site.errors.length > 0 && site.wantedRev >= change.rev && site.runningRev < change.rev) return 'refused';
  if (site.runningRev < change.rev) return 'pending';
  return verified ? 'verified' : 'applied';
}

function Bar({ change, site }: { readonly change: Change; readonly site: Site }): ReactNode {
  const { api } = useSite();
  const [verified, setVerified] = useState(false);
  const step = stepOf(change, site, verified);
  useEffect(() => {
    if (step !== 'applied') return;
    let gone = false;
    void ask<Overview>(api('overview')).then(({ value }) => !gone && value?.live === true && setVerified(true));
    return () => {
      gone = true;
    };
  }, [step, api]);
  useEffect(() => (step === 'verified' ? after(SHOWN_MS, () => untrack(change.site)) : undefined), [step, change.site]);
  const offline = step === 'pending' && site.state !== 'online';
  return (
    <div className={`changebar changebar-${step}`}>
      <div className="changebar-words">
        <p className="changebar-what">{change.what}</p>
        {step === 'refused' ? (
          <p className="changebar-why">{text.change.refused(change.rev, site.runningRev, site.errors[0]?.message ?? '')}</p>
        ) : offline ? (
          <p className="changebar-why">{text.change.later(change.rev)}</p>
        ) : (
          <Steps step={step} rev={change.rev} />
        )}
      </div>
      <Undo change={change} site={site} />
      <IconButton icon="close" label={text.change.dismiss} onPress={() => untrack(change.site)} />
    </div>
  );
}

function Steps({ step, rev }: { readonly step: Step; readonly rev: number }): ReactNode {
  const order: readonly Step[] = ['pending', 'applied', 'verified'];
  const reached = order.indexOf(step);
  const words = [text.change.pending, text.change.applied(rev), text.change.verified];
  return (
    <ol className="steps">
      {order.map((name, i) => (
        <li key={name} data-reached={i <= reached || undefined} aria-current={i === reached ? 'step' : undefined}>
          {i < reached || step === 'verified' ? <Icon name="check" /> : <span className="dot" aria-hidden="true" />}
          {words[i]}
        </li>
      ))}
    </ol>
  );
}

function Undo({ change, site }: { readonly change: Change; readonly site: Site }): ReactNode {
  const { api } = useSite();
  const allowed = useMay()('changes.undo');
  const edit = useEdit();
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => after(Math.max(0, change.at + UNDO_MS - now()), () => setOver(true)), [change.at]);
  if (!allowed || over || site.wantedRev > change.rev || change.rev < 2 || change.what.startsWith(text.change.undone)) return null;
  const undo = async (): Promise<void> => {
    setBusy(true);
    await edit({
      path: api('document', 'rollback'),
      method: 'POST',
      body: { rev: change.rev - 1 } satisfies { rev: Edited['wantedRev'] },
      what: `${text.change.undone}: ${change.what}`,
    });
    setBusy(false);
  };
  return (
    <Button busy={busy} onPress={() => void undo()}>
      {text.change.undo}
    </Button>
  );
}

/** Above all screens of a site that cannot be reached: what runs there, and what becomes of an edit. */
export function LockedNotice({ site }: { readonly site: Site }): ReactNode {
  if (site.state !== 'offline' || site.lockedSince === null) return null;
  const waiting = site.wantedRev > site.runningRev;
  return (
    <div className="locked" role="status">
      <Icon name="lock" />
      <p>
        <strong>{text.locked.title(clockOrDay(site.lockedSince), site.runningRev)}</strong> {text.locked.unsure}{' '}
        {waiting ? text.locked.waiting(site.wantedRev) : text.locked.next(site.wantedRev + 1)}
      </p>
    </div>
  );
}
