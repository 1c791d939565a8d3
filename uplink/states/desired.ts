// Whether a site takes a desired document: signed by its portal, for it, newer than all it has dealt with, and valid.

import { limits } from '../../actors/limits.ts';
import { type Document, validateDocument } from '../../storage/document.ts';
import { type DocumentProblem, desiredStatement } from '../frames.ts';
import { hashOf, openValue, type SignedValue } from '../keys.ts';
import type { UplinkRow } from './site.ts';

export type Judged =
  /** `mayCut`: it changes what the uplink itself needs. `broken`: its history is not the one that we know. */
  | {
      readonly is: 'good';
      readonly rev: number;
      readonly hash: string;
      readonly signed: SignedValue;
      readonly document: string;
      readonly mayCut: boolean;
      readonly broken: boolean;
    }
  | { readonly is: 'bad'; readonly rev: number; readonly hash: string; readonly errors: readonly DocumentProblem[] };
type Verdict = Judged | { readonly is: 'old' } | { readonly is: 'foreign'; readonly why: string };

interface Given {
  readonly row: UplinkRow;
  readonly version: string;
  /** In force now. */
  readonly document: string | null;
}

export function judge(given: SignedValue, signPublic: string, { row, version, document }: Given): Verdict {
  const said = desiredStatement.safeParse(openValue(signPublic, 'desired', given));
  if (!said.success || said.data.siteId !== row.site || said.data.epoch > row.epoch)
    return { is: 'foreign', why: 'the portal sent a document that is not signed for this site' };
  const { rev, prevHash, schema, minAgent, doc } = said.data;
  const newer = rev > row.seenRev || (rev === row.seenRev && row.seenStatus === 'rejected');
  if (!newer) return { is: 'old' };
  const hash = hashOf(given.signed);
  const bad = (errors: readonly DocumentProblem[]): Verdict => ({ is: 'bad', rev, hash, errors: errors.slice(0, limits.documentErrors) });
  if (schema !== 1) return bad([{ path: 'schema', code: 'schema', message: `this version knows schema 1, not ${schema}` }]);
  if (compareVersions(minAgent, version) > 0) return bad([{ path: '', code: 'version', message: `it needs version ${minAgent}; this is ${version}` }]);
  const checked = validateDocument(JSON.stringify(doc));
  if (!checked.ok) return bad(checked.errors.map(({ path, message }) => ({ path: path.slice(0, 500), code: 'invalid', message: message.slice(0, 2_000) })));
  const open = checked.document.accounts.findIndex((account) => typeof account.password !== 'string');
  if (open >= 0) return bad([{ path: `accounts[${open}].password`, code: 'invalid', message: 'must be a hash: a portal keeps no password in clear' }]);
  const next = checked.document as Document;
  const was = document === null ? null : (JSON.parse(document) as Document);
  const mayCut = was !== null && JSON.stringify(was.network) !== JSON.stringify(next.network);
  const broken = rev === row.seenRev + 1 && row.seenHash !== '' && prevHash !== row.seenHash;
  return { is: 'good', rev, hash, signed: given, document: JSON.stringify(next), mayCut, broken };
}

/** Numbers between dots, as they count; anything else is equal. */
function compareVersions(a: string, b: string): number {
  const parts = (text: string): number[] => text.split(/[.+-]/).map((part) => Number.parseInt(part, 10) || 0);
  const [as, bs] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(as.length, bs.length); i++) if ((as[i] ?? 0) !== (bs[i] ?? 0)) return (as[i] ?? 0) - (bs[i] ?? 0);
  return 0;
}
