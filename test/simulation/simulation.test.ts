import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { campaign, runSeed } from './campaign.ts';
import { firstNotice, MUTANTS } from './mutants.ts';

const SEEDS = 2_000;
const WALL_MS = 150_000;
const MUTANT_SEEDS = 1_500;

test('no seed finds a fork, a contradicted vote, a lost transaction or a stall', async () => {
  const startedMs = Date.now();
  const { seeds, failures, virtualHours, counters } = await campaign(1, SEEDS, startedMs + WALL_MS);
  console.log(
    `seeds ${seeds} of ${SEEDS}, virtual hours ${virtualHours.toFixed(1)} in ${((Date.now() - startedMs) / 1_000).toFixed(0)} s, violations ${failures.length}`,
  );
  assert.deepEqual(failures, []);
  // Every rule and fault must have happened somewhere, or the campaign proved less than it seems.
  for (const name of [
    'crashes',
    'partitions',
    'double votes',
    'equivocating proposals',
    'evidence',
    'convictions',
    'epochs begun',
    'boundary replies',
    'echoes',
    'logs lost',
    'backups restored',
    'abstentions',
    'power cuts',
    'rotten logs',
    'failed syncs',
    'stale certificates',
    'made-up certificates',
    'blame',
    'twins',
    'led: skips views',
    'led: invalid blocks',
    'led: proposes late',
    'led: withholds blocks',
    'clogged links',
    'full disks',
    'syncs without room',
    'suspends',
    'drifting clocks',
    'nodes cut off',
    'blocks let go',
    'votes notarize',
    'gap repairs',
    'proposed again',
    'invalid blocks refused',
    'votes nullify',
    'votes finalize',
    // Of the seeds with real nodes.
    'audits',
    'invalid blocks: bad-state-root',
    'torn logs',
    'rotten ledgers',
    'damaged ledgers refused',
    'journals cut',
    'journals holed',
    'commits cut off',
    'ledgers verified',
    'bodies cut off',
    'states taken over',
  ]) {
    assert((counters.get(name) ?? 0) > 0, `never happened: ${name}`);
  }
});

test('a campaign of nothing, and what it does not know, is refused with how it is meant', () => {
  const command = fileURLToPath(new URL('./campaign.ts', import.meta.url));
  for (const args of [['--seeds', '0'], ['--seed', '5'], ['--replay', 'x'], ['5']]) {
    const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', command, ...args], {
      encoding: 'utf8',
    });
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, /--first-seed S/);
  }
});

test('a seed replays exactly, of the model and of real nodes', async () => {
  for (const seed of [3, 17, 99, 300]) {
    const [once, again] = [await runSeed(seed), await runSeed(seed)];
    assert.equal(once.fingerprint, again.fingerprint);
    assert.deepEqual(once.counters, again.counters);
  }
});

for (const mutant of MUTANTS) {
  test(`notices the mutant: ${mutant.name}`, async () => {
    assert.notEqual(await firstNotice(mutant, MUTANT_SEEDS), undefined);
  });
}
