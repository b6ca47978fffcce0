import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { LedgerPeer } from '../../../test/support/ledger-peer.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { NodeError } from '../../errors.ts';
import { Chain } from '../chain/chain.ts';
import { encodeFinal } from '../store/final-record.ts';
import { exportLedger, writeSnapshot } from './export-ledger.ts';
import { importLedger } from './import-ledger.ts';
import { FRAME, LedgerFileWriter, readFrames } from './ledger-file.ts';
import { verifyLedger } from './verify-ledger.ts';

/** Ledgers whose committee changed many times are carried over: every boundary is proven, by file and by link. */

let network: SmallNetwork;
let source: Chain;

before(async () => {
  network = await SmallNetwork.create(5, 4, 0);
  network.beginEarlier({ epochMs: 600 });
  source = await Chain.open(join(network.folder, 'source'), network.genesis);
  const grower = new ChainGrower(network, source);
  for (let index = 0; index < 5; index++) {
    await grower.claim(index);
    await grower.takeSeat(index);
  }
  await grower.grow(80, 2);
  assert(source.epoch >= 4, `${source.epoch} epochs`);
  // The newest block is itself the last of its epoch: the case in which least is known of the next.
  for (const { epoch } = source; source.epoch === epoch; ) await grower.grow(1);
});
after(async () => {
  await source.close();
  await network.remove();
});

/** Whether a ledger came to the same end by the same committees. */
function sameEpochs({ final, seats, store }: Chain): void {
  assert.deepEqual(encodeFinal(final), encodeFinal(source.final));
  assert.deepEqual(seats, source.seats);
  for (let epoch = 0; epoch < source.epoch; epoch++)
    assert.deepEqual(store.boundary(epoch), source.store.boundary(epoch), `boundary ${epoch}`);
}

test('by file: an export and a snapshot bring all boundaries along; one without them is refused', async () => {
  for (const [name, write] of [
    ['export', exportLedger],
    ['snapshot', writeSnapshot],
  ] as const) {
    const file = join(network.folder, name);
    await write(source, file);
    const dataFolder = join(network.folder, `by-${name}`);
    const chain = await Chain.open(dataFolder, network.genesis);
    for (const without of [0, 2]) {
      const forged = join(network.folder, `${name}-without-${without}`);
      const writer = await LedgerFileWriter.create(forged);
      let n = 0;
      for await (const { type, payload } of readFrames(file))
        if (type !== FRAME.end && (type !== FRAME.boundary || n++ !== without))
          await writer.write(type, payload);
      await writer.finish();
      await assert.rejects(
        importLedger(chain, forged),
        (error) => error instanceof NodeError && error.code === 'file-damaged',
      );
    }
    assert.equal(chain.final.height, 0);
    await importLedger(chain, file);
    sameEpochs(chain);
    await chain.close();
    const report = await verifyLedger({ dataFolder, genesis: network.genesis, replay: true });
    assert.deepEqual(report.findings, []);
  }
});

test('by link: a node of the first committee follows all boundaries to the state of the present one', async () => {
  const file = join(network.folder, 'for-the-server');
  await exportLedger(source, file);
  const server = await LedgerPeer.open(join(network.folder, 'server'), network.genesis);
  await importLedger(server.chain, file);
  const follower = await LedgerPeer.open(join(network.folder, 'by-link'), network.genesis, [server]);
  try {
    assert.equal(await follower.sync(10), true);
    sameEpochs(follower.chain);
  } finally {
    await follower.close();
    await server.close();
  }
});
