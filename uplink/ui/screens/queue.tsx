// Mail that waits for other hosts: what, since when, why, and what can be done about it. Holding, releasing and trying again
// can be taken back by their opposite; deleting loses mail, so it is asked about.

import { type ReactNode, useMemo, useState } from 'react';
import { ask, at } from '../api.ts';
import { followed } from '../command.ts';
import { ahead, moment, now, size, span } from '../clock.ts';
import type { QueueAnswer, Queued, QueuedRecipient, Started } from '../contract.ts';
import { text } from '../language.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { Choice } from '../parts/field.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Card, Empty, Facts, Notice, Page, Section, TroubleNotice } from '../parts/page.tsx';
import { SearchBox } from '../parts/searchbox.tsx';
import { State } from '../parts/state.tsx';
import { Table } from '../parts/table.tsx';
import { refresh, useResource } from '../resource.ts';
import { go, useParam, useWhere } from '../router.tsx';
import { useMay, useSite, useWork } from '../session.ts';

type Action = 'hold' | 'release' | 'retry' | 'delete';
type Show = 'all' | 'waiting' | 'held';

const itemsOf = (answer: QueueAnswer | undefined): readonly Queued[] => answer?.queue.messages ?? [];
/** All of it: a message is held when nothing of it is to be tried. */
const isHeld = (message: Queued): boolean => message.recipients.every((r) => r.state === 'held');
const oldestFirst = (a: Queued, b: Queued): number => a.arrivedAt - b.arrivedAt;
const lastWords = (message: Queued): QueuedRecipient | undefined => message.recipients.find((r) => r.lastError !== '');

export function Queue(): ReactNode {
  const { site, api, screen } = useSite();
  const { search } = useWhere();
  const show = (search.get('show') ?? 'all') as Show;
  const [filter, setFilter] = useState('');
  const queue = useResource<QueueAnswer>(site.state === 'online' ? api('queue') : null);
  const rows = useMemo(() => {
    const wanted = filter.toLowerCase();
    return itemsOf(queue.value)
      .filter((m) => show === 'all' || (show === 'held') === isHeld(m))
      .filter((m) => `${m.from} ${m.recipients.map((r) => `${r.address} ${r.lastHost} ${r.lastError}`).join(' ')}`.toLowerCase().includes(wanted))
      .sort(oldestFirst);
  }, [queue.value, filter, show]);
  return (
    <Page title={text.nav.site.queue} beside={<Help term="queue" />} lead={text.queue.lead}>
      {site.state !== 'online' ? (
        <OfflineQueue />
      ) : (
        <Await of={queue}>
          {(answer) =>
            itemsOf(answer).length === 0 ? (
              <Empty icon="check" title={text.queue.empty}>
                {text.queue.emptyText}
              </Empty>
            ) : (
              <>
                <div className="toolbar">
                  <SearchBox label={text.queue.filter} value={filter} onValue={setFilter} />
                  <Choice<Show>
                    aria-label={text.queue.show}
                    value={show}
                    onValue={(next) => go(`${screen('queue')}${next === 'all' ? '' : `?show=${next}`}`, true)}
                    options={(['all', 'waiting', 'held'] as const).map((value) => ({ value, label: text.queue.shows[value] }))}
                  />
                </div>
                {rows.length === 0 ? <Empty icon="search" title={text.table.nothing(filter)} /> : <QueueTable rows={rows} />}
              </>
            )
          }
        </Await>
      )}
    </Page>
  );
}

function OfflineQueue(): ReactNode {
  const { site } = useSite();
  return (
    <Notice tone="idle" title={text.queue.offline}>
      {text.queue.offlineLast(site.queue.messages, site.state === 'offline')}
    </Notice>
  );
}

function QueueTable({ rows }: { readonly rows: readonly Queued[] }): ReactNode {
  const { screen } = useSite();
  const acts = useMay()('queue.act');
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const chosen = rows.filter((row) => picked.has(String(row.id)));
  const pick = (key: string, on: boolean): void => {
    const next = new Set(picked);
    if (on) next.add(key);
    else next.delete(key);
    setPicked(next);
  };
  return (
    <>
      {acts && <Actions messages={chosen} onDone={() => setPicked(new Set())} onAll={() => setPicked(new Set(rows.map((row) => String(row.id))))} />}
      <Table
        label={text.nav.site.queue}
        rows={rows}
        keyOf={(m) => String(m.id)}
        to={(m) => screen('queue', String(m.id))}
        picked={picked}
        onPick={acts ? pick : undefined}
        pickLabel={(m) => text.queue.message(m.from, m.recipients[0]?.address ?? '')}
        columns={[
          {
            label: text.queue.mail,
            wide: true,
            cell: (m) => (
              <span className="twoline">
                <span className="strong">
                  {m.recipients.length > 1 ? text.queue.toMany(m.recipients[0]?.address ?? '', m.recipients.length - 1) : m.recipients[0]?.address}
                </span>
                <span className="faint">{text.queue.from(m.from || text.queue.bounce)}</span>
              </span>
            ),
          },
          { label: text.queue.since, cell: (m) => span(now() - m.arrivedAt) },
          {
            label: text.queue.why,
            wide: true,
            cell: (m) => <span className="clip">{lastWords(m)?.lastError ?? <span className="faint">{text.queue.noTry}</span>}</span>,
          },
          { label: text.queue.next, cell: (m) => <Next message={m} /> },
        ]}
      />
    </>
  );
}
function Next({ message }: { readonly message: Queued }): ReactNode {
  if (isHeld(message)) return <State tone="warn">{text.queue.held}</State>;
  const due = message.recipients.flatMap((r) => r.nextAttempt ?? []);
  return due.length === 0 ? text.queue.trying : ahead(Math.min(...due));
}

