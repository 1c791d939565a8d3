// `mailsite trace`, `mailsite queue` and the page of numbers on the real executable: what is told is what happened, word for
// word, also after kill -9; the verbs work on a site that runs and on one that does not.

import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Smtp } from '../../bench/lib/conn.ts';
import { run, sleep } from '../../clients/programs.ts';
import { executable, password, type Site, sampleDocument, signal, startSite, until } from '../../clients/site.ts';
import type { Traced, TracedMessage } from '../../../storage/trace.ts';
import { parseExposition } from '../http/parse.ts';
import { type MailSink, mailSink } from './mailsink.ts';

let site: Site;
let sink: MailSink;
beforeAll(async () => {
  sink = await mailSink();
  sink.replies.set('slow', '451 4.7.1 greylisted, come back in a while');
  sink.replies.set('never', '550 5.1.1 no such user in this house');
  site = await startSite({
    document: sampleDocument(['alice', 'bob'], {
      aliases: [{ address: 'away@example.test', to: ['good@far.test'] }],
      outbound: { relays: [{ for: '*', host: '127.0.0.1', port: sink.port }] },
    }),
  });
});
afterAll(async () => {
  await site?.finish();
  sink?.close();
});

async function submit(id: string, to: readonly string[]): Promise<void> {
  const transport = createTransport({
    host: site.address,
    port: site.port('submissions'),
    secure: true,
    name: 'laptop.test',
    auth: { user: 'alice@example.test', pass: password },
    tls: { rejectUnauthorized: false },
  });
  const raw = `From: alice@example.test\r\nSubject: secret words\r\nMessage-ID: <${id}@example.test>\r\n\r\nbody words\r\n`;
  await transport.sendMail({ envelope: { from: 'alice@example.test', to: [...to] }, raw });
  transport.close();
}
const json = async <T>(...args: readonly string[]): Promise<T> => JSON.parse((await site.cli(...args, '--json')).stdout) as T;
const traced = (about: string, ...more: readonly string[]) => json<Traced>('trace', about, ...more);
const one = async (id: string): Promise<TracedMessage> => {
  const { messages } = await traced(`<${id}@example.test>`);
  expect(messages.length).toBe(1);
  return messages[0] as TracedMessage;
};
interface Listed {
  readonly messages: readonly {
    readonly id: number;
    readonly messageId: string;
    readonly recipients: readonly { readonly address: string; readonly state: string; readonly attempts: number }[];
  }[];
  readonly next: number | null;
}
const listed = (...more: readonly string[]) => json<Listed>('queue', 'list', ...more);
const idOf = async (id: string): Promise<number> => (await listed()).messages.find((m) => m.messageId === `${id}@example.test`)?.id ?? 0;
const kinds = (m: TracedMessage, to: string): string[] => m.events.filter((e) => e.to.includes(to) && e.kind !== 'received').map((e) => e.kind);

test('the timeline tells what really happened, with the words of the other host', async () => {
  await submit('first', ['bob@example.test', 'good@far.test', 'slow@far.test', 'never@far.test']);
  const m = await until('all were tried', async () => {
    const found = await one('first');
    return found.events.length >= 6 && found;
  });
  expect(m).toMatchObject({
    from: 'alice@example.test',
    to: ['bob@example.test', 'good@far.test', 'slow@far.test', 'never@far.test'],
    account: 'alice@example.test',
    client: { ip: '127.0.0.1', helo: 'laptop.test' },
    waiting: ['slow@far.test'],
  });
  expect(m.client?.tls).toMatch(/^TLSv1\.3 /);
  expect(m.events.slice(0, 3)).toMatchObject([
    { kind: 'received' },
    { kind: 'stored', account: 'bob@example.test', mailbox: 'INBOX', uid: 1 },
    { kind: 'queued', to: ['good@far.test', 'slow@far.test', 'never@far.test'] },
  ]);
  const by = { host: '127.0.0.1', ip: '127.0.0.1' };
  const event = (to: string) => m.events.slice(3).find((e) => e.to.includes(to));
  expect(event('good@far.test')).toMatchObject({ kind: 'delivered', ...by, words: expect.stringMatching(/^250 2\.0\.0 taken as number \d$/) as string });
  expect(event('slow@far.test')).toMatchObject({ kind: 'deferred', ...by, code: '4.7.1', words: '451 4.7.1 greylisted, come back in a while' });
  expect(event('slow@far.test')?.next).toBeGreaterThan(Date.now());
  expect(event('never@far.test')).toMatchObject({ kind: 'bounced', code: '5.1.1', words: '550 5.1.1 no such user in this house' });
  expect(sink.taken).toContain('good@far.test <first@example.test>');
  // the notification is mail of our own
  const own = (await traced('alice@example.test')).messages.find((found) => found.client === null);
  expect(own?.events.map((e) => e.kind)).toEqual(['received', 'stored']);
  const page = await site.cli('trace', 'never@far.test');
  expect(page.code).toBe(0);
  expect(page.stdout).toContain('refused for never@far.test by 127.0.0.1 [127.0.0.1]: 550 5.1.1 no such user in this house; the sender was told');
  expect(page.stdout).toContain('logged in as alice@example.test, from alice@example.test to bob@example.test, good@far.test');
  expect(page.stdout).not.toMatch(/secret words|body words/);
  expect((await site.cli('trace', 'x@nowhere.test')).code).toBe(1);
  expect((await traced('never@far.test', '--since', '2d')).messages.length).toBe(1);
  expect((await traced('never@far.test', '--since', '2999-01-01')).messages.length).toBe(0);
  expect((await site.cli('trace', 'x', '--since', 'soon')).code).toBe(2);
});

