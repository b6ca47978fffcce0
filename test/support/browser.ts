import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';

/** The browser of the tests: Debian's Chromium, without a screen. */

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
}

/** What axe-core finds wrong with a page for those who use it otherwise than by eye and mouse. */
export async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations: found } = await (
      globalThis as unknown as {
        axe: {
          run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>;
        };
      }
    ).axe.run();
    return found.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join(' | ')}`,
    );
  });
}

/** Pictures of the pages, to be looked at. */
const ARTEFACTS = 'artefacts';

const SIZES = [
  ['wide', { width: 1440, height: 900 }],
  ['phone', { width: 390, height: 844 }],
] as const;

/** Keeps a picture of what is shown now. */
export async function photograph(subject: Page | Locator, name: string): Promise<void> {
  mkdirSync(ARTEFACTS, { recursive: true });
  await subject.screenshot({ path: join(ARTEFACTS, `${name}.png`) });
}

/**
 * Each of `names` is accessible and fits, in light and dark, wide and on a phone; pictures are kept, of
 * `subject` where that is less than the page. `visit` shows one.
 */
export async function inspect(
  page: Page,
  names: readonly string[],
  visit: (name: string) => Promise<void>,
  subject: Page | Locator = page,
): Promise<void> {
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [size, viewport] of SIZES) {
      await page.setViewportSize(viewport);
      for (const name of names) {
        await visit(name);
        assert.deepEqual(await violations(page), [], `${name}, ${scheme}, ${size}`);
        const overflow = await page.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        assert(overflow <= 1, `${name} is ${overflow} px wider than a ${size} screen`);
        await photograph(subject, `${name.toLowerCase()}-${scheme}-${size}`);
      }
    }
  }
}
