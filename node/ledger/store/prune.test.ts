import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlockId } from '../../../ledger/ids.ts';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { NodeError } from '../../errors.ts';
import { Chain } from '../chain/chain.ts';
import { writeSnapshot } from '../maintenance/export-ledger.ts';
import { importLedger } from '../maintenance/import-ledger.ts';
import { verifyLedger } from '../maintenance/verify-ledger.ts';
import { encodeFinal, type FinalRecord } from './final-record.ts';
import { Pruner } from './prune.ts';

let network: SmallNetwork;
before(async () => {
  network = await SmallNetwork.create(1, 1, 0);
});
after(() => network.remove());

const noFailure = (error: unknown): void => assert.fail(String(error));

test('old bodies go a stretch at a time, the newest stay, and 0 keeps all', async () => {
  const cut: (readonly [number, number])[] = [];
  const store = {
    final: { height: 1_400 } as FinalRecord,
    prunedHeight: 0,
    async cutBodies(from: number, to: number) {
      cut.push([from, to]);
      store.prunedHeight = to;
    },
  };
  const pruner = new Pruner(store, 1_000, noFailure);
  pruner.committed();
  pruner.committed();
  await pruner.close();
  // Closing ends it after the stretch that is under way; the next start goes on.
  const next = new Pruner(store, 1_000, noFailure);
  next.committed();
  while (store.prunedHeight < 384) await new Promise((resolve) => setImmediate(resolve));
  await next.close();
  assert.deepEqual(cut, [
    [1, 128],
    [129, 256],
    [257, 384],
  ]);
  new Pruner(store, 0, noFailure).committed();
  assert.equal(cut.length, 3);
  assert.throws(
    () => new Pruner(store, 10, noFailure),
    (error) => error instanceof NodeError && error.code === 'bad-configuration',
  );
});

test('a pruned ledger is whole, keeps its headers, and can be handed on as a snapshot', async () => {
  const folder = join(network.folder, 'pruned');
  let chain = await Chain.open(folder, network.genesis);
  const grower = new ChainGrower(network, chain);
  await grower.claim();
  await grower.grow(40);
  const headers = Array.from({ length: 42 }, (_, height) =>
    chain.header(chain.store.idAt(height) as BlockId),
  );
  await chain.store.cutBodies(1, 30);
  await chain.close();
  chain = await Chain.open(folder, network.genesis);
  assert.equal(chain.store.prunedHeight, 30);
  for (const [height, header] of headers.entries()) {
    const id = chain.store.idAt(height) as BlockId;
    assert.deepEqual(chain.header(id), header);
    assert.equal(chain.blockBytes(id) === undefined, height >= 1 && height <= 30, `body ${height}`);
  }
  const file = join(network.folder, 'pruned.snapshot');
  await writeSnapshot(chain, file);
  const other = await Chain.open(join(network.folder, 'other'), network.genesis);
  await importLedger(other, file);
  assert.deepEqual(encodeFinal(other.final), encodeFinal(chain.final));
  await other.close();
  await new ChainGrower(network, chain).grow(2);
  await chain.close();
  const report = await verifyLedger({ dataFolder: folder, genesis: network.genesis });
  assert.deepEqual(report.findings, []);
  assert.equal(report.pruned, 30);
  const replay = await verifyLedger({ dataFolder: folder, genesis: network.genesis, replay: true });
  assert.deepEqual([replay.findings, replay.replayed], [[], undefined]);
});