test('a stranger who is refused is told of too', async () => {
  const stranger = await Smtp.open(site.address, site.port('smtp'));
  const sent = await stranger.send('x@spam.test', 'nobody@example.test', Buffer.from('Subject: x\r\n\r\n'), Buffer.alloc(0)).catch(() => null);
  expect(sent?.code ?? 550).not.toBe(250);
  stranger.close();
  const found = await until('it is told', async () => {
    const { refusals } = await traced('nobody@example.test');
    return refusals.length > 0 && refusals;
  });
  expect(found).toMatchObject([{ from: 'x@spam.test', ip: '127.0.0.1', code: '550 5.1.1', words: 'There is no such address here' }]);
});

test('hold, release, retry and delete while the site runs', async () => {
  const id = await idOf('first');
  expect((await json<{ recipients: { address: string; lastError: string }[] }>('queue', 'show', String(id))).recipients).toMatchObject([
    { address: 'slow@far.test', state: 'waiting', attempts: 1, lastError: '451 4.7.1 greylisted, come back in a while' },
  ]);
  expect((await site.cli('queue', 'retry', `${id}`)).stdout).toContain('1 recipient made due');
  await until('it was tried again', async () => kinds(await one('first'), 'slow@far.test').filter((k) => k === 'deferred').length === 2);
  expect(await json('queue', 'hold', '--all-matching', '--to', 'far.test')).toEqual({ verb: 'hold', named: 1, done: 1, leased: 0 });
  expect((await site.cli('queue', 'list')).stdout).toMatch(/slow@far\.test +held +127\.0\.0\.1: 451 4\.7\.1/);
  expect((await site.cli('status')).stdout).toMatch(/far\.test +1 .* held/);
  expect((await one('first')).held).toEqual(['slow@far.test']);
  sink.replies.delete('slow');
  expect((await site.cli('queue', 'retry', `${id}/2`)).code).toBe(1); // there is no such recipient
  expect(await json('queue', 'retry', `${id}`)).toMatchObject({ named: 1, done: 0 });
  await sleep(300);
  expect(sink.taken).not.toContain('slow@far.test <first@example.test>');
  expect(await json('queue', 'release', `${id}`)).toMatchObject({ done: 1 });
  await until('it is delivered', () => sink.taken.includes('slow@far.test <first@example.test>'));
  await until('and gone', async () => (await idOf('first')) === 0);
  expect(kinds(await one('first'), 'slow@far.test')).toEqual(['queued', 'deferred', 'retried', 'deferred', 'held', 'released', 'delivered']);
  expect((await site.cli('queue', 'show', `${id}`)).stderr).toContain('mailsite trace tells');
});

test('what is being tried is not deleted, and it is said', async () => {
  let go = (): void => {};
  const asked = new Promise<void>((seen) => {
    sink.before = (recipient) => {
      if (recipient !== 'busy@far.test') return;
      seen();
      return new Promise<void>((done) => (go = done));
    };
  });
  await submit('busy', ['busy@far.test']);
  await asked;
  const id = await idOf('busy');
  const ran = await site.cli('queue', 'delete', `${id}`);
  expect([ran.code, ran.stdout]).toEqual([1, '0 recipients deleted; 1 being tried at this moment: left, run it again in a moment.\n']);
  expect((await site.cli('queue', 'hold', `${id}`)).stdout).toContain('that attempt may still deliver');
  go();
  sink.before = () => {};
  await until('it is delivered all the same', async () => (await idOf('busy')) === 0);
  expect(kinds(await one('busy'), 'busy@far.test')).toEqual(['queued', 'held', 'delivered']);
});

