// The portal's end of one session with a site, as a pure function: what came, and what is to be done about it. The real
// portal and the simulator run this same code; what the deeds do to the records is in portal/uplink/deeds.ts.
//
// States of a session: fresh → greeting (the challenge is sent) → admitting → offered (a counter is offered, and durable)
// → live → over. Commit points: a counter is durable before it is offered; what a site reports is durable before `took` is
// said. Two sessions of one machine end with one: whoever has the highest counter.

import { limits } from '../../actors/limits.ts';
import { type AuthStatement, authStatement, type byes, readToPortal, slices, type ToPortal, type ToSite, type Verdict } from '../frames.ts';
import { parseSigned, type SignedValue, signValue, type Signer } from '../keys.ts';

/** Whose session it is. */
export interface Who {
  readonly organisation: string;
  readonly site: string;
  readonly machine: string;
  readonly epoch: number;
  readonly counter: number;
}

export interface PortalSeen {
  readonly now: number;
  readonly monotonicMs: number;
  readonly portal: string;
  readonly signPublic: string;
  readonly signProof: string;
  readonly signer: Signer;
  /** Fresh for each session. */
  readonly nonce: string;
}

export interface PortalSession {
  readonly phase: 'fresh' | 'greeting' | 'admitting' | 'offered' | 'live' | 'over';
  readonly heard: number;
  readonly beganAtMs: number;
  readonly heardAtMs: number;
  readonly presentAtMs: number;
  /** Of the site: what it wants to find in what is signed for it. */
  readonly nonce: string;
  readonly who: Who | null;
  readonly statement: AuthStatement | null;
  /** The newest rev that was sent, and the commands. */
  readonly sentRev: number;
  readonly sentCommands: ReadonlySet<string>;
  readonly parts: { readonly of: 'kept' | 'adopt'; readonly rev: number; readonly texts: readonly string[] } | null;
}

type Bye = (typeof byes)[number];
type Body<T extends ToPortal['t']> = Extract<ToPortal, { t: T }>['body'];

/** What is done to the records. */
export type Deed =
  /** `waitedMs`: since it was challenged. */
  | { readonly name: 'admit'; readonly statement: AuthStatement; readonly signed: SignedValue; readonly waitedMs: number }
  | { readonly name: 'begin'; readonly who: Who; readonly statement: AuthStatement }
  | { readonly name: 'look'; readonly who: Who; readonly sentRev: number; readonly sentCommands: ReadonlySet<string> }
  | { readonly name: 'applied'; readonly who: Who; readonly body: Body<'applied'> }
  | { readonly name: 'reported'; readonly who: Who; readonly body: Body<'reported'> }
  | { readonly name: 'events'; readonly who: Who; readonly body: Body<'events'> }
  | { readonly name: 'result'; readonly who: Who; readonly body: Body<'result'> }
  | { readonly name: 'kept'; readonly who: Who; readonly signed: SignedValue }
  | { readonly name: 'adopt'; readonly who: Who; readonly document: string }
  | { readonly name: 'present'; readonly who: Who };
/** What comes of it. */
export type Done =
  | { readonly is: 'admitted'; readonly who: Who; readonly eventSeq: number; readonly eventMark: string; readonly wantedRev: number }
  | { readonly is: 'verdict'; readonly verdict: Verdict; readonly machine: string; readonly epoch: number }
  | { readonly is: 'bye'; readonly reason: Bye }
  | { readonly is: 'began' }
  | {
      readonly is: 'looked';
      readonly desired: { readonly rev: number; readonly signed: string; readonly signature: string } | null;
      readonly commands: readonly ({ readonly command: string } & SignedValue)[];
    }
  | { readonly is: 'took'; readonly body: Extract<ToSite, { t: 'took' }>['body'] }
  | { readonly is: 'nothing' };

export type PortalInput =
  | { readonly is: 'opened' }
  | { readonly is: 'heard'; readonly text: string }
  | { readonly is: 'did'; readonly done: Done }
  /** The records of the site changed, or time has passed. */
  | { readonly is: 'changed' }
  | { readonly is: 'tick' }
  | { readonly is: 'asked'; readonly query: string; readonly name: string; readonly args: Readonly<Record<string, unknown>>; readonly timeoutMs: number }
  /** The process has too much to do: the site comes back later. */
  | { readonly is: 'busy' };

export type PortalEffect =
  /** Frames are numbered as they are sent. */
  | { readonly do: 'say'; readonly frame: ToSite }
  /** Its outcome comes as `did`, before anything else. */
  | { readonly do: 'deed'; readonly deed: Deed }
  /** From now on the session hears of changes of its site, and of questions to it. */
  | { readonly do: 'attend'; readonly who: Who }
  | { readonly do: 'answer'; readonly query: string; readonly ok: boolean; readonly value: unknown }
  | { readonly do: 'end'; readonly why: string };

