import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { failureOf } from '../campaign.ts';
import { mutatedCopy } from '../mutants.ts';
import type { Outcome } from '../world.ts';

/** Nodes that are broken on purpose, in what the model of a node does not have: seeds with real nodes must notice each. */

/** Hundredth seeds: each mutant is noticed within some ten, from a first one on that is soon to notice it now. */
const SEEDS = 100;

const MUTANTS = [
  {
    name: 'members do not dial each other',
    file: 'node/ledger/committee-links.ts',
    find: /network\.reach\(member\);/,
    replace: ';',
  },
  {
    name: 'a block that is final already is committed again',
    file: 'node/ledger/chain/commit-up-to.ts',
    find: /if \(header !== undefined && header\.height <= final\.height\) \{/,
    replace: 'if (header === undefined) {',
    firstSeed: 5_300,
  },
  {
    name: 'a commit is not on disk when it is announced',
    file: 'node/ledger/store/ledger-store.ts',
    find: /await write\(this\.database, batch, \{ sync: true \}\);(?=\s+for )/,
    replace: 'await write(this.database, batch);',
  },
  {
    name: 'votes are sent before they are on disk',
    file: 'node/ledger/votes/write-ahead-log.ts',
    find: /await this\.#file\.datasync\(\);(?=\s+this\.#syncedBytes = Math)/,
    replace: '',
  },
  {
    name: 'the mark of the height is ahead of what is on disk',
    file: 'node/ledger/store/ledger-store.ts',
    find: /await write\(this\.database, batch, \{ sync: true \}\);(?=\s+for )/,
    replace: 'this.#mark.write(parts.final.height);\n    await write(this.database, batch, { sync: true });',
  },
];

for (const { name, firstSeed = 100, ...patch } of MUTANTS) {
  test(`notices the mutant: ${name}`, async (t) => {
    const { root, remove } = mutatedCopy(['ledger', 'market', 'node', 'test'], name, patch);
    t.after(remove);
    const entry = pathToFileURL(join(root, 'test/simulation/real/real-world.ts')).href;
    const { simulateReal } = (await import(entry)) as { simulateReal(seed: number): Promise<Outcome> };
    for (let seed = firstSeed; seed < firstSeed + 100 * SEEDS; seed += 100)
      if (failureOf(await simulateReal(seed)) !== undefined) return;
    assert.fail(`none of ${SEEDS} seeds noticed`);
  });
}
