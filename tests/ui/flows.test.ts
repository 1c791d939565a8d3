// The main ways through the web UI, by the keyboard alone, and what a change, an offline site and a role are shown as.

import jsqr from 'jsqr';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { complaintsOf, looks, openBrowser, openContext } from './browser.ts';
import { type FakePortal, startFake } from './fake.ts';

const org = '/o/linden-trust';
const linden = `${org}/sites/linden`;
let fake: FakePortal;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let complaints: string[];
beforeAll(async () => {
  fake = startFake();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  fake.stop();
});
beforeEach(async () => {
  fake.reset();
  fake.as('owner');
  context = await openContext(browser, looks.light);
  page = await context.newPage();
  page.setDefaultTimeout(8_000);
  complaints = complaintsOf(page);
});
afterEach(async () => {
  await context.close();
  expect(complaints).toEqual([]);
});
const open = async (path: string): Promise<void> => {
  await page.goto(fake.url + path);
  await page.locator('h1').first().waitFor();
};
const press = (...keys: string[]): Promise<void> => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
/** Tab until this is focused. */
async function tabTo(name: string): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await press('Tab');
    const found = await page.evaluate(() => {
      const at = document.activeElement;
      return at?.getAttribute('aria-label') ?? (at instanceof HTMLInputElement ? (at.labels?.[0]?.textContent ?? '') : (at?.textContent ?? ''));
    });
    if (found.trim() === name) return;
  }
  throw new Error(`nothing called ${name} is reached by Tab`);
}

test('signing in with password and code, by the keyboard', async () => {
  fake.as(null);
  await open(`${linden}/queue`);
  await page.keyboard.type('totp@linden.example');
  await press('Tab');
  await page.keyboard.type('wrong');
  await press('Enter');
  await page.getByRole('alert').getByText('not right').waitFor();
  await page.getByLabel('Password', { exact: true }).fill('correct horse battery');
  await press('Enter');
  await page.getByLabel('Code', { exact: true }).waitFor();
  await page.keyboard.type('123456');
  await press('Enter');
  await page.getByRole('heading', { name: 'Queue' }).waitFor(); // where one wanted to go
});

test('a new site: name, command, and it appears by itself', async () => {
  await open(org);
  await tabTo('Add a site');
  await press('Enter');
  await page.getByLabel('Name').waitFor();
  await page.keyboard.type('Boat house');
  await press('Enter');
  await page.getByText('mailsite join ms1.').waitFor();
  const id = new URL(page.url()).pathname.split('/').at(-1) as string;
  fake.change(id, { state: 'online', word: 'All well', wantedRev: 1, runningRev: 1, status: 'applied', version: '0.1.0' });
  await page.getByText('Boat house is here, running mailsite 0.1.0').waitFor();
  await page.getByRole('link', { name: 'Add the first domain' }).waitFor();
});

test('a machine is taken in by the address that it printed, by the keyboard, after signing in', async () => {
  fake.as(null);
  await open('/device?code=KTRW-JMXH');
  await page.keyboard.type('mara@linden.example');
  await press('Tab');
  await page.keyboard.type('correct horse battery');
  await press('Enter');
  await page.getByRole('heading', { name: 'Is this your machine?' }).waitFor();
  const shown = (await page.locator('.device').textContent()) ?? '';
  for (const part of ['KTRW-JMXH', 'babo kufi lazu dire mosa tepi', 'mx2.linden.example', 'mailsite 0.1.0', '203.0.113.77', '2 min ago', 'in 13 min'])
    expect(shown).toContain(part);
  await tabTo('Name of the new site');
  await page.keyboard.type('Boat house');
  await press('Enter');
  await page.getByRole('heading', { name: 'Boat house' }).waitFor();
  await page.getByText('Your machine has been taken in').waitFor();
  const id = new URL(page.url()).pathname.split('/').at(-1) as string;
  fake.change(id, { state: 'offline', word: 'Joined, not connected yet' });
  await page.getByText('Boat house has joined, and is not connected yet').waitFor();
  fake.change(id, { state: 'online', word: 'All well', version: '0.1.0' });
  await page.getByText('Boat house is here, running mailsite 0.1.0').waitFor();
  await open('/device?code=KTRW-JMXH');
  await page.getByText('No machine shows KTRW-JMXH').waitFor(); // it is taken once
});

