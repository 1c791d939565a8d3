// What happened on a site, and which revs of its document there were; an earlier one can be made the newest again.

import type { ReactNode } from 'react';
import { ago, count, dayOf, fullMoment, moment, size } from '../clock.ts';
import type { Alarm, Revision, SiteEvent } from '../contract.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Card, Empty, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { Badge } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import { useList } from '../resource.ts';
import { orgPath, useEdit, useMay, useSite, useVisitor, useWork } from '../session.ts';

export function Activity(): ReactNode {
  const { site, api } = useSite();
  const { member } = useVisitor();
  const alarms = useList<Alarm>(orgPath(member.id, 'alarms')).value?.items.filter((alarm) => alarm.site === site.id) ?? [];
  const events = useList<SiteEvent>(api('events'));
  const revisions = useList<Revision>(api('document', 'revisions'));
  return (
    <Page title={text.nav.site.activity} lead={text.activity.lead}>
      <div className="columns">
        <Section title={text.activity.revisions} beside={<Help term="rev" />}>
          <Await of={revisions}>{({ items }) => <Revisions items={[...items].sort((a, b) => b.rev - a.rev)} />}</Await>
        </Section>
        <div className="stacked">
          {alarms.length > 0 && (
            <Section title={text.activity.noticed}>
              <Card className="card-list">
                {alarms.map(({ id, at, name, detail }) => (
                  <EventLine key={id} event={{ seq: 0, at, name, body: { detail } }} />
                ))}
              </Card>
            </Section>
          )}
          <Section title={text.activity.events}>
            <Await of={events}>
              {({ items }) =>
                items.length === 0 ? (
                  <Empty icon="activity" title={text.activity.noEvents} />
                ) : (
                  <Card className="card-list">
                    {[...items]
                      .sort((a, b) => b.seq - a.seq)
                      .map((event) => (
                        <EventLine key={event.seq} event={event} />
                      ))}
                  </Card>
                )
              }
            </Await>
          </Section>
        </div>
      </div>
    </Page>
  );
}

/** One thing that a site told, in a line. */
export function EventLine({ event }: { readonly event: SiteEvent }): ReactNode {
  return (
    <div className="eventline">
      <span>{said(event)}</span>
      <time className="faint num" title={fullMoment(event.at)} dateTime={new Date(event.at).toISOString()}>
        {moment(event.at)}
      </time>
    </div>
  );
}
/** In words where there are some for it, else its name and what came with it. */
function said({ name, body }: SiteEvent): ReactNode {
  const known = (text.events as Readonly<Record<string, string | undefined>>)[name];
  const fields = typeof body === 'object' && body !== null ? Object.entries(body) : [];
  const about = fields
    .filter(([, value]) => (typeof value === 'string' && value !== '') || typeof value === 'number')
    .flatMap(([field, value]) => saidOf(name, field, value as string | number))
    .join(' · ');
  return (
    <span className="twoline">
      <span>{known ?? <code>{name}</code>}</span>
      {about !== '' && <span className="faint clip">{about}</span>}
    </span>
  );
}

/** A list of errors as JSON, perhaps cut. */
const firstError = (json: string): string => /"message":"((?:[^"\\]|\\.)*)"/.exec(json)?.[1]?.replaceAll('\\"', '"') ?? json;

/** `commit 812,004`, `4.1 MB`; a text stands for itself; what only programs want to know is left out. */
function saidOf(event: string, field: string, value: string | number): string | [] {
  if (['ms', 'kind', 'start', 'machine', 'queue', 'from'].includes(field)) return [];
  if (field === 'size' || field === 'octets') return size(Number(value));
  if (field === 'notAfter') return text.fields.until(dayOf(new Date(value).getTime()));
  if (field === 'errors') return firstError(String(value));
  if (event === 'config.rolledback' && field === 'to') return text.fields.backTo(count(Number(value)));
  const said = (text.fields as Readonly<Record<string, ((value: string) => string) | undefined>>)[field];
  const words = typeof value === 'string' ? value : count(value);
  return said?.(words) ?? (typeof value === 'string' ? words : `${field} ${words}`);
}

/** `network, outbound` → `resolvers, outgoing mail`; what names a single row stays. */
function summaryOf({ summary }: Revision): string {
  const parts: Readonly<Record<string, string | undefined>> = text.activity.parts;
  return summary
    .split(', ')
    .map((part) => parts[part] ?? part)
    .join(', ');
}

function Revisions({ items }: { readonly items: readonly Revision[] }): ReactNode {
  const { site, api } = useSite();
  const allowed = useMay()('changes.undo');
  const edit = useEdit();
  const back = useWork((rev: number) => edit({ path: api('document', 'rollback'), method: 'POST', body: { rev }, what: text.activity.went(rev) }));
  return (
    <>
      <TroubleNotice trouble={back.trouble} />
      <Table
        label={text.activity.revisions}
        rows={items}
        keyOf={(row) => String(row.rev)}
        slim
        columns={[
          { label: text.activity.rev, cell: (row) => <span className="num strong">{row.rev}</span> },
          {
            label: text.activity.what,
            wide: true,
            cell: (row) => (
              <span className="twoline">
                <span>{summaryOf(row)}</span>
                <span className="faint">
                  {row.by}, {ago(row.at)}
                </span>
              </span>
            ),
          },
        ]}
        tail={(row) =>
          row.rev === site.runningRev ? (
            <Badge tone="good">{text.activity.inForce}</Badge>
          ) : row.rev === site.wantedRev ? (
            <Badge tone="info">{text.activity.coming}</Badge>
          ) : allowed ? (
            <Button look="quiet" onPress={() => void back.start(row.rev)}>
              {text.activity.back}
              <span className="hidden"> {text.activity.backTo(row.rev)}</span>
            </Button>
          ) : null
        }
      />
    </>
  );
}
