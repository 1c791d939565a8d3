// The signs of the UI: one stroke, 16 units wide, in the colour of the words beside them. They say nothing that words do not say.

import type { ReactNode } from 'react';

const paths = {
  sites: 'M2.5 3.5h11v4h-11zM2.5 8.5h11v4h-11zM5 5.5h.01M5 10.5h.01',
  overview: 'M2.5 8a5.5 5.5 0 1 1 11 0M8 8l2.5-2.5M4 12.5h8',
  trace: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.5 10.5l3 3',
  queue: 'M2.5 4h11M2.5 8h8M2.5 12h5',
  domains: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM2.5 8h11M8 2.5c2 2 2.5 3.5 2.5 5.5S10 11.5 8 13.5M8 2.5C6 4.5 5.5 6 5.5 8S6 11.5 8 13.5',
  accounts: 'M8 2.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5zM3 13.5c0-2.5 2.2-4 5-4s5 1.5 5 4',
  aliases: 'M3 4.5h4.5a3 3 0 0 1 3 3v4M8 9l2.5 2.5L13 9',
  snapshots: 'M8 2.5a5.5 5.5 0 1 0 5.5 5.5M8 5v3.2l2 1.3M13.5 3v3h-3',
  activity: 'M2 8h2.5L6.5 3.5l3 9L11.5 8H14',
  settings: 'M2.5 5h7M12.5 5h1M2.5 11h1M6.5 11h7M11 3.5v3M5 9.5v3',
  members: 'M6 3a2.2 2.2 0 1 1 0 4.4A2.2 2.2 0 0 1 6 3zM1.5 13c0-2.2 2-3.5 4.5-3.5s4.5 1.3 4.5 3.5M10.5 3.2a2.2 2.2 0 0 1 0 4M12 9.8c1.5.5 2.5 1.6 2.5 3.2',
  token: 'M10.5 2.5a3 3 0 1 1-2.7 4.3L3 11.5V13.5h2.5v-1.5H7v-1.5l2-2M11 5.5h.01',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.5 10.5l3 3',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  missing: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.5M8 11h.01',
  wrong: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM6 6l4 4M10 6l-4 4',
  plus: 'M8 3v10M3 8h10',
  chevron: 'M6 3.5L10.5 8 6 12.5',
  down: 'M4 6l4 4 4-4',
  back: 'M10 3.5L5.5 8l4.5 4.5',
  lock: 'M4 7.5h8v6H4zM5.5 7.5V5.5a2.5 2.5 0 0 1 5 0v2',
  mail: 'M2.5 4h11v8.5h-11zM2.5 4.5L8 9l5.5-4.5',
  arrow: 'M2.5 8h10.5M9 4l4 4-4 4',
  out: 'M6.5 3H3v10h3.5M6 8h7.5M10.5 5l3 3-3 3',
  sun: 'M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  retry: 'M13 8a5 5 0 1 1-1.5-3.6L13 6M13 2.5V6H9.5',
  trash: 'M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.5 9h6l.5-9',
  key: 'M5.5 6.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM7.7 7.3L13 2.5M11 4.5l2 2',
  person: 'M8 2.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5zM3 13.5c0-2.5 2.2-4 5-4s5 1.5 5 4',
  launch: 'M8.5 2.5c3-.5 5 .5 5 .5s1 2-.5 5L8.5 12 4 7.5zM4 7.5L2 8.5M8.5 12L7.5 14M5 11l-2 2',
} as const;
export type IconName = keyof typeof paths;

export function Icon({ name, className }: { readonly name: IconName; readonly className?: string | undefined }): ReactNode {
  return (
    <svg className={className === undefined ? 'icon' : `icon ${className}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
/** The mark: an envelope whose flap is a horizon. */
export function Mark(): ReactNode {
  return (
    <svg className="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
      <rect className="mark-ground" width="24" height="24" rx="6.5" />
      <path className="mark-line" d="M5.5 8.3v7.9h13V8.3M5.5 8.3c2.6 3.6 4.7 5.2 6.5 5.2s3.9-1.6 6.5-5.2" />
    </svg>
  );
}
