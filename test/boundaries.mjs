// The boundary check: fails on an arrow that points back, on a circle, and on a cruise that saw nothing.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cruise } from 'dependency-cruiser';

const { options, forbidden } = createRequire(import.meta.url)('../.dependency-cruiser.cjs');
const { output } = await cruise(
  ['ledger', 'market', 'node', 'dashboard', 'test', 'bench'].filter((room) => existsSync(room)),
  {
    ...options,
    validate: true,
    ruleSet: { forbidden },
  },
);
const { violations, totalCruised } = output.summary;
for (const v of violations) console.error(`${v.rule.name}: ${v.from} -> ${v.to}`);
if (totalCruised < 20) {
  console.error(
    `boundaries: only ${totalCruised} modules were read; the check saw nothing and proves nothing`,
  );
  process.exit(1);
}
console.log(`boundaries: ${totalCruised} modules, ${violations.length} violations`);
process.exit(violations.length === 0 ? 0 : 1);
