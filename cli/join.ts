// `mailsite join`: this machine takes a claim and becomes a site of that portal. It works on a site that runs, on one that
// does not, and on a folder that holds none yet. Asked again it changes nothing.

import { hostname } from 'node:os';
import { z } from 'zod';
import { realWorld } from '../actors/platform.ts';
import type { World } from '../actors/world.ts';
import { getRow } from '../storage/rows.ts';
import { kitText } from '../storage/snapshot/keys.ts';
import { config } from '../storage/views.ts';
import { ensureMachineKey } from '../uplink/agent/machine.ts';
import { networkTransport } from '../uplink/agent/network.ts';
import { type Claim, devicePage, parseClaim } from '../uplink/claim.ts';
import { answerMac, askMac, enrolAnswer, macHolds, type EnrolAnswer } from '../uplink/enrol.ts';
import { fingerprintWords, seedFrom, signerOf } from '../uplink/keys.ts';
import { kitIdentity } from './apply.ts';
import type { Arguments } from './arguments.ts';
import { Failure, print, printJson, printJsonLine } from './output.ts';
import { dataDirectory, enterData } from './place.ts';
import { writeSite } from './site.ts';
import { ensureKeys } from './snapshot/create.ts';

const ENROL_MS = 30_000;

export const join = (given: Arguments): Promise<number> => take(given, '');

/** The same on a site that has a portal, for who has its recovery kit. Its configuration stays what it is: the new portal takes it over. */
export async function rehome(given: Arguments): Promise<number> {
  if (given.key === undefined) throw new Failure('the recovery kit says that this site is yours: give it as --key FILE; mailsite snapshot key prints it');
  return take(given, await kitIdentity(given.key));
}

async function take(given: Arguments, identity: string): Promise<number> {
  const word = given.operands[0] as string;
  const byCode = /^https?:\/\/[^/]+\/?$/.test(word);
  const world = realWorld(() => {});
  const claim = byCode ? await claimByCode(world, given, word.replace(/\/$/, '')) : parseClaim(word);
  if (claim === null) throw new Failure('this is no claim: it starts with ms1. and the portal shows it once; copy all of it');
  const site = await writeSite(world, given.data, given.engine);
  const before = site.view === null ? undefined : getRow(site.view, 'uplink', {});
  // before the claim is used up
  if (identity !== '' && (site.view === null || getRow(site.view, 'recovery', {})?.identity !== identity))
    throw new Failure(`this recovery key is not the one of ${site.data}: nothing was changed`);
  if (identity === '' && before !== undefined && before.portal !== claim.portal && before.state !== 'decommissioned')
    throw new Failure(`${site.data} belongs to the portal ${before.portal}: let it go there, or adopt the other one with mailsite rehome and the recovery kit`);
  const key = await ensureMachineKey(world);
  const signer = signerOf(key.seed);
  const { publicKey } = signer;
  const answer = await enrol(world, claim, publicKey, key.recipient);
  if (answer.purpose === 'launch') return (await import('./launch.ts')).launch(world, given, claim.portal, answer, signer, site);
  const { store, view, running } = await site.open();
  const { portal, rootPublic, site: id, machine, epoch } = answer;
  const who = { portal: claim.portal, portalId: portal, rootPublic, site: id, machine, signPublic: publicKey, epoch, identity };
  const kept = await store.ask('joined', { now: world.now(), ...who });
  if ('refused' in kept) throw new Failure(`${site.data} has not joined ${claim.portal}: ${kept.detail}`);
  const again = before?.machine === machine;
  view.refresh();
  const keys = await ensureKeys(world, store, view);
  const kit = again ? null : kitText(config(view)?.document.host || `site ${id}`, keys.lineage, keys.identity);
  if (given.json) printJson({ ok: true, portal: claim.portal, site: id, machine, epoch, running, again, kit });
  else
    print(
      `This is site ${id} of ${claim.portal} now: its configuration comes from there.${running ? '' : `\nNo site runs on ${site.data}: start it with mailsite run, or mailsite install.`}`,
    );
  if (!given.json && kit !== null) print(`\n${kit}`);
  return 0;
}

/** The machine shows a code, and somebody types it into the portal. */
async function claimByCode(world: World, given: Arguments, portal: string): Promise<Claim> {
  enterData(dataDirectory(given.data), true);
  const key = await ensureMachineKey(world);
  const { post } = networkTransport(world);
  const ask = async <T>(path: string, body: object, shape: z.ZodType<T>): Promise<T> => {
    const reply = await post(`${portal}${path}`, JSON.stringify(body), ENROL_MS).catch((error: Error) => {
      throw new Failure(`${portal} cannot be reached (${error.message}): see that this machine gets there, then join again`);
    });
    const answer = shape.safeParse(parse(reply.body));
    if (reply.status !== 200 || !answer.success) throw new Failure(`${portal} gives no code (HTTP ${reply.status}): is it a portal?`);
    return answer.data;
  };
  const { publicKey } = signerOf(key.seed);
  const { version } = await import('../package.json');
  const about = {
    host: hostname()
      .replace(/[^A-Za-z0-9._-]/g, '')
      .slice(0, 253),
    version,
  };
  const { code, secret, everyMs } = await ask('/v1/device', { signPublic: publicKey, wrapPublic: key.recipient, ...about }, deviceAnswer);
  const words = fingerprintWords(publicKey, key.recipient);
  const address = devicePage(portal, code);
  if (given.json) printJsonLine({ code, words, address });
  else print(`Open this page, on any device:\n\n    ${address}\n\nIt must show the code  ${code}\nand the words          ${words.join(' ')}\n`);
  for (;;) {
    await world.sleep(Math.min(Math.max(everyMs, 500), 60_000));
    const polled = await ask('/v1/device/poll', { code, secret }, pollAnswer);
    if (polled.state === 'gone') throw new Failure('nobody took this machine in: the code was turned away, or its time is over; join again for another one');
    const claim = polled.claim === undefined ? null : parseClaim(polled.claim);
    if (claim !== null) return claim;
  }
}
const deviceAnswer = z.object({ code: z.string().regex(/^[A-Z]{4}-[A-Z]{4}$/), secret: z.string(), everyMs: z.number() });
const pollAnswer = z.object({ state: z.enum(['waiting', 'gone', 'claimed']), claim: z.string().max(1_000).optional() });

async function enrol(world: World, claim: Claim, signPublic: string, wrapPublic: string): Promise<EnrolAnswer> {
  const { version } = await import('../package.json');
  const ask = { claim: claim.claim, signPublic, wrapPublic, nonce: seedFrom(world.random), version };
  const { post } = networkTransport(world);
  const reply = await post(`${claim.portal}/v1/enroll`, JSON.stringify({ ...ask, mac: askMac(claim.secret, ask) }), ENROL_MS).catch((error: Error) => {
    throw new Failure(`${claim.portal} cannot be reached (${error.message}): see that this machine gets there, then join again`);
  });
  return readAnswer(claim.portal, claim.secret, ask, reply);
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
