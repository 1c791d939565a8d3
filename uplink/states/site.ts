// The site's end of one session with its portal, as a pure function: what came, and what is to be done about it. The real
// agent and the simulator run this same code. It reads nothing and does nothing; a step is `siteNext`.
//
// States of a session: greeting (wait for the challenge) → proving (auth is sent) → counting (the counter of the welcome is
// being kept) → live → over. Commit points: the counter is durable before `ready` is said; a rev is durable, with its
// document, before `applied` is said; a command's effect and its row are one commit before `result` is said; events go
// only when the portal has said that it has them.
//
// States of a site (table `uplink`): no row: unclaimed → enrolled → active ⇄ offline (its configuration is locked);
// superseded and decommissioned are for good, quarantined until an administrator picks one machine; standby and restored are
// copies that came out of a snapshot, until they join as the site's machine: the one is fenced, the other serves.

import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { Row } from '../../storage/rows.ts';
import {
  type CommandStatement,
  commandStatement,
  type DocumentProblem,
  readToSite,
  slices,
  type ToPortal,
  type ToSite,
  verdictStatement,
  type Verdict,
  welcomeStatement,
} from '../frames.ts';
import { openValue, portalKeyHolds, type Signer, signValue } from '../keys.ts';
import { type Judged, judge } from './desired.ts';

export type UplinkRow = Row<'uplink'>;

/** What a step may look at. `row` is as durable at this moment. */
export interface SiteSeen {
  readonly now: number;
  readonly monotonicMs: number;
  readonly row: UplinkRow;
  readonly signer: Signer;
  /** Fresh for each session. */
  readonly nonce: string;
  readonly version: string;
  readonly lineage: string;
  readonly commit: number;
  /** What is in force now, for a portal that has no document of this site yet; null: nothing. */
  readonly document: string | null;
  /** Commands that are being done outside of the store, by this process. */
  readonly busy: ReadonlySet<string>;
  /** How a command is done, or why not. */
  readonly plan: (name: string, args: Readonly<Record<string, unknown>>, command: string) => Plan;
}
export type Plan =
  /** `kind` empty: outside of the store, and the result comes later. */
  { readonly kind: string; readonly ask: Readonly<Record<string, unknown>>; readonly value: string } | { readonly failed: string };

export interface SiteSession {
  readonly phase: 'greeting' | 'proving' | 'counting' | 'live' | 'over';
  readonly heard: number;
  readonly heardAtMs: number;
  readonly signPublic: string;
  readonly welcome: {
    readonly counter: number;
    readonly eventSeq: number;
    readonly eventMark: string;
    readonly wantedRev: number;
    readonly aheadMs: number;
  } | null;
  /** The slices of a rev that have come. */
  readonly parts: { readonly rev: number; readonly texts: readonly string[] } | null;
  /** Events given to the portal up to here; `took`: it has said that it keeps them. */
  readonly given: number;
  readonly took: number;
  readonly facts: Facts | null;
  readonly base: Facts;
  readonly report: { readonly seq: number; readonly facts: Facts } | null;
  readonly reportSeq: number;
}
export type Facts = Readonly<Record<string, unknown>>;
export interface EventRow {
  readonly seq: number;
  readonly at: number;
  readonly name: string;
  readonly body: string;
}
interface ResultRow {
  readonly command: string;
  readonly state: 'running' | 'done' | 'failed' | 'expired';
  readonly value: string;
}

type Stored = 'counted' | 'aligned' | 'settled' | 'acked' | 'told' | 'noted' | 'fallen';
export type SiteInput =
  | { readonly is: 'heard'; readonly text: string }
  | { readonly is: 'stored'; readonly next: Stored; readonly answer: object }
  | { readonly is: 'applied'; readonly judged: Judged; readonly answer: object }
  | { readonly is: 'performed'; readonly command: CommandStatement; readonly answer: object }
  /** A command that was done outside of the store has its result there. */
  | { readonly is: 'done' }
  | { readonly is: 'events'; readonly rows: readonly EventRow[] }
  | { readonly is: 'results'; readonly rows: readonly ResultRow[] }
  | { readonly is: 'kept'; readonly rows: readonly { readonly rev: number; readonly signed: string; readonly signature: string }[] }
  | { readonly is: 'facts'; readonly facts: Facts }
  | { readonly is: 'answered'; readonly query: string; readonly ok: boolean; readonly value: unknown }
  /** Something was recorded, or time has passed. */
  | { readonly is: 'tick' };

