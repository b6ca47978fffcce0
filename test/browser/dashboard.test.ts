import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { inspect, launchBrowser, photograph, violations } from '../support/browser.ts';
import { Devnet } from '../support/devnet.ts';
import { until } from '../support/until.ts';

/** The dashboard of a real network in a real browser. Screenshots stay in `artefacts/`. */

const PAGES = ['Overview', 'Earnings', 'Storage', 'Files', 'Ledger', 'Wallet', 'Network', 'Settings'];
const devnet = new Devnet({ periodMs: 2_000 });
let browser: Browser;
let page: Page;
const problems: string[] = [];

before(async () => {
  await devnet.start();
  browser = await launchBrowser();
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    bypassCSP: true,
    acceptDownloads: true,
    reducedMotion: 'reduce',
  });
  page = await context.newPage();
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
});
after(async () => {
  await browser?.close();
  await devnet.remove();
});

async function visit(name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.waitForFunction(() => document.querySelector('.loading') === null);
}

test('a browser without a login is told how to get one', async () => {
  await page.goto(new URL('/', devnet.loginUrl).href);
  await page.getByText('npx blocktree status').waitFor();
  problems.length = 0;
});

test('the printed link logs in once, and the code leaves the address', async () => {
  await page.goto(devnet.loginUrl);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  assert.equal(new URL(page.url()).hash, '');
  await page.getByRole('banner').getByText('Live', { exact: true }).waitFor();
  const again = await fetch(new URL('/api/v1/sessions', devnet.loginUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code: new URL(devnet.loginUrl).hash.slice(1) }),
  });
  assert.equal(again.status, 401);
});

test('a file goes up by the page and comes back the same', async () => {
  const content = randomBytes(3_000_000);
  const path = join(devnet.folder, 'holiday.jpg');
  writeFileSync(path, content);
  await visit('Files');
  await page.locator('#upload').setInputFiles(path);
  const link = page.getByRole('link', { name: 'holiday.jpg' });
  await link.waitFor({ timeout: 30_000 });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  assert.deepEqual(readFileSync(await download.path()), content);
  await page.getByText('4 of 4, 2 needed').waitFor();
  await page.getByText('Where', { exact: true }).click();
  await page
    .getByText(/1 fragment, alive|2 fragments, alive/)
    .first()
    .waitFor();
});

test('a file is replaced only when its owner says so', async () => {
  const path = join(devnet.folder, 'notes.txt');
  const link = page.getByRole('link', { name: 'notes.txt' });
  writeFileSync(path, 'first');
  await page.locator('#upload').setInputFiles(path);
  await link.waitFor({ timeout: 30_000 });
  const content = randomBytes(10_000);
  writeFileSync(path, content);
  await page.locator('#upload').setInputFiles(path);
  await page.getByText('There is a file of this name already.').waitFor();
  await page.getByRole('button', { name: 'Leave it' }).click();
  await page.getByText('5 B', { exact: true }).waitFor();
  await page.locator('#upload').setInputFiles(path);
  await page.getByRole('button', { name: 'Replace it' }).click();
  await page.getByText('9.8 KiB', { exact: true }).waitFor({ timeout: 30_000 });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  assert.deepEqual(readFileSync(await download.path()), content);
});

test('earnings appear without a reload, with a plot', async () => {
  await page.goto((await devnet.cli<{ loginUrl: string }>(6, 'status')).loginUrl);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await visit('Earnings');
  await page.locator('.plot canvas').waitFor({ timeout: 30_000 });
  const total = page.locator('header .total .amount');
  const [inHeader, onPage] = await page.evaluate(() => [
    document.querySelector('header .total .amount')?.getAttribute('title'),
    [...document.querySelectorAll('.figure')]
      .find((one) => one.querySelector('dt')?.textContent === 'Total')
      ?.querySelector('.amount')
      ?.getAttribute('title'),
  ]);
  assert.equal(onPage, inHeader, 'one earnings number on every page');
  const before = await total.getAttribute('title');
  await page.waitForFunction(
    (old) => document.querySelector('header .total .amount')?.getAttribute('title') !== old,
    before,
    { timeout: 20_000 },
  );
});

