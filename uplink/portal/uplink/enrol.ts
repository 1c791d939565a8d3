// `POST /v1/enroll`: a machine takes a claim. Guarantees: a claim is taken by one machine key, once; asked again by the
// same one it gives the same answer; another key is refused and alarmed; whoever does not know the secret learns nothing,
// not even whether there is such a claim. The epoch grows with each machine (U3).

import type { EnrolAnswer, EnrolAsk } from '../../enrol.ts';
import { answerMac, askMac, macHolds } from '../../enrol.ts';
import { alarm } from '../alarm.ts';
import { append } from '../identity/audit.ts';
import { signerFor } from '../identity.ts';
import type { RecordOf } from '../kinds.ts';
import type { Portal } from '../process.ts';
import type { Transaction } from '../records.ts';

export type Enrolled = { readonly ok: true; readonly answer: EnrolAnswer } | { readonly ok: false; readonly status: 403 | 409; readonly why: string };
const no = (why: string, status: 403 | 409 = 403): Enrolled => ({ ok: false, status, why });
const unknown = no('this claim is not known here, or it is over: ask for a new one');

export function enrol({ world, records }: Pick<Portal, 'world' | 'records'>, ask: EnrolAsk): Promise<Enrolled> {
  return records.transact(async (tx) => {
    const organisation = (await tx.get('claimOf', ask.claim))?.organisation;
    const claim = organisation === undefined ? undefined : await tx.get('claim', organisation, ask.claim);
    if (organisation === undefined || claim === undefined || !macHolds(ask.mac, askMac(claim.secret, ask))) return unknown;
    const site = await tx.get('site', organisation, claim.site);
    if (site === undefined || site.state === 'decommissioned') return unknown;
    if (claim.usedBy !== '' && claim.usedBy !== ask.signPublic) {
      alarm(tx, world, {
        organisation,
        site: claim.site,
        name: 'claim.taken',
        detail: `claim ${ask.claim} was taken by another machine before: ${claim.usedBy}`,
      });
      return no('another machine has taken this claim: if it was not you, look at the alarms of the portal', 409);
    }
    const epoch = claim.usedBy === '' ? await take(tx, world, organisation, ask, claim, site) : await epochOf(tx, claim);
    if (epoch === null) return unknown;
    const { identity } = await signerFor(tx);
    const { purpose, snapshot } = claim;
    const machine = machineId(ask.signPublic);
    const { portal, rootPublic } = identity;
    const answer = { portal, rootPublic, site: claim.site, machine, epoch, purpose, snapshot, time: world.now() };
    return { ok: true, answer: { ...answer, mac: answerMac(claim.secret, ask, answer) } };
  });
}

/** A machine is called by its key. */
const machineId = (signPublic: string): string => `m${Buffer.from(new Bun.CryptoHasher('sha256').update(signPublic).digest()).toString('hex').slice(0, 20)}`;

type Claim = RecordOf<'claim'>;

const epochOf = async (tx: Transaction, { site, machine }: Claim): Promise<number | null> => (await tx.get('machine', site, machine))?.epoch ?? null;

/** The machine is the site's from now on, and the one before is not. */
async function take(
  tx: Transaction,
  world: Portal['world'],
  organisation: string,
  ask: EnrolAsk,
  claim: Claim,
  site: RecordOf<'site'>,
): Promise<number | null> {
  const now = world.now();
  if (claim.expiresAt < now) return null;
  // whoever made it did not know of the machine that took over since: it would bring back an older state of the mail
  if (claim.epoch !== undefined && claim.epoch !== site.epoch) return null;
  const { signPublic, wrapPublic } = ask;
  const key = { signPublic, wrapPublic, sessionCounter: 0, offered: 0, enrolledAt: now, seenAt: now };
  if (claim.purpose === 'launch') return waits(tx, organisation, ask, claim, site, key);
  const epoch = site.epoch + 1;
  const machine = machineId(ask.signPublic);
  if (site.machine !== '' && site.machine !== machine) {
    const before = await tx.get('machine', claim.site, site.machine);
    if (before !== undefined) tx.put('machine', [claim.site, site.machine], { ...before, state: 'superseded' });
  }
  tx.put('machine', [claim.site, machine], { ...key, epoch, state: 'active' });
  const told = { actor: `machine ${machine}`, auth: 'claim', address: '', action: 'site.enrol', target: site.name, detail: `epoch ${epoch}` };
  await append(tx, organisation, { at: now, ...told });
  tx.put('claim', [organisation, ask.claim], { ...claim, usedBy: signPublic, machine });
  tx.put('site', [organisation, claim.site], { ...site, state: 'active', epoch, machine, online: false, since: now, seenAt: now });
  world.log('portal.enrolled', { site: claim.site, machine, epoch });
  return epoch;
}

/** The machine of a launch restores the site first: until it says that it has (portal/grants.ts), the one before goes on. */
async function waits(
  tx: Transaction,
  organisation: string,
  ask: EnrolAsk,
  claim: Claim,
  site: RecordOf<'site'>,
  key: Omit<RecordOf<'machine'>, 'epoch' | 'state'>,
): Promise<number | null> {
  const machine = machineId(ask.signPublic);
  const known = await tx.get('machine', claim.site, machine);
  if (known !== undefined && known.state !== 'standby') return null; // it was this site before: a launch begins on a new machine
  tx.put('machine', [claim.site, machine], { ...key, epoch: site.epoch, state: 'standby' });
  tx.put('claim', [organisation, ask.claim], { ...claim, usedBy: ask.signPublic, machine });
  return site.epoch;
}
