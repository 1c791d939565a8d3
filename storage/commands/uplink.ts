// The site's end of the uplink: whose it is, which rev of the desired document is in force, and what it has to tell.
// Guarantees (U2): a rev and its document are one commit; a rev that was dealt with is never dealt with again; the session
// counter only grows; an event that is dropped before the portal has it leaves a gap marker in its place.

import { limits } from '../../actors/limits.ts';
import { type Refusal, refuse } from '../../actors/wire.ts';
import { eventMark } from '../eventmark.ts';
import type { Row } from '../rows.ts';
import type { Tx } from '../tx.ts';
import { putDocument } from './configuration.ts';
import type { Command } from './site.ts';

type Uplink = Row<'uplink'>;
const notJoined = (): Refusal => refuse('conflict', 'this site has no portal');

export const joined: Command<'joined'> = (tx, { now, identity, ...who }) => {
  const was = tx.get('uplink', {});
  const same = was?.portalId === who.portalId && was.site === who.site;
  if (was && !same && was.state !== 'decommissioned' && !isKit(tx, identity)) return refuse('locked', `it belongs to the portal ${was.portal}`);
  if (same && was.machine === who.machine && was.epoch >= who.epoch && !awaitsClaim(was)) return {}; // asked again
  const kept: Pick<Uplink, 'seenRev' | 'seenHash' | 'seenStatus' | 'seenErrors' | 'runningRev' | 'runningHash' | 'confirmBy'> = same
    ? was
    : { seenRev: 0, seenHash: '', seenStatus: 'none', seenErrors: '[]', runningRev: 0, runningHash: '', confirmBy: 0 };
  if (!same) for (const { key } of tx.scan('desired', [])) tx.delete('desired', key);
  if (!same) tx.delete('before', {});
  const { seenRev, seenHash, seenStatus, seenErrors, runningRev, runningHash, confirmBy } = kept;
  const revs = { seenRev, seenHash, seenStatus, seenErrors, runningRev, runningHash, confirmBy };
  tx.put('uplink', {}, { ...who, ...revs, state: 'enrolled', counter: 0, joinedAt: now, offlineSince: now });
  note(tx, now, [{ name: 'site.joined', body: JSON.stringify({ portal: who.portal, machine: who.machine, epoch: who.epoch }) }]);
  tx.configured(tx.get('config', {})?.rev ?? 0);
  return {};
};

/** It is not the machine that its row names, until it joins as that one. */
const awaitsClaim = ({ state }: Uplink): boolean => state === 'standby' || state === 'restored';

export const uplinkUp: Command<'uplinkUp'> = (tx, { now, counter, aheadMs }) => {
  const row = tx.get('uplink', {});
  if (!row) return notJoined();
  if (counter <= row.counter) return refuse('conflict', `session ${counter} is not above ${row.counter}`);
  tx.put('uplink', {}, { ...row, counter, state: 'active', offlineSince: 0 });
  if (Math.abs(aheadMs) > limits.clockDiffersMs) {
    tx.put('clock', {}, { aheadMs, at: now });
    note(tx, now, [{ name: 'clock.differs', body: JSON.stringify({ aheadMs }) }]);
  } else if (tx.get('clock', {})) tx.delete('clock', {});
  return {};
};

export const uplinkDown: Command<'uplinkDown'> = (tx, { now, state }) => {
  const row = tx.get('uplink', {});
  if (!row) return notJoined();
  const lasting = row.state === 'superseded' || row.state === 'decommissioned' || row.state === 'restored';
  if (row.state === state || lasting) return {};
  const offlineSince = row.offlineSince === 0 ? now : row.offlineSince;
  tx.put('uplink', {}, { ...row, state, offlineSince });
  if (state === 'superseded') tx.configured(tx.get('config', {})?.rev ?? 0); // sessions end
  return {};
};

