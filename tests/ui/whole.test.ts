// The whole story in a browser, with real processes: a portal, a machine that joins it, mail, a queue that is tended, snapshots,
// another machine that goes on from one of them, and the first one fenced. MAILSITE_PICTURES=FOLDER: pictures of the pages, with
// what is really in them, in light, in dark and as a phone shows them.

import { type ChildProcess, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { axeOf, complaintsOf, looks, openBrowser, openContext } from './browser.ts';
import { commandOf, endAll, folder, found, kill, type Portal, runSite, startPortal, verb } from './real.ts';

const owner = 'gravel lantern otter seventeen';
const ann = { address: 'ann@linden.example', password: 'meadow copper violin eleven' };
const offsets = { first: 26_100, second: 26_300 };
const pictures = process.env['MAILSITE_PICTURES'];
const hasSwaks = spawnSync('swaks', ['--version']).status === 0;
let portal: Portal;
let first: { readonly data: string; readonly process: ChildProcess };
let second: typeof first;
let kit: string;
let site: string;
let browser: Browser;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  portal = await startPortal();
  browser = await openBrowser();
  page = await (await openContext(browser, looks.light)).newPage();
  page.setDefaultTimeout(20_000);
  complaints = complaintsOf(page);
});
afterAll(async () => {
  if (pictures !== undefined) await page?.screenshot({ path: join(pictures, 'last.png'), fullPage: true });
  await browser?.close();
  endAll();
});

const heading = (name: string | RegExp): Promise<void> => page.getByRole('heading', { level: 1, name }).waitFor();
const menu = (name: string): Promise<void> => page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
const verified = (what: string): Promise<void> =>
  page.locator('.changebar', { hasText: what }).locator('[aria-current=step]', { hasText: 'Verified' }).waitFor();

