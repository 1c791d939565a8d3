// What happened to this message? Asked with an address or a Message-ID; answered with one timeline a message, from the
// commits that did it, in the words of the hosts that said them. No body and no subject is shown: there is none in it.

import { type FormEvent, type ReactNode, useState } from 'react';
import { at } from '../api.ts';
import { clockOf, count, fullMoment, moment, now, size, weekdayOf } from '../clock.ts';
import type { Refusal, TraceAnswer, Traced, TraceEvent } from '../contract.ts';
import { text } from '../language.ts';
import { Button } from '../parts/button.tsx';
import { Copy } from '../parts/copy.tsx';
import { Choice } from '../parts/field.tsx';
import { Help } from '../parts/help.tsx';
import { Icon, type IconName } from '../parts/icon.tsx';
import { Await, Empty, Notice, Page, Section, type Tone } from '../parts/page.tsx';
import { State } from '../parts/state.tsx';
import { useResource } from '../resource.ts';
import { go, useWhere } from '../router.tsx';
import { useSite } from '../session.ts';

const day = 86_400_000;
const spans = { '1': day, '7': 7 * day, '30': 30 * day } as const;
type Days = keyof typeof spans;

export function Trace(): ReactNode {
  const { site } = useSite();
  const { search } = useWhere();
  const about = search.get('about') ?? '';
  const days = (Object.hasOwn(spans, search.get('days') ?? '') ? search.get('days') : '7') as Days;
  return (
    <Page title={text.trace.question} beside={<Help term="trace" />} lead={text.trace.lead}>
      <Question key={about} about={about} days={days} />
      {site.state !== 'online' ? (
        <Notice tone="idle" title={text.trace.offline}>
          {text.trace.offlineNext}
        </Notice>
      ) : about === '' ? (
        <Empty icon="trace" title={text.trace.start}>
          {text.trace.startText}
        </Empty>
      ) : (
        <Answer key={`${about} ${days}`} about={about} days={days} />
      )}
    </Page>
  );
}

function Question({ about, days }: { readonly about: string; readonly days: Days }): ReactNode {
  const { screen } = useSite();
  const [words, setWords] = useState(about);
  const to = (next: string, span: Days): string => `${screen('trace')}?about=${encodeURIComponent(next)}${span === '7' ? '' : `&days=${span}`}`;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (words.trim() !== '') go(to(words.trim(), days));
  };
  return (
    <search>
      <form className="ask" onSubmit={submit}>
        <Icon name="trace" />
        <input
          aria-label={text.trace.question}
          placeholder={text.trace.ask}
          value={words}
          onChange={(event) => setWords(event.target.value)}
          spellCheck={false}
          autoComplete="off"
          // biome-ignore lint/a11y/noAutofocus: the one thing that this screen is for
          autoFocus={about === ''}
        />
        <Choice<Days>
          aria-label={text.trace.since}
          value={days}
          onValue={(next) => go(to(words.trim(), next), true)}
          options={(['1', '7', '30'] as const).map((value) => ({ value, label: text.trace.days[value] }))}
        />
        <Button submit look="primary">
          {text.trace.verb}
        </Button>
      </form>
    </search>
  );
}

function Answer({ about, days }: { readonly about: string; readonly days: Days }): ReactNode {
  const { api } = useSite();
  const [since] = useState(() => now() - spans[days]);
  const answer = useResource<{ items: TraceAnswer }>(`${api('trace')}${at([], { about, since }).slice(1)}`);
  const [open, setOpen] = useState<number>();
  return (
    <Await of={answer}>
      {({ items: { messages, refusals, more } }) => {
        if (messages.length === 0 && refusals.length === 0)
          return (
            <Empty icon="search" title={text.trace.nothing(about)}>
              {text.trace.nothingText}
            </Empty>
          );
        const shown = open ?? (messages.length === 1 ? messages[0]?.trace : undefined);
        return (
          <>
            <p className="faint count">{text.trace.found(count(messages.length), more)}</p>
            <ul className="traces">
              {messages.map((message) => (
                <MessageRow
                  key={message.trace}
                  message={message}
                  open={shown === message.trace}
                  onOpen={() => setOpen(shown === message.trace ? 0 : message.trace)}
                />
              ))}
            </ul>
            {refusals.length > 0 && <Refusals refusals={refusals} />}
          </>
        );
      }}
    </Await>
  );
}

/** What became of it, in one word. */
function outcome(message: Traced): { readonly tone: Tone; readonly word: string } {
  const kinds = new Set(message.events.map((event) => event.kind));
  if (message.held.length > 0) return { tone: 'warn', word: text.trace.outcomes.held };
  if (message.waiting.length > 0) return { tone: 'warn', word: text.trace.outcomes.waiting };
  if (kinds.has('bounced') || kinds.has('expired')) return { tone: 'bad', word: text.trace.outcomes.bounced };
  if (kinds.has('deleted') || kinds.has('discarded')) return { tone: 'idle', word: text.trace.outcomes.deleted };
  if (kinds.has('delivered')) return { tone: 'good', word: text.trace.outcomes.delivered };
  return { tone: 'good', word: text.trace.outcomes.stored };
}

