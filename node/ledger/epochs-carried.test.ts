import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { ChainGrower } from '../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';
import { NodeError } from '../errors.ts';
import { Network } from '../network/network.ts';
import { serveBlocks } from './block-fetch.ts';
import { Chain } from './chain.ts';
import { exportLedger, writeSnapshot } from './export-ledger.ts';
import { encodeFinal } from './final-record.ts';
import { importLedger } from './import-ledger.ts';
import { FRAME, LedgerFileWriter, readFrames } from './ledger-file.ts';
import { SnapshotServer } from './snapshot-serve.ts';
import { syncFromSnapshot } from './snapshot-sync.ts';
import { verifyLedger } from './verify-ledger.ts';

/** Ledgers whose committee changed many times are carried over: every boundary is proven, by file and by link. */

let network: SmallNetwork;
let source: Chain;

before(async () => {
  network = await SmallNetwork.create(5, 4, 0);
  network.genesis = {
    ...network.genesis,
    timestampMs: Date.now() - 3_600_000,
    parameters: { ...network.genesis.parameters, epochMs: 600 },
  };
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
  network.remove();
});

function sameEpochs(chain: Chain): void {
  assert.deepEqual(encodeFinal(chain.final), encodeFinal(source.final));
  assert.deepEqual(chain.seats, source.seats);
  for (let epoch = 0; epoch < source.epoch; epoch++)
    assert.deepEqual(chain.store.boundary(epoch), source.store.boundary(epoch), `boundary ${epoch}`);
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
  const logger = pino({ level: 'silent' });
  const open = (name: string, seeds: readonly string[]): Promise<Network> =>
    Network.open({
      chainId: source.rules.chainId,
      nodeSecret: sha256(utf8(name)),
      host: '127.0.0.1',
      port: 0,
      advertise: [],
      seeds,
      records: { load: () => [], save: () => undefined },
      logger,
    });
  const links = await open('server', []);
  serveBlocks(links, source, () => undefined);
  new SnapshotServer(links, source);
  const own = await open('follower', [links.address]);
  const chain = await Chain.open(join(network.folder, 'by-link'), network.genesis);
  try {
    await until(() => own.peers().length === 1, 5_000, 'the link');
    const { signal } = new AbortController();
    assert.equal(
      await syncFromSnapshot({ chain, network: own, logger, signal, behindMin: 10, waitMs: 1_000 }),
      true,
    );
    sameEpochs(chain);
  } finally {
    await own.close();
    await links.close();
    await chain.close();
  }
});
