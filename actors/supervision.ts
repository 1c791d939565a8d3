// What the supervisor and its children say to each other, and who may ask it (the command line's `status`).

import { call, list, protocol, record, text, u32, u53 } from './wire.ts';

export const Supervision = protocol(
  'supervisor',
  {
    /** A child tells that it serves. */
    ready: call(1, { role: text(20), index: u32, pid: u32 }, {}),
    /** A child lives. Missing for limits.heartbeatMissedMs it is killed. */
    beat: call(2, { pid: u32 }, {}),
    processes: call(
      3,
      {},
      {
        pid: u32,
        startedAt: u53,
        processes: list(record({ role: text(20), index: u32, pid: u32, startedAt: u53, restarts: u32, ready: u32 }), 1_000),
        listeners: list(record({ name: text(20), address: text(60), port: u32 }), 100),
      },
    ),
  },
  {},
);
/** The exit code of a child that no restart would help: the supervisor ends with it. */
export const hopeless = 78;
export type SupervisionProtocol = typeof Supervision;