function MessageRow({ message, open, onOpen }: { readonly message: Traced; readonly open: boolean; readonly onOpen: () => void }): ReactNode {
  const { tone, word } = outcome(message);
  const [first = ''] = message.to;
  return (
    <li className="trace" data-open={open || undefined}>
      <button type="button" className="trace-head" aria-expanded={open} onClick={onOpen}>
        <Icon name="chevron" className="trace-chevron" />
        <span className="trace-route">
          <span className="strong">{message.from || text.queue.bounce}</span>
          <span className="trace-arrow" aria-hidden="true">
            →
          </span>
          <span className="hidden">{text.trace.to}</span>
          <span>{message.to.length > 1 ? text.queue.toMany(first, message.to.length - 1) : first}</span>
        </span>
        <State tone={tone}>{word}</State>
        <time className="faint num" dateTime={new Date(message.at).toISOString()}>
          {moment(message.at)}
        </time>
      </button>
      {open && <Timeline message={message} />}
    </li>
  );
}

const signs: Readonly<Record<TraceEvent['kind'], readonly [IconName, Tone]>> = {
  received: ['mail', 'info'],
  stored: ['check', 'good'],
  queued: ['queue', 'idle'],
  refused: ['wrong', 'bad'],
  delivered: ['check', 'good'],
  deferred: ['retry', 'warn'],
  bounced: ['wrong', 'bad'],
  expired: ['wrong', 'bad'],
  discarded: ['trash', 'idle'],
  held: ['pause', 'warn'],
  released: ['arrow', 'info'],
  retried: ['retry', 'info'],
  deleted: ['trash', 'bad'],
};

function Timeline({ message }: { readonly message: Traced }): ReactNode {
  const days = Map.groupBy(message.events, (event) => weekdayOf(event.at));
  return (
    <div className="trace-body">
      <dl className="trace-facts">
        <div>
          <dt>{text.trace.messageId}</dt>
          <dd>
            <code>{message.messageId || '–'}</code>
            {message.messageId !== '' && <Copy value={message.messageId} what={text.trace.messageId} />}
          </dd>
        </div>
        <div>
          <dt>{text.trace.size}</dt>
          <dd>{size(message.size)}</dd>
        </div>
        {message.to.length > 1 && (
          <div>
            <dt>{text.trace.recipients}</dt>
            <dd>{message.to.join(', ')}</dd>
          </div>
        )}
      </dl>
      {[...days].map(([name, events]) => (
        <div key={name}>
          <p className="timeline-day">{name}</p>
          <ol className="timeline">
            {events.map((event, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a timeline only grows at its end
              <EventRow key={i} event={event} message={message} />
            ))}
          </ol>
        </div>
      ))}
    </div>
  );
}

function EventRow({ event, message }: { readonly event: TraceEvent; readonly message: Traced }): ReactNode {
  const [icon, tone] = signs[event.kind];
  const who = event.kind !== 'stored' && event.to.length > 0 && message.to.length > 1 ? event.to.join(', ') : '';
  const client = event.kind === 'received' ? message.client : null;
  const ip = client?.ip ?? event.ip ?? '';
  const where = [event.host, ip === '' ? '' : `[${ip}]`, client?.tls ?? event.tls].filter((part) => part !== undefined && part !== '').join(' · ');
  return (
    <li className={`timeline-row timeline-${tone}`}>
      <span className="timeline-sign">
        <Icon name={icon} />
      </span>
      <div className="timeline-words">
        <p>
          <strong>{sentence(event, message)}</strong>
          {who !== '' && <span className="faint"> {text.trace.for(who)}</span>}
        </p>
        {where !== '' && <p className="faint mono">{where}</p>}
        {event.words !== undefined && event.words !== '' && (
          <q className="words" cite="">
            {event.code} {event.words}
          </q>
        )}
        {event.kind === 'deferred' && event.next !== undefined && event.next > 0 && <p className="faint">{text.trace.next(moment(event.next))}</p>}
      </div>
      <time className="faint num" title={fullMoment(event.at)} dateTime={new Date(event.at).toISOString()}>
        {clockOf(event.at)}
      </time>
    </li>
  );
}
function sentence(event: TraceEvent, message: Traced): string {
  if (event.kind === 'received')
    return message.account !== '' ? text.trace.submitted(message.account) : text.trace.received(message.client?.helo ?? event.host ?? '');
  if (event.kind === 'stored') return text.trace.stored(event.account ?? event.to.join(', '), event.mailbox ?? 'INBOX');
  if (event.kind === 'deferred' && (event.host ?? '') === '' && (event.ip ?? '') === '') return text.trace.putOff;
  if (event.by !== undefined && event.by !== '') return `${text.trace.kinds[event.kind]} ${text.trace.by(event.by)}`;
  return text.trace.kinds[event.kind];
}

function Refusals({ refusals }: { readonly refusals: readonly Refusal[] }): ReactNode {
  return (
    <Section title={text.trace.refused} beside={<Help term="refusal" />} about={text.trace.refusedAbout}>
      <ul className="refusals">
        {refusals.map((row) => (
          <li key={`${row.at} ${row.from} ${row.to}`}>
            <p>
              <span className="strong">{row.from || text.queue.bounce}</span> <span aria-hidden="true">→</span>
              <span className="hidden">{text.trace.to}</span> {row.to} {row.count > 1 && <span className="faint">{text.trace.times(row.count)}</span>}
            </p>
            <p className="faint mono">
              {row.helo} [{row.ip}]
            </p>
            <q className="words">
              {row.code} {row.words}
            </q>
            <time className="faint num" dateTime={new Date(row.at).toISOString()}>
              {moment(row.at)}
            </time>
          </li>
        ))}
      </ul>
    </Section>
  );
}
