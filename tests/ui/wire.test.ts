// What goes over the wire: how much at the first load, under which policy, and for how long it is kept.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { looks, openBrowser, openContext } from './browser.ts';
import { type FakePortal, startFake } from './fake.ts';
import { pages } from './pages.ts';

const FIRST_LOAD_OCTETS = 185_000;
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

/** Octets as they came, heads and all, until its heading has been there for a while. */
async function loaded(path: string): Promise<number> {
  const context = await openContext(browser, looks.light);
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  let octets = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => {
    octets += encodedDataLength;
  });
  await page.goto(fake.url + path);
  await page.locator('h1').first().waitFor();
  await page.waitForTimeout(500);
  await context.close();
  return octets;
}

test('the first load of every page is below 185 kB', async () => {
  const heavy: string[] = [];
  for (const { path, as } of new Map(pages.map((page) => [page.path.replace(/[?#].*/, ''), page])).values()) {
    fake.reset();
    fake.as(as === undefined ? 'owner' : as);
    const octets = await loaded(path);
    expect(octets).toBeGreaterThan(50_000); // it was measured
    if (octets >= FIRST_LOAD_OCTETS) heavy.push(`${path} ${octets}`);
  }
  expect(heavy).toEqual([]);
});

test('the page runs nothing but files of the portal, and is asked for anew; its files are kept for good', async () => {
  const page = await fetch(`${fake.url}/any/where`);
  const text = await page.text();
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  expect(policy).toContain("style-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
  expect(page.headers.get('x-content-type-options')).toBe('nosniff');
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  expect(page.headers.get('cache-control')).toBe('no-cache');
  expect(text).not.toMatch(/<script(?![^>]* src=)|<style|style=|https?:/);
  const files = [...text.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map((match) => match[1] as string);
  expect(files.length).toBeGreaterThan(4);
  for (const file of files) {
    const answer = await fetch(fake.url + file, { headers: { 'accept-encoding': 'br' } });
    expect([file, answer.status, answer.headers.get('cache-control')]).toEqual([file, 200, 'public, max-age=31536000, immutable']);
  }
});

test('each client gets the form that it takes', async () => {
  const coding = async (accepted: string): Promise<string | null> =>
    (await fetch(`${fake.url}/`, { headers: { 'accept-encoding': accepted } })).headers.get('content-encoding');
  expect(await coding('gzip, deflate, br, zstd')).toBe('br');
  expect(await coding('gzip, zstd')).toBe('zstd');
  expect(await coding('gzip')).toBe('gzip');
  expect(await coding('br;q=0, gzip;q=0.5')).toBe('gzip');
  expect(await coding('identity')).toBe(null);
});

test('what is not there is not there, and nothing is written', async () => {
  expect((await fetch(`${fake.url}/ui/main-old.js`)).status).toBe(404);
  expect((await fetch(`${fake.url}/`, { method: 'POST' })).status).toBe(405);
  expect((await fetch(`${fake.url}/ui/..%2f..%2fpackage.json`)).status).toBe(404);
});
