// The web UI with a real portal, from the executable: its first owner comes in, makes a site and configures it before any
// machine has joined, invites somebody, makes a token, sets up the second factor, goes, and comes back.

import { createHmac } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { axeOf, complaintsOf, looks, openBrowser, openContext } from './browser.ts';
import { commandOf, endAll, folder, found, runSite, startPortal, verb } from './real.ts';

const password = 'gravel lantern otter seventeen';
let link: string;
let browser: Browser;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  ({ link } = await startPortal());
  browser = await openBrowser();
  page = await (await openContext(browser, looks.light)).newPage();
  page.setDefaultTimeout(15_000);
  complaints = complaintsOf(page);
});
afterAll(async () => {
  await browser?.close();
  endAll();
});

/** RFC 6238 with six digits, SHA-1 and 30 seconds. */
function codeOf(secret: string, at: number): string {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const hash = createHmac('sha1', key).update(step).digest();
  return String((hash.readUInt32BE((hash[19] as number) & 15) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}
const heading = (name: string | RegExp): Promise<void> => page.getByRole('heading', { level: 1, name }).waitFor();

test('the first owner comes in by the link that the portal printed', async () => {
  await found(page, link, password);
  await heading('Sites');
  await page.getByText('No site yet').waitFor();
});

test('a site is made, and says what to paste', async () => {
  await page.getByRole('link', { name: 'Add a site' }).first().click();
  await page.getByLabel('Name').fill('Linden House');
  await page.keyboard.press('Enter');
  await heading('Linden House');
  await page.getByText(/mailsite join ms1\./).waitFor();
  await page.getByText('Waiting for the machine').waitFor();
  expect(await axeOf(page)).toEqual([]);
});

const offset = 28_400;
const verified = (what: string): Promise<void> =>
  page.locator('.changebar', { hasText: what }).locator('[aria-current=step]', { hasText: 'Verified' }).waitFor();

test('the machine joins and appears; what is changed is verified by it; killed, it is locked, and takes the edit when it is back', async () => {
  const there = folder();
  expect(verb(...(await commandOf(page)), '--data', there)).toMatchObject({ code: 0 });
  let site = runSite(there, offset);
  try {
    await page.getByText('Linden House is here').waitFor();
    await page.getByRole('link', { name: 'Add the first domain' }).click();
    await page.getByLabel('Domain').fill('linden.example');
    await page.keyboard.press('Enter');
    await heading('linden.example');
    await verified('Domain linden.example added');
    await page.getByRole('link', { name: 'Accounts' }).click();
    await page.getByRole('link', { name: 'Add an account' }).first().click();
    await page.getByLabel('Address').fill('ann');
    await page.getByRole('button', { name: 'Create the account' }).click();
    await heading('ann@linden.example is on its way');
    await verified('Account ann@linden.example added');
    site.kill('SIGKILL');
    await page.getByText(/Not heard of since \d\d:\d\d, then running rev 2\./).waitFor({ timeout: 30_000 });
    await page.getByRole('link', { name: 'Aliases' }).click();
    await page.getByRole('link', { name: 'Add an alias' }).first().click();
    await page.getByLabel('Address').fill('info@linden.example');
    await page.getByLabel('Goes to').fill('ann@linden.example');
    await page.getByRole('button', { name: 'Add the alias' }).click();
    await page.getByText('Kept as rev 3').waitFor();
    site = runSite(there, offset);
    await page.locator('.changebar [aria-current=step]', { hasText: 'Verified' }).waitFor({ timeout: 30_000 });
  } finally {
    site.kill('SIGKILL');
  }
});

test('two who edit one account lose nothing: each sees the change of the other, and chooses', async () => {
  const site = /.*\/sites\/[^/]+/.exec(new URL(page.url()).pathname)?.[0] as string;
  const address = `${site}/accounts/zoe@linden.example`;
  const other = await (await openContext(browser, looks.light)).newPage();
  other.setDefaultTimeout(15_000);
  try {
    await other.context().addCookies(await page.context().cookies());
    await page.goto(new URL(`${site}/accounts/new`, page.url()).href);
    await page.getByLabel('Name').fill('Zoe');
    await page.getByLabel('Address').fill('zoe');
    for (const wrong of ['abc', '-3', '0.0000000001', '5 XB']) {
      await page.getByLabel('Limit', { exact: true }).fill(wrong);
      await page.getByText('Write a size such as 5 GB').waitFor();
      expect(await page.getByRole('button', { name: 'Create the account' }).isDisabled(), wrong).toBe(true);
    }
    await page.getByLabel('Limit', { exact: true }).fill('4 MB');
    await page.getByRole('button', { name: 'Create the account' }).click();
    await heading('zoe@linden.example is on its way');
    const seen: string[] = [];
    other.on('request', (request) => request.method() === 'PUT' && seen.push(request.postData() ?? ''));
    await page.goto(new URL(address, page.url()).href);
    await other.goto(new URL(address, page.url()).href);
    for (const [who, name] of [[page, 'Zoe Abel'] as const, [other, 'Zoe Beck'] as const]) {
      await who.getByLabel('Name', { exact: true }).fill(name);
      expect(await who.getByLabel('Limit', { exact: true }).inputValue()).toBe('4 MB');
    }
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await other.getByText('Zoe Abel').waitFor(); // under the title: it has heard of it
    expect(await other.getByLabel('Name', { exact: true }).inputValue()).toBe('Zoe Beck');
    await other.getByRole('button', { name: 'Save', exact: true }).click();
    await other.getByText('Changed meanwhile by mara@linden.example').waitFor();
    expect(await other.locator('.contested').allInnerTexts()).toEqual(['Name\nWas\n“Zoe”\nIs now\n“Zoe Abel”\nYours\n“Zoe Beck”']);
    await other.getByRole('button', { name: 'Save mine' }).click();
    await page.getByText('Zoe Beck').first().waitFor();
    await expect.poll(() => page.getByLabel('Name', { exact: true }).inputValue(), { timeout: 30_000 }).toBe('Zoe Beck'); // nothing was typed there since
    expect(seen.every((body) => body === JSON.stringify({ name: 'Zoe Beck' }))).toBe(true); // and no limit was sent
    // other fields of the same account: both changes stand, and nobody is asked
    await page.getByLabel('Limit', { exact: true }).fill('1.5 GiB');
    await other.getByLabel('Name', { exact: true }).fill('Zoe B.');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await expect.poll(() => other.getByLabel('Limit', { exact: true }).inputValue(), { timeout: 30_000 }).toBe('1.5 GiB');
    await other.getByRole('button', { name: 'Save', exact: true }).click();
    await expect.poll(() => page.getByLabel('Name', { exact: true }).inputValue(), { timeout: 30_000 }).toBe('Zoe B.');
    expect(await other.getByText('Changed meanwhile').count()).toBe(0);
    // and giving way
    await other.getByLabel('Name', { exact: true }).fill('Zoe C.');
    await page.getByLabel('Name', { exact: true }).fill('Zoe D.');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await other.getByText('Zoe D.').waitFor();
    await other.getByRole('button', { name: 'Save', exact: true }).click();
    await other.getByRole('button', { name: 'Keep theirs' }).click();
    expect(await other.getByLabel('Name', { exact: true }).inputValue()).toBe('Zoe D.');
    expect(await axeOf(other)).toEqual([]);
    // a part of the settings: the account was changed meanwhile, which is no matter; then the same part
    await other.goto(new URL(`${site}/settings`, page.url()).href);
    const resolvers = (who: Page) => who.getByRole('region', { name: 'Resolvers' });
    await resolvers(other).getByLabel('Addresses').fill('127.0.0.2:53');
    await page.getByLabel('Name', { exact: true }).fill('Zoe E.');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Zoe E.').first().waitFor();
    await resolvers(other).getByRole('button', { name: 'Save', exact: true }).click();
    await other.locator('.changebar', { hasText: 'Resolvers changed' }).waitFor();
    await page.reload();
    await expect.poll(() => page.getByLabel('Name', { exact: true }).inputValue(), { timeout: 30_000 }).toBe('Zoe E.');
    await page.goto(new URL(`${site}/settings`, page.url()).href);
    await expect.poll(() => resolvers(page).getByLabel('Addresses').inputValue(), { timeout: 30_000 }).toBe('127.0.0.2:53');
    await resolvers(other).getByLabel('Addresses').fill('127.0.0.3:53');
    await resolvers(page).getByLabel('Addresses').fill('127.0.0.4:53');
    await resolvers(page).getByRole('button', { name: 'Save', exact: true }).click();
    await page.locator('.changebar', { hasText: 'Resolvers changed' }).waitFor();
    await resolvers(other).getByRole('button', { name: 'Save', exact: true }).click();
    await other.locator('.contested', { hasText: /Was\s*“127.0.0.2:53”\s*Is now\s*“127.0.0.4:53”\s*Yours\s*“127.0.0.3:53”/ }).waitFor();
    await resolvers(other).getByRole('button', { name: 'Keep theirs' }).click();
    expect(await resolvers(other).getByLabel('Addresses').inputValue()).toBe('127.0.0.4:53');
  } finally {
    await other.context().close();
  }
});

test('somebody is invited, a token is made, and the audit tells of both', async () => {
  await page.getByRole('link', { name: 'Members' }).click();
  await page.getByLabel('Email address').fill('sam@linden.example');
  await page.getByLabel('Role', { exact: true }).selectOption('helpdesk');
  await page.getByRole('button', { name: 'Make the link' }).click();
  await page.getByText(/\/invitation#/).waitFor();
  await page.getByRole('link', { name: 'API tokens' }).click();
  await page.getByLabel('Name').fill('Dashboard');
  await page.getByRole('button', { name: 'Make the token' }).click();
  await page.getByText(/^\$?\s*mst_/).waitFor();
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByText('Dashboard').first().waitFor();
  await page.getByText('sam@linden.example').first().waitFor();
});

test('the second factor is set up, and asked for at the next sign-in', async () => {
  await page.goto(`${new URL(page.url()).origin}${new URL(page.url()).pathname.replace(/\/audit$/, '/profile')}`);
  await page.getByRole('button', { name: 'Set it up' }).click();
  await page.getByRole('img', { name: 'The secret as a picture' }).waitFor();
  const secret = await page.locator('.totp code').innerText();
  await page.getByLabel('Code', { exact: true }).fill(codeOf(secret, Date.now()));
  await page.getByRole('button', { name: 'Switch it on' }).click();
  await page.locator('.codes').waitFor();
  const recovery = await page.locator('.codes code').first().innerText();
  await page.getByRole('button', { name: /profile, appearance, sign out/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByLabel('Email address').fill('mara@linden.example');
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await page.getByLabel('Code', { exact: true }).fill(recovery);
  await page.keyboard.press('Enter');
  await heading('Sites');
  await page.getByText('Linden House').first().waitFor();
});

test('a passkey is made and signs in', async () => {
  const session = await page.context().newCDPSession(page);
  await session.send('WebAuthn.enable');
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await page.getByRole('button', { name: /profile, appearance, sign out/ }).click();
  await page.getByRole('menuitem', { name: 'Your profile' }).click();
  await page.getByLabel('Name of the passkey').fill('Test key');
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('button', { name: 'Remove Test key' }).waitFor();
  await page.getByRole('button', { name: /profile, appearance, sign out/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await heading('Sites');
});

test('nothing was complained of', () => expect(complaints).toEqual([]));
