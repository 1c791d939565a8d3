// What is of the site as a whole: its name, the name of its host, where its mail leaves through, which resolvers it asks, and its end.

import { type ReactNode, useState } from 'react';
import { ask, wrongAt } from '../api.ts';
import type { Document, Relay } from '../contract.ts';
import { useDraft } from '../draft.ts';
import { text } from '../language.ts';
import { Button, IconButton } from '../parts/button.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { AreaField, PasswordField, TextField } from '../parts/field.tsx';
import { Form } from '../parts/form.tsx';
import { Help } from '../parts/help.tsx';
import { Await, Card, Page, Section } from '../parts/page.tsx';
import { refresh, useResource } from '../resource.ts';
import { go } from '../router.tsx';
import { orgPath, screenOf, useEdit, useSite, useVisitor, useWork } from '../session.ts';

export function Settings(): ReactNode {
  const { site, api } = useSite();
  const joined = site.state !== 'waiting';
  const document = useResource<Answer>(joined ? api('document') : null);
  return (
    <Page title={text.nav.site.settings} narrow>
      <Name />
      {joined && <Await of={document}>{(found) => <DocumentForms answer={found} etag={document.etag} />}</Await>}
      <End />
    </Page>
  );
}
type Answer = Document | { readonly document: Document };
const documentOf = (found: Answer): Document =>
  'document' in found && typeof found.document === 'object' ? (found.document as Document) : (found as Document);

function Name(): ReactNode {
  const { site, api } = useSite();
  const { member } = useVisitor();
  const [name, setName] = useState(site.name);
  const work = useWork(async () => {
    const { trouble } = await ask(api(), { method: 'PATCH', body: { name: name.trim() } });
    refresh(orgPath(member.id, 'sites'));
    return trouble;
  });
  return (
    <Section title={text.settings.name}>
      <Form work={work} verb={text.form.save} disabled={name.trim() === site.name}>
        <TextField label={text.newSite.name} hint={text.settings.nameHint} value={name} onValue={setName} maxLength={60} required />
      </Form>
    </Section>
  );
}

/** A part of the document, edited for itself: the others stay as they are in the rev that it follows. */
function usePart<T extends object>({ answer, etag }: PartProps, about: string, read: (document: Document) => T) {
  const { site, api } = useSite();
  const edit = useEdit();
  const path = api('document');
  const draft = useDraft({ path, about, read: (found: Answer) => read(documentOf(found)) }, { value: answer, etag });
  const put = (change: (document: Document) => Partial<Document>, what: string): ReturnType<typeof edit> =>
    draft.save(({ answer, etag }) => {
      const document = documentOf(answer);
      return edit({ path, method: 'PUT', body: { document: { ...document, ...change(document) } }, what, ifMatch: etag ?? `"${site.wantedRev}"` });
    });
  return { draft, document: documentOf(answer), put };
}

function DocumentForms(props: PartProps): ReactNode {
  return (
    <>
      <Host {...props} />
      <Relays {...props} />
      <Resolvers {...props} />
    </>
  );
}
interface PartProps {
  readonly answer: Answer;
  readonly etag: string | undefined;
}

function Host(props: PartProps): ReactNode {
  const { draft, document, put } = usePart(props, 'host', ({ host }) => ({ host }));
  const { host } = draft.value;
  const work = useWork(() => put(() => ({ host: host.trim().toLowerCase() }), text.settings.hostChanged(host.trim())));
  return (
    <Section title={text.settings.host} beside={<Help term="host" />} about={text.settings.hostAbout}>
      <Form
        work={work}
        verb={text.form.save}
        disabled={host.trim() === document.host && draft.conflict === null}
        conflict={draft.conflict}
        fields={['host']}
        names={{ host: text.settings.hostLabel }}
      >
        <TextField
          label={text.settings.hostLabel}
          value={host}
          onValue={(value) => draft.type({ host: value })}
          error={wrongAt(work.trouble, 'host')}
          spellCheck={false}
          autoComplete="off"
          maxLength={253}
          mono
          required
        />
      </Form>
    </Section>
  );
}

