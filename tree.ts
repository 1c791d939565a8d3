// The supervision tree, as data. Start order is row order. `mailsite tree` prints it.
// Two levels: beyond its budget a child's crash ends its process; beyond a process's budget the supervisor exits,
// and systemd starts it again.

import { limits } from './actors/limits.ts';
import { exit, forget, type ProcessRow, restart } from './actors/tree.ts';

export const tree: readonly ProcessRow[] = [
  {
    role: 'store',
    count: 1,
    onCrash: restart(120, 60),
    children: [
      { name: 'storage', actor: 'storage', max: 1, onCrash: exit },
      { name: 'collector', actor: 'collector', max: 1, onCrash: restart(5, 60) },
      { name: 'scrub', actor: 'scrub', max: 1, onCrash: restart(5, 60) },
    ],
  },
  {
    role: 'edge',
    count: 'cores',
    onCrash: restart(120, 60),
    children: [
      { name: 'smtp', actor: 'smtp', port: 25, max: limits.connections, onCrash: forget },
      { name: 'submission', actor: 'smtp', port: 587, max: limits.connections, onCrash: forget },
      { name: 'submissions', actor: 'smtp', port: 465, tls: true, max: limits.connections, onCrash: forget },
      { name: 'imap', actor: 'imap', port: 143, max: limits.connections, onCrash: forget },
      { name: 'imaps', actor: 'imap', port: 993, tls: true, max: limits.connections, onCrash: forget },
    ],
  },
  { role: 'work', count: 1, onCrash: restart(120, 60), children: [{ name: 'work', actor: 'work', max: 1, onCrash: exit }] },
  {
    role: 'control',
    count: 1,
    onCrash: restart(120, 60),
    children: [
      { name: 'control', actor: 'control', max: 1, onCrash: exit },
      { name: 'metrics', actor: 'metrics', loopback: 9925, max: limits.httpConnections, onCrash: restart(5, 60) },
      { name: 'parking', actor: 'parking', max: 1, onCrash: restart(5, 60) },
      { name: 'proof', actor: 'proof', max: 1, onCrash: restart(5, 60) },
      { name: 'uplink', actor: 'uplink', max: 1, onCrash: restart(5, 60) },
    ],
  },
];

/** What `mailsite portal` runs. Its portal processes hold no state: any number may serve one engine. */
export const portalTree: readonly ProcessRow[] = [
  tree[0] as ProcessRow,
  { role: 'portal', count: 1, onCrash: restart(120, 60), children: [{ name: 'portal', actor: 'portal', max: 1, onCrash: exit }] },
];
