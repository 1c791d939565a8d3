// What strangers wrote, on every page that shows it: names, addresses, replies of other hosts and of sites, all with markup in
// them. H1: it is text wherever it stands: no element is made of it and nothing runs, and so the policy of the page has nothing to stop.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { complaintsOf, looks, openBrowser, openContext } from './browser.ts';
import { type FakePortal, startFake } from './fake.ts';
import { pages } from './pages.ts';

const markup = `"'><img src=x onerror="window.ran=1"><script>window.ran=1</script><svg onload=window.ran=1><a href="javascript:window.ran=1">`;
/** Texts of people, of sites and of other hosts; not what the portal itself chose, such as a state. */
const free = new Set(
  'name word host because message summary by from to address words lastError lastHost lastCode helo tls reason fix found values messageId account mailbox detail text version'.split(
    ' ',
  ),
);
let fake: FakePortal;
let browser: Browser;
let page: Page;
let complaints: string[];
beforeAll(async () => {
  fake = startFake();
  browser = await openBrowser();
  page = await (await openContext(browser, looks.light)).newPage();
  page.setDefaultTimeout(8_000);
  complaints = complaintsOf(page);
});
afterAll(async () => {
  await browser.close();
  fake.stop();
});

function poison(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => poison(one, name));
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, poison(one, key)]));
  return typeof value === 'string' && free.has(name) ? `${value}${markup}` : value;
}
const sites = ['linden', 'harbour', 'mill', 'attic', 'barn'];
function poisonAll(): void {
  for (const id of sites) {
    const data = fake.site(id);
    Object.assign(data, poison(data));
  }
}

test.each(pages.filter(({ act, as }) => act === undefined && as !== null))('H1: $name', async ({ path, as, empty }) => {
  fake.reset({ ...(empty && { empty }) });
  fake.as(as ?? 'owner');
  if (!empty) poisonAll();
  await page.goto(fake.url + path);
  await page.locator('h1').first().waitFor();
  await page.waitForLoadState('networkidle', { timeout: 2_000 }).catch(() => {}); // a stream stays open
  const seen = await page.evaluate(() => ({
    ran: 'ran' in globalThis,
    made: document.querySelectorAll('img[src="x"], [onerror], [onload], body script:not([src]), a[href^="javascript:"]').length,
  }));
  expect(seen).toEqual({ ran: false, made: 0 });
  expect(complaints).toEqual([]);
});

test('H1: and it was there to be seen', async () => {
  fake.reset();
  fake.as('owner');
  poisonAll();
  for (const path of [
    '/o/linden-trust',
    '/o/linden-trust/sites/linden/accounts',
    '/o/linden-trust/sites/linden/queue',
    '/o/linden-trust/sites/linden/activity',
  ]) {
    await page.goto(fake.url + path);
    await page.getByText('<img src=x onerror=').first().waitFor();
  }
});
