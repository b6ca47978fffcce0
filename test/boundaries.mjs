// The boundary check: fails on an arrow that points back, on a circle, and on a cruise that saw nothing.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, normalize } from 'node:path';
import { cruise } from 'dependency-cruiser';

const rooms = ['ledger', 'market', 'node', 'dashboard', 'test', 'bench'];
const { options, forbidden } = createRequire(import.meta.url)('../.dependency-cruiser.cjs');
const { output } = await cruise(
  rooms.filter((room) => existsSync(room)),
  { ...options, validate: true, ruleSet: { forbidden } },
);
const { violations, totalCruised } = output.summary;
const found = violations.map((violation) => `${violation.rule.name}: ${violation.from} -> ${violation.to}`);

const pages = readdirSync('dashboard', { recursive: true })
  .map((name) => join('dashboard', String(name)))
  .filter((name) => name.endsWith('.tsx'));
for (const page of pages) {
  for (const [, target] of readFileSync(page, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
    const path = normalize(join(page, '..', target));
    if (!/^(dashboard|ledger)\//.test(path)) found.push(`dashboard-talks-http: ${page} -> ${path}`);
  }
}

for (const line of found) console.error(line);
if (totalCruised < 20 || pages.length === 0) {
  console.error(
    `boundaries: only ${totalCruised} modules and ${pages.length} pages were read; that proves nothing`,
  );
  process.exit(1);
}
console.log(`boundaries: ${totalCruised} modules, ${pages.length} pages, ${found.length} violations`);
process.exit(found.length === 0 ? 0 : 1);
