// "?": a term of art in plain words, for who asks. One row of the catalogue each. What draws it comes when somebody first asks.

import { lazy, type ReactNode, Suspense, useState } from 'react';
import { text } from '../language.ts';

export type Term = keyof typeof text.terms;

const load = () => import('./explanation.tsx');
const Explanation = lazy(async () => ({ default: (await load()).Explanation }));

export function Help({ term }: { readonly term: Term }): ReactNode {
  const [asked, setAsked] = useState(false);
  const button = (
    <button
      type="button"
      className="help"
      aria-label={text.help.label(text.terms[term].name)}
      aria-haspopup="dialog"
      aria-expanded={false}
      onPointerEnter={() => void load()}
      onClick={() => setAsked(true)}
    >
      ?
    </button>
  );
  if (!asked) return button;
  return (
    <Suspense fallback={button}>
      <Explanation term={term} />
    </Suspense>
  );
}
