import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type Emulator, manufactureEmulator, startEmulator } from '../../node/tpm/emulator.ts';
import { inspect, launchBrowser } from '../support/browser.ts';
import { Devnet } from '../support/devnet.ts';
import { blocktree, Machine } from '../support/machine.ts';

/** Newcomers to a network, each with a chip of its own, in a browser: from a bare chip to a claim, and what goes wrong. */

const devnet = new Devnet({ periodMs: 2_000, nodes: 1, tpm: 'emulator' });
const machines: Machine[] = [];
const chips: Emulator[] = [];
let browser: Browser;
let page: Page;

before(async () => {
  await devnet.start();
  browser = await launchBrowser();
  const context = await browser.newContext({
    bypassCSP: true,
    acceptDownloads: true,
    reducedMotion: 'reduce',
  });
  page = await context.newPage();
});
after(async () => {
  await browser?.close();
  await Promise.all(machines.map((machine) => machine.stop()));
  await Promise.all(chips.map((chip) => chip.stop()));
  await devnet.remove();
});

const file = (name: string) => join(devnet.folder, name);

/** A chip that the named authority certified, switched on. */
async function newChip(name: string, authority: string): Promise<Emulator> {
  await manufactureEmulator(file(name), authority);
  const chip = await startEmulator(file(name));
  chips.push(chip);
  return chip;
}

/** A machine that joins the network, its node running, its wallet page open. */
async function arrive(name: string, device: string, input = ''): Promise<Machine> {
  const consolePort = Number(new URL(devnet.url(1)).port) + 20 + machines.length;
  const settings = await devnet.cli<Record<string, readonly string[]>>(1, 'config', 'show');
  await blocktree(
    [
      ...['--data', file(name), 'init', '--network', file('devnet/network.json'), '--tpm-device', device],
      ...['--tpm-issuer', devnet.url(1), '--link-host', '127.0.0.1', '--link-port', '0'],
      ...['--link-seeds', (settings['link.seeds'] ?? []).join(','), '--console-port', String(consolePort)],
    ],
    input,
  );
  const machine = new Machine(file(name), consolePort);
  machines.push(machine);
  await machine.start(input);
  await page.goto((await machine.cli<{ loginUrl: string }>('status')).loginUrl);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.getByRole('navigation').getByRole('link', { name: 'Wallet', exact: true }).click();
  await page.getByRole('heading', { level: 2, name: 'TPM' }).waitFor();
  return machine;
}

/** The step that is next or needs attention. */
const current = () => page.locator('.wizard [aria-current=step] h3');

/** The card is accessible and fits, in light and dark, wide and on a phone; pictures are kept. */
async function picture(name: string): Promise<void> {
  const card = page.locator('.card', { has: page.getByRole('heading', { level: 2, name: 'TPM' }) });
  await inspect(page, [`tpm-${name}`], async () => undefined, card);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1440, height: 900 });
}

test('a chip is detected, endorsed by one request, and claimed', async () => {
  const chip = await newChip('chip-online', file('devnet/chips/authority'));
  await arrive('home-online', chip.spec);
  await page.getByText('A TPM 2.0 by IBM').waitFor();
  assert.equal(await current().textContent(), 'Request (next)');
  await picture('request');
  const address = page.getByLabel('Address of an issuer of this network');
  assert.equal(await address.inputValue(), devnet.url(1));
  await page.getByRole('button', { name: 'Ask for an endorsement' }).click();
  await page.getByText('With 10,000 acorns by').waitFor({ timeout: 15_000 });
  assert.equal(await current().textContent(), 'Claimed (next)');
  await picture('endorsed');
  await page.getByRole('button', { name: 'Claim the chip' }).click();
  await page.getByText('what the chip brought').waitFor({ timeout: 20_000 });
  await page.locator('.figures').getByText('IBM').waitFor();
  await page.getByRole('link', { name: /^in block \d+$/ }).waitFor();
  await picture('claimed');
});

test('a chip that is switched off is missed, and found again', async () => {
  const chip = chips.at(-1) as Emulator;
  await chip.stop();
  await page.reload();
  await page.getByText('The chip does not answer').waitFor();
  await page.getByText('check that the TPM is switched on').waitFor();
  await picture('off');
  chips.push(await startEmulator(file('chip-online')));
  await page.getByRole('button', { name: 'Look again' }).click();
  await page.getByText('what the chip brought').waitFor();
});

test('an endorsement by file: the request is saved, the answer taken', async () => {
  const chip = await newChip('chip-file', file('devnet/chips/authority'));
  await arrive('home-file', chip.spec);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'save the request' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'tpm-request.json');
  await download.saveAs(file('request.json'));
  assert.equal(JSON.parse(readFileSync(file('request.json'), 'utf8')).kind, 'tpm2');
  const words = ['--issuer', file('devnet'), '--denomination', '10000'];
  await devnet.cli(1, 'tpm', 'endorse', file('request.json'), file('answer.json'), ...words);
  await page.locator('#answer').setInputFiles(file('devnet/network.json'));
  await page.getByRole('alert').waitFor();
  await page.locator('#answer').setInputFiles(file('answer.json'));
  await page.getByText('With 10,000 acorns by').waitFor();
  await page.getByRole('button', { name: 'Claim the chip' }).click();
  await page.getByText('what the chip brought').waitFor({ timeout: 20_000 });
});

test('what goes wrong is said, with what to do', async () => {
  const chip = await newChip('chip-foreign', file('foreign-authority'));
  await arrive('home-foreign', chip.spec);
  const ask = page.getByRole('button', { name: 'Ask for an endorsement' });
  await ask.click();
  await page.getByRole('alert').getByText('Use a machine with a real TPM').waitFor();
  await picture('refused');
  await page.getByLabel('Address of an issuer').fill('http://issuer.example');
  await ask.click();
  await page.getByRole('alert').getByText('it begins with https://').waitFor();
  await page.getByLabel('Address of an issuer').fill('http://127.0.0.1:9');
  await ask.click();
  await page.getByRole('alert').getByText('save the request and send it by mail').waitFor();
  await page.locator('#answer').setInputFiles(file('answer.json'));
  await page.getByRole('alert').getByText('The answer was made for another machine').waitFor();
});

test('a machine without a TPM is told what it lacks', async () => {
  await arrive('home-none', 'none', 'a long passphrase\n');
  await page.getByText('This node goes without a TPM').waitFor();
  assert.equal(await current().textContent(), 'Chip (needs attention)');
  await picture('none');
});