test('a code is typed from where a site is added; a wrong one says why, and what is not mine is turned away', async () => {
  await open(`${org}/new`);
  await page.getByRole('link', { name: 'Type the code' }).click();
  await page.getByLabel('Code').waitFor();
  await page.keyboard.type('ktrw jmxx');
  await press('Enter');
  await page.getByText('No machine shows KTRW-JMXX').waitFor();
  await page.getByText('a code is good for 15 minutes').waitFor();
  await page.getByLabel('Code').fill('ktrwjmxh');
  await press('Enter');
  await page.getByRole('heading', { name: 'Is this your machine?' }).waitFor();
  await page.getByRole('button', { name: 'Not mine' }).click();
  await page.getByRole('heading', { name: 'The machine was turned away' }).waitFor();
  await open('/device?code=KTRW-JMXH');
  await page.getByText('No machine shows KTRW-JMXH').waitFor();
});

test('a machine becomes the waiting site from which one came, and no other', async () => {
  await open(`${org}/sites/attic`);
  await page.getByRole('link', { name: 'Type the code' }).click();
  await page.getByLabel('Code').fill('KTRW-JMXH');
  await press('Enter');
  const choice = page.getByLabel('Which site it becomes');
  await choice.waitFor();
  expect(await choice.locator('option').allTextContents()).toEqual(['A new one', 'Attic']);
  expect(await choice.inputValue()).toBe('attic');
  await page.getByRole('button', { name: 'Take it in' }).click();
  await page.getByRole('heading', { name: 'Attic' }).waitFor();
  expect(new URL(page.url()).pathname).toBe(`${org}/sites/attic`);
});

test('a site that two machines say they are: what happened, and the command for the right one', async () => {
  await open(`${org}/sites/barn/accounts`);
  await page.getByRole('alert').getByRole('link', { name: 'What to do now' }).click();
  const steps = page.getByRole('region', { name: 'What to do now' });
  await steps.getByText('Stop mailsite on the other one').waitFor();
  await tabTo('Make a new command');
  await press('Enter');
  await steps.getByText('mailsite join ms1.').waitFor();
  fake.change('barn', { state: 'online', word: 'All well' });
  await page.getByText('Old barn is here, running mailsite 0.1.0').waitFor();
  expect(await page.getByText('Two machines').count()).toBe(0);
  expect(await page.getByRole('link', { name: 'Add the first domain' }).count()).toBe(0); // it has its own
  fake.reset();
  fake.as('helpdesk');
  await open(`${org}/sites/barn`);
  await page.getByText('An owner or admin can make the command').waitFor();
  expect(await page.getByRole('button', { name: 'Make a new command' }).count()).toBe(0);
});

test('the palette goes anywhere, and traces what is pasted', async () => {
  await open(linden);
  await press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('queue');
  await press('Enter');
  await page.getByRole('heading', { name: 'Queue' }).waitFor();
  await press('/');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('gone@harbour.example');
  await press('Enter');
  await page.getByText('550 5.1.1 The email account').waitFor();
  expect(new URL(page.url()).search).toContain('gone%40harbour.example');
});

test('a change is pending, applied at its rev, verified, and can be undone', async () => {
  await open(`${linden}/aliases`);
  await page.getByRole('button', { name: 'Remove info@linden.example' }).focus();
  await press('Enter');
  const bar = page.locator('.changebar');
  await bar.getByText('Alias info@linden.example removed').waitFor();
  await bar.locator('[aria-current=step]', { hasText: 'Pending' }).waitFor();
  await bar.locator('[aria-current=step]', { hasText: 'Verified' }).waitFor();
  expect(await bar.innerText()).toContain('Applied at rev 42');
  await bar.getByRole('button', { name: 'Undo' }).click();
  await bar.getByText('Undone: Alias info@linden.example removed').waitFor();
  expect(fake.site('linden').site.wantedRev).toBe(43);
});