/** `told`: how many recipients it changed, and how many are being tried; an older site says less. */
function became(action: Action, n: number, told: unknown): string {
  const { done, leased = 0 } = (typeof told === 'object' ? (told ?? {}) : {}) as { readonly done?: number; readonly leased?: number };
  if (leased === 0) return text.queue.did[action](n);
  const kept = action === 'delete' ? ` ${text.queue.kept}` : '';
  return `${done === 0 ? '' : `${text.queue.did[action](n)}. `}${text.queue.busy(leased)}${kept}`;
}

/** What can be done with those that are picked. */
function Actions({ messages, onDone, onAll }: { readonly messages: readonly Queued[]; readonly onDone: () => void; readonly onAll?: () => void }): ReactNode {
  const { site, api } = useSite();
  const [asking, setAsking] = useState(false);
  const [said, setSaid] = useState('');
  const act = async (action: Action): Promise<Awaited<ReturnType<typeof ask>>['trouble']> => {
    const { value, trouble } = await ask<Started>(api('queue', 'actions'), { method: 'POST', body: { action, ids: messages.map((m) => m.id) } });
    if (trouble !== undefined) return trouble;
    setSaid(text.queue.sent[action](messages.length));
    if (value !== undefined) void follow(value.command, action, messages.length);
    refresh(api('queue'));
    onDone();
    return undefined;
  };
  /** Says what became of it, when the site has told. */
  const follow = async (id: string, action: Action, n: number): Promise<void> => {
    const ended = await followed(api('commands', id), 10_000);
    if (ended !== undefined) setSaid(ended.state === 'done' ? became(action, n, ended.value) : text.queue.failed);
    refresh(api('queue'));
  };
  const work = useWork(act);
  const none = messages.length === 0;
  return (
    <div className="actionbar">
      <output className="actionbar-words">{none ? said || text.queue.pickSome : onAll === undefined ? said : text.table.picked(messages.length)}</output>
      <div className="actions">
        {onAll && (
          <Button look="quiet" onPress={none ? onAll : onDone}>
            {none ? text.table.pickAll : text.table.pickNone}
          </Button>
        )}
        <Button icon="retry" disabled={none} busy={work.busy} onPress={() => void work.start('retry')}>
          {text.queue.verbs.retry}
        </Button>
        <Button icon="pause" disabled={none} onPress={() => void work.start('hold')}>
          {text.queue.verbs.hold}
        </Button>
        <Button icon="arrow" disabled={none} onPress={() => void work.start('release')}>
          {text.queue.verbs.release}
        </Button>
        <Button icon="trash" disabled={none} onPress={() => setAsking(true)}>
          {text.queue.verbs.delete}
        </Button>
      </div>
      <TroubleNotice trouble={work.trouble} />
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={text.queue.deleteTitle(messages.length)}
        word={site.name}
        verb={text.queue.verbs.delete}
        onConfirm={() => act('delete')}
      >
        {text.queue.deleteText}
      </Confirm>
    </div>
  );
}

export function QueuedMessage(): ReactNode {
  const id = useParam('message');
  const { api, screen } = useSite();
  const allowed = useMay();
  const message = useResource<{ message: Queued }>(api('queue', id));
  return (
    <Page title={text.queue.one(id)} back={{ to: screen('queue'), label: text.nav.site.queue }}>
      <Await of={message}>
        {({ message: found }) => (
          <>
            {allowed('queue.act') && <Actions messages={[found]} onDone={message.reload} />}
            <Card>
              <Facts
                rows={[
                  [text.queue.sender, found.from || text.queue.bounce],
                  [text.queue.arrived, moment(found.arrivedAt)],
                  [text.queue.size, size(found.size)],
                  [text.queue.expires, ahead(found.expiresAt)],
                ]}
              />
            </Card>
            <Section title={text.queue.recipients} beside={<Help term="attempt" />}>
              <RecipientTable message={found} />
            </Section>
            {allowed('trace.see') && found.recipients[0] !== undefined && (
              <div className="actions">
                <LinkButton to={at([...screen('trace').slice(1).split('/')], { about: found.messageId || found.recipients[0].address })} icon="trace">
                  {text.queue.trace}
                </LinkButton>
              </div>
            )}
          </>
        )}
      </Await>
    </Page>
  );
}
function RecipientTable({ message }: { readonly message: Queued }): ReactNode {
  return (
    <Table
      label={text.queue.recipients}
      rows={message.recipients}
      keyOf={(r) => String(r.n)}
      columns={[
        { label: text.queue.to, cell: (r) => <span className="strong">{r.address}</span> },
        { label: text.queue.attempts, cell: (r) => String(r.attempts) },
        {
          label: text.queue.next,
          cell: (r) => (r.state === 'held' ? <State tone="warn">{text.queue.held}</State> : r.nextAttempt === null ? text.queue.trying : ahead(r.nextAttempt)),
        },
        {
          label: text.queue.said,
          wide: true,
          cell: (r) =>
            r.lastError === '' ? (
              <span className="faint">{text.queue.noTry}</span>
            ) : (
              <span className="twoline">
                <span>{r.lastHost}</span>
                <q className="words">
                  {r.lastCode} {r.lastError}
                </q>
              </span>
            ),
        },
      ]}
    />
  );
}
