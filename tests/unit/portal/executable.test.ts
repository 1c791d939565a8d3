// `mailsite portal` as a process: the first link, its owner, a site and its claim, kill -9, and all of it is there again.

import { afterAll, expect, test } from 'vitest';
import { parseClaim } from '../../../uplink/claim.ts';
import { executable, mailsite, temporary } from '../cli/program.ts';
import { passphrase } from './house.ts';

const data = temporary();
const url = 'http://127.0.0.1:28125';
type Running = Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
const started: Running[] = [];
afterAll(() => {
  for (const one of started) one.kill('SIGKILL');
});

/** Starts it and reads what it prints until `what` has come. */
async function start(what: RegExp): Promise<{ process: Running; found: string }> {
  const portal = Bun.spawn([executable, 'portal', '--data', data, '--listen', '127.0.0.1:28125'], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  started.push(portal);
  let text = '';
  for await (const chunk of portal.stdout) {
    text += new TextDecoder().decode(chunk);
    const found = what.exec(text);
    if (found !== null) return { process: portal, found: found[1] ?? '' };
  }
  throw new Error(`it ended: ${text}`);
}

async function ask(
  method: string,
  path: string,
  cookie: string | null,
  body?: unknown,
): Promise<{ status: number; body: Record<string, never>; cookie: string | null }> {
  const headers = { Origin: url, 'X-Mailsite': '1', 'Content-Type': 'application/json', ...(cookie === null ? {} : { Cookie: cookie }) };
  for (let i = 0; ; i++) {
    try {
      const response = await fetch(`${url}/api/v1${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      return {
        status: response.status,
        body: (await response.json().catch(() => ({}))) as Record<string, never>,
        cookie: response.headers.get('set-cookie')?.split(';')[0] ?? null,
      };
    } catch (error) {
      if (i > 100) throw error;
      await Bun.sleep(50);
    }
  }
}

test('C1: the first owner comes in by the printed link, and everything survives kill -9', async () => {
  const first = await start(/(http:\/\/\S+\/setup#[\w-]{43})\n/);
  expect(first.found).toContain(`${url}/setup#`);
  const token = first.found.split('#')[1];
  const made = await ask('POST', '/setup', null, { token, organisation: 'First', name: 'Olga', email: 'olga@example.org', password: passphrase });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  const org = (made.body as unknown as { organisations: { id: string }[] }).organisations[0]?.id;
  const site = await ask('POST', `/organisations/${org}/sites`, made.cookie, { name: 'Berlin' });
  expect(site.status, JSON.stringify(site.body)).toBe(201);
  const { claim } = site.body as unknown as { claim: { text: string } };
  expect(parseClaim(claim.text)?.portal).toBe(url);
  first.process.kill('SIGKILL');
  await first.process.exited;
  expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0 });

  const again = await start(/("event":"process.ready","role":"portal")/);
  const seen = await ask('GET', `/organisations/${org}/sites`, made.cookie);
  expect(seen.body).toMatchObject({ items: [{ name: 'Berlin', state: 'waiting' }] });
  expect((await ask('POST', '/setup', null, { token, organisation: 'X', name: 'X', email: 'x@example.org', password: passphrase })).status).toBe(401);
  const link = JSON.parse(mailsite(['portal', 'link', '--json', '--data', data]).out);
  expect(link).toMatchObject({ for: 'olga@example.org', link: expect.stringMatching(/^http:\/\/127\.0\.0\.1:28125\/link#[\w-]{43}$/) });
  expect((await ask('POST', '/session/link', null, { secret: link.link.split('#')[1] })).status).toBe(200);
  expect(mailsite(['portal', 'link', 'nobody@example.org', '--data', data])).toMatchObject({
    code: 1,
    errors: ["mailsite: nobody@example.org is nobody's address here: give that of an owner"],
  });
  await joins(made.cookie, `/organisations/${org}/sites/${(site.body as unknown as { site: { id: string } }).site.id}`, claim.text);
  again.process.kill('SIGKILL');
  await again.process.exited;
  expect(mailsite(['check', '--deep', '--data', data])).toMatchObject({ code: 0 });
});

/** A machine takes the claim, and runs what the API was told. */
async function joins(cookie: string | null, path: string, claim: string): Promise<void> {
  const there = temporary();
  await ask('POST', `${path}/domains`, cookie, { name: 'example.org' });
  await ask('POST', `${path}/accounts`, cookie, { address: 'ann@example.org', password: passphrase });
  expect(mailsite(['join', claim, '--data', there])).toMatchObject({ code: 0 });
  const site = Bun.spawn([executable, 'run', '--data', there, '--listen', '127.0.0.1', '--port-offset', '28200'], { stdout: 'ignore', stderr: 'inherit' });
  try {
    const runs = async (rev: number): Promise<void> => {
      for (let i = 0; i < 200; i++) {
        if ((await ask('GET', path, cookie)).body['runningRev'] === rev) return;
        await Bun.sleep(50);
      }
      throw new Error(`the site does not run rev ${rev}: ${JSON.stringify((await ask('GET', path, cookie)).body)}`);
    };
    await runs(2);
    expect((await ask('GET', path, cookie)).body).toMatchObject({ state: 'online', word: 'All well', status: 'applied', host: 'mail.example.org' });
    expect((await ask('GET', `${path}/overview`, cookie)).body).toMatchObject({ live: true, facts: { host: 'mail.example.org', accounts: 1 } });
    const changed = await ask('POST', `${path}/aliases`, cookie, { address: 'info@example.org', to: ['ann@example.org'] });
    expect(changed.body).toEqual({ wantedRev: 3 });
    await runs(3);
    expect((await ask('POST', `${path}/claims`, cookie)).status).toBe(409);
  } finally {
    site.kill('SIGKILL');
    await site.exited;
  }
  expect(mailsite(['check', '--deep', '--data', there])).toMatchObject({ code: 0 });
}
