// `mailsite join`: this machine takes a claim and becomes a site of that portal. It works on a site that runs, on one that
// does not, and on a folder that holds none yet. Asked again it changes nothing.

import { realWorld } from '../actors/platform.ts';
import { getRow } from '../storage/rows.ts';
import { ensureMachineKey } from '../uplink/agent/machine.ts';
import { networkTransport } from '../uplink/agent/network.ts';
import { parseClaim } from '../uplink/claim.ts';
import { answerMac, askMac, enrolAnswer, macHolds, type EnrolAnswer } from '../uplink/enrol.ts';
import { seedFrom, signerOf } from '../uplink/keys.ts';
import type { Arguments } from './arguments.ts';
import { Failure, print, printJson } from './output.ts';
import { writeSite } from './site.ts';

const ENROL_MS = 30_000;

export async function join(given: Arguments): Promise<void> {
  const claim = parseClaim(given.operands[0] as string);
  if (claim === null) throw new Failure('this is no claim: it starts with ms1. and the portal shows it once; copy all of it');
  const world = realWorld(() => {});
  const site = await writeSite(world, given.data, given.engine);
  const before = site.view === null ? undefined : getRow(site.view, 'uplink', {});
  const key = await ensureMachineKey(world);
  const { publicKey } = signerOf(key.seed);
  const { version } = await import('../package.json');
  const ask = { claim: claim.claim, signPublic: publicKey, wrapPublic: key.recipient, nonce: seedFrom(world.random), version };
  const { post } = networkTransport(world);
  const reply = await post(`${claim.portal}/v1/enroll`, JSON.stringify({ ...ask, mac: askMac(claim.secret, ask) }), ENROL_MS).catch((error: Error) => {
    throw new Failure(`${claim.portal} cannot be reached (${error.message}): see that this machine gets there, then join again`);
  });
  const answer = readAnswer(claim.portal, claim.secret, ask, reply);
  const { store, running } = await site.open();
  const { portal, rootPublic, site: id, machine, epoch, eventSeq } = answer;
  const kept = await store.ask('joined', {
    now: world.now(),
    portal: claim.portal,
    portalId: portal,
    rootPublic,
    site: id,
    machine,
    signPublic: publicKey,
    epoch,
    eventSeq,
    identity: '',
  });
  if ('refused' in kept) throw new Failure(`${site.data} has not joined ${claim.portal}: ${kept.detail}`);
  if (given.json) printJson({ ok: true, portal: claim.portal, site: id, machine, epoch, running, again: before?.machine === machine });
  else
    print(
      `This is site ${id} of ${claim.portal} now: its configuration comes from there.${running ? '' : `\nNo site runs on ${site.data}: start it with mailsite run, or mailsite install.`}`,
    );
}

function readAnswer(
  portal: string,
  secret: string,
  ask: Parameters<typeof answerMac>[1],
  { status, body }: { readonly status: number; readonly body: string },
): EnrolAnswer {
  const json = parse(body);
  const why = (json as { readonly error?: unknown } | null)?.error;
  if (status !== 200) throw new Failure(`${portal} refuses (${typeof why === 'string' ? why : `HTTP ${status}`})`);
  const answer = enrolAnswer.safeParse(json);
  if (!answer.success || !macHolds(answer.data.mac, answerMac(secret, ask, answer.data)))
    throw new Failure(`what answers at ${portal} does not know this claim: somebody is between, or it is another portal; nothing was changed`);
  return answer.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
