// Ways out of the states in which nobody is heard as this site: of two machines one is chosen, by giving it a command; where
// another took over, the site goes on from a snapshot.

import type { ReactNode } from 'react';
import { text } from '../language.ts';
import { LinkButton } from '../parts/button.tsx';
import { Card, Section } from '../parts/page.tsx';
import { useMay, useSite } from '../session.ts';
import { ClaimCommand, Watching } from './claim.tsx';

export function WayOut(): ReactNode {
  const { site, screen } = useSite();
  const allowed = useMay();
  if (site.state === 'superseded')
    return allowed('snapshots.launch') ? (
      <Section title={text.wayOut.title} about={text.wayOut.launch}>
        <div className="actions">
          <LinkButton to={screen('snapshots')}>{text.wayOut.toSnapshots}</LinkButton>
        </div>
      </Section>
    ) : null;
  return (
    <Section title={text.wayOut.title}>
      <Card>
        <ol className="numbered">
          <li>
            <h3>{text.wayOut.which}</h3>
            <p>{text.wayOut.whichText}</p>
          </li>
          <li>
            <h3>{text.wayOut.stop}</h3>
            <p>{text.wayOut.stopText}</p>
          </li>
          <li>
            <h3>{text.wayOut.join}</h3>
            <ClaimCommand absent={text.wayOut.joinText} />
          </li>
          <li>
            <h3>{text.waiting.watch}</h3>
            <Watching>{text.wayOut.watching}</Watching>
          </li>
        </ol>
      </Card>
    </Section>
  );
}
