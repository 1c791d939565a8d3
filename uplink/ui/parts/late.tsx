// What comes when it is first wanted, and stays from then on, so that it goes away as it came.

import { type ReactNode, Suspense, useRef } from 'react';

export function Late({ wanted, children }: { readonly wanted: boolean; readonly children: ReactNode }): ReactNode {
  const once = useRef(false);
  once.current ||= wanted;
  return once.current ? <Suspense fallback={null}>{children}</Suspense> : null;
}