export interface PortalStep {
  readonly session: PortalSession;
  readonly effects: readonly PortalEffect[];
}

export const portalBegins = (monotonicMs: number): PortalSession => ({
  phase: 'fresh',
  heard: 0,
  beganAtMs: monotonicMs,
  heardAtMs: monotonicMs,
  presentAtMs: monotonicMs,
  nonce: '',
  who: null,
  statement: null,
  sentRev: 0,
  sentCommands: new Set(),
  parts: null,
});

export function portalNext(session: PortalSession, input: PortalInput, seen: PortalSeen): PortalStep {
  if (session.phase === 'over') return quiet(session);
  switch (input.is) {
    case 'opened': {
      const { nonce, portal, signPublic, signProof, now } = seen;
      return saying({ ...session, phase: 'greeting' }, { t: 'challenge', body: { nonce, portal, signPublic, signProof, time: now } });
    }
    case 'heard':
      return heard(session, input.text, seen);
    case 'did':
      return did(session, input.done, seen);
    case 'changed':
      return looking(session);
    case 'tick':
      return ticked(session, seen);
    case 'asked': {
      const { query, name, args, timeoutMs } = input;
      return session.phase === 'live' ? saying(session, { t: 'query', body: { query, name, args, timeoutMs } }) : quiet(session);
    }
    case 'busy':
      return bye(session, 'busy', limits.uplinkReportMs);
  }
}

const quiet = (session: PortalSession): PortalStep => ({ session, effects: [] });
const doing = (session: PortalSession, ...effects: readonly PortalEffect[]): PortalStep => ({ session, effects });
const deed = (session: PortalSession, of: Deed): PortalStep => doing(session, { do: 'deed', deed: of });

function saying(session: PortalSession, ...frames: readonly ToSite[]): PortalStep {
  return { session, effects: frames.map((frame) => ({ do: 'say', frame }) as const) };
}
function also(step: PortalStep, next: (session: PortalSession) => PortalStep): PortalStep {
  const more = next(step.session);
  return { session: more.session, effects: [...step.effects, ...more.effects] };
}
const over = (session: PortalSession, why: string): PortalStep => doing({ ...session, phase: 'over' }, { do: 'end', why });
const bye = (session: PortalSession, reason: Bye, retryAfterMs = 0): PortalStep =>
  also(saying(session, { t: 'bye', body: { reason, retryAfterMs } }), (s) => over(s, reason));

function heard(session: PortalSession, text: string, seen: PortalSeen): PortalStep {
  if (session.phase !== 'live' && text.length > limits.uplinkStranger) return over(session, 'a stranger says too much');
  const read = readToPortal(text);
  if (read.is === 'damaged') return bye(session, 'confused', limits.uplinkReportMs);
  const seq = read.is === 'frame' ? read.frame.seq : read.seq;
  if (seq <= session.heard) return quiet(session); // it came twice
  if (seq > session.heard + 1) return bye(session, 'again');
  const next = { ...session, heard: seq, heardAtMs: seen.monotonicMs };
  return read.is === 'unknown' ? quiet(next) : frame(next, read.frame, seen);
}

function frame(session: PortalSession, { t, body }: ToPortal, seen: PortalSeen): PortalStep {
  const { who, phase, statement } = session;
  if (t === 'bye') return over(session, `the site says ${body.reason}`);
  if (t === 'auth') return phase === 'greeting' ? authorised(session, body, seen) : over(session, 'auth twice');
  if (who === null || statement === null) return over(session, `${t} before auth`);
  if (t === 'ready') {
    return phase === 'offered' && body.counter === who.counter ? deed(session, { name: 'begin', who, statement }) : over(session, 'ready for another session');
  }
  if (phase !== 'live') return over(session, `${t} before ready`);
  switch (t) {
    case 'applied':
      return deed(session, { name: 'applied', who, body });
    case 'reported':
      return deed(session, { name: 'reported', who, body });
    case 'events':
      return deed(session, { name: 'events', who, body });
    case 'result':
      return deed(session, { name: 'result', who, body });
    case 'kept':
      return sliced(session, 'kept', body, (text) => ({ name: 'kept', who, signed: { signed: text, signature: body.signature } }));
    case 'adopt':
      return sliced(session, 'adopt', body, (text) => ({ name: 'adopt', who, document: text }));
    case 'answer':
      return doing(session, { do: 'answer', query: body.query, ok: body.ok, value: body.value });
    case 'ping':
      return saying(session, { t: 'pong', body: { time: seen.now } });
  }
}

