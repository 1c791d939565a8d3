// Apache James's own conformance scripts, where they are about what we offer. Each one left out has its reason here.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { imapSession } from '../../../protocols/imap/session.ts';
import { fakeHash, house } from './house.ts';
import { runScripts } from './james.ts';
import { memoryPair } from './pair.ts';

const folder = new URL('../../../../shared/corpus/james/mpt/impl/imap-mailbox/core/src/main/resources/org/apache/james/imap/scripts/', import.meta.url)
  .pathname;
const present = existsSync(folder);

/** Scripts that are not about this server: by the beginning of their name. */
const skipped: Readonly<Record<string, string>> = {
  ACLCommands: 'ACL is not offered',
  Rights: 'ACL is not offered',
  Sharing: 'shared mailboxes are not offered',
  Shared: 'shared mailboxes are not offered',
  RenameShared: 'shared mailboxes are not offered',
  ListWithShared: 'shared mailboxes are not offered',
  ListNamespace: 'expects their #private namespace',
  ListPlus: 'LIST-MYRIGHTS is not offered',
  ListSpecialChar: 'expects mailboxes which its Java code makes',
  ListWithPercentWildcardInMailboxName: 'wildcards in names are refused here (RFC 3501 §5.1 warns of them)',
  Metadata: 'METADATA is not offered',
  Quota: 'QUOTA is not offered',
  Replace: 'REPLACE is not offered',
  ObjectId: 'OBJECTID is not offered',
  FetchSaveDate: 'SAVEDATE is not offered',
  FetchNILSaveDate: 'SAVEDATE is not offered',
  SearchSaveDate: 'SAVEDATE is not offered',
  SearchOptionSave: 'SEARCHRES is not offered',
  SearchOptionAggregations: 'SEARCHRES is not offered',
  FetchPartial: 'PARTIAL is not offered',
  CondstoreDisable: 'CONDSTORE cannot be turned off here',
  AuthenticatePlain: 'their PLAIN goes without an authorization identity (RFC 4616 §2 has it)',
  Create: 'names of dots are names here',
  CreateErrorWithLongName: 'their names are shorter',
  Id: 'commas between the pairs of ID are not RFC 2971',
  MoveNoMSG: 'UID MOVE of a UID that is not there is OK (RFC 3501 §6.4.8)',
  PeekMultipartMixedComplex: 'its pattern is no regular expression for that message',
  Status: 'expects another order of items than it asks for',
  Uid: 'expects another order of items than it asks for',
  ValidAuthenticated: 'run by them with mailboxes that its Java code makes',
  ValidSelected: 'run by them without a selected mailbox',
  XList: 'special uses are not told by names here',
};
const reasonOf = (name: string): string | undefined =>
  Object.entries(skipped).find(([start]) => name === `${start}.test` || (name.startsWith(start) && !skipped[name.slice(0, -5)]))?.[1];

/** Lines whose replies differ, and should. */
const differs: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  'AppendExamineInbox.test': { 73: 'RENAME INBOX empties the selected mailbox, and that is told at once' },
  'ConcurrentExistsResponse.test': { 96: 'names a message that the session has not been told of', 106: 'so the flag it would have set is not there' },
  'FetchMultipartBodyStructure.test': { 210: 'FETCH () is no FETCH', 686: 'another order of parameters' },
  'FetchSimpleBodyStructure.test': { 93: 'FETCH () is no FETCH' },
  'FetchStructureComplex.test': { 782: 'FETCH () is no FETCH', 3110: 'another order of parameters' },
  'FetchSingleMessage.test': { 158: 'a macro stands alone (RFC 3501 §6.4.5)', 163: 'the same', 168: 'the same' },
  'ListSubscribed.test': { 123: 'REMOTE asks for local mailboxes too (RFC 5258 §3)', 130: 'another order of attributes', 140: 'the same', 150: 'the same' },
  'RenameHierarchy.test': {
    38: 'RENAME makes the superiors it needs (RFC 3501 §6.3.5)',
    48: 'the same',
    58: 'the same',
    68: 'the same',
    78: 'the same',
    88: 'the same',
    90: 'the same',
  },
  'SearchAtoms.test': {
    1616: 'the header of an enclosed message is text of the body',
    1929: 'PARTIAL is not offered',
    1933: 'the same',
    1937: 'the same',
    1941: 'the same',
    1945: 'the same',
  },
  'Subscribe.test': { 65: 'a name that does not exist is \\Noselect in LSUB' },
  'UidSearchAtoms.test': { 1978: 'the header of an enclosed message is text of the body' },
};

/** Scripts which log in by themselves, or not at all. */
const early = /^(?:Auth|Login|ValidNon|Welcome|Capability|Logout|NoCommand|NoTag|BadTag|Illegal|JustTag|Bogus)/;

/** Does a script begin with their mailbox `selected` of four messages selected? */
function needsSelected(name: string, text: string): boolean {
  if (early.test(name)) return false;
  if (/^(?:Copy|Uid\.)/.test(name)) return true;
  return (/selected/.test(text) && !/CREATE selected/.test(text)) || (/FETCH|STORE|SEARCH|CHECK|EXPUNGE/.test(text) && !/SELECT|EXAMINE/.test(text));
}

describe.skipIf(!present)('James scripts (skipped where ../shared/corpus is absent)', () => {
  const names = present ? readdirSync(folder).filter((name) => name.endsWith('.test') && !name.startsWith('SelectedState')) : [];
  for (const name of names) {
    const reason = reasonOf(name);
    test.skipIf(reason !== undefined)(reason === undefined ? name : `${name}: ${reason}`, async () => {
      const h = await house();
      await h.apply({ accounts: [{ address: 'imapuser@our.test', name: '', password: fakeHash('password'), quotaBytes: 0, enabled: true }] });
      const account = h.account('imapuser@our.test');
      for (const box of ['Drafts', 'Sent', 'Archive', 'Junk', 'Trash']) {
        await h.store.ask('deleteMailbox', { account, name: box });
        await h.store.ask('subscribeMailbox', { account, name: box, on: false });
      }
      const dial = async () => {
        const { server, client } = memoryPair();
        void imapSession(h.site, server, { name: 'imap', tls: false }).catch((error: unknown) => {
          h.crashed.push(error);
          server.destroy();
        });
        return { write: (bytes: Uint8Array) => client.write(bytes), read: () => client.read(), close: () => client.destroy() };
      };
      const before = needsSelected(name, readFileSync(folder + name, 'utf8')) ? [`${folder}SelectedStateSetup.test`] : [];
      await runScripts([...before, folder + name], dial, !early.test(name), new Set(Object.keys(differs[name] ?? {}).map(Number)));
      expect(h.crashed).toEqual([]);
    });
  }
});