export const applyDesired: Command<'applyDesired'> = (tx, { now, rev, hash, signed, signature, document, confirmBy }) => {
  const row = tx.get('uplink', {});
  if (!row) return notJoined();
  if (!isNewer(row, rev)) return refuse('conflict', `rev ${rev} is not newer than ${row.seenRev}`);
  // what waits for its confirmation is what comes back: a newer rev does not make it the one that is known to be good
  const was = row.confirmBy > 0 ? undefined : tx.get('config', {});
  if (confirmBy > 0 && was) tx.put('before', {}, { document: was.document, rev: row.runningRev, hash: row.runningHash });
  putDocument(tx, document, now);
  const waits = confirmBy > 0 && tx.get('before', {}) !== undefined;
  if (!waits) tx.delete('before', {});
  tx.put('desired', { rev }, { hash, signed, signature, at: now });
  for (const { key } of [...tx.scan('desired', [], { reverse: true })].slice(limits.desiredKept)) tx.delete('desired', key);
  const seen = { seenRev: rev, seenHash: hash, seenStatus: 'applied', seenErrors: '[]' } as const;
  tx.put('uplink', {}, { ...row, ...seen, runningRev: rev, runningHash: hash, confirmBy: waits ? confirmBy : 0 });
  note(tx, now, [{ name: 'config.applied', body: JSON.stringify({ rev }) }]);
  return {};
};

/** One that was rejected may be tried again: a newer program may take it. */
const isNewer = (row: Uplink, rev: number): boolean => rev > row.seenRev || (rev === row.seenRev && row.seenStatus === 'rejected');

export const rejectDesired: Command<'rejectDesired'> = (tx, { now, rev, hash, errors }) => {
  const row = tx.get('uplink', {});
  if (!row) return notJoined();
  if (!isNewer(row, rev)) return refuse('conflict', `rev ${rev} is not newer than ${row.seenRev}`);
  if (rev === row.seenRev && row.seenHash === hash && row.seenErrors === errors) return {};
  tx.put('uplink', {}, { ...row, seenRev: rev, seenHash: hash, seenStatus: 'rejected', seenErrors: errors });
  note(tx, now, [{ name: 'config.rejected', body: JSON.stringify({ rev, errors: errors.slice(0, 3_000) }) }]);
  return {};
};

export const settleDesired: Command<'settleDesired'> = (tx, { now, rev, keep }) => {
  const row = tx.get('uplink', {});
  if (!row) return notJoined();
  const before = tx.get('before', {});
  if (row.confirmBy === 0 || row.runningRev !== rev || !before) return {};
  tx.delete('before', {});
  if (keep) {
    tx.put('uplink', {}, { ...row, confirmBy: 0 });
    return {};
  }
  putDocument(tx, before.document, now);
  const errors = JSON.stringify([{ path: 'network', code: 'unconfirmed', message: 'the uplink did not come back with it' }]);
  tx.put('uplink', {}, { ...row, confirmBy: 0, seenStatus: 'rolledback', seenErrors: errors, runningRev: before.rev, runningHash: before.hash });
  note(tx, now, [{ name: 'config.rolledback', body: JSON.stringify({ rev, to: before.rev }) }]);
  return {};
};

export const overrideConfig: Command<'overrideConfig'> = (tx, { now, document, identity }) => {
  if (!isKit(tx, identity)) return refuse('locked', 'the recovery key is not the one of this site');
  const row = tx.get('uplink', {});
  const rev = putDocument(tx, document, now);
  if (row) {
    tx.put('uplink', {}, { ...row, runningHash: '', confirmBy: 0 });
    tx.delete('before', {});
    note(tx, now, [{ name: 'config.overridden', body: JSON.stringify({ rev }) }]);
  }
  return { rev };
};

const isKit = (tx: Tx, identity: string): boolean => identity !== '' && tx.get('recovery', {})?.identity === identity;

const keptMs = 30 * 86_400_000;

/** What is known of a command; old ones go. */
export function commandRow(tx: Tx, command: string, now: number): Row<'commandResult'> | undefined {
  for (const { key, row } of tx.scan('commandResult', [], { limit: 20 })) if (row.at < now - keptMs) tx.delete('commandResult', key);
  return tx.get('commandResult', { command });
}

export const settleCommand: Command<'settleCommand'> = (tx, { now, command, state, value }) => {
  const row = tx.get('commandResult', { command });
  if (row?.state !== 'running') return {};
  tx.put('commandResult', { command }, { ...row, state, value, at: now, told: false });
  return {};
};