async function picture(name: string): Promise<void> {
  await page.getByRole('heading', { level: 1 }).waitFor();
  expect(await axeOf(page), name).toEqual([]);
  if (pictures === undefined) return;
  for (const [look, { scheme, width }] of Object.entries(looks)) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: width < 500 ? 844 : 860 });
    await page.waitForTimeout(300); // it is painted anew
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wide, `${name} (${look}) is wider than the screen`).toBeLessThanOrEqual(0);
    await page.screenshot({ path: join(pictures, `${name}-${look}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: looks.light.scheme, reducedMotion: 'reduce' });
  await page.setViewportSize({ width: looks.light.width, height: 860 });
}

async function until<T>(what: string, look: () => Promise<T | false> | T | false, seconds = 60): Promise<T> {
  for (let i = 0; i < seconds * 5; i++) {
    const seen = await look();
    if (seen !== false) return seen;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`never: ${what}`);
}

/** From elsewhere to Ann, by swaks. */
const deliver = (offset: number, id: string) =>
  spawnSync('swaks', [
    ...['--server', `127.0.0.1:${25 + offset}`, '--helo', 'mx.elsewhere.test', '--from', 'sam@elsewhere.test', '--to', ann.address],
    ...['--header', `Message-Id: ${id}`, '--header', 'Subject: The minutes', '--body', 'Here they are.'],
  ]);
/** Ann to somebody whose host cannot be found, by swaks. */
const submit = (offset: number, to: string, id: string) =>
  spawnSync('swaks', [
    ...['--server', `127.0.0.1:${587 + offset}`, '-tls', '-au', ann.address, '-ap', ann.password, '--from', ann.address, '--to', to],
    ...['--header', `Message-Id: ${id}`, '--body', 'Hello.'],
  ]);
const greeting = (offset: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(25 + offset, '127.0.0.1');
    socket.on('data', (octets) => {
      socket.destroy();
      resolve(octets.toString());
    });
    socket.on('error', (error) => resolve(String(error)));
    socket.on('close', () => resolve('closed'));
  });
const commitOf = (data: string): number => JSON.parse(verb('status', '--data', data, '--json').out).commit;

test('the first owner makes a site; a machine takes the command that is shown, and appears live', async () => {
  await found(page, portal.link, owner);
  await heading('Sites');
  await page.getByRole('link', { name: 'Add a site' }).first().click();
  await page.getByLabel('Name').fill('Linden House');
  await page.keyboard.press('Enter');
  await heading('Linden House');
  site = page.url();
  const data = folder();
  const joined = verb(...(await commandOf(page)), '--data', data, '--json');
  expect(joined).toMatchObject({ code: 0 });
  kit = join(folder(), 'kit.txt');
  writeFileSync(kit, JSON.parse(joined.out).kit);
  first = { data, process: runSite(data, offsets.first) };
  await page.getByText('Linden House is here').waitFor();
});

test('a domain shows its records, and says that nobody can look them up', async () => {
  await page.getByRole('link', { name: 'Add the first domain' }).click();
  await page.getByLabel('Domain').fill('linden.example');
  await page.keyboard.press('Enter');
  await heading('linden.example');
  await verified('Domain linden.example added');
  await menu('Settings');
  await heading('Settings');
  await page.getByLabel('Addresses', { exact: true }).fill('127.0.0.1:9'); // nobody listens there
  await page.getByRole('region', { name: 'Resolvers' }).getByRole('button', { name: 'Save' }).click();
  await verified('Resolvers changed');
  await menu('Domains');
  await picture('domains');
  await page.getByRole('link', { name: 'linden.example' }).click();
  await page.locator('.dns-row').first().waitFor();
  await page.getByText(/needed records could not be looked up/).waitFor();
  const words = await page.locator('.dns-row').allInnerTexts();
  expect(words.some((row) => row.includes('v=spf1'))).toBe(true);
  expect(words.filter((row) => /^(Right|Missing|Wrong)/.test(row))).toEqual([]);
  await picture('domain');
});

test('an account is made with a password of its own', async () => {
  await menu('Accounts');
  await page.getByRole('link', { name: 'Add an account' }).first().click();
  await page.getByLabel('Name', { exact: true }).fill('Ann Arden');
  await page.getByLabel('Address').fill('ann');
  await page.getByLabel('Password', { exact: true }).selectOption('given');
  await page.getByLabel('New password').fill(ann.password);
  await page.getByRole('button', { name: 'Create the account' }).click();
  await verified('Account ann@linden.example added');
  await menu('Accounts');
  await page.getByText('Ann Arden').waitFor();
  await picture('accounts');
});

test.skipIf(!hasSwaks)('mail comes in, and the trace tells its story', async () => {
  expect(deliver(offsets.first, '<minutes.1@elsewhere.test>').status).toBe(0);
  await menu('Message trace');
  await page.getByLabel('What happened to a message?').fill('<minutes.1@elsewhere.test>');
  await page.keyboard.press('Enter');
  await page.getByText('Accepted from mx.elsewhere.test').waitFor();
  await page.getByText('Stored for ann@linden.example in INBOX').waitFor();
  await picture('trace');
});

const toNowhere = '<nowhere.1@linden.example>';
test.skipIf(!hasSwaks)('mail to a host that cannot be found waits; it is held, released, tried and deleted from the page', async () => {
  for (const [to, id] of [
    ['paul@unreachable.test', toNowhere],
    ['quentin@unreachable.test', '<nowhere.2@linden.example>'],
  ] as const)
    expect(submit(offsets.first, to, id).status).toBe(0);
  await menu('Queue');
  const row = page.getByRole('row', { name: /paul@unreachable/ });
  /** It was tried, and that is over. */
  const rests = (): Promise<boolean> =>
    until('it rests', async () => {
      await page.reload();
      await row.waitFor();
      const words = await row.innerText();
      return !words.includes('not tried yet') && !words.includes('being tried');
    });
  await rests();
  await picture('queue');
  const act = async (name: string, done: string): Promise<void> => {
    await row.locator('.pick input').check();
    await page.getByRole('button', { name, exact: true }).click();
    await page.getByText(done).waitFor();
  };
  const remove = async (): Promise<void> => {
    await row.locator('.pick input').check();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    const dialog = page.getByRole('alertdialog');
    await dialog.getByLabel('type Linden House').fill('linden house');
    await dialog.getByRole('button', { name: 'Delete' }).click();
  };
  await act('Hold', '1 message held');
  await row.getByText('Held').waitFor();
  await picture('queue-held');
  await act('Release', '1 message released');
  await row.getByText('Held').waitFor({ state: 'detached' });
  await rests();
  await act('Try now', '1 message will be tried now');
  await row.getByText('being tried').waitFor();
  await remove();
  await page.getByText('One is being tried at this moment. What is being tried stays until that is over').waitFor();
  await row.locator('a').first().click();
  await heading(/in the queue/);
  await page.getByText('paul@unreachable.test').waitFor();
  await picture('queue-message');
  await page.getByRole('link', { name: 'The whole story' }).click();
  await page.getByText('Held from the portal').waitFor();
  await page.getByText('Released from the portal').waitFor();
  await picture('trace-waiting');
  await menu('Queue');
  await rests();
  await remove();
  await page.getByText('1 message deleted').waitFor();
  await row.waitFor({ state: 'detached' });
  await page.getByRole('row', { name: /quentin@unreachable/ }).waitFor();
});

test('another machine is launched from what is parked, and the page shows it as the new epoch', async () => {
  await menu('Snapshots');
  await page.getByRole('button', { name: 'Take one now' }).click();
  const commit = commitOf(first.data);
  const newest = page.locator('.history-row').first();
  await until('all of it is parked', async () => Number((await newest.innerText()).match(/commit ([\d,]+)/)?.[1]?.replaceAll(',', '')) >= commit);
  await picture('snapshots');
  await newest.getByRole('link', { name: 'Launch from here' }).click();
  await heading('Launch on another machine');
  await page.getByLabel(/type Linden House/).fill('Linden House');
  await page.getByRole('button', { name: 'Make the command' }).click();
  await page.locator('.copyline').waitFor();
  await picture('launch');
  const data = folder();
  const command = await commandOf(page);
  expect(command.slice(2)).toEqual(['--key', 'kit.txt']);
  const launched = verb(...command.map((word) => (word === 'kit.txt' ? kit : word)), '--data', data);
  expect(launched).toMatchObject({ code: 0, error: '' });
  second = { data, process: runSite(data, offsets.second) };
  await page.goto(site);
  await page.getByText(`smtp ${25 + offsets.second}`).waitFor({ timeout: 60_000 });
  await page.getByText('connected').waitFor();
  await menu('Snapshots');
  await page.locator('.history-row', { hasText: 'epoch 1' }).first().waitFor({ timeout: 60_000 });
  await until('it parks as epoch 2', async () => !(await page.locator('.history-row').first().innerText()).includes('epoch 1'));
  await picture('snapshots-launched');
});

test('the first machine is fenced; the second has its mail and goes on', async () => {
  await until('fenced', async () => (await greeting(offsets.first)).startsWith('421'));
  if (hasSwaks) {
    await page.goto(`${site}/trace?about=${encodeURIComponent('<minutes.1@elsewhere.test>')}`);
    await page.getByText('Stored for ann@linden.example in INBOX').waitFor();
    expect(deliver(offsets.first, '<minutes.2@elsewhere.test>').status).not.toBe(0);
    expect(deliver(offsets.second, '<minutes.2@elsewhere.test>').status).toBe(0);
  }
  await page.goto(site);
  await page.getByText('connected').waitFor();
  await picture('overview');
  await menu('Activity');
  await page.getByText('Joined this portal').first().waitFor();
  await page.getByText('Another machine has become this site').waitFor();
  expect(await page.locator('.eventline code').allInnerTexts(), 'events without words').toEqual([]);
  await picture('activity');
  await page.getByRole('link', { name: 'Sites', exact: true }).click();
  await heading('Sites');
  await picture('sites');
});

test('killed, all three are whole', async () => {
  for (const one of [first.process, second.process, portal.process]) await kill(one);
  for (const data of [first.data, second.data, portal.data]) expect(verb('check', '--deep', '--data', data)).toMatchObject({ code: 0, error: '' });
  expect(complaints).toEqual([]);
});
