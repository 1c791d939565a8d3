// Every page of the web UI, as the sample portal shows it.

import type { Page } from 'playwright-core';
import type { Role } from '../../uplink/ui/contract.ts';

export interface Shown {
  readonly name: string;
  readonly path: string;
  readonly as?: Role | null;
  readonly empty?: boolean;
  /** What is done before one looks. */
  readonly act?: (page: Page) => Promise<void>;
}
/** Somebody else saves another name while one types. */
async function changedByAnother(page: Page): Promise<void> {
  await page.getByLabel('Name').fill('Alice Archer, office');
  await page.route(/\/accounts\/alice(@|%40)linden\.example$/, async (route) => {
    if (route.request().method() === 'GET') {
      const answer = await route.fetch();
      return route.fulfill({ response: answer, json: { ...(await answer.json()), name: 'Alice A. Archer' } });
    }
    const changed = [{ path: 'accounts/alice@linden.example', by: 'Tom Reed' }];
    return route.fulfill({
      status: 412,
      contentType: 'application/problem+json',
      json: { type: 'about:blank', title: 'Changed meanwhile', status: 412, changed },
    });
  });
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Choose which to keep').waitFor();
}
const org = '/o/linden-trust';
const linden = `${org}/sites/linden`;
export const pages: readonly Shown[] = [
  { name: 'setup', path: '/setup#secret', as: null },
  { name: 'signin', path: '/', as: null },
  {
    name: 'signin-code',
    path: '/',
    as: null,
    act: async (page) => {
      await page.getByLabel('Email address').fill('totp@linden.example');
      await page.getByLabel('Password', { exact: true }).fill('correct horse battery');
      await page.keyboard.press('Enter');
      await page.getByLabel('Code', { exact: true }).waitFor();
    },
  },
  { name: 'invitation', path: '/invitation#secret', as: null },
  { name: 'link', path: '/link#secret', as: null },
  { name: 'sites', path: org },
  { name: 'sites-empty', path: org, empty: true },
  { name: 'new-site', path: `${org}/new` },
  { name: 'waiting-helpdesk', path: `${org}/sites/attic`, as: 'helpdesk' },
  { name: 'waiting', path: `${org}/sites/attic` },
  { name: 'overview', path: linden },
  { name: 'overview-offline', path: `${org}/sites/harbour` },
  { name: 'overview-refused', path: `${org}/sites/mill` },
  { name: 'overview-quarantined', path: `${org}/sites/barn` },
  {
    name: 'overview-quarantined-command',
    path: `${org}/sites/barn`,
    act: async (page) => {
      await page.getByRole('button', { name: 'Make a new command' }).click();
      await page.locator('.copyline').waitFor();
    },
  },
  { name: 'queue-quarantined', path: `${org}/sites/barn/queue` },
  { name: 'overview-superseded', path: `${org}/sites/quay` },
  { name: 'device-ask', path: '/device' },
  { name: 'device', path: '/device?code=ktrw-jmxh' },
  { name: 'device-missing', path: '/device?code=KTRW-JMXX' },
  {
    name: 'device-turned',
    path: '/device?code=KTRW-JMXH',
    act: async (page) => {
      await page.getByRole('button', { name: 'Not mine' }).click();
      await page.getByRole('heading', { name: 'turned away' }).waitFor();
    },
  },
  {
    name: 'device-taken',
    path: '/device?code=KTRW-JMXH&site=attic',
    act: async (page) => {
      await page.getByRole('button', { name: 'Take it in' }).click();
      await page.getByRole('heading', { name: 'Attic' }).waitFor();
    },
  },
  { name: 'device-not-allowed', path: '/device?code=KTRW-JMXH', as: 'helpdesk' },
  { name: 'trace-start', path: `${linden}/trace` },
  {
    name: 'trace',
    path: `${linden}/trace?about=alice@linden.example`,
    act: async (page) => page.locator('.trace-head').first().click(),
  },
  { name: 'queue', path: `${linden}/queue` },
  { name: 'queue-picked', path: `${linden}/queue`, act: async (page) => page.locator('.pick input').first().check() },
  { name: 'queue-message', path: `${linden}/queue/70412` },
  { name: 'domains', path: `${linden}/domains` },
  { name: 'new-domain', path: `${linden}/domains/new` },
  { name: 'domain', path: `${linden}/domains/linden.example` },
  { name: 'domain-offline', path: `${org}/sites/harbour/domains/linden.example` },
  { name: 'accounts', path: `${linden}/accounts` },
  { name: 'new-account', path: `${linden}/accounts/new` },
  { name: 'account', path: `${linden}/accounts/alice@linden.example` },
  { name: 'account-conflict', path: `${linden}/accounts/alice@linden.example`, act: changedByAnother },
  { name: 'account-helpdesk', path: `${linden}/accounts/alice@linden.example`, as: 'helpdesk' },
  {
    name: 'account-delete',
    path: `${linden}/accounts/alice@linden.example`,
    act: async (page) => {
      await page.getByRole('button', { name: 'Delete the account' }).click();
      await page.getByRole('alertdialog').waitFor();
    },
  },
  { name: 'aliases', path: `${linden}/aliases` },
  { name: 'alias', path: `${linden}/aliases/press@linden.example` },
  { name: 'new-alias', path: `${linden}/aliases/new` },
  { name: 'snapshots', path: `${linden}/snapshots` },
  { name: 'snapshots-problem', path: `${org}/sites/harbour/snapshots` },
  { name: 'launch', path: `${linden}/snapshots/m811943/launch` },
  { name: 'activity', path: `${linden}/activity` },
  { name: 'settings', path: `${linden}/settings` },
  { name: 'members', path: `${org}/members` },
  { name: 'tokens', path: `${org}/tokens` },
  { name: 'audit', path: `${org}/audit` },
  { name: 'organisation', path: `${org}/organisation` },
  { name: 'profile', path: `${org}/profile` },
  { name: 'totp', path: `${org}/profile`, act: async (page) => page.getByRole('button', { name: 'Set it up' }).click() },
  {
    name: 'menu',
    path: linden,
    act: async (page) => {
      const button = page.getByRole('button', { name: 'Open menu' });
      if (await button.isVisible()) await button.click();
      await page.getByRole('navigation').waitFor();
    },
  },
  { name: 'missing', path: `${org}/sites/nothing` },
  { name: 'nowhere', path: '/bogus' },
  { name: 'nowhere-in-site', path: `${linden}/bogus` },
  { name: 'not-allowed', path: `${linden}/settings`, as: 'read-only' },
  {
    name: 'palette',
    path: linden,
    act: async (page) => {
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox').waitFor();
    },
  },
  {
    name: 'help',
    path: linden,
    act: async (page) => {
      await page.locator('.tiles .help').first().click();
      await page.getByRole('dialog').waitFor();
    },
  },
];
