// The command that makes a machine a site, and whose machine is expected. Guarantees: a claim is said once, so this page keeps
// it, for the site that it shows, and only as long as the page is there.

import { type ReactNode, useState } from 'react';
import { ask } from '../api.ts';
import { ahead, now } from '../clock.ts';
import type { AnswerOf, Claim } from '../contract.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { CopyLine } from '../parts/copy.tsx';
import { TroubleNotice } from '../parts/page.tsx';
import { useMay, useSite, useWork } from '../session.ts';

/** By site. `code`: its machine was taken in by the code that it showed. */
const expected = new Map<string, Claim | 'code'>();
export const expectMachine = (site: string, by: Claim | 'code'): void => void expected.set(site, by);
export const expectedOf = (site: string): Claim | 'code' | undefined => expected.get(site);

/** `absent`: what is said where there is no command yet. */
export function ClaimCommand({ absent, onMade }: { readonly absent: string; readonly onMade?: () => void }): ReactNode {
  const { site, api } = useSite();
  const allowed = useMay()('site.add');
  const [known, setKnown] = useState(() => expectedOf(site.id));
  const work = useWork(async () => {
    const { value, trouble } = await ask<AnswerOf<'POST /organisations/{org}/sites/{site}/claims'>>(api('claims'), { method: 'POST' });
    if (value === undefined) return trouble;
    expectMachine(site.id, value.claim);
    setKnown(value.claim);
    onMade?.();
    return undefined;
  });
  const claim = known === 'code' ? undefined : known;
  if (claim !== undefined && claim.expiresAt > now())
    return (
      <>
        <CopyLine value={claim.command} what={text.waiting.command} prompt="#" />
        <p className="field-hint">{text.waiting.once(ahead(claim.expiresAt))}</p>
      </>
    );
  return (
    <>
      <p>{claim !== undefined ? text.waiting.expired : allowed ? absent : text.waiting.notAllowed}</p>
      <TroubleNotice trouble={work.trouble} />
      {allowed && (
        <Button busy={work.busy} onPress={() => void work.start()}>
          {text.waiting.make}
        </Button>
      )}
    </>
  );
}

/** It shows by itself: the page follows the site. */
export function Watching({ children }: { readonly children: ReactNode }): ReactNode {
  return (
    <div className="watching" role="status">
      <span className="pulse" aria-hidden="true" />
      {children}
    </div>
  );
}
