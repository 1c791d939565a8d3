// The part of the check that looks at what is remembered of messages. Rules: M2 what is remembered is counted, found and
// within its bounds; Q1 what is queued has a trace that says so, unless it is no longer kept.

import { type Checking, readable, tryRow } from './check.ts';
import { heldDue } from './schema.ts';
import { bucketOf, keysOf, weightOf } from './trace.ts';

export function checkTrace(c: Checking): void {
  const meter = tryRow(c, 'traceMeter', {});
  for (const _ of readable(c, 'traceMeter'));
  const { first, next, indexed, firstRefused, nextRefused } = meter ?? { first: 1, next: 1, indexed: 1, firstRefused: 1, nextRefused: 1 };
  let octets = 0;
  for (const { key, row } of readable(c, 'trace')) {
    octets += weightOf(row);
    if (key.trace < first || key.trace >= next) c.say('M2', `trace ${key.trace} is not one of [${first}, ${next})`);
    for (const of of key.trace < indexed ? keysOf(row) : [])
      if (!tryRow(c, 'traceIndex', { bucket: bucketOf(key.trace), of, trace: key.trace })) c.say('M2', `trace ${key.trace} is not found by one of its names`);
  }
  for (const { key, row } of readable(c, 'traceEvent')) {
    octets += weightOf(row);
    const [least, end, at] = key.trace === 0 ? [firstRefused, nextRefused, key.n] : [first, next, key.trace];
    if (at < least || at >= end) c.say('M2', `an event of trace ${key.trace}/${key.n} is of nothing that is kept`);
    const head = key.trace === 0 ? undefined : tryRow(c, 'trace', { trace: key.trace });
    for (const n of row.to) if (head && n >= head.remote.length) c.say('M2', `an event of trace ${key.trace} names recipient ${n}, which it has not`);
  }
  if (meter && octets !== meter.octets) c.say('M2', `traces are ${octets} octets, and were counted as ${meter.octets}`);
  // names of what is gone wait for the collector
  for (const { key } of readable(c, 'traceIndex'))
    if (key.bucket !== bucketOf(key.trace) || key.trace >= indexed) c.say('M2', `the index of traces names ${key.trace} in ${key.bucket}`);
  checkQueued(c, first, next);
}

/** A message of the queue and its trace name one another; who is held is due never, or leased still. */
function checkQueued(c: Checking, first: number, next: number): void {
  for (const { key, row } of readable(c, 'queue')) {
    if (row.trace === 0 || row.trace < first) continue;
    const head = tryRow(c, 'trace', { trace: row.trace });
    if (row.trace >= next || (head && head.queue !== key.queue)) c.say('Q1', `queue ${key.queue} has trace ${row.trace}, which is of another message`);
    for (const { key: at, row: recipient } of readable(c, 'queueRecipient', [key.queue]))
      if (head && head.remote[at.n] !== recipient.address) c.say('Q1', `recipient ${key.queue}/${at.n} was never told to be queued`);
  }
  for (const { key, row } of readable(c, 'queueRecipient')) {
    if (row.due === heldDue && row.held === 0) c.say('Q1', `recipient ${key.queue}/${key.n} is due never, and nobody holds it`);
    if (row.held > 0 && row.due !== heldDue && row.leaseUntil === 0) c.say('Q1', `recipient ${key.queue}/${key.n} is held and due at ${row.due}`);
  }
}