test('earnings are drawn by day as well', async () => {
  await page.getByRole('radio', { name: 'Days' }).check();
  await page.getByRole('heading', { level: 2, name: 'By day' }).waitFor();
  await page
    .locator('.readout')
    .getByText(/^[A-Z][a-z]+ \d+$/)
    .waitFor();
  await page.getByRole('radio', { name: 'Periods' }).check();
  await page
    .locator('.readout')
    .getByText(/^Period \d+$/)
    .waitFor();
});

test('the exact total stands at the header when the keyboard reaches it, and a period leads to its block', async () => {
  await page.locator('header .total').focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Tab');
  await page.waitForFunction(() => {
    const exact = document.querySelector('header .exact');
    return exact !== null && getComputedStyle(exact).opacity === '1' && / grains$/.test(exact.textContent);
  });
  await page.getByText('Figures by period').click();
  await page.getByRole('region', { name: 'Earnings by period' }).getByRole('link').last().click();
  await page.getByRole('heading', { level: 2, name: /^Period \d+$/ }).waitFor();
  await page.getByRole('link', { name: /^block \d+$/ }).click();
  await page.getByRole('heading', { level: 2, name: /^Block \d+$/ }).waitFor();
});

test('a volume takes a new size', async () => {
  await visit('Storage');
  await page.getByText('Change', { exact: true }).click();
  await page.locator('.volume').getByLabel('Size in GiB').fill('7.5');
  await page.getByRole('button', { name: 'Resize' }).click();
  await page.getByText('of 7.5 GiB').waitFor();
});

test('an offer says what it would bring before it is announced', async () => {
  const price = page.getByLabel('Price a GiB and period');
  await page.getByText(/would earn .* acorns a month\. Of 5 other offers none is cheaper, 5 ask/).waitFor();
  await price.fill('0.2');
  await page.getByText('Of 5 other offers 5 are cheaper').waitFor();
  await page.getByLabel('Collateral').fill('200');
  await page.getByText(/The collateral would raise the score by \d+ %/).waitFor();
  await price.fill('much');
  await page.getByText('Expected amounts such as 0.25.').waitFor();
});

test('money is sent with a confirm step, and the history shows it', async () => {
  const { accountId } = await devnet.cli<{ accountId: string }>(2, 'wallet', 'address');
  await visit('Wallet');
  await page.getByLabel('To', { exact: true }).fill(accountId);
  await page.getByLabel('Amount in acorns').fill('12.5');
  await page.getByLabel(/Memo/).fill('for lunch');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Send now' }).click();
  await page.getByText('Sent.').waitFor({ timeout: 15_000 });
  await page.getByText('“for lunch”').waitFor({ timeout: 15_000 });
});

test('a balance counts as verified only when this browser verified it', async () => {
  const proven = page.locator('.proven');
  await proven.getByText('verified', { exact: true }).waitFor();
  await proven.getByText(/block \d+ of chain/).waitFor();
  const remembered = await page.evaluate(() => Object.keys(localStorage));
  assert(remembered.some((key) => /^blocktree\.committee\.[0-9a-f]{64}$/.test(key)));
  const accountId = (await page.locator('.address .path').textContent()) ?? '';
  const address = new URL(`/ledger/account/${accountId}`, page.url()).href;
  // A node that shows more than the ledger holds.
  await page.route(/\/ledger\/accounts\/acorn1[0-9a-z]+$/, async (route) => {
    const answer = (await (await route.fetch()).json()) as { balanceGrains: string };
    await route.fulfill({ json: { ...answer, balanceGrains: '99000000000000' } });
  });
  await page.goto(address);
  await proven.getByText('not what is shown').waitFor({ timeout: 15_000 });
  await page.unrouteAll();
  // A node that makes up the proof as well.
  await page.route(/\/ledger\/accounts\/\w+\/proof/, async (route) => {
    const proof = (await (await route.fetch()).json()) as { row: string };
    await route.fulfill({ json: { ...proof, row: `01${proof.row.slice(2)}` } });
  });
  await page.goto(address);
  await proven.getByText('not verified').waitFor();
  await page.unrouteAll();
  await page.goto(address);
  await proven.getByText('verified', { exact: true }).waitFor();
  await visit('Wallet');
});

