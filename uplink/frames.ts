// What a site and its portal say to each other: one row a frame, with its shape. Guarantees: a frame is at most 1 MiB and
// is proved against its row before anybody looks at it; one of an unknown name is told from one that is damaged, so that
// an older program goes on when a newer one says more.
//
// A frame is {t, seq, body}: `t` names it, `seq` counts those of one direction of one session from 1, so that a frame
// which came twice is taken once, and one that is missing ends the session. The protocol is in README, "The uplink".

import { z } from 'zod';
import { limits } from '../actors/limits.ts';
import { signedValue } from './keys.ts';

const at = z.int().min(0);
const id = z.string().min(1).max(100);
const hash = z.string().max(100);
const key = z.string().max(100);
const rev = z.int().min(0);

const documentError = z.strictObject({ path: z.string().max(500), code: z.string().max(100), message: z.string().max(2_000) });
export type DocumentProblem = z.infer<typeof documentError>;

/** A long signed text in slices: `part` of `parts`, in order. */
const slice = z.strictObject({
  rev,
  part: z.int().min(0),
  parts: z
    .int()
    .min(1)
    .max(limits.uplinkDesired / limits.uplinkSlice),
  text: z.string().max(limits.uplinkSlice),
  signature: z.string().max(200),
});

/** Why a session ends, and what to do about it. */
export const byes = ['again', 'busy', 'replaced', 'unknown', 'refused', 'silent', 'confused', 'tooOld'] as const;
const bye = z.strictObject({ reason: z.enum(byes), retryAfterMs: at, redirect: z.string().max(500).optional() });

/** What a portal says of a machine that is not the one any more; the machine takes it from a signature only. */
export const verdicts = ['superseded', 'quarantined', 'decommissioned'] as const;
export type Verdict = (typeof verdicts)[number];

const resultStates = ['accepted', 'running', 'done', 'failed', 'expired'] as const;

/** From the portal to the site. */
const toSite = {
  challenge: z.strictObject({ nonce: key, portal: id, signPublic: key, signProof: z.string().max(200), time: at }),
  /** Signed (`what`: welcome): {nonce, machine, counter, epoch, eventSeq, eventMark, wantedRev, time}. */
  welcome: signedValue,
  /** Signed (`what`: verdict): {nonce, machine, verdict, epoch}. */
  verdict: signedValue,
  /** The slices of a signed desired document (`what`: desired). */
  desired: slice,
  /** Signed (`what`: command): {site, command, name, args, notAfter}. */
  command: signedValue,
  query: z.strictObject({ query: id, name: z.string().max(100), args: z.record(z.string(), z.unknown()), timeoutMs: at }),
  /** Events up to `eventSeq` are kept there; the last report; commands whose results are. */
  took: z.strictObject({ eventSeq: at.optional(), reportSeq: at.optional(), results: z.array(id).max(1_000).optional(), rev: rev.optional() }),
  pong: z.strictObject({ time: at }),
  bye,
} as const;

/** From the site to the portal. */
const toPortal = {
  /** Signed by the machine (`what`: auth): {challenge, nonce, portal, machine, site, epoch, counter, seenRev, …}. */
  auth: signedValue,
  /** The counter of the welcome is kept: the session has begun. */
  ready: z.strictObject({ counter: at }),
  applied: z.strictObject({
    rev,
    hash,
    status: z.enum(['none', 'applied', 'rejected', 'rolledback']),
    errors: z.array(documentError).max(100),
    runningRev: rev,
    runningHash: hash,
  }),
  /** A rev that the portal signed once and does not know any more: an older copy of it came back. */
  kept: slice,
  /** The document that is in force on a site whose portal has none yet, in slices. */
  adopt: slice.omit({ signature: true }),
  /** `set` and `gone` change the last report that was taken; `whole`: it is all. */
  reported: z.strictObject({ reportSeq: at, whole: z.boolean(), set: z.record(z.string(), z.unknown()), gone: z.array(z.string().max(100)).max(200) }),
  result: z.strictObject({ command: id, state: z.enum(resultStates), value: z.string().max(100_000) }),
  events: z.strictObject({
    events: z.array(z.strictObject({ seq: at, at, name: z.string().max(100), body: z.string().max(4_000) })).max(limits.uplinkEventsAtOnce),
  }),
  answer: z.strictObject({ query: id, ok: z.boolean(), value: z.unknown() }),
  ping: z.strictObject({}),
  bye,
} as const;