export const toldCommands: Command<'toldCommands'> = (tx, { commands }) => {
  for (const command of commands) {
    const row = tx.get('commandResult', { command });
    if (row && !row.told) tx.put('commandResult', { command }, { ...row, told: true });
  }
  return {};
};

export const recordEvents: Command<'recordEvents'> = (tx, { now, events }) => ({ last: note(tx, now, events) });

interface Event {
  readonly name: string;
  readonly body: string;
}
const overhead = 100;
const octetsOf = (event: Event): number => overhead + event.name.length + Buffer.byteLength(event.body);

/** Appends to what the portal is to be told. On a site without a portal there is nobody to tell. */
function note(tx: Tx, now: number, events: readonly Event[]): number {
  const log = tx.get('eventLog', {}) ?? { last: 0, octets: 0, started: '' };
  if (!tx.get('uplink', {})) return log.last;
  let { last, octets, started } = log;
  for (const { name, body } of events) {
    tx.put('event', { seq: ++last }, { at: now, name, body });
    octets += octetsOf({ name, body });
    if (name === 'site.started') started = String((JSON.parse(body) as { start?: unknown }).start ?? '');
  }
  tx.put('eventLog', {}, { last, octets: octets > limits.uplinkEvents ? octets - dropOldest(tx, now, octets) : octets, started });
  return last;
}

/** Makes room: the oldest tenth goes, and a marker in the place of the last of them says so. Returns what was freed. */
function dropOldest(tx: Tx, now: number, octets: number): number {
  let freed = 0;
  let from = 0;
  let to = 0;
  for (const { key, row } of tx.scan('event', [])) {
    if (freed > octets - 0.9 * limits.uplinkEvents) break;
    from ||= row.name === 'gap' ? gapFrom(row.body, key.seq) : key.seq;
    to = key.seq;
    freed += octetsOf(row);
    tx.delete('event', key);
  }
  const gap = { name: 'gap', body: JSON.stringify({ from }) };
  tx.put('event', { seq: to }, { at: now, ...gap });
  return freed - octetsOf(gap);
}

const gapFrom = (body: string, seq: number): number => Number((JSON.parse(body) as { from?: unknown }).from ?? seq);

export const ackEvents: Command<'ackEvents'> = (tx, { seq }) => {
  const log = tx.get('eventLog', {});
  if (!log) return {};
  let { octets } = log;
  for (const { key, row } of tx.scan('event', [], { before: { seq: seq + 1 } })) {
    octets -= octetsOf(row);
    tx.delete('event', key);
  }
  if (octets !== log.octets) tx.put('eventLog', {}, { ...log, octets });
  return {};
};

export const alignEvents: Command<'alignEvents'> = (tx, { now, seq, mark }) => {
  const own = tx.get('event', { seq });
  if ((tx.get('eventLog', {})?.last ?? 0) < seq || (own && eventMark(own) !== mark)) {
    renumber(tx, seq);
    return {};
  }
  ackEvents(tx, { seq }); // it has them, and we had not learned of it
  const log = tx.get('eventLog', {});
  const [first] = tx.scan('event', [], { limit: 1 });
  if (!log) return {};
  const next = first === undefined ? log.last + 1 : first.row.name === 'gap' ? gapFrom(first.row.body, first.key.seq) : first.key.seq;
  if (next <= seq + 1) return {};
  // it had them, and has lost them since: an older copy of it came back
  const gap = { name: 'gap', body: JSON.stringify({ from: seq + 1 }) };
  tx.put('event', { seq: next - 1 }, { at: now, ...gap });
  tx.put('eventLog', {}, { ...log, octets: log.octets + octetsOf(gap) });
  return {};
};

/** Ours go on above `seq`, in their order. */
function renumber(tx: Tx, seq: number): void {
  const log = tx.get('eventLog', {}) ?? { last: 0, octets: 0, started: '' };
  const rows = [...tx.scan('event', [])];
  for (const { key } of rows) tx.delete('event', key);
  let last = seq;
  for (const { row } of rows) tx.put('event', { seq: ++last }, row);
  tx.put('eventLog', {}, { ...log, last });
}