const blank: Relay = { for: '*', host: '', port: 587, user: '', password: '' };
const relaysOf = ({ outbound }: Document): { readonly relays: readonly Relay[] } => ({ relays: outbound?.relays ?? [] });
function Relays(props: PartProps): ReactNode {
  const { draft, document, put } = usePart(props, 'outbound', relaysOf);
  const { relays: before } = relaysOf(document);
  const { relays } = draft.value;
  const setRelays = (relays: readonly Relay[]): void => draft.type({ relays });
  const change = (i: number, part: Partial<Relay>): void => setRelays(relays.map((relay, at) => (at === i ? { ...relay, ...part } : relay)));
  const same = JSON.stringify(relays) === JSON.stringify(before);
  const work = useWork(() => put(({ outbound }) => ({ outbound: { ...outbound, relays: [...relays] } }), text.settings.relaysChanged));
  return (
    <Section title={text.settings.relays} beside={<Help term="relay" />} about={text.settings.relaysAbout}>
      <Form
        work={work}
        verb={!same || before.length > 0 ? text.form.save : undefined}
        disabled={same && draft.conflict === null}
        conflict={draft.conflict}
        names={{ relays: text.settings.relays }}
        wide
        beside={
          <Button icon="plus" onPress={() => setRelays([...relays, blank])}>
            {text.settings.relayAdd}
          </Button>
        }
      >
        {relays.map((relay, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: rows have no name until they are filled in
          <Card key={i} className="relay">
            <div className="fieldgrid">
              <TextField
                label={text.settings.relayFor}
                hint={text.settings.relayForHint}
                value={relay.for}
                onValue={(value) => change(i, { for: value })}
                spellCheck={false}
                required
              />
              <TextField label={text.settings.relayHost} value={relay.host} onValue={(value) => change(i, { host: value })} spellCheck={false} required />
              <TextField
                label={text.settings.relayPort}
                value={String(relay.port)}
                onValue={(value) => change(i, { port: Number(value.replace(/\D/g, '')) })}
                inputMode="numeric"
                required
              />
              <TextField
                label={text.settings.relayUser}
                value={relay.user}
                onValue={(value) => change(i, { user: value })}
                autoComplete="off"
                spellCheck={false}
                optional
              />
              <PasswordField
                label={text.settings.relayPassword}
                value={relay.password ?? ''}
                onValue={(value) => change(i, { password: value })}
                autoComplete="off"
                optional
              />
            </div>
            <IconButton icon="trash" label={text.settings.relayRemove(relay.for)} onPress={() => setRelays(relays.filter((_, at) => at !== i))} />
          </Card>
        ))}
      </Form>
    </Section>
  );
}

const resolversOf = ({ network }: Document): { readonly list: string } => ({ list: (network?.resolvers ?? []).join('\n') });
function Resolvers(props: PartProps): ReactNode {
  const { draft, document, put } = usePart(props, 'network', resolversOf);
  const { list: before } = resolversOf(document);
  const { list } = draft.value;
  const resolvers = list.split(/[\s,]+/).filter((word) => word !== '');
  const work = useWork(() => put(({ network }) => ({ network: { ...network, resolvers } }), text.settings.resolversChanged));
  return (
    <Section title={text.settings.resolvers} beside={<Help term="resolver" />} about={text.settings.resolversAbout}>
      <Form
        work={work}
        verb={text.form.save}
        disabled={resolvers.join('\n') === before && draft.conflict === null}
        conflict={draft.conflict}
        fields={['resolvers']}
        names={{ list: text.settings.resolvers }}
      >
        <AreaField
          label={text.settings.resolversLabel}
          value={list}
          onValue={(value) => draft.type({ list: value })}
          error={wrongAt(work.trouble, 'resolvers')}
          rows={2}
          placeholder="127.0.0.1:53"
        />
      </Form>
    </Section>
  );
}

function End(): ReactNode {
  const { site, api } = useSite();
  const { member } = useVisitor();
  const [asking, setAsking] = useState(false);
  return (
    <Section title={text.settings.end} about={text.settings.endAbout}>
      <Button look="danger" onPress={() => setAsking(true)}>
        {text.settings.endVerb}
      </Button>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={text.settings.endTitle(site.name)}
        word={site.name}
        verb={text.settings.endVerb}
        onConfirm={async () => {
          const { trouble } = await ask(api(), { method: 'DELETE' });
          if (trouble !== undefined) return trouble;
          refresh(orgPath(member.id, 'sites'));
          go(screenOf(member.id));
          return undefined;
        }}
      >
        {text.settings.endText}
      </Confirm>
    </Section>
  );
}
