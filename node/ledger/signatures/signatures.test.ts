import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { benchGenesis, benchNode, prepareLedger, signerOf } from '../../../bench/ledger/prepared-ledger.ts';
import { signTransfer } from '../../../bench/ledger/transfers.ts';
import { type Block, blockIdOf, txRootOf } from '../../../ledger/block.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import { encodeTransaction, transactionId } from '../../../ledger/transaction.ts';
import { Chain } from '../chain/chain.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocktree-signatures-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('a block is refused for one signature among hundreds, however early it was asked for', async () => {
  const genesis = benchGenesis(1);
  const signers = Array.from({ length: 300 }, (_, i) => signerOf(i));
  const made = join(folder, 'made');
  await prepareLedger(made, genesis, signers, signers.length);
  const chain = await Chain.open(made, genesis);
  try {
    const to = signerOf(0).accountId;
    const pooled = signers.map((signer) => {
      const transfer = signTransfer(chain.rules.chainId, signer, 0, to);
      return { ...transfer, id: transactionId(transfer.transaction), addedMs: 0 };
    });
    const request = {
      parentId: chain.final.id,
      epoch: 0,
      view: 2,
      proposer: benchNode(0).nodeId,
      nowMs: Date.now(),
    };
    const good = (await chain.build(request, pooled, (_, error) => assert.fail(error))) as Block;
    const other = (pooled[11] as (typeof pooled)[number]).transaction.signature;
    const transactions = good.transactions.map((transaction, i) =>
      i === 222 ? { ...transaction, signature: other } : transaction,
    );
    const header = {
      ...good.header,
      // Another block than the one that was built, with the same state after it.
      txRoot: txRootOf(transactions.map(encodeTransaction)),
    };
    const bad: Block = { header, transactions };
    assert.equal(await chain.signatures.blockHolds(bad), false);
    await assert.rejects(
      chain.execute(bad),
      (error) => error instanceof LedgerError && error.code === 'bad-signature',
    );
    assert.equal(chain.hasState(blockIdOf(header)), false);
    const id = await chain.execute(good);
    await chain.commit([id], { epoch: 0, view: 2, certificate: undefined });
    assert.equal(chain.final.id, id);
  } finally {
    await chain.close();
  }
});
