// Every page of the web UI in Debian's Chromium: light, dark, and as wide as a phone. Nothing is complained of, axe finds
// nothing against WCAG 2.2 AA, nothing is wider than its window or cut off, and on a phone what is pressed is at least 44 high.
// MAILSITE_PICTURES=FOLDER: a picture of each.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { axeOf, complaintsOf, looks, openBrowser, openContext } from './browser.ts';
import { type FakePortal, startFake } from './fake.ts';
import { pages } from './pages.ts';

const pictures = process.env['MAILSITE_PICTURES'];
let fake: FakePortal;
let browser: Browser;
beforeAll(async () => {
  fake = startFake();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
  fake.stop();
});

/** What a finger has to hit and is lower than 44; links within a sentence or under a row as a whole are exempt (WCAG 2.2 §2.5.8). */
const small = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll('button, .button, .input, .nav-link, .backlink')]
      .filter((element) => {
        const { width, height } = element.getBoundingClientRect();
        return width > 1 && height > 0 && height < 43.5 && !element.matches('input[type=checkbox]');
      })
      .map((element) => `${element.className} ${element.textContent?.slice(0, 40)} ${Math.round(element.getBoundingClientRect().height)}`),
  );

/** Boxes whose contents are wider than they are. */
const cut = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll('.tablebox, .card, .notice, .entry-box, .section')]
      .filter((element) => element.scrollWidth > element.clientWidth + 1)
      .map((element) => `${element.className} ${element.scrollWidth} > ${element.clientWidth}`),
  );

describe.each(Object.entries(looks))('%s', (name, look) => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await openContext(browser, look);
  });
  afterAll(() => context.close());

  test.each(pages)(`$name in ${name}`, async (shown) => {
    fake.reset({ empty: shown.empty ?? false });
    fake.as(shown.as === undefined ? 'owner' : shown.as);
    const page = await context.newPage();
    const complaints = complaintsOf(page);
    await page.goto(fake.url + shown.path);
    await page.locator('h1').first().waitFor();
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    await shown.act?.(page);
    await page.waitForTimeout(250);
    if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${shown.name}-${name}.png`), fullPage: true });
    expect(complaints).toEqual([]);
    expect(await axeOf(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    expect(await cut(page)).toEqual([]);
    if (name === 'phone') expect(await small(page)).toEqual([]);
    await page.close();
  });
});
