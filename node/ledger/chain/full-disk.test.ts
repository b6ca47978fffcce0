import assert from 'node:assert/strict';
import { lstatSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { NodeError } from '../../errors.ts';
import { verifyLedger } from '../maintenance/verify-ledger.ts';
import { Chain } from './chain.ts';

/** A disk that is full while blocks become final: /dev/full takes the place of LevelDB's next journal. */

let network: SmallNetwork | undefined;
after(() => network?.remove());

const isFull = (error: unknown): boolean =>
  error instanceof NodeError && error.code === 'disk-full' && /make room and start/.test(error.message);

test('nothing is final that is not on disk, nothing is written behind it, and with room again all goes on', async () => {
  network = await SmallNetwork.create(1, 1, 0);
  const { genesis, folder } = network;
  const ledger = join(folder, 'ledger');
  let chain = await Chain.open(folder, genesis);
  let grower = new ChainGrower(network, chain);
  await grower.claim();
  await grower.grow(3);
  const journal = Math.max(...readdirSync(ledger).map((name) => Number(/^(\d+)\.log$/.exec(name)?.[1] ?? 0)));
  const next = Array.from({ length: 6 }, (_, n) =>
    join(ledger, `${String(journal + 1 + n).padStart(6, '0')}.log`),
  );
  for (const path of next) symlinkSync('/dev/full', path);
  // As much as makes LevelDB begin the next journal.
  for (let n = 0; n < 15; n++) await chain.store.database.put(`x/${n}`, new Uint8Array(1_048_576));
  const { final } = chain;
  await assert.rejects(grower.grow(200, 20), isFull);
  const { height } = chain.final;
  assert(height >= final.height);
  for (const path of next) if (lstatSync(path).isSymbolicLink()) rmSync(path);
  // There is room again, but this process does not know what of its journal is there.
  await assert.rejects(grower.grow(1), isFull);
  assert.equal(chain.final.height, height);
  await chain.close();
  // What a full disk leaves of a journal that was begun.
  writeFileSync(next[0] as string, '');
  chain = await Chain.open(folder, genesis);
  assert.equal(chain.final.height, height);
  grower = new ChainGrower(network, chain);
  await grower.grow(2);
  await chain.close();
  assert.deepEqual((await verifyLedger({ dataFolder: folder, genesis })).findings, []);
});