test('the numbers at 127.0.0.1 are good Prometheus text', async () => {
  const url = `http://127.0.0.1:${9_925 + site.portOffset}`;
  const open = await Smtp.open(site.address, site.port('smtp'));
  const numbers = await until('the session is counted', async () => {
    const answer = await fetch(`${url}/metrics`);
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const found = parseExposition(await answer.text());
    return (found.get('mailsite_sessions{listener="smtp"}') ?? 0) > 0 && found;
  });
  open.close();
  for (const name of [
    'mailsite_commit',
    'mailsite_batches_total',
    'mailsite_commands_total',
    'mailsite_disk_octets',
    'mailsite_certificate_days',
    'mailsite_messages_refused_total',
  ])
    expect(numbers.get(name), name).toBeGreaterThan(0);
  expect(numbers.get('mailsite_messages_received_total')).toBe(2);
  expect(numbers.get('mailsite_recipients_delivered_total')).toBe(3);
  expect(numbers.get('mailsite_recipients_bounced_total')).toBe(1);
  expect(numbers.get('mailsite_process_up{role="store",index="0"}')).toBe(1);
  expect(await (await fetch(`${url}/healthz`)).text()).toBe('ok\n');
});

test('kill -9 under load: every queued recipient has its queued event, and what was delivered says so', async () => {
  sink.replies.set('good', '451 4.7.1 not now');
  let stop = false;
  let sent = 0; // an id each, also where nobody heard the answer
  const load = (async () => {
    while (!stop) {
      try {
        const client = await Smtp.open(site.address, site.port('smtp'));
        for (let i = 0; i < 5 && !stop; i++) {
          const source = Buffer.from(`Message-ID: <load${sent++}@example.test>\r\nSubject: x\r\n\r\nx\r\n`);
          await client.send('x@elsewhere.test', 'away@example.test', source, Buffer.alloc(0));
        }
        client.close();
      } catch {
        await sleep(20);
      }
    }
  })();
  for (let i = 0; i < 6; i++) {
    await sleep(250);
    const role = i % 2 === 0 ? 'store' : 'control';
    const { processes } = await site.status();
    signal(processes.find((p) => p.role === role)?.pid ?? 0);
  }
  stop = true;
  await load;
  await site.kill();
  await site.check(); // Q1: the queue and the traces name one another
  const { messages } = await listed('--limit', '10000');
  expect(messages.length).toBeGreaterThan(20);
  const told = new Map((await traced('good@far.test', '--limit', '1000')).messages.map((m) => [m.messageId, m]));
  for (const m of messages) {
    const found = told.get(m.messageId) as TracedMessage;
    expect(found?.queue, m.messageId).toBe(m.id);
    const attempts = m.recipients[0]?.attempts ?? 0;
    expect(kinds(found, 'good@far.test')).toEqual(['queued', ...Array.from({ length: attempts }, () => 'deferred')]);
  }
});

test('the verbs work while the site does not run, page by page; a bounce goes out when it does', async () => {
  const all = (await listed('--limit', '10000')).messages.length;
  const first = await listed('--limit', '3');
  expect(first.messages.length).toBe(3);
  expect((await listed('--limit', '10000', '--after', String(first.next))).messages.length).toBe(all - 3);
  expect((await listed('--from', 'alice@example.test')).messages).toEqual([]);
  expect((await listed('--older', '1d')).messages).toEqual([]);
  expect((await listed('--to', '@FAR.test', '--from', 'elsewhere.test', '--limit', '5')).messages.length).toBe(5);
  const id = `${first.messages[0]?.id}`;
  expect(await json('queue', 'hold', id)).toMatchObject({ done: 1 });
  expect(await json('queue', 'hold', id)).toMatchObject({ done: 0 });
  expect(await json('queue', 'release', id)).toMatchObject({ done: 1 });
  expect(await json('queue', 'delete', id, '--bounce')).toMatchObject({ done: 1 });
  const bounce = (await listed('--to', 'x@elsewhere.test')).messages;
  expect(bounce.length).toBe(1);
  expect(await json('queue', 'delete', '--all-matching', '--to', 'good@far.test')).toEqual({
    verb: 'delete',
    named: all - 1,
    done: all - 1,
    leased: expect.any(Number) as number,
  });
  expect((await site.cli('queue', 'delete', '--all-matching', '--to', 'good@far.test')).stdout).toBe('Nothing in the queue matches.\n');
  await site.check();
  await site.start();
  await until('the bounce is sent', () => sink.taken.some((taken) => taken.startsWith('x@elsewhere.test ')));
  expect((await traced('good@far.test', '--limit', '1000')).messages.filter((m) => m.events.at(-1)?.kind === 'deleted').length).toBe(all);
});

test('wrong use is said', async () => {
  for (const args of [
    ['queue', 'purge'],
    ['queue', 'hold'],
    ['queue', 'show'],
    ['queue', 'list', '1'],
    ['queue', 'hold', '1', '--all-matching'],
    ['queue', 'hold', '1', '--to', 'a@b.test'],
    ['queue', 'show', 'x'],
    ['queue', 'list', '--older', 'long'],
    ['queue', 'hold', '1', '--bounce'],
    ['trace'],
  ])
    expect((await site.cli(...args)).code, args.join(' ')).toBe(2);
  expect((await site.cli('queue', 'hold', '999999')).code).toBe(1);
  expect((await run([executable, 'help', 'queue'])).stdout).toContain('--to RECIPIENT');
});
