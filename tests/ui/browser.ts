// Debian's Chromium, driven by playwright-core. Guarantees: whatever a page complains of is kept, to be asked about.

import axe from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });

export interface Looking {
  readonly scheme: 'light' | 'dark';
  readonly width: number;
}
export const looks: Readonly<Record<'light' | 'dark' | 'phone', Looking>> = {
  light: { scheme: 'light', width: 1280 },
  dark: { scheme: 'dark', width: 1280 },
  phone: { scheme: 'light', width: 390 },
};

export async function openContext(browser: Browser, { scheme, width }: Looking): Promise<BrowserContext> {
  const phone = width < 500;
  return browser.newContext({
    colorScheme: scheme,
    viewport: { width, height: phone ? 844 : 860 },
    hasTouch: phone,
    deviceScaleFactor: phone ? 2 : 1,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
}

/** Errors of the console, of scripts, and violations of the content security policy; a refused sign-in (401) is none. */
export function complaintsOf(page: Page): string[] {
  const found: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of (401|404|409|412|422|503)/.test(message.text())) found.push(message.text());
  });
  page.on('pageerror', (error) => found.push(String(error)));
  return found;
}

/** What axe finds against WCAG 2.2 AA, one line each; but for the guards around an open layer, which pass the focus on at once. */
export async function axeOf(page: Page): Promise<string[]> {
  // the policy of the page lets no foreign script in: this one is the test's own, through the debugger
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run: (context: unknown, options: unknown) => Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }> };
    };
    return (await axe.run({ exclude: ['[data-base-ui-focus-guard]'] }, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
      .violations;
  });
  return found.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary?.slice(0, 200)})`).join(' | ')}`,
  );
}