function authorised(session: PortalSession, signed: SignedValue, seen: PortalSeen): PortalStep {
  const said = authStatement.safeParse(parseSigned(signed.signed));
  if (!said.success) return bye(session, 'confused', limits.uplinkReportMs);
  // whether the machine's key signed it is seen where the key is: in the deed
  const { challenge, portal, nonce } = said.data;
  if (challenge !== seen.nonce || portal !== seen.portal) return bye(session, 'refused', limits.uplinkReportMs);
  return deed(
    { ...session, phase: 'admitting', nonce, statement: said.data },
    {
      name: 'admit',
      statement: said.data,
      signed,
      waitedMs: seen.monotonicMs - session.beganAtMs,
    },
  );
}

interface Slice {
  readonly rev: number;
  readonly part: number;
  readonly parts: number;
  readonly text: string;
}

/** Long texts come in slices, in order. */
function sliced(session: PortalSession, of: 'kept' | 'adopt', { rev, part, parts, text }: Slice, whole: (text: string) => Deed): PortalStep {
  const so = part > 0 && session.parts?.of === of && session.parts.rev === rev ? session.parts.texts : [];
  if (part !== so.length) return bye(session, 'confused', limits.uplinkReportMs);
  const texts = [...so, text];
  if (texts.reduce((sum, t) => sum + t.length, 0) > limits.uplinkDesired) return bye(session, 'refused', limits.uplinkRetryMaxMs);
  if (texts.length < parts) return quiet({ ...session, parts: { of, rev, texts } });
  return deed({ ...session, parts: null }, whole(texts.join('')));
}

/** What only people can mend is not tried again soon. */
const retryAfter = (reason: Bye): number =>
  reason === 'unknown' || reason === 'refused' ? limits.uplinkRetryMaxMs : reason === 'confused' ? limits.uplinkReportMs : 0;

function did(session: PortalSession, done: Done, seen: PortalSeen): PortalStep {
  const { nonce, phase } = session;
  switch (done.is) {
    case 'bye':
      return bye(session, done.reason, retryAfter(done.reason));
    case 'verdict': {
      const { verdict, machine, epoch } = done;
      return also(saying(session, { t: 'verdict', body: signValue(seen.signer, 'verdict', { nonce, machine, verdict, epoch }) }), (s) => over(s, verdict));
    }
    case 'admitted': {
      if (phase !== 'admitting') return quiet(session);
      const { who, eventSeq, eventMark, wantedRev } = done;
      const { machine, counter, epoch } = who;
      const welcome = signValue(seen.signer, 'welcome', { nonce, machine, counter, epoch, eventSeq, eventMark, wantedRev, time: seen.now });
      return saying({ ...session, phase: 'offered', who }, { t: 'welcome', body: welcome });
    }
    case 'began': {
      const { who } = session;
      if (phase !== 'offered' || who === null) return quiet(session);
      return also(doing({ ...session, phase: 'live', presentAtMs: seen.monotonicMs }, { do: 'attend', who }), looking);
    }
    case 'looked': {
      const { desired, commands } = done;
      const rev =
        desired === null ? [] : slices(desired.rev, desired.signed).map((s) => ({ t: 'desired', body: { ...s, signature: desired.signature } }) as const);
      const sent = new Set([...session.sentCommands, ...commands.map((c) => c.command)]);
      const orders = commands.map(({ signed, signature }) => ({ t: 'command', body: { signed, signature } }) as const);
      return saying({ ...session, sentRev: desired?.rev ?? session.sentRev, sentCommands: sent }, ...rev, ...orders);
    }
    case 'took':
      return saying(session, { t: 'took', body: done.body });
    case 'nothing':
      return quiet(session);
  }
}

const looking = (session: PortalSession): PortalStep => {
  const { phase, who, sentRev, sentCommands } = session;
  return phase === 'live' && who !== null ? deed(session, { name: 'look', who, sentRev, sentCommands }) : quiet(session);
};

function ticked(session: PortalSession, { monotonicMs }: PortalSeen): PortalStep {
  const { who, phase } = session;
  if (phase !== 'live' || who === null)
    return monotonicMs - session.beganAtMs > limits.uplinkAuthMs ? over(session, 'it did not say who it is') : quiet(session);
  if (monotonicMs - session.heardAtMs > limits.uplinkSilentMs) return bye(session, 'silent');
  const step = looking(session);
  if (monotonicMs - session.presentAtMs < limits.uplinkPresenceMs) return step;
  return also(step, (s) => deed({ ...s, presentAtMs: monotonicMs }, { name: 'present', who }));
}