/** What the machine signs to say who it is. */
export const authStatement = z.strictObject({
  what: z.literal('auth'),
  challenge: key,
  nonce: key,
  portal: id,
  machine: id,
  site: id,
  epoch: at,
  counter: at,
  seenRev: rev,
  seenHash: hash,
  runningRev: rev,
  runningHash: hash,
  version: z.string().max(100),
  lineage: z.string().max(100),
  commit: at,
});
export type AuthStatement = z.infer<typeof authStatement>;
export const welcomeStatement = z.strictObject({
  what: z.literal('welcome'),
  nonce: key,
  machine: id,
  counter: at,
  epoch: at,
  eventSeq: at,
  eventMark: hash,
  wantedRev: rev,
  time: at,
});
export type WelcomeStatement = z.infer<typeof welcomeStatement>;
export const verdictStatement = z.strictObject({ what: z.literal('verdict'), nonce: key, machine: id, verdict: z.enum(verdicts), epoch: at });
export const desiredStatement = z.strictObject({
  what: z.literal('desired'),
  siteId: id,
  epoch: at,
  rev,
  prevHash: hash,
  schema: z.int(),
  minAgent: z.string().max(100),
  auditHead: z.string().max(200),
  doc: z.unknown(),
});
export const commandStatement = z.strictObject({
  what: z.literal('command'),
  site: id,
  command: id,
  name: z.string().max(100),
  args: z.record(z.string(), z.unknown()),
  notAfter: at,
});
export type CommandStatement = z.infer<typeof commandStatement>;

type Rows = Readonly<Record<string, z.ZodType>>;
type FrameOf<R extends Rows> = { [T in keyof R]: { readonly t: T; readonly body: z.infer<R[T]> } }[keyof R];
export type ToSite = FrameOf<typeof toSite>;
export type ToPortal = FrameOf<typeof toPortal>;
/** A frame with its number. */
type Numbered<F> = F & { readonly seq: number };

const envelope = z.strictObject({ t: z.string().max(40), seq: z.int().min(1), body: z.unknown() });

/** `unknown`: well-formed, of a name that this program does not know. `damaged`: no frame, and why. */
export type Read<F> =
  | { readonly is: 'frame'; readonly frame: Numbered<F> }
  | { readonly is: 'unknown'; readonly t: string; readonly seq: number }
  | { readonly is: 'damaged'; readonly why: string };

const reading =
  <R extends Rows>(rows: R) =>
  (text: string): Read<FrameOf<R>> => {
    if (text.length > limits.uplinkFrame) return { is: 'damaged', why: `a frame of ${text.length} is too long` };
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return { is: 'damaged', why: 'no JSON' };
    }
    const outer = envelope.safeParse(value);
    if (!outer.success) return { is: 'damaged', why: 'no frame' };
    const { t, seq, body } = outer.data;
    const row = Object.hasOwn(rows, t) ? rows[t] : undefined;
    if (row === undefined) return { is: 'unknown', t, seq };
    const found = row.safeParse(body);
    if (!found.success)
      return { is: 'damaged', why: `${t}: ${found.error.issues[0]?.path.join('.') ?? ''} ${found.error.issues[0]?.message ?? ''}`.slice(0, 200) };
    return { is: 'frame', frame: { t, seq, body: found.data } as unknown as Numbered<FrameOf<R>> };
  };

export const readToSite = reading(toSite);
export const readToPortal = reading(toPortal);

/** The text of a frame. */
export const frameText = ({ t, body }: ToSite | ToPortal, seq: number): string => JSON.stringify({ t, seq, body });

/** A long text in slices that fit frames. */
export function slices(rev: number, text: string): { readonly rev: number; readonly part: number; readonly parts: number; readonly text: string }[] {
  const parts = Math.max(1, Math.ceil(text.length / limits.uplinkSlice));
  return Array.from({ length: parts }, (_, part) => ({ rev, part, parts, text: text.slice(part * limits.uplinkSlice, (part + 1) * limits.uplinkSlice) }));
}