test('more than there is cannot be sent, and the page says why', async () => {
  await page
    .getByLabel('To', { exact: true })
    .fill((await devnet.cli<{ accountId: string }>(2, 'wallet', 'address')).accountId);
  await page.getByLabel('Amount in acorns').fill('99999999');
  await page.getByText('more than the balance').waitFor();
  assert(await page.getByRole('button', { name: 'Continue' }).isDisabled());
});

test('an id leads to what it names', async () => {
  await visit('Ledger');
  await page.getByRole('searchbox').fill('1');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('heading', { level: 2, name: 'Block 1' }).waitFor();
  await page.getByRole('link', { name: '← Ledger' }).click();
  await page
    .getByRole('link', { name: /^Block \d+, final/ })
    .first()
    .press('Enter');
  await page.getByRole('heading', { level: 2, name: /^Block \d+$/ }).waitFor();
  await page.getByRole('link', { name: '← Ledger' }).click();
  await page.getByRole('searchbox').fill('nonsense');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('alert').getByText('Nothing on the ledger').waitFor();
  problems.length = 0;
});

test('older blocks and older payments are turned to page by page, and back', async () => {
  const height = async (): Promise<number> =>
    ((await (await fetch(new URL('/api/v1/ledger/head', devnet.loginUrl))).json()) as { height: number })
      .height;
  const turn = async (name: string, rows: string): Promise<void> => {
    const pages = page.getByRole('group', { name: `Pages of ${name}` });
    const texts = () => page.getByRole('region', { name: rows }).getByRole('row').allInnerTexts();
    await pages.getByText('page 1').waitFor();
    await pages.getByRole('button', { name: 'More →' }).click();
    await pages.getByText('page 2').waitFor();
    await page.waitForFunction(() => document.querySelector('[aria-busy=true]') === null);
    const second = await texts();
    // The past stands still, whatever becomes final meanwhile.
    const since = await height();
    await until(async () => (await height()) > since + 2, 15_000, 'further blocks');
    assert.deepEqual(await texts(), second);
    await pages.getByRole('button', { name: '← Back' }).click();
    await pages.getByText('page 1').waitFor();
  };
  await visit('Ledger');
  await turn('blocks', 'Blocks');
  await visit('Wallet');
  await turn('the history', 'History');
});

test('every page is accessible, in light and dark, wide and on a phone', async () => {
  await inspect(page, PAGES, visit);
  assert.deepEqual(problems, []);
});

test('every kind of ledger page is accessible', async () => {
  await page.setViewportSize({ width: 1440, height: 900 });
  const { items } = (await (await fetch(new URL('/api/v1/ledger/contracts', devnet.loginUrl))).json()) as {
    items: { id: string; renterId: string }[];
  };
  const contract = items[0];
  assert(contract !== undefined);
  const block = (await (await fetch(new URL('/api/v1/ledger/blocks/1', devnet.loginUrl))).json()) as {
    transactions: { id: string }[];
  };
  for (const path of [
    'block/1',
    'period/1',
    `tx/${block.transactions[0]?.id}`,
    `contract/${contract.id}`,
    `account/${contract.renterId}`,
  ]) {
    await page.goto(new URL(`/ledger/${path}`, page.url()).href);
    await page.locator('main h2').first().waitFor();
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    assert.deepEqual(await violations(page), [], path);
    await photograph(page, path.split('/')[0] as string);
  }
});

test('a page whose node is killed says so, and comes back with it by itself', async () => {
  await visit('Overview');
  await devnet.kill(6);
  await page.getByText('Offline: trying again').waitFor();
  await page.getByText('What stands here may be old').waitFor();
  assert.equal(await page.getByText('All is well').count(), 0);
  assert.deepEqual(await violations(page), []);
  await photograph(page, 'offline');
  devnet.startNode(6);
  await page.getByRole('banner').getByText('Live', { exact: true }).waitFor({ timeout: 30_000 });
});

test('a session that ends takes the pages away', async () => {
  await page.evaluate(() => fetch('/api/v1/sessions/current', { method: 'DELETE' }));
  await page.getByText('npx blocktree status').waitFor({ timeout: 10_000 });
  assert.deepEqual(await violations(page), []);
  await photograph(page, 'logged-out');
});