export type SiteEffect =
  /** Frames are numbered as they are sent. */
  | { readonly do: 'say'; readonly frame: ToPortal }
  /** Asks the store; the answer comes as `stored`, `applied` or `performed`, before anything else. */
  | {
      readonly do: 'store';
      readonly kind: 'uplinkUp' | 'uplinkDown' | 'alignEvents' | 'settleDesired' | 'ackEvents' | 'toldCommands' | 'recordEvents';
      readonly ask: object;
      readonly next: Stored;
    }
  | { readonly do: 'apply'; readonly judged: Judged; readonly confirmBy: number }
  | {
      readonly do: 'perform';
      readonly command: CommandStatement;
      readonly kind: string;
      readonly ask: string;
      readonly state: 'running' | 'done' | 'failed' | 'expired';
      readonly value: string;
    }
  | { readonly do: 'settle'; readonly command: string; readonly state: 'done' | 'failed'; readonly value: string }
  | { readonly do: 'outside'; readonly command: string; readonly name: string; readonly args: Readonly<Record<string, unknown>> }
  | { readonly do: 'read'; readonly what: 'events' | 'results' | 'kept'; readonly above: number }
  | { readonly do: 'query'; readonly query: string; readonly name: string; readonly args: Readonly<Record<string, unknown>>; readonly timeoutMs: number }
  | { readonly do: 'warn'; readonly why: string }
  /** The connection is closed, and another one is tried after that long or after the usual time (0). */
  | { readonly do: 'end'; readonly why: string; readonly retryAfterMs: number };

export interface SiteStep {
  readonly session: SiteSession;
  readonly effects: readonly SiteEffect[];
}

export const siteBegins = (monotonicMs: number): SiteSession => ({
  phase: 'greeting',
  heard: 0,
  heardAtMs: monotonicMs,
  signPublic: '',
  welcome: null,
  parts: null,
  given: 0,
  took: 0,
  facts: null,
  base: {},
  report: null,
  reportSeq: 0,
});

export function siteNext(session: SiteSession, input: SiteInput, seen: SiteSeen): SiteStep {
  if (session.phase === 'over') return { session, effects: [] };
  switch (input.is) {
    case 'heard':
      return heard(session, input.text, seen);
    case 'stored':
      return stored(session, input.next, input.answer, seen);
    case 'applied':
      return applied(session, input.judged, input.answer, seen);
    case 'performed':
      return performed(session, input.command, input.answer, seen);
    case 'done':
      return live(session) ? doing(session, { do: 'read', what: 'results', above: 0 }) : quiet(session);
    case 'events':
      return given(session, input.rows);
    case 'results':
      return live(session)
        ? saying(session, ...input.rows.map(({ command, state, value }) => ({ t: 'result', body: { command, state, value } }) as const))
        : quiet(session);
    case 'kept':
      return saying(
        session,
        ...input.rows.flatMap(({ rev, signed, signature }) => slices(rev, signed).map((s) => ({ t: 'kept', body: { ...s, signature } }) as const)),
      );
    case 'facts':
      return reporting({ ...session, facts: input.facts });
    case 'answered':
      return live(session) ? saying(session, { t: 'answer', body: { query: input.query, ok: input.ok, value: input.value } }) : quiet(session);
    case 'tick':
      return ticked(session, seen);
  }
}

const live = ({ phase }: SiteSession): boolean => phase === 'live';
const quiet = (session: SiteSession): SiteStep => ({ session, effects: [] });
const end = (session: SiteSession, why: string, retryAfterMs = 0): SiteStep => ({
  session: { ...session, phase: 'over' },
  effects: [{ do: 'end', why, retryAfterMs }],
});

function saying(session: SiteSession, ...frames: readonly ToPortal[]): SiteStep {
  return { session, effects: frames.map((frame) => ({ do: 'say', frame }) as const) };
}

/** One step after another. */
function also(step: SiteStep, next: (session: SiteSession) => SiteStep): SiteStep {
  const more = next(step.session);
  return { session: more.session, effects: [...step.effects, ...more.effects] };
}
const doing = (session: SiteSession, ...effects: readonly SiteEffect[]): SiteStep => ({ session, effects });

function heard(session: SiteSession, text: string, seen: SiteSeen): SiteStep {
  const read = readToSite(text);
  if (read.is === 'damaged') return end(session, `the portal sent what is no frame: ${read.why}`);
  const seq = read.is === 'frame' ? read.frame.seq : read.seq;
  if (seq <= session.heard) return quiet(session); // it came twice
  if (seq > session.heard + 1) return end(session, 'a frame is missing');
  const next = { ...session, heard: seq, heardAtMs: seen.monotonicMs };
  if (read.is === 'unknown') return doing(next, { do: 'warn', why: `the portal sends ${read.t}, which this version does not know` });
  return frame(next, read.frame, seen);
}

