// Machines and their portal in a browser, with real processes: one shows a code and is taken in, another one is turned away; then
// a copy of the first comes up, and the page says which way out there is. MAILSITE_PICTURES=FOLDER: pictures of the pages.

import { type ChildProcess, spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { version } from '../../package.json';
import { axeOf, complaintsOf, looks, openBrowser, openContext } from './browser.ts';
import { commandOf, endAll, folder, found, kill, type Portal, runSite, showCode, startPortal, verb } from './real.ts';

const offsets = { first: 26_500, copy: 26_700 };
const pictures = process.env['MAILSITE_PICTURES'];
let portal: Portal;
let url: string;
let data: string;
let machine: ChildProcess;
let site: string;
let browser: Browser;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  portal = await startPortal();
  url = new URL(portal.link).origin;
  browser = await openBrowser();
  page = await (await openContext(browser, looks.light)).newPage();
  page.setDefaultTimeout(20_000);
  complaints = complaintsOf(page);
  await found(page, portal.link, 'gravel lantern otter seventeen');
  await page.getByRole('heading', { level: 1, name: 'Sites' }).waitFor();
});
afterAll(async () => {
  await browser?.close();
  endAll();
});

async function picture(name: string): Promise<void> {
  expect(await axeOf(page), name).toEqual([]);
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}-real.png`), fullPage: true });
}

test('a machine shows a code and prints where to take it in; the page shows the same words, and it appears', async () => {
  data = folder();
  const { shown, ended } = await showCode(url, data);
  expect(shown.address).toBe(`${url}/device?code=${shown.code}`);
  await page.goto(shown.address);
  await page.getByRole('heading', { name: 'Is this your machine?' }).waitFor();
  await page.getByText(shown.words.join(' ')).waitFor();
  const about = (await page.locator('.device').textContent()) ?? '';
  for (const part of [shown.code, hostname(), version, '127.0.0.1']) expect(about).toContain(part);
  await picture('device');
  await page.getByLabel('Name of the new site').fill('Linden House');
  await page.getByRole('button', { name: 'Take it in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Linden House' }).waitFor();
  site = page.url();
  expect(await ended).toMatchObject({ code: 0, error: '' });
  await page.getByText('Linden House has joined, and is not connected yet').waitFor();
  await page.getByText('Joined, not connected yet').waitFor();
  expect(await page.getByText('Not heard of since').count()).toBe(0); // it has run nothing yet
  await picture('joined');
  machine = runSite(data, offsets.first);
  await page.getByText(`Linden House is here, running mailsite ${version}`).waitFor();
});

test('what is not mine is turned away, and the machine says so', async () => {
  const { shown, ended } = await showCode(url, folder());
  await page.goto(shown.address);
  await page.getByRole('button', { name: 'Not mine' }).click();
  await page.getByRole('heading', { name: 'The machine was turned away' }).waitFor();
  const { code, error } = await ended;
  expect(code).not.toBe(0);
  expect(error).toContain('the code was turned away');
});

test('a copy of a machine comes up: the page says so, and the one that takes the command is the site', async () => {
  await kill(machine);
  const copied = join(folder(), 'copy');
  expect(spawnSync('cp', ['-a', data, copied]).status).toBe(0);
  machine = runSite(data, offsets.first);
  await page.goto(site);
  await page.getByText(`smtp ${25 + offsets.first}`).waitFor();
  await page.getByText('connected', { exact: true }).waitFor();
  const copy = runSite(copied, offsets.copy);
  await page.getByRole('alert').getByText('Two machines say that they are this site').waitFor();
  const verbOf = page.getByRole('button', { name: 'Make a new command' });
  await verbOf.waitFor();
  await picture('quarantined');
  await verbOf.click();
  await page.locator('.copyline').waitFor();
  expect(verb(...(await commandOf(page)), '--data', data)).toMatchObject({ code: 0, error: '' });
  await page.getByText('Linden House is here').waitFor();
  expect(await page.getByText('Two machines').count()).toBe(0);
  await picture('chosen');
  for (const one of [machine, copy, portal.process]) await kill(one);
  for (const at of [data, copied, portal.data]) expect(verb('check', '--deep', '--data', at)).toMatchObject({ code: 0, error: '' });
  expect(complaints).toEqual([]);
});
