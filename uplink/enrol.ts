// How a machine becomes a site of a portal: what it says, and what it is told. Guarantees: both sides prove that they know
// the secret of the claim, so that nobody between them can put in another portal or another machine; nothing of it
// tells the secret.

import { z } from 'zod';
import { macOf, sameText } from './keys.ts';

const id = z.string().min(1).max(100);
const key = z.string().length(43);

export const enrolAsk = z.strictObject({
  claim: id,
  signPublic: key,
  /** age1… */
  wrapPublic: z.string().max(200),
  nonce: key,
  version: z.string().max(100),
  mac: key,
});
export type EnrolAsk = z.infer<typeof enrolAsk>;

export const enrolAnswer = z.strictObject({
  portal: id,
  rootPublic: key,
  site: id,
  machine: id,
  /** Of a launch: that of the machine which is still the site. */
  epoch: z.int().min(0),
  purpose: z.enum(['new', 'launch']),
  /** Of a launch: which snapshot to start from. */
  snapshot: z.string().max(500),
  time: z.int().min(0),
  mac: key,
});
export type EnrolAnswer = z.infer<typeof enrolAnswer>;

export const askMac = (secret: string, ask: Omit<EnrolAsk, 'mac'>): string => {
  const { claim, signPublic, wrapPublic, nonce, version } = ask;
  return macOf(secret, 'enrol', { claim, signPublic, wrapPublic, nonce, version });
};
/** Over what was asked as well: an answer to another question is none. */
export const answerMac = (secret: string, ask: Omit<EnrolAsk, 'mac'>, answer: Omit<EnrolAnswer, 'mac'>): string => {
  const { portal, rootPublic, site, machine, epoch, purpose, snapshot, time } = answer;
  return macOf(secret, 'enrolled', {
    nonce: ask.nonce,
    signPublic: ask.signPublic,
    portal,
    rootPublic,
    site,
    machine,
    epoch,
    purpose,
    snapshot,
    time,
  });
};
export const macHolds = (given: string, right: string): boolean => sameText(given, right);