function frame(session: SiteSession, { t, body }: ToSite, seen: SiteSeen): SiteStep {
  if (t === 'bye') return end(session, `the portal says ${body.reason}`, body.retryAfterMs);
  if (t === 'challenge') return session.phase === 'greeting' ? prove(session, body, seen) : end(session, 'a second challenge');
  if (t === 'verdict') return session.phase === 'proving' || live(session) ? judged(session, body, seen) : end(session, 'a verdict before a challenge');
  if (t === 'welcome') return session.phase === 'proving' ? welcomed(session, body, seen) : end(session, 'a welcome that was not asked for');
  if (t === 'pong') return quiet(session);
  if (!live(session)) return end(session, `${t} before the welcome`);
  if (t === 'desired') return desired(session, body, seen);
  if (t === 'command') return commanded(session, body, seen);
  if (t === 'query') return doing(session, { do: 'query', query: body.query, name: body.name, args: body.args, timeoutMs: body.timeoutMs });
  return took(session, body);
}

type BodyOf<T extends ToSite['t']> = Extract<ToSite, { t: T }>['body'];

function prove(session: SiteSession, body: BodyOf<'challenge'>, seen: SiteSeen): SiteStep {
  const { row } = seen;
  if (body.portal !== row.portalId || !portalKeyHolds(row.rootPublic, body.signPublic, body.signProof))
    return also(doing(session, { do: 'warn', why: `${row.portal} is not the portal that this site joined: nothing was told to it` }), (s) =>
      end(s, 'another portal', limits.uplinkRetryMaxMs),
    );
  const { machine, site, epoch, counter, seenRev, seenHash, runningRev, runningHash } = row;
  const { version, lineage, commit, nonce } = seen;
  const statement = {
    challenge: body.nonce,
    nonce,
    portal: body.portal,
    machine,
    site,
    epoch,
    counter,
    seenRev,
    seenHash,
    runningRev,
    runningHash,
    version,
    lineage,
    commit,
  };
  return saying({ ...session, phase: 'proving', signPublic: body.signPublic }, { t: 'auth', body: signValue(seen.signer, 'auth', statement) });
}

function judged(session: SiteSession, body: BodyOf<'verdict'>, seen: SiteSeen): SiteStep {
  const said = verdictStatement.safeParse(openValue(session.signPublic, 'verdict', body));
  if (!said.success || said.data.nonce !== seen.nonce || said.data.machine !== seen.row.machine) return end(session, 'a verdict that is not signed for us');
  const { verdict, epoch } = said.data;
  if (verdict === 'superseded' && epoch <= seen.row.epoch)
    return also(
      doing(session, { do: 'warn', why: `the portal speaks of epoch ${epoch}, and this machine is of ${seen.row.epoch}: its records are old` }),
      (s) => end(s, 'an old verdict', limits.uplinkRetryMaxMs),
    );
  return fallen(session, verdict, seen.now);
}

/** `fallen` is answered by the end of the session. */
const fallen = (session: SiteSession, state: Verdict, now: number): SiteStep =>
  doing(session, { do: 'store', kind: 'uplinkDown', ask: { now, state }, next: 'fallen' });

function welcomed(session: SiteSession, body: BodyOf<'welcome'>, seen: SiteSeen): SiteStep {
  const said = welcomeStatement.safeParse(openValue(session.signPublic, 'welcome', body));
  const { nonce, row, now } = seen;
  if (!said.success || said.data.nonce !== nonce || said.data.machine !== row.machine) return end(session, 'a welcome that is not signed for us');
  const { counter, epoch, eventSeq, eventMark, wantedRev, time } = said.data;
  if (epoch !== row.epoch || counter <= row.counter) return end(session, 'a welcome for another session');
  const aheadMs = time - now;
  const next: SiteSession = { ...session, phase: 'counting', welcome: { counter, eventSeq, eventMark, wantedRev, aheadMs } };
  const by = `${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'behind' : 'ahead of'}`;
  const differs: readonly SiteEffect[] =
    Math.abs(aheadMs) > limits.clockDiffersMs ? [{ do: 'warn', why: `the clock of this machine is ${by} that of its portal: set the one that is wrong` }] : [];
  return doing(next, ...differs, { do: 'store', kind: 'uplinkUp', ask: { now, counter, aheadMs }, next: 'counted' });
}