test('an offline site says since when, what runs, and what becomes of an edit', async () => {
  await open(`${org}/sites/harbour/aliases/new`);
  await page
    .getByText(
      /Not heard of since \d\d:\d\d, then running rev 41\..*if the machine is down, it does not.*Your edit will be sent as rev 42 when the site is back/,
    )
    .waitFor();
  await page.getByLabel('Address').fill('new@linden.example');
  await page.getByLabel('Goes to').fill('alice@linden.example');
  await page.getByRole('button', { name: 'Add the alias' }).click();
  await page.locator('.changebar').getByText('Kept as rev 42').waitFor();
  await page.getByText('rev 42 waits here').waitFor();
  fake.change('harbour', { state: 'online', word: 'All well', runningRev: 42 });
  await page.locator('.changebar [aria-current=step]', { hasText: 'Verified' }).waitFor();
});

test('rows are walked by arrows and by j and k, and picked by Space', async () => {
  await open(`${linden}/queue`);
  await page.locator('tbody tr').first().waitFor();
  await press('j', 'ArrowDown', 'k', 'j');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('kontakt@bergbahn.example');
  await press('Enter');
  await page.getByRole('heading', { name: 'Message 70418 in the queue' }).waitFor();
  await page.goBack();
  await page.getByRole('checkbox').first().focus();
  await press('Space');
  await page.getByText('1 picked').waitFor();
});

test('only loss asks for a typed name', async () => {
  await open(`${linden}/accounts/alice@linden.example`);
  await page.getByRole('button', { name: 'Delete the account' }).click();
  const dialog = page.getByRole('alertdialog');
  const verb = dialog.getByRole('button', { name: 'Delete the account' });
  expect(await verb.isDisabled()).toBe(true);
  await page.keyboard.type('alice@linden.example');
  expect(await verb.isDisabled()).toBe(false);
  await press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  expect(fake.site('linden').accounts).toHaveLength(10);
  await page.getByRole('button', { name: 'Delete the account' }).click();
  await page.keyboard.type('alice@linden.example');
  await press('Enter');
  await page.getByRole('heading', { name: 'Accounts' }).waitFor();
  expect(fake.site('linden').accounts).toHaveLength(9);
});

test('a restore is proven on demand, and what came of it is said', async () => {
  await open(`${linden}/snapshots`);
  const verb = page.getByRole('button', { name: 'Prove a restore now' });
  await verb.click();
  await page.getByText('The newest snapshot was restored just now, and is whole').waitFor();
  fake.ends({ state: 'failed', value: 'there is no room to restore a snapshot beside the site' });
  await verb.click();
  await page.getByText('There is no room to restore a snapshot beside the site.').waitFor();
});

test('launching from a snapshot: what happens, the typed name, the command', async () => {
  await open(`${linden}/snapshots`);
  await page.getByRole('link', { name: 'Launch from here' }).nth(2).click();
  await page.getByText('The old machine stops taking and sending mail').waitFor();
  await page.getByText('There are 2 newer snapshots').waitFor();
  await page.getByLabel('To go on, type Linden House').fill('linden house');
  await press('Enter');
  await page.getByText('mailsite join ms1.').waitFor();
});

test('the picture of the second factor holds the very secret', async () => {
  await open(`${org}/profile`);
  await page.getByRole('button', { name: 'Set it up' }).click();
  const picture = page.getByRole('img', { name: 'The secret as a picture' });
  await picture.waitFor();
  const [size, path] = await picture.evaluate(
    (svg) => [Number(svg.getAttribute('viewBox')?.split(' ')[2]), svg.querySelector('path')?.getAttribute('d') ?? ''] as const,
  );
  const scale = 4;
  const pixels = new Uint8ClampedArray((size * scale) ** 2 * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)/g))
    for (let dy = 0; dy < scale; dy++)
      for (let dx = 0; dx < scale; dx++)
        pixels.fill(
          0,
          ((Number(y) * scale + dy) * size * scale + Number(x) * scale + dx) * 4,
          ((Number(y) * scale + dy) * size * scale + Number(x) * scale + dx) * 4 + 3,
        );
  expect(jsqr(pixels, size * scale, size * scale)?.data).toBe(
    'otpauth://totp/mailsite:mara%40linden.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=mailsite',
  );
  await page.getByLabel('Code', { exact: true }).fill('123456');
  await press('Enter');
  await page.getByText('4f7k-9m2p', { exact: true }).waitFor();
});

