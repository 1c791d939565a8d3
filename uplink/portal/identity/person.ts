// People and what they are to organisations. Guarantees: an address is one person; an organisation has an owner for as long as
// it has anybody.

import { normalizeAddress } from '../../../storage/addresses.ts';
import type { RecordOf } from '../kinds.ts';
import type { Records, Transaction } from '../records.ts';
import { hashOf } from './secret.ts';
import type { Role } from './token.ts';

export type Person = RecordOf<'person'>;

/** One spelling of an e-mail address; what is none stays as it is. */
export const normalEmail = (email: string): string => normalizeAddress(email) ?? email.toLowerCase();

type Reads = Pick<Records, 'get'>;
export async function personByEmail(reads: Reads, email: string): Promise<{ readonly id: string; readonly row: Person } | null> {
  const at = await reads.get('personByEmail', hashOf(normalEmail(email)));
  const row = at && (await reads.get('person', at.person));
  return at !== undefined && row !== undefined ? { id: at.person, row } : null;
}

/** A person who was not there. The caller has looked, in the same transaction. */
export function addPerson(tx: Transaction, id: string, email: string, name: string, password: string, now: number): void {
  const none = { totp: null, totpPending: null, totpStep: 0, recoveryCodes: [] };
  tx.put('person', [id], { email: normalEmail(email), name, password, ...none, createdAt: now, enabled: true });
  tx.put('personByEmail', [hashOf(normalEmail(email))], { person: id });
}

export function addMember(tx: Transaction, organisation: string, person: string, role: Role, domains: readonly string[], now: number): void {
  tx.put('membership', [organisation, person], { role, domains: [...domains], since: now });
  tx.put('membershipOf', [person, organisation], {});
}

/** The organisations of a person, by their ids. */
export const organisationsOf = async (reads: Pick<Records, 'list'>, person: string): Promise<string[]> =>
  (await reads.list('membershipOf', [person])).map(({ id }) => id[1] as string);

/** Would an organisation be without an owner, if this person were none? */
export async function isLastOwner(tx: Transaction, organisation: string, person: string): Promise<boolean> {
  let others = 0;
  for (const { id } of await tx.list('membership', [organisation])) {
    if (id[1] === person) continue;
    // read by itself: two owners who leave at once must not both see the other
    if ((await tx.get('membership', organisation, id[1] as string))?.role === 'owner') others++;
  }
  return others === 0;
}