function stored(session: SiteSession, next: Stored, answer: object, seen: SiteSeen): SiteStep {
  const { now, row } = seen;
  if (next === 'fallen') return end(session, row.state, limits.uplinkRetryMaxMs);
  if (isRefusal(answer)) return end(session, `the store says ${answer.refused} ${answer.detail}`, limits.uplinkReportMs);
  const { welcome } = session;
  if (welcome === null) return quiet(session);
  if (next === 'counted')
    return doing(session, { do: 'store', kind: 'alignEvents', ask: { now, seq: welcome.eventSeq, mark: welcome.eventMark }, next: 'aligned' });
  if (next === 'aligned') {
    // the uplink is back after what might have cut it: what was changed stays
    if (row.confirmBy > 0) return doing(session, { do: 'store', kind: 'settleDesired', ask: { now, rev: row.runningRev, keep: true }, next: 'settled' });
    return begin(session, seen);
  }
  if (next === 'settled') return begin(session, seen);
  return quiet(session);
}

/** The first words of a session. */
function begin(session: SiteSession, seen: SiteSeen): SiteStep {
  const { welcome } = session;
  if (welcome === null) return quiet(session);
  const { row, document } = seen;
  const { counter, eventSeq, wantedRev } = welcome;
  const step = saying({ ...session, phase: 'live', given: eventSeq, took: eventSeq }, { t: 'ready', body: { counter } }, appliedFrame(row));
  const adopting = wantedRev === 0 && row.seenRev === 0 && document !== null;
  const adopted = adopting ? also(step, (s) => saying(s, ...slices(0, document).map((slice) => ({ t: 'adopt', body: slice }) as const))) : step;
  const kept: readonly SiteEffect[] = row.seenRev > wantedRev ? [{ do: 'read', what: 'kept', above: wantedRev - 1 }] : [];
  const first: readonly SiteEffect[] = [...kept, { do: 'read', what: 'results', above: 0 }, { do: 'read', what: 'events', above: eventSeq }];
  return also(
    also(adopted, (s) => doing(s, ...first)),
    reporting,
  );
}

const appliedFrame = (row: UplinkRow): ToPortal => ({
  t: 'applied',
  body: {
    rev: row.seenRev,
    hash: row.seenHash,
    status: row.seenStatus,
    errors: JSON.parse(row.seenErrors) as DocumentProblem[],
    runningRev: row.runningRev,
    runningHash: row.runningHash,
  },
});

function desired(session: SiteSession, { rev, part, parts, text, signature }: BodyOf<'desired'>, seen: SiteSeen): SiteStep {
  const so = session.parts?.rev === rev ? session.parts.texts : [];
  if (part !== so.length)
    return part === 0 ? desired({ ...session, parts: null }, { rev, part, parts, text, signature }, seen) : end(session, 'a slice is missing');
  const texts = [...so, text];
  if (texts.reduce((sum, t) => sum + t.length, 0) > limits.uplinkDesired) return end(session, 'a document is too long', limits.uplinkRetryMaxMs);
  if (texts.length < parts) return quiet({ ...session, parts: { rev, texts } });
  const verdict = judge({ signed: texts.join(''), signature }, session.signPublic, seen);
  const next = { ...session, parts: null };
  if (verdict.is === 'foreign')
    return also(doing(next, { do: 'warn', why: verdict.why }), (s) => end(s, 'a document that is not ours', limits.uplinkRetryMaxMs));
  if (verdict.is === 'old') return saying(next, appliedFrame(seen.row));
  const confirmBy = verdict.is === 'good' && verdict.mayCut ? seen.now + limits.confirmMs : 0;
  const warning: readonly SiteEffect[] = verdict.is === 'good' && verdict.broken ? [noted(seen.now, 'config.history', { rev: verdict.rev })] : [];
  return doing(next, ...warning, { do: 'apply', judged: verdict, confirmBy });
}

const noted = (now: number, name: string, body: object): SiteEffect => ({
  do: 'store',
  kind: 'recordEvents',
  ask: { now, events: [{ name, body: JSON.stringify(body) }] },
  next: 'noted',
});

function applied(session: SiteSession, verdict: Judged, answer: object, seen: SiteSeen): SiteStep {
  if (isRefusal(answer) && answer.refused !== 'conflict') return end(session, `the store says ${answer.refused} ${answer.detail}`, limits.uplinkReportMs);
  const step = also(saying(session, appliedFrame(seen.row)), ship);
  // a new session is what proves that the site is still reached
  if (verdict.is === 'good' && seen.row.confirmBy > 0) return also(step, (s) => end(s, 'to see whether the uplink holds', 1));
  return step;
}