test.each([
  ['helpdesk', ['Message trace', 'Queue', 'Accounts'], ['Settings', 'API tokens', 'Audit']],
  ['read-only', ['Snapshots', 'Accounts', 'Audit'], ['Message trace', 'Settings', 'API tokens']],
  ['domain admin', ['Message trace', 'Accounts', 'Aliases'], ['Queue', 'Snapshots', 'Settings', 'Audit']],
] as const)('a %s sees only what it may', async (role, sees, misses) => {
  fake.as(role);
  await open(`${linden}/accounts`);
  const nav = page.getByRole('navigation');
  for (const name of sees) expect(await nav.getByRole('link', { name, exact: true }).count(), name).toBe(1);
  for (const name of misses) expect(await nav.getByRole('link', { name, exact: true }).count(), name).toBe(0);
  expect(await page.getByRole('link', { name: 'Add an account' }).count()).toBe(role === 'domain admin' ? 1 : 0);
});

test('an address that leads nowhere says so', async () => {
  await open('/bogus');
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  await page.getByRole('link', { name: 'To the sites' }).click();
  await page.getByRole('heading', { name: 'Sites' }).waitFor();
  for (const path of ['/o/nobody', `${org}/bogus`, `${linden}/bogus`]) {
    await open(path);
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  }
});

test('what is wrong with a field is said once, at the field, in words for people', async () => {
  await open(`${linden}/domains/new`);
  await page.getByLabel('Domain').fill('nodots');
  await press('Enter');
  const said = page.locator('.field-error');
  await said.waitFor();
  expect(await said.innerText()).toBe('Must be a domain, such as example.org.');
  expect(await page.locator('main').innerText()).not.toMatch(/see errors|body\.|must be a domain/);
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('names of domains are shown as their people write them; records and long words stay within the page', async () => {
  const { domains, accounts, dns } = fake.site('linden');
  domains.push({ ...(domains[0] as (typeof domains)[0]), name: 'xn--mller-kva.example' });
  accounts.push({ address: 'ann@xn--mller-kva.example', name: '', quotaBytes: 0, enabled: true });
  fake.site('linden').dns = dns.map((row) => ({ ...row, state: 'wrong' as const, fix: `publish ${'p'.repeat(400)}` }));
  await open(`${linden}/domains`);
  await page.getByText('müller.example', { exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'müller.example' }).waitFor();
  await page.getByText('ppppp').first().waitFor();
  for (const width of [390, 1280]) {
    await page.setViewportSize({ width, height: 860 });
    const cut = await page.locator('.dns-why').evaluateAll((all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length);
    expect(cut, String(width)).toBe(0);
  }
  await open(`${linden}/accounts`);
  await page.getByText('ann@müller.example').waitFor();
});

test('a site without a domain is not said to be well, and says what to do', async () => {
  fake.change('linden', { domains: 0, word: 'No domain yet' });
  await open(org);
  await page.getByText('No domain yet').waitFor();
  await open(linden);
  await page.getByRole('link', { name: 'Add a domain' }).click();
  await page.getByLabel('Domain').waitFor();
});

test('light and dark are chosen, and stay chosen', async () => {
  await open(org);
  const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole('button', { name: /profile, appearance, sign out/ }).click();
  await page.getByRole('menuitem', { name: 'Dark' }).click();
  await expect.poll(ground, { timeout: 30_000 }).not.toBe(light);
  await page.reload();
  await page.locator('h1').waitFor();
  expect(await ground()).not.toBe(light);
});
