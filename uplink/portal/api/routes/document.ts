// The desired document of a site as a whole, and its history.

import { z } from 'zod';
import { limits } from '../../../../actors/limits.ts';
import { ordered } from '../../kinds.ts';
import { blank, differences, documentOf, edit, redact, siteOf, wantedOf, wholeDocument } from '../edit.ts';
import { notFound } from '../problem.ts';
import { admins, reply, siteWide, tenant } from '../route.ts';
import * as shape from '../shapes.ts';

const document = z
  .record(z.string(), z.unknown())
  .describe('see mailsite schema --document; a secret reads as an empty text, and stays as it is where it is sent so');
/** Which parts of it are others: `network, outbound`. */
const summaryOf = (was: object, now: object): string =>
  [...new Set(differences(was, now).map(({ path }) => path.split('/')[0]))].join(', ') || 'the document, as it was';

const revision = z.strictObject({ rev: z.int(), at: shape.time, by: z.string(), summary: z.string() });
const difference = z.strictObject({ path: z.string(), was: z.unknown(), now: z.unknown() });

/** A rev as a path names it. */
function revOf(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw notFound();
  return Number(text);
}

export const documentRoutes = [
  tenant('GET', '/organisations/{org}/sites/{site}/document', {
    about: 'The newest desired document. Its rev is in ETag; rev 0: there is none yet.',
    who: siteWide,
    answer: z.strictObject({ rev: z.int(), document }),
    async handle(call) {
      const now = await wantedOf(call.portal.records, call);
      return reply({ rev: now.rev, document: redact(now.document) as Record<string, unknown> }, { headers: { ETag: `"${now.rev}"` } });
    },
  }),
  tenant('PUT', '/organisations/{org}/sites/{site}/document', {
    about: 'Another desired document, whole. 412 tells what changed, when it is not the one that If-Match names any more.',
    who: admins,
    match: true,
    most: limits.document + limits.apiBody,
    body: z.strictObject({ document }),
    answer: shape.wanted,
    async handle(call) {
      const now = await wantedOf(call.portal.records, call);
      // what is stale is refused as such in the edit, before anybody is bothered with errors
      const next = call.ifRev === null || call.ifRev === now.rev ? await wholeDocument(call.body.document, now.document) : now.document;
      const pinned = { ...call, ifRev: call.ifRev ?? now.rev }; // secrets were filled in from this rev
      return edit(pinned, { action: 'document.replace', target: 'document', summary: summaryOf(now.document, next) }, () => next);
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/document/revisions', {
    about: 'The revs that there were, newest first.',
    who: siteWide,
    query: shape.page,
    answer: shape.listOf(revision),
    async handle(call) {
      const { portal, params, query } = call;
      await siteOf(portal.records, call);
      const after = query.after !== undefined && /^[0-9]{1,9}$/.test(query.after) ? { after: [params.site, ordered(Number(query.after))] } : {};
      const rows = await portal.records.list('desired', [params.site], { reverse: true, limit: query.limit + 1, ...after });
      const items = rows.slice(0, query.limit).map(({ body: { rev, at, by, summary } }) => ({ rev, at, by, summary }));
      return { items, next: rows.length > items.length ? String(items.at(-1)?.rev ?? 0) : null };
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/document/revisions/{rev}', {
    about: 'One rev, and what it changed in the one before it.',
    who: siteWide,
    answer: z.strictObject({ ...revision.shape, document, changed: z.array(difference) }),
    async handle(call) {
      const { portal, params } = call;
      await siteOf(portal.records, call);
      const rev = revOf(params.rev);
      const [row, now] = [await portal.records.get('desired', params.site, ordered(rev)), await documentOf(portal.records, params.site, rev)];
      if (row === undefined || now === undefined) throw notFound();
      const was = (await documentOf(portal.records, params.site, rev - 1)) ?? blank;
      return { rev, at: row.at, by: row.by, summary: row.summary, document: redact(now) as Record<string, unknown>, changed: differences(was, now) };
    },
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/document/rollback', {
    about: 'The content of an earlier rev, as a new one.',
    who: admins,
    body: z.strictObject({ rev: z.int('must be a whole number').min(1, 'must be at least 1') }),
    answer: shape.wanted,
    async handle(call) {
      const { rev } = call.body;
      await siteOf(call.portal.records, call);
      const then = await documentOf(call.portal.records, call.params.site, rev);
      if (then === undefined) throw notFound();
      return edit(call, { action: 'document.rollback', target: `rev ${rev}`, summary: `back to rev ${rev}` }, () => then);
    },
  }),
] as const;