function commanded(session: SiteSession, body: BodyOf<'command'>, seen: SiteSeen): SiteStep {
  const said = commandStatement.safeParse(openValue(session.signPublic, 'command', body));
  if (!said.success || said.data.site !== seen.row.site) return doing(session, { do: 'warn', why: 'a command that is not signed for this site' });
  const command = said.data;
  const nothing = { do: 'perform', command, kind: '', ask: '{}' } as const;
  if (seen.now + (session.welcome?.aheadMs ?? 0) > command.notAfter) return doing(session, { ...nothing, state: 'expired', value: '' });
  const plan = seen.plan(command.name, command.args, command.command);
  if ('failed' in plan) return doing(session, { ...nothing, state: 'failed', value: plan.failed });
  if (plan.kind === '') return doing(session, { ...nothing, state: 'running', value: '' });
  return doing(session, { do: 'perform', command, kind: plan.kind, ask: JSON.stringify(plan.ask), state: 'done', value: plan.value });
}

function performed(session: SiteSession, command: CommandStatement, answer: object, seen: SiteSeen): SiteStep {
  if (isRefusal(answer)) {
    if (answer.refused === 'full' || answer.refused === 'busy') return end(session, `the store says ${answer.refused}`, limits.uplinkReportMs);
    return doing(session, { do: 'perform', command, kind: '', ask: '{}', state: 'failed', value: answer.detail || answer.refused });
  }
  const { state, value, again } = answer as { readonly state: ResultRow['state']; readonly value: string; readonly again: boolean };
  const id = command.command;
  if (state !== 'running') return saying(session, { t: 'result', body: { command: id, state, value } });
  if (!again)
    return also(saying(session, { t: 'result', body: { command: id, state, value } }), (s) =>
      doing(s, { do: 'outside', command: id, name: command.name, args: command.args }),
    );
  if (seen.busy.has(id)) return saying(session, { t: 'result', body: { command: id, state, value } });
  const lost = 'the site crashed while it was under way: nobody can tell whether it was done';
  return doing(session, { do: 'settle', command: id, state: 'failed', value: lost }, { do: 'read', what: 'results', above: 0 });
}

function took(session: SiteSession, { eventSeq, reportSeq, results }: BodyOf<'took'>): SiteStep {
  let step = quiet(session);
  if (results !== undefined && results.length > 0)
    step = also(step, (s) => doing(s, { do: 'store', kind: 'toldCommands', ask: { commands: results }, next: 'told' }));
  const { report } = session;
  if (report !== null && reportSeq === report.seq) step = also(step, (s) => reporting({ ...s, base: report.facts, report: null }));
  if (eventSeq === undefined || eventSeq <= session.took || eventSeq > session.given) return step;
  return also(
    also(step, (s) => doing({ ...s, took: eventSeq }, { do: 'store', kind: 'ackEvents', ask: { seq: eventSeq }, next: 'acked' })),
    ship,
  );
}

/** What is new goes when all before it was taken. */
const ship = (session: SiteSession): SiteStep =>
  live(session) && session.took >= session.given ? doing(session, { do: 'read', what: 'events', above: session.given }) : quiet(session);

function given(session: SiteSession, rows: readonly EventRow[]): SiteStep {
  const last = rows.at(-1);
  if (!live(session) || last === undefined || session.took < session.given) return quiet(session);
  return saying({ ...session, given: last.seq }, { t: 'events', body: { events: [...rows] } });
}

/** The facts that changed since the report which the portal has. */
function reporting(session: SiteSession): SiteStep {
  const { facts, base, report } = session;
  if (!live(session) || facts === null || report !== null) return quiet(session);
  const differs = ([name, value]: readonly [string, unknown]): boolean => JSON.stringify(base[name]) !== JSON.stringify(value);
  const set = Object.fromEntries(Object.entries(facts).filter(differs));
  const gone = Object.keys(base).filter((name) => !Object.hasOwn(facts, name));
  const whole = session.reportSeq === 0;
  if (!whole && Object.keys(set).length === 0 && gone.length === 0) return quiet(session);
  const reportSeq = session.reportSeq + 1;
  return saying({ ...session, reportSeq, report: { seq: reportSeq, facts } }, { t: 'reported', body: { reportSeq, whole, set, gone } });
}

function ticked(session: SiteSession, { monotonicMs }: SiteSeen): SiteStep {
  const silentMs = monotonicMs - session.heardAtMs;
  if (silentMs > (live(session) ? limits.uplinkSilentMs : limits.uplinkConnectMs)) return end(session, 'the portal says nothing any more');
  if (!live(session)) return quiet(session);
  return also(silentMs >= limits.uplinkPingMs ? saying(session, { t: 'ping', body: {} }) : quiet(session), ship);
}
