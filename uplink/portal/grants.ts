// `POST /v1/grant` and `POST /v1/activate`: a machine proves by its key who it is, and gets a token for parked objects, or
// becomes the primary of its site. Guarantees: a statement is taken with a challenge of this portal only, within its time;
// activation is one transaction that raises the epoch, so that there is one primary at each moment (U3); asked again it
// answers the same.

import { z } from 'zod';
import { limits } from '../../actors/limits.ts';
import { activateStatement, grantStatement, openToken, sealToken } from '../grant.ts';
import { holds, parseSigned, seedFrom, signedValue, signValue } from '../keys.ts';
import { alarm } from './alarm.ts';
import { signerFor } from './identity.ts';
import type { Portal } from './process.ts';
import type { Transaction } from './records.ts';

const refusal = (status: number, error: string): Response => Response.json({ error }, { status, headers: { 'cache-control': 'no-store' } });
const asked = z.union([z.strictObject({ challenge: z.literal(true) }), signedValue]);
type Asked = z.infer<typeof asked>;

/** `json`: of a request, undefined when it was none. */
export async function respondGrant(portal: Portal, json: unknown): Promise<Response> {
  const ask = asked.safeParse(json);
  if (!ask.success) return refusal(400, 'this asks for nothing');
  if ('challenge' in ask.data) return challenge(portal);
  const who = await proved(portal, ask.data, grantStatement);
  if (who === null) return refusal(403, 'this machine is not known here, or the challenge is over');
  const { said, organisation, key } = who;
  const site = await portal.records.get('site', organisation, said.site);
  if (site === undefined || (said.may === 'park' && site.machine !== said.machine)) return refusal(403, 'superseded: another machine is this site now');
  const until = portal.world.now() + limits.grantMs;
  const grant = sealToken(key, 'grant', { organisation, site: said.site, machine: said.machine, epoch: site.epoch, may: said.may, until });
  return Response.json({ grant, forMs: limits.grantMs });
}

async function challenge(portal: Portal): Promise<Response> {
  const { identity } = await signerFor(portal.records);
  const token = sealToken(identity.grantKey, 'challenge', { nonce: seedFrom(portal.world.random), until: portal.world.now() + limits.grantChallengeMs });
  return Response.json({ challenge: token, portal: identity.portal });
}

interface Proved<S> {
  readonly said: S;
  readonly organisation: string;
  readonly key: string;
}

/** Who signed it; null: not a machine of ours that may still speak. */
async function proved<S extends { challenge: string; portal: string; site: string; machine: string }>(
  { records, world }: Portal,
  ask: Exclude<Asked, { challenge: true }>,
  shape: z.ZodType<S>,
): Promise<Proved<S> | null> {
  const said = shape.safeParse(parseSigned(ask.signed));
  if (!said.success) return null;
  const { identity } = await signerFor(records);
  const { challenge, portal, site, machine: name } = said.data;
  if (portal !== identity.portal || openToken(identity.grantKey, 'challenge', challenge, world.now()) === null) return null;
  const machine = await records.get('machine', site, name);
  const organisation = (await records.get('siteOf', site))?.organisation;
  if (machine === undefined || organisation === undefined || !holds(machine.signPublic, ask.signed, ask.signature)) return null;
  if (machine.state !== 'active' && machine.state !== 'standby') return null;
  return { said: said.data, organisation, key: identity.grantKey };
}

/** A machine that has restored its site takes over from the one before. */
export async function respondActivate(portal: Portal, json: unknown): Promise<Response> {
  const ask = signedValue.safeParse(json);
  const who = ask.success ? await proved(portal, ask.data, activateStatement) : null;
  if (who === null) return refusal(403, 'this machine is not known here, or the challenge is over');
  const { site, machine, challenge, kept = false } = who.said;
  const done = await activate(portal, who.organisation, site, machine, !kept);
  if (done === null) return refusal(409, 'superseded: another machine is this site now, or the site is given up');
  const { identity, signer } = await signerFor(portal.records);
  const { signPublic, signProof } = identity;
  return Response.json({ ...signValue(signer, 'activated', { challenge, site, machine, ...done }), signPublic, signProof });
}

/** `proves`: the site was restored from the snapshot of the claim. */
function activate({ records, world }: Portal, organisation: string, id: string, name: string, proves: boolean): Promise<{ epoch: number } | null> {
  return records.transact(async (tx) => {
    const site = await tx.get('site', organisation, id);
    const machine = await tx.get('machine', id, name);
    if (site === undefined || machine === undefined || site.state === 'decommissioned') return null;
    if (site.machine === name) return { epoch: site.epoch };
    // one that waited since before another took over would bring back old mail
    if (machine.state !== 'standby' || machine.epoch !== site.epoch) return null;
    const now = world.now();
    const epoch = site.epoch + 1;
    const before = site.machine === '' ? undefined : await tx.get('machine', id, site.machine);
    if (before !== undefined) tx.put('machine', [id, site.machine], { ...before, state: 'superseded' });
    tx.put('machine', [id, name], { ...machine, state: 'active', epoch });
    tx.put('site', [organisation, id], { ...site, state: 'active', epoch, machine: name, online: false, since: now, ...(proves ? { provenAt: now } : {}) });
    if (proves) await markProven(tx, organisation, id, name, now);
    alarm(tx, world, { organisation, site: id, name: 'site.launched', detail: `machine ${name} is this site now, as epoch ${epoch}` });
    world.log('portal.enrolled', { site: id, machine: name, epoch });
    return { epoch };
  });
}

/** The snapshot that this machine was launched from has been restored, and its digest was right: so it says, and takes over on it. */
async function markProven(tx: Transaction, organisation: string, site: string, machine: string, now: number): Promise<void> {
  const claim = (await tx.list('claim', [organisation])).find(({ body }) => body.site === site && body.machine === machine);
  if (claim === undefined) return;
  const row = (await tx.list('snapshot', [site], { reverse: true })).find(({ body }) => body.name === claim.body.snapshot);
  if (row !== undefined) tx.put('snapshot', row.id, { ...row.body, proven: String(now) });
}
